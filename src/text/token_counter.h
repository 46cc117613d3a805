// TokenCounter: estimates how many tokens a SentencePiece model makes of a text. Private to text/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace samtale {

// Shapes: white space costs nothing and parts what stands around it, so the estimate of lines is
//         the sum of their estimates; a text never costs less than its beginning.
class TokenCounter {
 public:
  // Continues the text; whole code points.
  void add(std::string_view text);
  [[nodiscard]] std::size_t tokens() const { return tokens_ + tokens_of_run(); }

 private:
  enum class Run : std::uint8_t { none, word, digits, signs };
  struct Cost {
    Run run = Run::none;
    std::size_t units = 0;
  };
  static Cost cost_of(std::int32_t code_point);
  [[nodiscard]] std::size_t tokens_of_run() const;

  std::size_t tokens_ = 0;  // Of finished runs.
  Cost run_;
};

}  // namespace samtale
