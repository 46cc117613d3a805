// IndexFollower: opens the indexes of companies, and keeps them equal to the store.
#pragma once

#include <atomic>
#include <compare>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/result.h"
#include "index/company_index.h"
#include "model/ids.h"
#include "search/index_set.h"
#include "search/slices.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

// One of the slices of a partition's index.
struct FollowedSlice {
  std::size_t number = 0;
  std::size_t of = 1;
  // What this slice has of companies that are split. Null if there is but one slice.
  IndexSet* shares = nullptr;
  // Which these are, now; not null.
  std::function<std::shared_ptr<const Layout>()> layout;
};

// Follows the change feed of one partition into the indexes: what was deleted is gone from every
// answer, what was added is found, one step later. Where the partition has slices it does so for
// one of them: for the companies whose home that is, and for its share of those that are split.
//
// Companies are cold at first. One is opened, page by page beside the feed, when a search asks for
// it, and without that while the memory for indexes was never full: those that have a graph's file,
// those that change, and then all others. What a change of who is split asks for is opened as if it
// were searched; what was before it stays until nobody asks for it.
// Threads: one, but for what says otherwise.
class IndexFollower {
 public:
  // What is passed in must outlive it. `indexes` has the companies that are whole.
  IndexFollower(Store& store, Partition partition, IndexSet& indexes, FollowedSlice slice = {});

  // Notes how far the feed is; step() follows from there, and opens.
  Result<> load();
  // Forgets it all.
  void drop();
  // Applies up to `limit` changes and some pages of what is to be opened; returns how many
  // conversations and pages these were, 0 when there is nothing to do. Loads anew where the store
  // has forgotten changes that were not applied.
  Result<std::size_t> step(std::size_t limit = 1000);
  // It knows how far the feed is. From any thread, as the next.
  [[nodiscard]] bool is_loaded() const { return is_loaded_; }
  // All is open for which there is room without evicting any.
  [[nodiscard]] bool is_warm() const { return is_warm_; }

  // Which index of a company: all of it, or this slice's share of one that is split.
  enum class Part : std::uint8_t { whole, share };
  // As IndexSet::find; opens it if it is cold, and waits for that, no longer than `patience`. Null:
  // it is not to be had here. Errors: unavailable: it is being opened, and will be also when nobody
  // waits.
  [[nodiscard]] Result<std::shared_ptr<const CompanyIndex>> open(CompanyId company, Part part,
                                                                 Duration patience);
  // Whether open() may be asked for it.
  [[nodiscard]] bool has(CompanyId company, Part part) const;
  // Whether that is so, or will be.
  [[nodiscard]] bool is_to_have(CompanyId company, Part part) const;

  // Up to which change of who is split it has what it is to have.
  [[nodiscard]] std::uint64_t layout() const { return layout_; }
  // The sequence of the last change that the index has; 0 if it is not loaded. Waits for
  // `sequence`, no longer than `patience` and only while it is loaded. From any thread.
  [[nodiscard]] std::uint64_t wait_applied(std::uint64_t sequence, Duration patience);
  // The feed is there by now, or, as it is not known where, further than it was. From any thread.
  static constexpr std::uint64_t kFurther = ~std::uint64_t{0};
  void heard_of(std::uint64_t sequence);
  // By how many changes it is behind what it was told of, while it is loaded. From any thread.
  [[nodiscard]] std::uint64_t lag() const;
  // Between two steps that found nothing: `longest`, or until somebody waits for a change or a
  // company, or, from `shortest` on, it is heard of a change that is not applied yet.
  void rest(Duration shortest, Duration longest, const std::stop_token& stop);

 private:
  struct Key {
    CompanyId company{};
    Part part{};

    friend auto operator<=>(const Key&, const Key&) = default;
  };
  // What is to become of an index, as it is known who is split.
  enum class Place : std::uint8_t {
    elsewhere,
    here,
    coming,   // Others have it until it is here.
    leaving,  // Others may still ask for it.
  };
  struct Opening {
    bool is_asked = false;   // Somebody waits, or has waited.
    ConversationId after{};  // Up to here it is filled.
    bool is_given_up = false;
    // Once it is open. Who waits holds this, so it does not leave before they have it.
    std::shared_ptr<const CompanyIndex> index;
  };

  [[nodiscard]] IndexSet& set_of(Part part) const {
    return part == Part::share ? *slice_.shares : indexes_;
  }
  [[nodiscard]] bool is_home(CompanyId company) const {
    return home_slice(company, slice_.of) == slice_.number;
  }
  [[nodiscard]] Place place_of(const Key& key) const;
  [[nodiscard]] Place place_of(const Key& key, const Layout& layout) const;

  void set_applied(std::uint64_t applied);
  Result<> refresh(std::span<const std::pair<CompanyId, ConversationId>> touched);
  Result<> refresh(CompanyId company, std::span<const ConversationId> conversations);
  [[nodiscard]] Result<bool> refresh(const Key& key, std::span<const ConversationId> conversations);
  [[nodiscard]] std::vector<ConversationId> not_to_come(
      const Key& key, std::span<const ConversationId> conversations) const;
  void arrange();
  [[nodiscard]] bool arrange(const Key& key, Place place);

  void want(const Key& key);                               // While there is room.
  std::shared_ptr<Opening> ask(const Key& key);            // Under applied_mutex_, …
  [[nodiscard]] bool is_waited_for(const Key& key) const;  // … as this.
  void want_first();
  [[nodiscard]] Result<std::optional<Key>> next_opening();
  [[nodiscard]] std::optional<Key> next_of(std::deque<Key>& line);
  void give_up_wanted();
  [[nodiscard]] Result<std::size_t> fill_some(std::size_t pages_max);
  [[nodiscard]] Result<> fill(const Key& key);
  void close(const Key& key);

  Store& store_;
  const Partition partition_;
  IndexSet& indexes_;
  const FollowedSlice slice_;
  std::shared_ptr<const Layout> arranged_;  // For which all is here; null: none.
  // What must not leave while a change of who is split goes on.
  std::vector<std::shared_ptr<const CompanyIndex>> kept_;
  std::optional<CompanyId> warmed_;  // The last that was looked at without being asked for.
  std::atomic<std::uint64_t> layout_ = 0;
  std::uint64_t epoch_ = 0;  // Of applied_.
  std::uint64_t trimmed_ = 0;
  bool is_empty_ = true;
  std::atomic<bool> is_warm_ = false;
  std::atomic<bool> is_loaded_ = false;  // Written under applied_mutex_.
  mutable std::mutex applied_mutex_;     // Guards the rest.
  std::uint64_t applied_ = 0;            // Written by its one thread.
  std::map<Key, std::shared_ptr<Opening>> openings_;
  std::deque<Key> asked_;   // Of them, a page each in turn; may have some that are no more, …
  std::deque<Key> wanted_;  // … as this: those that nobody waits for.
  std::uint64_t heard_ = 0;
  std::uint64_t feed_end_ = 0;               // As far as it was told.
  std::uint64_t awaited_ = 0;                // By those who wait.
  std::condition_variable applied_changed_;  // Or something was opened.
  std::condition_variable_any heard_changed_;
};

}  // namespace samtale
