// SliceAnswer: what a slice of a company's index says to the node that answers a search, and its
// bytes between the two (docs/formats/slice-answer-v1.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/company_index.h"

namespace samtale {

struct SliceAnswer {
  std::uint64_t applied = 0;  // The last change of the partition that the slice has.
  bool is_exact = true;       // As NearChunks has it.
  std::vector<ChunkHit> near;
  std::vector<ChunkHit> worded;
  // Where these were asked for.
  WordCounts counts;
  std::uint64_t conversations = 0;
  std::uint64_t vectors = 0;
  std::uint64_t bytes = 0;
};

struct SliceAnswerLimits {
  std::size_t hits = 0;   // Of each half.
  std::size_t terms = 0;  // Counted.
};

[[nodiscard]] std::string encode(const SliceAnswer& answer);
// Nothing for what is no such answer, or is beyond the limits. The hits of each half are in their
// order, each once, with finite scores.
[[nodiscard]] std::optional<SliceAnswer> decode_slice_answer(std::string_view bytes,
                                                             const SliceAnswerLimits& limits);

}  // namespace samtale
