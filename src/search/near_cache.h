// NearCache: searches by vector that were made before, brought up to date and not made again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/cache.h"
#include "index/company_index.h"
#include "model/ids.h"

namespace samtale {

struct NearQuery {
  std::span<const float> vector;
  std::size_t limit = 0;
  const ConversationFilter& filter;
  std::string_view filter_text;  // Equal for filters that let the same pass, and only for those.
  bool must_be_exact = false;
  std::size_t part = 0;  // Which of the company's indexes, where it has several.
};

// An entry has the hits of an exact search, the sequence of the index they were found at, and the
// rank below which nothing is known. A later search takes them without those whose conversations
// have changed since, adds the changed conversations' chunks, scored now, and drops what ranks
// below: what is left ranks before every chunk that is not listed. So if it is as many as are
// wanted, or nothing was ever below, it is what a search of the whole index finds now, to the bit;
// otherwise that search is made. No entry grows old, and no write throws one away.
//
// Answers by a graph are not kept: they do not follow from what the index holds. A kept answer is
// exact, whatever the company has become since.
//
// Threads: any method from any thread.
// Memory:  bytes_max. An entry holds ids, ordinals and scores, none of the words.
class NearCache {
 public:
  NearCache(std::string model, std::size_t bytes_max);

  // As index->nearest. Errors: those.
  [[nodiscard]] Result<NearChunks> nearest(CompanyId company,
                                           const std::shared_ptr<const CompanyIndex>& index,
                                           const NearQuery& query);

  // To be called after a conversation was removed from the index: nothing that was found before is
  // kept when this returns, nor what is being searched.
  void forget(CompanyId company) { cache_.forget(company); }

  struct Stats {
    CacheStats cache;
    std::uint64_t renewed = 0;  // Of the hits, those that had to be brought up to date.
  };
  [[nodiscard]] Stats stats() const;

 private:
  struct Entry {
    std::weak_ptr<const CompanyIndex> index;  // Sequences of two indexes do not compare.
    std::uint64_t sequence = 0;
    std::vector<ChunkHit> hits;     // Best first.
    std::optional<ChunkHit> floor;  // What is not listed ranks after it; empty: all is listed.
    bool is_exact = true;
  };

  [[nodiscard]] static Result<Entry> search(const std::shared_ptr<const CompanyIndex>& index,
                                            const NearQuery& query);
  // Empty if the entry tells too little of what would be found now.
  [[nodiscard]] static Result<std::optional<Entry>> renew(
      const Entry& entry, const std::shared_ptr<const CompanyIndex>& index, const NearQuery& query);

  [[nodiscard]] static NearChunks answer(Entry entry, std::size_t limit);

  const std::string model_;
  Cache<Entry> cache_;
  std::atomic<std::uint64_t> renewed_ = 0;
};

}  // namespace samtale
