#include "text/term.h"

#include <libstemmer.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/check.h"
#include "text/code_points.h"

namespace samtale {
namespace {

constexpr std::size_t kFoldedBytesMax = 256;

// U+00C0 to U+00FF folded: ASCII letters, or "" where ICU is to be asked.
constexpr std::array<std::string_view, 64> kLatin1 = {
    "a", "a", "a", "a", "a", "aa", "ae", "c", "e",  "e", "e", "e", "i", "i", "i", "i",
    "",  "n", "o", "o", "o", "o",  "o",  "",  "oe", "u", "u", "u", "u", "y", "",  "ss",
    "a", "a", "a", "a", "a", "aa", "ae", "c", "e",  "e", "e", "e", "i", "i", "i", "i",
    "",  "n", "o", "o", "o", "o",  "o",  "",  "oe", "u", "u", "u", "u", "y", "",  "y"};

// False, and `out` as it was, if a letter is in the way that ICU knows better.
bool append_folded_latin(std::string_view word, std::string& out) {
  const auto before = out.size();
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto c = static_cast<unsigned char>(word[i]);
    if (c < 0x80) {
      if (c >= 'A' && c <= 'Z') out.push_back(static_cast<char>(c + 32));
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '\'') out.push_back(word[i]);
      continue;
    }
    const auto letter = c == 0xC3 && i + 1 < word.size() && U8_IS_TRAIL(word[i + 1])
                            ? kLatin1[static_cast<unsigned char>(word[i + 1]) & 0x3F]
                            : std::string_view();
    // A mark may follow the letter: å is also "a" and a ring.
    const bool marked = i + 2 < word.size() && static_cast<unsigned char>(word[i + 2]) > 0xC3;
    if (letter.empty() || marked) {
      out.resize(before);
      return false;
    }
    out += letter;
    ++i;
  }
  return true;
}

bool is_mark(UChar32 c) { return (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0; }

bool loses_accents(UChar32 base) {
  UErrorCode status = U_ZERO_ERROR;
  const auto script = uscript_getScript(base, &status);
  return script == USCRIPT_LATIN || script == USCRIPT_GREEK;
}

// `text` is decomposed (NFD). Marks of other scripts than Latin and Greek are part of their words.
icu::UnicodeString without_accents(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  bool drop_marks = true;  // No word begins with a mark.
  for (std::int32_t i = 0; i < text.length();) {
    const auto c = text.char32At(i);
    i += U16_LENGTH(c);
    if (is_mark(c)) {
      if (drop_marks && c == 0x030A && out.endsWith(u"a")) out.append(u'a');
      if (!drop_marks) out.append(c);
      continue;
    }
    const bool is_kept = c == u'\'' || u_isUAlphabetic(c) || u_isdigit(c);
    drop_marks = !is_kept || loses_accents(c);
    if (c == u'æ') {
      out.append(u"ae");
    } else if (c == u'ø') {
      out.append(u"oe");
    } else if (is_kept) {
      out.append(c);
    }
  }
  return out;
}

const icu::Normalizer2& normalizer(const icu::Normalizer2* (*get)(UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* found = get(status);
  SAMTALE_CHECK(U_SUCCESS(status), "ICU cannot normalise: its data (libicudata) is missing");
  return *found;
}

struct CloseStemmer {
  void operator()(sb_stemmer* stemmer) const { sb_stemmer_delete(stemmer); }
};
using Stemmer = std::unique_ptr<sb_stemmer, CloseStemmer>;

Stemmer make_stemmer(const char* language) {
  Stemmer stemmer(sb_stemmer_new(language, "ISO_8859_1"));
  SAMTALE_CHECK(stemmer != nullptr, "libstemmer lacks a language");
  return stemmer;
}

std::string stemmed_by(const Stemmer& stemmer, std::string_view word) {
  const auto* stemmed =
      sb_stemmer_stem(stemmer.get(), reinterpret_cast<const sb_symbol*>(word.data()),
                      static_cast<int>(word.size()));
  SAMTALE_CHECK(stemmed != nullptr, "libstemmer is out of memory");
  return {reinterpret_cast<const char*>(stemmed),
          static_cast<std::size_t>(sb_stemmer_length(stemmer.get()))};
}

bool is_latin_word(std::string_view folded) {
  return std::ranges::all_of(folded, [](char c) { return (c >= 'a' && c <= 'z') || c == '\''; });
}

constexpr std::size_t kCachedBytesMax = 31;

// The terms of the words seen last: most words of a text are among the few thousand that people
// use all the time, and stemming costs ten times what a look costs. 128 KiB a thread.
class TermCache {
 public:
  class Entry {
   public:
    [[nodiscard]] std::string_view word() const { return {word_.data(), word_bytes_}; }
    [[nodiscard]] std::string_view term() const { return {term_.data(), term_bytes_}; }
    void set(std::string_view word, std::string_view term) {
      std::ranges::copy(word, word_.begin());
      std::ranges::copy(term, term_.begin());
      word_bytes_ = static_cast<std::uint8_t>(word.size());
      term_bytes_ = static_cast<std::uint8_t>(term.size());
    }

   private:
    std::array<char, kCachedBytesMax> word_;
    std::array<char, kCachedBytesMax> term_;
    std::uint8_t word_bytes_ = 0;  // An empty word is never asked for.
    std::uint8_t term_bytes_ = 0;
  };

  Entry& entry(std::string_view word) {
    return entries_[std::hash<std::string_view>{}(word) % entries_.size()];
  }

 private:
  std::vector<Entry> entries_ = std::vector<Entry>(2048);
};

}  // namespace

void append_folded(std::string_view word, std::string& out) {
  word = word.substr(0, whole_code_points(word, kFoldedBytesMax));
  if (!append_folded_latin(word, out)) append_folded_by_icu(word, out);
}

void append_folded_by_icu(std::string_view word, std::string& out) {
  const auto& casefold = normalizer(&icu::Normalizer2::getNFKCCasefoldInstance);
  const auto& decompose = normalizer(&icu::Normalizer2::getNFDInstance);
  const auto& compose = normalizer(&icu::Normalizer2::getNFCInstance);
  word = word.substr(0, whole_code_points(word, kFoldedBytesMax));
  auto text = icu::UnicodeString::fromUTF8({word.data(), static_cast<std::int32_t>(word.size())});
  text.findAndReplace(u"\u2019", u"'");
  UErrorCode status = U_ZERO_ERROR;
  text = decompose.normalize(casefold.normalize(text, status), status);
  text = compose.normalize(without_accents(text), status);
  SAMTALE_CHECK(U_SUCCESS(status), "ICU cannot normalise 256 bytes: out of memory");
  text.toUTF8String(out);
}

void stem(std::string& folded) {
  if (is_latin_word(folded)) {
    thread_local const auto english = make_stemmer("english");
    thread_local const auto danish = make_stemmer("danish");
    const auto shorter = stemmed_by(danish, folded);
    folded = stemmed_by(english, folded);
    if (shorter.size() < folded.size()) folded = shorter;
  }
  std::erase(folded, '\'');
  folded.resize(whole_code_points(folded, kTermBytesMax));
}

void append_term(std::string_view word, std::string& out) {
  thread_local TermCache cache;
  auto* entry = word.size() <= kCachedBytesMax ? &cache.entry(word) : nullptr;
  if (entry != nullptr && entry->word() == word) {
    out += entry->term();
    return;
  }
  std::string term;
  append_folded(word, term);
  stem(term);
  out += term;
  if (entry != nullptr && term.size() <= kCachedBytesMax) entry->set(word, term);
}

}  // namespace samtale
