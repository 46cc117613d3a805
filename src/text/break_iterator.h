// BreakIterator: ICU's boundaries in a UTF-8 text, as byte offsets. Private to text/.
#pragma once

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace samtale {

// Threads: the iterators below are the calling thread's own, made once and used again: opening one
// costs more than cutting a turn.
// Memory:  lends the text from start() to the next start().
class BreakIterator {
 public:
  [[nodiscard]] static BreakIterator& sentences();
  [[nodiscard]] static BreakIterator& words();
  [[nodiscard]] static BreakIterator& lines();  // Where a line may be broken (UAX #14).
  [[nodiscard]] static BreakIterator& graphemes();

  // Invalid UTF-8 is read as U+FFFD. A text of 2 GiB or more, which ICU cannot count, has no
  // boundary but its end.
  void start(std::string_view text);
  // The next boundary after the beginning, the last one being the text's end; then empty.
  [[nodiscard]] std::optional<std::size_t> next();

 private:
  explicit BreakIterator(UBreakIteratorType type);

  struct CloseText {
    void operator()(UText* text) const { utext_close(text); }
  };
  struct CloseBreaks {
    void operator()(UBreakIterator* breaks) const { ubrk_close(breaks); }
  };
  std::unique_ptr<UText, CloseText> text_;
  std::unique_ptr<UBreakIterator, CloseBreaks> breaks_;
  std::size_t size_ = 0;
  std::size_t at_ = 0;
};

}  // namespace samtale
