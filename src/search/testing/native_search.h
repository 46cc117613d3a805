// What tests of searches share whose vectors are in memory: the backend of SearchConformance, and
// how two answers are compared.
#pragma once

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "search/testing/search_fixture.h"
#include "store/sqlite_store.h"

namespace samtale {

// All of an answer but how long it took.
inline std::string shown(const SearchAnswer& answer) {
  std::string text = answer.next_cursor + " " + answer.degraded + "\n";
  for (const auto& hit : answer.hits) {
    text += hit.summary->head.external_id + " " + std::to_string(hit.score);
    for (const auto& chunk : hit.chunks) {
      for (const auto score : {chunk.score, chunk.vector_score, chunk.word_score}) {
        text += " " + std::to_string(std::bit_cast<std::uint32_t>(score));
      }
    }
    text += "\n";
  }
  return text;
}

class NativeBackend final : public SearchBackend {
 public:
  NativeBackend() {
    std::string folder = testing::TempDir() + "/search-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    SqliteStoreOptions options;
    options.folder = folder_;
    options.partitions = 1;
    store_ = *SqliteStore::open(options, clock_, random_);
  }
  ~NativeBackend() override { std::filesystem::remove_all(folder_); }
  static std::unique_ptr<SearchBackend> make() { return std::make_unique<NativeBackend>(); }

  Store& store() override { return *store_; }
  std::unique_ptr<IndexSet> make_indexes(const Embedder& embedder,
                                         std::function<void(CompanyId)> on_removed) override {
    return std::make_unique<IndexSet>(embedder.model_id(), embedder.dimension(), IndexOptions(),
                                      nullptr, std::move(on_removed));
  }

 private:
  std::string folder_;
  SimClock clock_;
  SimRandom random_{1};
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace samtale
