#include "analyze/manipulation.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "analyze/manipulation_phrases.h"
#include "analyze/transcript.h"
#include "analyze/unseen.h"
#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::array<std::string_view, 8> kNames = {"instruction", "role",   "tool",   "leak",
                                                    "persona",     "reader", "hidden", "encoded"};
constexpr std::size_t kFindingsMax = 100;

// The flag of a region has six tags; people who write Arabic or Hindi put a joiner here and there.
constexpr std::size_t kPartedMin = 3;   // Letters with something unseen before each.
constexpr std::size_t kCarriedMin = 8;  // Characters that spell something behind the text.
constexpr std::size_t kTurnedMin = 4;   // Letters whose order is turned round.
constexpr std::size_t kEncodedMin = 24;

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

bool is_letter(char32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c < 0x2000) ||
         (c >= 0x3040 && c < 0xD800);
}
// Tags and variation selectors, which carry text or bytes that nobody sees.
bool is_carrier(char32_t c) {
  return (c >= 0xE0000 && c <= 0xE0FFF) || (c >= 0xFE00 && c <= 0xFE0F);
}
bool is_tag(char32_t c) { return c >= 0xE0020 && c <= 0xE007E; }
bool is_hidden(char32_t c) { return is_unseen(c) || is_carrier(c); }

// Finds the first place where text is hidden from who looks at it.
class HiddenText {
 public:
  void take(char32_t c, Range place) {
    take_letter(c, place);
    if (is_carrier(c)) {
      carried_.grow(place);
    } else {
      finish(carried_, kCarriedMin);
    }
    take_direction(c, place);
  }
  [[nodiscard]] std::optional<Range> finish() {
    finish(parted_, kPartedMin);
    finish(carried_, kCarriedMin);
    finish(turned_, kTurnedMin);
    return found_;
  }

 private:
  struct Run {
    Range range;
    std::size_t count = 0;

    void grow(Range place) {
      if (count++ == 0) range.begin = place.begin;
      range.end = place.end;
    }
  };

  void take_letter(char32_t c, Range place) {
    if (is_hidden(c) && !is_space(c)) {
      is_parted_ = true;
      return;
    }
    if (letter_ && is_letter(c) && is_parted_) {
      parted_.grow({parted_.count == 0 ? letter_->begin : place.begin, place.end});
    } else {
      finish(parted_, kPartedMin);
    }
    letter_ = is_letter(c) ? std::optional(place) : std::nullopt;
    is_parted_ = false;
  }
  void take_direction(char32_t c, Range place) {
    if (c == 0x202D || c == 0x202E || c == 0x202C || c == '\n') {
      finish(turned_, kTurnedMin);
      is_turned_ = c == 0x202D || c == 0x202E;
    } else if (is_turned_ && is_letter(c)) {
      turned_.grow(place);
    }
  }
  void finish(Run& run, std::size_t least) {
    if (run.count >= least && (!found_ || run.range.begin < found_->begin)) found_ = run.range;
    run = {};
  }

  std::optional<Range> found_;
  std::optional<Range> letter_;  // The last one, if only what is unseen has come since.
  bool is_parted_ = false;       // … and something has.
  bool is_turned_ = false;
  Run parted_;
  Run carried_;
  Run turned_;
};

// In lower case where Latin and Cyrillic letters have one, as many bytes long; of what is no
// letter, what ASCII has for it, or a space.
char32_t fold(char32_t c) {
  if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFEE0;  // Full width.
  if (is_tag(c)) c -= 0xE0000;
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
  if (c == 0x2018 || c == 0x2019) return '\'';
  if (c == 0x3002 || c == 0x061F) return '.';
  if (c == 0x85 || c == 0x2028 || c == 0x2029) return '\n';
  if (!is_letter(c)) return ' ';
  if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x410 && c <= 0x42F)) return c + 0x20;
  if (c >= 0x400 && c <= 0x40F) return c + 0x50;
  const bool is_upper_even = (c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14A && c <= 0x177);
  const bool is_upper_odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
  if (is_upper_even) return c | 1U;
  return is_upper_odd ? c + (c & 1U) : c;
}

void append(char32_t c, std::string& text) {
  const auto tail = [&](unsigned shift) {
    text += static_cast<char>(0x80U | ((c >> shift) & 0x3FU));
  };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0U | (c >> 6U));
    tail(0);
  } else {
    text += static_cast<char>(0xE0U | (c >> 12U));
    tail(6);
    tail(0);
  }
}

