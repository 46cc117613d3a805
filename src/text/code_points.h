// Code points of a UTF-8 text. Private to text/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace samtale {

struct CodePoint {
  std::int32_t value = -1;  // Negative for bytes that are not UTF-8.
  std::size_t bytes = 0;    // 0 at the end of the text.
};

// The code point at `at`; of bytes that are none, as many as Unicode 15, table 3-8 takes together.
[[nodiscard]] CodePoint decode(std::string_view text, std::size_t at);

// The longest beginning of `text` of at most `bytes` bytes that ends between code points.
[[nodiscard]] std::size_t whole_code_points(std::string_view text, std::size_t bytes);

}  // namespace samtale
