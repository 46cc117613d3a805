// Reads the answer of POST /v1/embeddings, written by a server that may be wrong or hostile.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samtale {

// More numbers than any embedding has.
inline constexpr std::size_t kDimensionMax = 16'384;

// The most bytes that an honest answer of `count` vectors takes, pretty-printed and with every
// digit. `dimension` may be 0 (not known yet).
[[nodiscard]] std::size_t answer_bytes_max(std::size_t count, std::size_t dimension);

// `count` unit vectors in the order of their "index", each of `dimension` numbers (0: of as many as
// the first has).
// Errors: unavailable if the answer is not one to this request: no JSON, too few or too many
//         vectors, an index twice, another dimension (the message names both), or several vectors
//         and all of them zero or beyond a float; invalid_argument if that is so of some vectors
//         only, or of the only one: the texts are the cause.
[[nodiscard]] Result<std::vector<std::vector<float>>> read_embedding_answer(std::string_view body,
                                                                            std::size_t count,
                                                                            std::size_t dimension);

// What an error answer says, for an operator: the "message" of OpenAI's error object, else the
// beginning of the body; at most 200 bytes, cut between code points.
[[nodiscard]] std::string read_error_message(std::string_view body);

}  // namespace samtale
