// Reads the output file of a batch: a line an answer, in any order, written by somebody else.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "lm/batch.h"

namespace samtale {

// Lines that are no JSON, have no "custom_id" or one that was there before are left out, and so are
// those longer than `line_bytes_max`.
[[nodiscard]] std::vector<BatchLine> read_batch_lines(std::string_view file,
                                                      std::size_t line_bytes_max);

}  // namespace samtale
