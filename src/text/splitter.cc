#include "text/splitter.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "text/break_iterator.h"
#include "text/code_points.h"
#include "text/token_counter.h"

namespace samtale {
namespace {

enum class Level : std::uint8_t { sentence, line, grapheme, code_point };

// Danish and English abbreviations that stand before something, so no sentence ends with them.
// Sorted.
constexpr auto kAbbreviations = std::to_array<std::string_view>(
    {"adr",   "afd", "approx", "bl.a", "c/o", "ca",    "d",    "dr",   "dvs",  "e.g", "eks",
     "ekskl", "evt", "f.eks",  "fam",  "fr",  "frk",   "hhv",  "hr",   "i.e",  "ift", "ifm",
     "inkl",  "iht", "incl",   "ing",  "jf",  "jvf",   "kl",   "lejl", "maks", "max", "mht",
     "min",   "mr",  "mrs",    "ms",   "nr",  "p.g.a", "pga",  "pkt",  "prof", "ref", "s",
     "sr",    "st",  "str",    "stk",  "tel", "tlf",   "vedr", "vs"});

bool is_abbreviation(std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return std::ranges::find(kAbbreviations, lower) != kAbbreviations.end();
}

bool is_ordinal(std::string_view word) {
  return !word.empty() && word.size() <= 2 &&
         std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

// ICU ends a sentence here, though it goes on: "d. 3. marts", "kl. 12", "f.eks. Aarhus".
bool ends_in_abbreviation(std::string_view sentence) {
  sentence = trimmed(sentence);
  if (!sentence.ends_with('.')) return false;
  sentence.remove_suffix(1);
  const auto space = sentence.find_last_of(" \t\r\n\v\f(\"");
  const auto word = space == std::string_view::npos ? sentence : sentence.substr(space + 1);
  return is_abbreviation(word) || is_ordinal(word);
}

// The segments of a text, one after the other.
class Segments {
 public:
  Segments(std::string_view text, Level level) : text_(text), level_(level) {
    if (level != Level::code_point) breaks().start(text);
  }

  std::optional<std::string_view> next() {
    if (at_ >= text_.size()) return std::nullopt;
    const auto begin = at_;
    do {
      at_ = boundary();
    } while (level_ == Level::sentence && at_ < text_.size() && ends_in_abbreviation(tail(begin)));
    return text_.substr(begin, at_ - begin);
  }

 private:
  BreakIterator& breaks() const {
    if (level_ == Level::sentence) return BreakIterator::sentences();
    return level_ == Level::line ? BreakIterator::lines() : BreakIterator::graphemes();
  }

  std::size_t boundary() {
    if (level_ == Level::code_point) return at_ + decode(text_, at_).bytes;
    return breaks().next().value_or(text_.size());
  }

  // Enough of the sentence's end to see its last word.
  std::string_view tail(std::size_t begin) const {
    constexpr std::size_t kTailBytes = 64;
    return text_.substr(std::max(begin, at_ - std::min(at_, kTailBytes)),
                        std::min(at_ - begin, kTailBytes));
  }

  std::string_view text_;
  Level level_;
  std::size_t at_ = 0;
};

void split(std::string_view text, std::size_t tokens_max, Level level,
           const std::function<void(std::string_view)>& take) {
  const auto flush = [&take](std::string_view piece) {
    if (piece = trimmed(piece); !piece.empty()) take(piece);
  };
  Segments segments(text, level);
  std::size_t begin = 0;
  std::size_t end = 0;
  TokenCounter counter;
  while (const auto segment = segments.next()) {
    auto longer = counter;
    longer.add(*segment);
    if (longer.tokens() <= tokens_max) {
      counter = longer;
      end += segment->size();
      continue;
    }
    flush(text.substr(begin, end - begin));
    begin = end;
    end += segment->size();
    counter = TokenCounter();
    counter.add(*segment);
    if (counter.tokens() <= tokens_max || level == Level::code_point) continue;
    split(*segment, tokens_max, static_cast<Level>(static_cast<int>(level) + 1), take);
    begin = end;
    counter = TokenCounter();
  }
  flush(text.substr(begin, end - begin));
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n\v\f";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

void split_text(std::string_view text, std::size_t tokens_max,
                const std::function<void(std::string_view)>& take) {
  split(text, tokens_max, Level::sentence, take);
}

}  // namespace samtale
