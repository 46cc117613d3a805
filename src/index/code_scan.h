// CodeScan: the nearest of some vectors, exactly, by their codes. Private to index/.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "index/vector_rows.h"

namespace samtale {

// Who takes what is found.
class CodeHits {
 public:
  virtual ~CodeHits() = default;
  // Scores below are of no use any more.
  [[nodiscard]] virtual float score_min() const = 0;
  virtual void offer(VectorRows::Place place, float score) = 0;
};

// Vectors that are read at a time: what is computed of them stays in the caches.
inline constexpr std::size_t kScanBlock = 256;

// Which of the rows are looked at: calls `visit` with where a run of them begins, and how many they
// are, at most kScanBlock. The same whenever it is called.
using VisitRun = std::function<void(VectorRows::Place first, std::size_t count)>;
using ForRuns = std::function<void(const VisitRun& visit)>;

// Offers the `limit` nearest of these at least. `hits` keeps as many, and may have some already.
void scan_by_code(const VectorRows& rows, std::span<const float> unit, const QueryCode& code,
                  std::size_t limit, const ForRuns& for_runs, CodeHits& hits);

struct Candidate {
  VectorRows::Place place;
  float bound;  // Its score is not above it.
};
// Scores those that may be of use, in their order.
void offer_some(const VectorRows& rows, std::span<const float> unit,
                std::span<const Candidate> candidates, CodeHits& hits);

}  // namespace samtale
