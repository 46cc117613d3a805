// Slicing: which companies are split, what of them is here, and who is asked for the rest.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "api/api.h"
#include "cluster/router.h"
#include "search/index_follower.h"
#include "search/slices.h"
#include "store/store.h"
#include "tenants/tenants.h"

namespace samtale {

// Threads: any method from any thread.
class Slicing final : public SliceHost {
 public:
  struct Parts {
    const Store& store;
    const Tenants& tenants;
    Router& router;
    // Of each slice of each partition, in their order; the same all the time.
    const std::vector<std::unique_ptr<IndexFollower>>& followers;
    const std::vector<std::unique_ptr<IndexSet>>& shares;  // Of each slice.
    // As ApiParts::open_index and wait_applied, of the follower in this place.
    std::function<Result<std::shared_ptr<const CompanyIndex>>(std::size_t place, CompanyId)> open;
    std::function<std::uint64_t(std::size_t place, std::uint64_t sequence)> wait_applied;
    Duration timeout{};  // Of one node's answer.
  };
  explicit Slicing(Parts parts) : parts_(std::move(parts)) {}

  // Takes what the tenants know now. `settled` as Layout has it.
  void refresh(std::uint64_t settled);
  [[nodiscard]] std::shared_ptr<const Layout> layout() const;

  // The layout that a node has which surely has the company's whole index, where that is the way.
  [[nodiscard]] std::uint64_t whole_since(CompanyId company) const { return since(company, false); }
  // Among the slices of all partitions.
  [[nodiscard]] std::size_t place_of(CompanyId company, std::size_t slice) const;
  [[nodiscard]] std::size_t home_of(CompanyId company) const;

  [[nodiscard]] std::size_t count() const override { return parts_.shares.size(); }
  [[nodiscard]] bool is_split(CompanyId company) const override;
  [[nodiscard]] IndexSet& shares(std::size_t slice) override { return *parts_.shares[slice]; }
  [[nodiscard]] bool has(CompanyId company, std::size_t slice) const override;
  [[nodiscard]] Result<std::shared_ptr<const CompanyIndex>> open(CompanyId company,
                                                                 std::size_t slice) override;
  [[nodiscard]] std::uint64_t wait_applied(CompanyId company, std::size_t slice,
                                           std::uint64_t sequence) override;
  [[nodiscard]] Result<HttpAnswer> ask(const Caller& caller, std::size_t slice,
                                       const std::string& request_id,
                                       const std::string& body) override;

 private:
  // The change since which it is so; 0: it is otherwise, or always was so.
  [[nodiscard]] std::uint64_t since(CompanyId company, bool is_split) const;

  const Parts parts_;
  mutable std::mutex layout_mutex_;
  std::shared_ptr<const Layout> layout_ = std::make_shared<Layout>();  // Guarded by layout_mutex_.
};

}  // namespace samtale
