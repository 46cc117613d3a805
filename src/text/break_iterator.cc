#include "text/break_iterator.h"

#include <cstdint>
#include <limits>

#include "base/check.h"

namespace samtale {

BreakIterator& BreakIterator::sentences() {
  thread_local BreakIterator iterator(UBRK_SENTENCE);
  return iterator;
}

BreakIterator& BreakIterator::words() {
  thread_local BreakIterator iterator(UBRK_WORD);
  return iterator;
}

BreakIterator& BreakIterator::lines() {
  thread_local BreakIterator iterator(UBRK_LINE);
  return iterator;
}

BreakIterator& BreakIterator::graphemes() {
  thread_local BreakIterator iterator(UBRK_CHARACTER);
  return iterator;
}

// The root locale: ICU has no tailoring for Danish, and a text's language is not known anyway.
BreakIterator::BreakIterator(UBreakIteratorType type) {
  UErrorCode status = U_ZERO_ERROR;
  breaks_.reset(ubrk_open(type, "", nullptr, 0, &status));
  SAMTALE_CHECK(U_SUCCESS(status), "ICU has no break rules: its data (libicudata) is missing");
}

void BreakIterator::start(std::string_view text) {
  size_ = text.size();
  at_ = 0;
  if (size_ > std::numeric_limits<std::int32_t>::max()) return;
  UErrorCode status = U_ZERO_ERROR;
  auto* opened = utext_openUTF8(text_.get(), text.empty() ? "" : text.data(),
                                static_cast<std::int64_t>(size_), &status);
  if (text_ == nullptr) text_.reset(opened);
  ubrk_setUText(breaks_.get(), text_.get(), &status);
  SAMTALE_CHECK(U_SUCCESS(status), "ICU refused a text in memory");
}

std::optional<std::size_t> BreakIterator::next() {
  if (at_ >= size_) return std::nullopt;
  if (size_ > std::numeric_limits<std::int32_t>::max()) return at_ = size_;
  const auto found = ubrk_next(breaks_.get());
  at_ = found == UBRK_DONE ? size_ : static_cast<std::size_t>(found);
  return at_;
}

}  // namespace samtale
