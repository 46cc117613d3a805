// Scatter: asks all slices of a company's index the same, here and at other nodes, at once.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "api/table.h"
#include "json/json.h"
#include "search/search.h"

namespace samtale::api {

// Whether this node is to answer by the slices of the company's index.
[[nodiscard]] bool is_in_slices(const Context& context, const Call& call);

// For one request of a client. What is passed in must outlive it.
// Threads: one; ask() has one more for each slice that is elsewhere, and waits for them.
class Scatter {
 public:
  // `filters`: of the request, null if it has none. Each slice is to have the change `sequence`.
  Scatter(const Context& context, const Call& call, const json::Value* filters,
          std::uint64_t sequence)
      : context_(context), call_(call), filters_(filters), sequence_(sequence) {}

  // Errors: of the first slice that has no answer: unavailable, deadline_exceeded, corrupt.
  [[nodiscard]] Result<std::vector<SliceAnswer>> ask(const SliceQuestion& question);

  // Some slice had no answer.
  [[nodiscard]] bool has_failed() const { return has_failed_; }
  // The last change that all that were asked last have.
  [[nodiscard]] std::uint64_t applied() const { return applied_; }

 private:
  [[nodiscard]] Result<SliceAnswer> ask_elsewhere(std::size_t slice, const std::string& body,
                                                  const SliceAnswerLimits& limits) const;

  const Context& context_;
  const Call& call_;
  const json::Value* const filters_;
  const std::uint64_t sequence_;
  bool has_failed_ = false;
  std::uint64_t applied_ = 0;
};

}  // namespace samtale::api