// A text as a machine may read it: folded, without what nobody sees, tags as the letters they
// stand for.
struct Revealed {
  std::string text;
  std::vector<std::size_t> origin;  // Of each byte of `text`, and of its end.
  std::optional<Range> hidden;

  [[nodiscard]] Range place_of(Range range) const {
    return {origin[range.begin], origin[range.end]};
  }
};

Revealed reveal(std::string_view text) {
  Revealed made;
  made.text.reserve(text.size());
  made.origin.reserve(text.size() + 1);
  HiddenText hidden;
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = first_character(text.substr(at));
    const auto end = std::min(at + length, text.size());
    hidden.take(c, {at, end});
    if (is_tag(c) || is_space(c) || !is_hidden(c)) append(fold(c), made.text);
    made.origin.resize(made.text.size(), at);
    at = end;
  }
  made.origin.push_back(text.size());
  made.hidden = hidden.finish();
  return made;
}

bool is_of_base64(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/' || c == '-' || c == '_';
}

// The first of the family in the text, which is revealed.
std::optional<Range> match(std::string_view text, const ManipulationPhrase& phrase) {
  re2::StringPiece said;
  if (!re2::RE2::PartialMatch({text.data(), text.size()}, *phrase.pattern, &said)) {
    return std::nullopt;
  }
  const auto begin = static_cast<std::size_t>(said.data() - text.data());
  return Range{begin, begin + said.size()};
}

bool holds_phrase(const std::string& text) {
  return may_hold_phrase(text) &&
         std::ranges::any_of(manipulation_phrases(), [&](const ManipulationPhrase& phrase) {
           return match(text, phrase).has_value();
         });
}

// Base64 of either alphabet that says something of the other families.
std::optional<Range> find_encoded(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    auto end = at;
    while (end < text.size() && is_of_base64(text[end])) ++end;
    const Range run{at, end};
    at = end + 1;
    if (run.end - run.begin < kEncodedMin) continue;
    std::string digits(text.substr(run.begin, run.end - run.begin));
    std::ranges::replace(digits, '-', '+');
    std::ranges::replace(digits, '_', '/');
    const auto decoded = unbase64(digits);
    if (decoded && is_utf8(*decoded) && holds_phrase(reveal(*decoded).text)) return run;
  }
  return std::nullopt;
}

Range cut(std::string_view text, Range range) {
  if (range.end - range.begin <= kSpanBytesMax) return range;
  range.end = range.begin + kSpanBytesMax;
  while ((static_cast<unsigned char>(text[range.end]) & 0xC0U) == 0x80U) --range.end;
  return range;
}

}  // namespace

std::string_view name(Manipulation family) { return kNames[static_cast<std::size_t>(family)]; }

std::vector<ManipulationSpan> find_manipulation(std::string_view text) {
  std::vector<ManipulationSpan> spans;
  const auto add = [&](Manipulation family, Range place) {
    const auto [begin, end] = cut(text, place);
    spans.push_back({family, begin, end});
  };
  const auto revealed = reveal(text);
  const bool may_hold = may_hold_phrase(revealed.text);
  for (const auto& phrase : manipulation_phrases()) {
    if (!may_hold) break;
    if (!spans.empty() && spans.back().family == phrase.family) continue;
    if (const auto found = match(revealed.text, phrase)) {
      add(phrase.family, revealed.place_of(*found));
    }
  }
  if (revealed.hidden) add(Manipulation::hidden, *revealed.hidden);
  if (const auto found = find_encoded(text)) add(Manipulation::encoded, *found);
  return spans;
}

Analysis report_manipulation(const Conversation& conversation) {
  json::Array findings;
  std::map<Manipulation, std::int64_t> families;
  for (std::size_t at = 0; at < conversation.turns.size(); ++at) {
    const auto& turn = conversation.turns[at];
    if (!is_of_people(turn)) continue;
    for (const auto& [family, begin, end] : find_manipulation(turn.text)) {
      ++families[family];
      if (findings.size() == kFindingsMax) continue;
      findings.push_back(json::Object{
          {"family", name(family)}, {"turn", at}, {"quote", turn.text.substr(begin, end - begin)}});
    }
  }
  Analysis analysis;
  json::Object counts;
  for (const auto& [family, count] : families) counts.emplace_back(name(family), count);
  if (!counts.empty()) analysis.labels = {"suspected"};
  analysis.result =
      json::Object{{"findings", std::move(findings)}, {"families", std::move(counts)}};
  return analysis;
}

}  // namespace samtale
