// IndexSet: the search index of every company, kept equal to the store.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

#include "base/result.h"
#include "index/company_index.h"
#include "index/segment_folder.h"
#include "model/ids.h"
#include "search/slices.h"
#include "store/store.h"
#include "store/vector_search.h"
#include "sys/clock.h"

namespace samtale {

// All of one embedding model: vectors of another are left out (the words are not).
// Threads: any method from any thread.
class IndexSet {
 public:
  // segments: of the same model, where graphs are found again; must outlive it. Null: nowhere.
  // `on_removed` is told each time a conversation was removed, after no search finds it any more.
  IndexSet(std::string model, std::size_t dimension, const IndexOptions& options = {},
           SegmentFolder* segments = nullptr, std::function<void(CompanyId)> on_removed = nullptr);

  // Vectors stay where the store keeps them (search/stored_vector_index.h); `vectors` is of the
  // same model, and must outlive it.
  IndexSet(std::string model, std::size_t dimension, const IndexOptions& options,
           VectorSearch& vectors, std::function<void(CompanyId)> on_removed = nullptr);

  [[nodiscard]] const std::string& model() const { return model_; }

  // Null if the company has nothing indexed. Stays valid while it is held.
  [[nodiscard]] std::shared_ptr<const CompanyIndex> find(CompanyId company) const;

  // Makes the index say of the conversations what the store says now.
  Result<> refresh(const Store& store, CompanyId company,
                   std::span<const ConversationId> conversations);

  // Drops the indexes of these companies.
  void forget(const std::function<bool(CompanyId)>& which);

  // Makes or measures the graphs of large companies where it is due, and keeps their files; returns
  // how many it made or measured. From one thread at a time, and only once everything has been
  // loaded; it takes seconds to minutes.
  Result<std::size_t> maintain(const std::stop_token& stop);

  // Has the company's graph made anew, beside the one that there is; false if there is none.
  bool renew_graph(CompanyId company);

  [[nodiscard]] IndexSize size() const;  // Of all; the recall is the lowest.
  [[nodiscard]] IndexSize size(CompanyId company) const;
  [[nodiscard]] std::size_t companies() const;

 private:
  [[nodiscard]] std::shared_ptr<CompanyIndex> of(CompanyId company);

  const std::string model_;
  const std::size_t dimension_;
  const IndexOptions options_;
  SegmentFolder* const segments_;
  VectorSearch* const vectors_;  // Null: the indexes hold them.
  const std::function<void(CompanyId)> on_removed_;
  // One refresh of a company at a time: else one that read before a deletion could put back after
  // it what the deletion took away.
  std::array<std::mutex, 16> refresh_mutexes_;
  mutable std::shared_mutex indexes_mutex_;
  std::map<CompanyId, std::shared_ptr<CompanyIndex>> indexes_;  // Guarded by indexes_mutex_.
};

// One of the slices of a partition's index.
struct FollowedSlice {
  std::size_t number = 0;
  std::size_t of = 1;
  // What this slice has of companies that are split. Null if there is but one slice.
  IndexSet* shares = nullptr;
  // Which these are, now; not null.
  std::function<std::shared_ptr<const Layout>()> layout;
};

// Follows the change feed of one partition into the index: what was deleted is gone from every
// answer, what was added is found, one step later. Where the partition has slices it does so for
// one of them: for the companies whose home that is, and for its share of those that are split.
// What a change of who is split asks for it loads beside that, step by step; what was before it
// stays until nobody asks for it.
// Threads: one, but for what says otherwise.
class IndexFollower {
 public:
  // What is passed in must outlive it. `indexes` has the companies that are whole.
  IndexFollower(Store& store, Partition partition, IndexSet& indexes, FollowedSlice slice = {});

  // Asked from page to page of a load, which ends where it says no: nothing is then loaded.
  using GoOn = std::function<bool()>;

