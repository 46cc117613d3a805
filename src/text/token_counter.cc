#include "text/token_counter.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <string_view>

#include "text/chunker.h"
#include "text/code_points.h"

namespace samtale {
namespace {

// What a code point adds, in twelfths of a token. XLM-RoBERTa's vocabulary (250k pieces) makes
// about 1.3 tokens of an English word and 1.6 of a Danish one, cuts other alphabets finer, and
// mostly knows Chinese words of two characters and numbers of up to three digits.
constexpr std::size_t kToken = 12;
constexpr std::size_t kLatinLetter = 2;
constexpr std::size_t kOtherLetter = 3;
constexpr std::size_t kIdeograph = 8;
constexpr std::size_t kDigit = 4;
constexpr std::size_t kPunctuation = 6;  // "..." and "!!" are often one.
constexpr std::size_t kSymbol = 12;      // Emoji; and bytes that are no text.

}  // namespace

TokenCounter::Cost TokenCounter::cost_of(std::int32_t c) {
  if (c < 0) return {Run::signs, kSymbol};
  if (c < 0x80) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return {Run::word, kLatinLetter};
    if (c >= '0' && c <= '9') return {Run::digits, kDigit};
    return c <= ' ' ? Cost{} : Cost{Run::signs, kPunctuation};
  }
  if (u_isUWhiteSpace(c)) return {};
  const auto mask = U_GET_GC_MASK(c);
  if ((mask & (U_GC_L_MASK | U_GC_M_MASK)) != 0) {
    if (c < 0x250) return {Run::word, kLatinLetter};
    return {Run::word, u_hasBinaryProperty(c, UCHAR_IDEOGRAPHIC) ? kIdeograph : kOtherLetter};
  }
  if ((mask & U_GC_ND_MASK) != 0) return {Run::digits, kDigit};
  return {Run::signs, (mask & U_GC_P_MASK) != 0 ? kPunctuation : kSymbol};
}

std::size_t TokenCounter::tokens_of_run() const { return (run_.units + kToken - 1) / kToken; }

void TokenCounter::add(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    at += c.bytes;
    const auto cost = cost_of(c.value);
    if (cost.run == run_.run) {
      run_.units += cost.units;
      continue;
    }
    tokens_ += tokens_of_run();
    run_ = cost;
  }
}

std::size_t estimate_tokens(std::string_view text) {
  TokenCounter counter;
  counter.add(text);
  return counter.tokens();
}

}  // namespace samtale
