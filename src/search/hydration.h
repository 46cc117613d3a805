// Hydration: what searches show of the conversations they found, kept until those change.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <vector>

#include "base/result.h"
#include "cache/cache.h"
#include "model/chunk.h"
#include "model/ids.h"
#include "store/store.h"

namespace samtale {

struct FoundChunks {
  ConversationId conversation;
  std::vector<std::uint32_t> ordinals;
};

struct ShownConversation {
  ConversationSummary summary;
  std::map<std::uint32_t, Chunk> chunks;  // By ordinal; not all that there are.
};

// What was read before is shown again if the change feed tells nothing of its conversation since,
// and the feed is asked each time: one number of one row where nothing has changed, instead of what
// a conversation says. Those who ask at the same time share the answer of one read that was begun
// after they came. So what is shown is what the store had at some moment of the call.
//
// Threads: any method from any thread.
// Memory:  bytes_max, and 64 KB for each partition that is searched, with a number a company.
class Hydration {
 public:
  using Shown = std::shared_ptr<const ShownConversation>;

  // Must outlive it. bytes_max 0: nothing is kept, the feed is not asked.
  Hydration(const Store& store, std::size_t bytes_max);

  // In the order of `found`; null for a conversation that is gone. A chunk that is gone is left
  // out. Errors: those of the store.
  [[nodiscard]] Result<std::vector<Shown>> of(CompanyId company,
                                              std::span<const FoundChunks> found);

  // To be called from time to time, so that what has changed or was deleted leaves memory where
  // nobody searches any more. Errors: those of the store.
  Result<> follow();

  [[nodiscard]] CacheStats stats() const { return cache_.stats(); }

 private:
  // A moment of a partition's feed. Sequences of two epochs do not compare.
  struct Point {
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;
  };
  struct Kept {
    Point as_of;  // Has all changes up to this one.
    Shown shown;
  };

  // What is known of a partition's feed.
  struct Feed {
    static constexpr std::size_t kPlaces = 8192;

    std::mutex feed_mutex;
    // Those who wait for an even read and for an odd one.
    std::array<std::condition_variable, 2> read_ended;
    // All below guarded by feed_mutex.
    std::uint64_t reads = 0;        // Begun.
    std::uint64_t reads_ended = 0;  // As many, or all but the last.
    Result<> outcome;               // Of the last one that ended.
    Point seen;                     // Another epoch where it is not known what has changed since.
    std::uint64_t its_epoch = 0;    // The feed's own.
    std::set<CompanyId> companies;  // Of which something may be kept.
    // The last change of those conversations that share a place: what has not changed may be taken
    // for changed, never the other way.
    std::array<std::uint64_t, kPlaces> changed{};

    [[nodiscard]] std::uint64_t& change_of(ConversationId conversation) {
      return changed[std::hash<ConversationId>()(conversation) % kPlaces];
    }
    [[nodiscard]] bool is_current(Point as_of, ConversationId conversation) {
      return as_of.epoch == seen.epoch && as_of.sequence >= change_of(conversation);
    }
  };
  // One of those found: what is kept of it and current, which may lack chunks that are wanted.
  struct Had {
    Shown shown;
    bool is_enough = false;
  };

  [[nodiscard]] Feed& feed_of(Partition partition);
  // As of a read that begins after the call.
  [[nodiscard]] Result<Point> catch_up(Partition partition, Feed& feed);
  Result<> read_feed(Partition partition, Feed& feed);
  [[nodiscard]] Had find_kept(CompanyId company, Feed& feed, const FoundChunks& found);
  void keep(CompanyId company, Feed& feed, ConversationId conversation, Kept kept);
  [[nodiscard]] Result<std::vector<Shown>> read(CompanyId company,
                                                std::span<const FoundChunks> found) const;

  const Store& store_;
  const bool keeps_;
  Cache<Kept> cache_;
  std::mutex feeds_mutex_;
  std::map<Partition, std::unique_ptr<Feed>> feeds_;  // Guarded by feeds_mutex_.
};

}  // namespace samtale