  // Reads everything the store has; then step() follows.
  Result<> load(const GoOn& go_on = [] { return true; });
  // Forgets it all.
  void drop();
  // Applies up to `limit` changes; returns how many conversations were refreshed, 0 when it has
  // caught up. Loads anew where the store has forgotten changes that were not applied.
  Result<std::size_t> step(
      const GoOn& go_on = [] { return true; }, std::size_t limit = 1000);
  // The index has what the store has, but for the last changes. From any thread, as the next.
  [[nodiscard]] bool is_loaded() const { return generation() != 0; }
  // Another one after each load; 0: it is not loaded. A search had the whole index if this is the
  // same before and after it, and not 0.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  // The same of the index of a company that is whole, and of the share of one that is split.
  [[nodiscard]] std::uint64_t generation_of(CompanyId company) const;
  [[nodiscard]] std::uint64_t share_generation_of(CompanyId company) const;
  // Up to which change of who is split it has loaded what it is to have.
  [[nodiscard]] std::uint64_t layout() const { return layout_; }
  // Some index is there in part.
  [[nodiscard]] bool is_filling() const { return is_filling_; }
  // The sequence of the last change that the index has; 0 if it is not loaded. Waits for
  // `sequence`, no longer than `patience` and only while it is loaded. From any thread.
  [[nodiscard]] std::uint64_t wait_applied(std::uint64_t sequence, Duration patience);
  // The feed is there by now: a rest ends where that is not applied yet. From any thread.
  void heard_of(std::uint64_t sequence);
  // Between two steps that found nothing: `length`, or until somebody waits for a change, or it is
  // heard of one.
  void rest(Duration length, const std::stop_token& stop);

 private:
  // An index of a company that is, or was, split. Filled from the store while it takes changes.
  struct Held {
    bool takes_changes = false;
    std::uint64_t generation = 0;  // 0: not all is there yet.
  };
  struct Holding {
    Held whole;
    Held share;
  };
  struct Filling {
    CompanyId company{};
    bool is_share = false;
    ConversationId after{};
  };

  void set_applied(std::uint64_t applied, std::uint64_t generation);
  Result<> refresh(std::span<const std::pair<CompanyId, ConversationId>> touched);
  Result<> refresh(CompanyId company, std::span<const ConversationId> conversations);
  Result<> refresh_share(CompanyId company, std::span<const ConversationId> conversations);
  [[nodiscard]] bool is_home(CompanyId company) const {
    return home_slice(company, slice_.of) == slice_.number;
  }
  void hold_as(const Layout& layout);
  [[nodiscard]] Result<bool> arrange();
  void arrange(CompanyId company, const Layout::Change& change, bool is_settled);
  void arrange(CompanyId company, bool is_share, bool must_be_here, bool may_stay);
  [[nodiscard]] std::optional<Filling> next_filling() const;
  [[nodiscard]] Result<> fill();

  Store& store_;
  const Partition partition_;
  IndexSet& indexes_;
  const FollowedSlice slice_;
  std::shared_ptr<const Layout> arranged_;  // For which all is here; null: none.
  std::optional<Filling> filling_;
  std::atomic<bool> is_filling_ = false;
  std::atomic<std::uint64_t> layout_ = 0;
  std::uint64_t epoch_ = 0;  // Of applied_.
  std::uint64_t trimmed_ = 0;
  bool is_empty_ = true;
  std::uint64_t loads_ = 0;
  std::atomic<std::uint64_t> generation_ = 0;  // Written under applied_mutex_.
  mutable std::mutex applied_mutex_;
  std::uint64_t applied_ = 0;  // Guarded by applied_mutex_, as the next two; written by its one
                               // thread.
  std::map<CompanyId, Holding> holdings_;
  std::uint64_t wanted_ = 0;  // By those who wait, or heard of.
  std::condition_variable applied_changed_;
  std::condition_variable_any wanted_changed_;
};

}  // namespace samtale
