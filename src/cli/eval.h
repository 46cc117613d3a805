// Measures of ranked retrieval over judged queries. Internal to the room.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>

namespace samtale::cli {

inline constexpr std::size_t kEvalDepth = 10;

struct QueryScore {
  double reciprocal_rank = 0;  // 1 / rank of the first relevant answer; 0 if none is among ten.
  double recall = 0;           // Share of the relevant answers that are among ten.
};
// `ranked` best first. With no relevant answer at all both are 0.
[[nodiscard]] QueryScore score_query(std::span<const std::string> ranked,
                                     const std::set<std::string>& relevant);

struct MeanScore {
  std::size_t queries = 0;
  double reciprocal_rank_sum = 0;
  double recall_sum = 0;
  std::size_t failed = 0;  // Not answered; they count as 0.

  void add(const QueryScore& score) {
    ++queries;
    reciprocal_rank_sum += score.reciprocal_rank;
    recall_sum += score.recall;
  }
  [[nodiscard]] double mean_reciprocal_rank() const {
    return queries == 0 ? 0 : reciprocal_rank_sum / static_cast<double>(queries);
  }
  [[nodiscard]] double mean_recall() const {
    return queries == 0 ? 0 : recall_sum / static_cast<double>(queries);
  }
};

}  // namespace samtale::cli
