// A store, the indexes that follow it and a searcher, for tests whatever keeps the vectors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embed/testing/fake_embedder.h"
#include "search/index_follower.h"
#include "search/search.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

inline constexpr CompanyId kAcme{1};
inline constexpr CompanyId kGlobex{2};

// A store of one partition, and the indexes that find its vectors.
class SearchBackend {
 public:
  virtual ~SearchBackend() = default;
  virtual Store& store() = 0;
  // To be called once. `on_removed` as IndexSet has it.
  virtual std::unique_ptr<IndexSet> make_indexes(const Embedder& embedder,
                                                 std::function<void(CompanyId)> on_removed) = 0;
};

class SearchFixture : public testing::Test {
 protected:
  explicit SearchFixture(std::unique_ptr<SearchBackend> backend) : backend_(std::move(backend)) {
    EXPECT_TRUE(follower.load());
  }

  // Stores a conversation of one chunk, or of so many alike, with their vectors, and follows it
  // into the index.
  ConversationId add(CompanyId company, const std::string& name, const std::string& text,
                     const std::string& channel = "chat", std::uint32_t count = 1) {
    StoredConversation stored;
    auto& conversation = stored.conversation;
    conversation.id = make_conversation_id(company, "api", name);
    conversation.source = "api";
    conversation.external_id = name;
    conversation.channel = channel;
    conversation.turns.push_back({.id = "1", .role = "customer", .text = text});
    std::vector<Chunk> chunks;
    for (std::uint32_t i = 0; i < count; ++i) {
      chunks.push_back({.ordinal = i, .text = "customer: " + text, .policy = "turns-v1"});
    }
    const auto vector = embedder.embed(std::vector{text}, EmbedRole::passage, nullptr, {});
    EXPECT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_conversation(company, stored));
      SAMTALE_TRY_VOID(writer.put_chunks(company, conversation.id, chunks));
      for (const auto& chunk : chunks) {
        SAMTALE_TRY_VOID(writer.put_embedding(company, conversation.id, chunk,
                                              {embedder.model_id(), vector->front()}));
      }
      return {};
    }));
    EXPECT_TRUE(follower.step());
    return conversation.id;
  }

  void remove(CompanyId company, const ConversationId& id) {
    EXPECT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY([[maybe_unused]] const auto positions, writer.erase_conversation(company, id));
      return {};
    }));
    EXPECT_TRUE(follower.step());
  }

  void conclude(CompanyId company, const ConversationId& id, const std::string& analyzer,
                std::vector<std::string> labels, std::optional<double> score = std::nullopt) {
    const StoredAnalysis analysis{.analyzer = analyzer,
                                  .method = "lm",
                                  .revision = 1,
                                  .result = "{}",
                                  .labels = std::move(labels),
                                  .score = score};
    EXPECT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) {
      return writer.put_analysis(company, id, analysis);
    }));
    EXPECT_TRUE(follower.step());
  }

  // As a server does before it searches.
  std::shared_ptr<const CompanyIndex> open(CompanyId company) {
    return open(follower, company, IndexFollower::Part::whole);
  }
  static std::shared_ptr<const CompanyIndex> open(IndexFollower& opener, CompanyId company,
                                                  IndexFollower::Part part) {
    while (true) {
      auto index = opener.open(company, part, {});
      if (index && opener.is_loaded()) return *index;
      EXPECT_TRUE(opener.step());
    }
  }

  std::vector<std::string> found(CompanyId company, const SearchRequest& request) {
    std::vector<std::string> names;
    const auto index = open(company);
    const auto answer = searcher().search(company, request);
    EXPECT_TRUE(answer);
    for (const auto& hit : answer->hits) names.push_back(hit.summary->head.external_id);
    return names;
  }

  Searcher searcher() {
    return Searcher(indexes, hydration, query_vectors, near_cache, clock, {.cursor_key = "a key"});
  }

 private:
  const std::unique_ptr<SearchBackend> backend_;

 protected:
  SimClock clock;
  SimRandom random{1};
  FakeEmbedder embedder;
  Store& store = backend_->store();
  QueryVectors query_vectors{embedder, std::size_t{1} << 20};
  NearCache near_cache{embedder.model_id(), std::size_t{1} << 20};
  Hydration hydration{store, std::size_t{1} << 20};
  const std::unique_ptr<IndexSet> own_indexes_ =
      backend_->make_indexes(embedder, [this](CompanyId company) { near_cache.forget(company); });
  IndexSet& indexes = *own_indexes_;
  IndexFollower follower{store, Partition{0}, indexes};
};

}  // namespace samtale
