// The rows with the greatest BM25 scores, without looking at every posting. Private to index/.
#pragma once

#include <cstdint>
#include <span>

#include "index/postings.h"
#include "index/top_rows.h"

namespace samtale {

struct WeighedWord {
  const Postings* postings = nullptr;
  float weight = 0;  // How rare it is; above 0.
};

// What becomes of the rows that may be among the best, which come in their order.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Asked before its score is known for certain.
  [[nodiscard]] virtual bool wants(std::uint32_t row) = 0;
  // Returns the least score that is of use from now on.
  virtual float offer(const ScoredRow& row) = 0;
};

// Offers each row whose score is of use, and perhaps some that are a millionth below. A score is
// the sum over the words, and has the same bits whatever was passed over, and in each index where
// `weights_max` is the same: no less than the weights of all words, also of those that no row has.
// Source: max-score (Turtle & Flood, "Query Evaluation: Strategies and Optimizations", IPM 1995):
// rows with none but the words that count little need not be looked for; with the bounds of blocks
// (Ding & Suel, SIGIR 2011); over windows of rows, a word at a time, as Lucene does since 9.8.
void search_words(std::span<const WeighedWord> words, float weights_max,
                  const Saturation& saturation, RowSink& sink);

}  // namespace samtale
