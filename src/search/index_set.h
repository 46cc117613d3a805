// IndexSet: the search indexes of the companies that are open.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "index/company_index.h"
#include "index/segment_folder.h"
#include "model/ids.h"
#include "search/index_budget.h"
#include "store/store.h"
#include "store/vector_search.h"

namespace samtale {

// Of the companies that are open: the others are cold, and nothing of them is in memory.
// All of one embedding model: vectors of another are left out (the words are not).
// Threads: any method from any thread; one opens a company at a time.
// Memory:  as the budget says.
class IndexSet {
 public:
  // segments: of the same model, where graphs are found again; must outlive it, as the budget.
  // Null: nowhere, no limit. `on_removed` is told each time a conversation was removed, after no
  // search finds it any more, and when a company's index is gone.
  IndexSet(std::string model, std::size_t dimension, const IndexOptions& options = {},
           SegmentFolder* segments = nullptr, std::function<void(CompanyId)> on_removed = nullptr,
           IndexBudget* budget = nullptr);

  // Vectors stay where the store keeps them (search/stored_vector_index.h); `vectors` is of the
  // same model, and must outlive it.
  IndexSet(std::string model, std::size_t dimension, const IndexOptions& options,
           VectorSearch& vectors, std::function<void(CompanyId)> on_removed = nullptr,
           IndexBudget* budget = nullptr);
  ~IndexSet();
  IndexSet(const IndexSet&) = delete;
  IndexSet& operator=(const IndexSet&) = delete;

  [[nodiscard]] const std::string& model() const { return model_; }

  // All that the store has of the company, whether that is much or nothing. Null if it is not open.
  // Open it stays, and equal to the store, while this is held, unless the set is told to forget it.
  [[nodiscard]] std::shared_ptr<const CompanyIndex> find(CompanyId company) const;
  // Open, or being opened.
  [[nodiscard]] bool has(CompanyId company) const;

  // To open a company: begin() one that the set has not (else it does nothing); from then on
  // refresh all that the store has, in any order, while others refresh what changes; then
  // complete().
  void begin(CompanyId company);
  std::shared_ptr<const CompanyIndex> complete(CompanyId company);

  // Makes the index say of the conversations what the store says now; false if there is none.
  Result<bool> refresh(const Store& store, CompanyId company,
                       std::span<const ConversationId> conversations);

  // Drops the indexes of these companies, also those being opened.
  void forget(const std::function<bool(CompanyId)>& which);

  // As IndexBudget.
  void make_room();
  [[nodiscard]] bool has_room() const;

  // Makes or measures the graphs of large companies where it is due, and keeps their files; returns
  // how many it made or measured. Files of companies that are not open stay where `is_here` says
  // so. From one thread at a time; it takes seconds to minutes.
  Result<std::size_t> maintain(const std::stop_token& stop,
                               const std::function<bool(CompanyId)>& is_here);
  // Those that have a file of their graph.
  [[nodiscard]] std::set<CompanyId> filed() const;

  // Has the company's graph made anew, beside the one that there is; false if there is none.
  bool renew_graph(CompanyId company);

  [[nodiscard]] IndexSize size() const;  // Of all; the recall is the lowest.
  [[nodiscard]] IndexSize size(CompanyId company) const;
  [[nodiscard]] std::size_t companies() const;  // Open ones.

 private:
  friend class IndexBudget;
  struct Held {
    std::shared_ptr<CompanyIndex> index;
    bool is_open = false;
    std::size_t bytes = 0;  // As counted last.
    mutable std::atomic<std::uint64_t> used = 0;
  };

  // Open or not, and without that counting as a use.
  [[nodiscard]] std::shared_ptr<CompanyIndex> held(CompanyId company) const;
  void note_use(const Held& held) const;
  void count_bytes(CompanyId company, const CompanyIndex& index);
  Result<> forget_graph(const Store& store, CompanyId company,
                        std::span<const ConversationId> changed);
  using Visit = std::function<void(CompanyId, std::uint64_t used, std::size_t bytes)>;
  void for_each_open(const Visit& visit) const;
  // False if somebody has it.
  bool evict(CompanyId company);

  const std::string model_;
  const std::size_t dimension_;
  const IndexOptions options_;
  SegmentFolder* const segments_;
  VectorSearch* const vectors_;  // Null: the indexes hold them.
  const std::function<void(CompanyId)> on_removed_;
  IndexBudget* const budget_;
  // One refresh of a company at a time: else one that read before a deletion could put back after
  // it what the deletion took away.
  std::array<std::mutex, 16> refresh_mutexes_;
  mutable std::shared_mutex indexes_mutex_;
  std::map<CompanyId, Held> indexes_;  // Guarded by indexes_mutex_.
};

}  // namespace samtale
