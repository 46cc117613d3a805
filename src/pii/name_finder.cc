#include "pii/name_finder.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include <algorithm>

#include "pii/code_points.h"

namespace samtale {
namespace {

constexpr std::size_t kNameBytesMax = 128;  // A walk down the trie is no longer than that.
constexpr std::size_t kNameLettersMin = 2;
constexpr std::size_t kSpacesMax = 8;  // Between two words of a name.

bool is_space(std::int32_t code_point) {
  if (code_point > ' ' && code_point < 0x7F) return false;
  return code_point >= 0 && u_isUWhiteSpace(code_point) != 0;
}

bool is_apostrophe(std::int32_t code_point) {
  return code_point == 0x2018 || code_point == 0x2019 || code_point == 0x02BC;
}

void append_decomposed(std::int32_t code_point, std::u32string& out) {
  UErrorCode error = U_ZERO_ERROR;
  const auto* nfc = unorm2_getNFCInstance(&error);
  UChar units[32];  // The longest canonical decomposition has 4 code points.
  const auto length =
      U_SUCCESS(error) != 0 ? unorm2_getDecomposition(nfc, code_point, units, 32, &error) : -1;
  if (U_FAILURE(error) != 0 || length < 0) {
    out += static_cast<char32_t>(code_point);
    return;
  }
  for (std::int32_t at = 0; at < length;) {
    UChar32 part = 0;
    U16_NEXT(units, at, length, part);
    out += static_cast<char32_t>(part);
  }
}

void append_folded_by_icu(std::int32_t code_point, std::u32string& out) {
  UChar units[2];
  std::int32_t size = 0;
  UBool is_error = 0;
  U16_APPEND(units, size, 2, code_point, is_error);
  UChar folded[8];  // Full folding makes at most 3 code points of one.
  UErrorCode error = U_ZERO_ERROR;
  const auto length = u_strFoldCase(folded, 8, units, size, U_FOLD_CASE_DEFAULT, &error);
  if (is_error != 0 || U_FAILURE(error) != 0) return append_decomposed(code_point, out);
  for (std::int32_t at = 0; at < length;) {
    UChar32 part = 0;
    U16_NEXT(folded, at, length, part);
    append_decomposed(part, out);
  }
}

// Bytes that are not UTF-8 become nothing a name has.
void append_folded(std::int32_t code_point, std::u32string& out) {
  if (code_point < 0) {
    out += char32_t{0xFFFFFFFF};
  } else if (is_space(code_point)) {
    out += U' ';
  } else if (code_point < 0x80) {
    out += static_cast<char32_t>(ascii_lower(static_cast<char>(code_point)));
  } else if (is_apostrophe(code_point)) {
    out += U'\'';
  } else if (is_dash(code_point)) {
    out += U'-';
  } else {
    append_folded_by_icu(code_point, out);
  }
}

// The end of the white space at `at`, if it is not too long.
std::size_t end_of_spaces(std::string_view text, std::size_t at) {
  for (std::size_t count = 0; count < kSpacesMax; ++count) {
    const auto [value, bytes] = decode(text, at);
    if (!is_space(value)) break;
    at += bytes;
  }
  return at;
}

// "Mettes": a Danish genitive.
bool is_genitive(std::string_view text, std::size_t end) {
  return end < text.size() && ascii_lower(text[end]) == 's' && is_word_boundary(text, end + 1);
}

}  // namespace

NameFinder::NameFinder(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (name.size() <= kNameBytesMax) add(name);
  }
}

void NameFinder::add(std::string_view name) {
  std::u32string folded;
  std::size_t letters = 0;
  for (std::size_t at = 0; at < name.size();) {
    const auto [value, bytes] = decode(name, at);
    if (value < 0) return;
    if (is_word(value)) ++letters;
    append_folded(value, folded);
    at = folded.back() == U' ' ? end_of_spaces(name, at) : at + bytes;
    if (folded == U" ") folded.clear();
  }
  if (folded.ends_with(U' ')) folded.pop_back();
  if (letters < kNameLettersMin) return;
  Node node = kRoot;
  for (const auto letter : folded) {
    const auto [next, is_new] =
        edges_.try_emplace(edge(node, letter), static_cast<Node>(is_name_.size()));
    if (is_new) is_name_.push_back(false);
    node = next->second;
  }
  is_name_[node] = true;
}

NameFinder::Node NameFinder::follow(Node node, std::u32string_view letters) const {
  for (const auto letter : letters) {
    const auto next = edges_.find(edge(node, letter));
    if (next == edges_.end()) return kNone;
    node = next->second;
  }
  return node;
}

// `begin` if no name begins there.
std::size_t NameFinder::end_of_name(std::string_view text, std::size_t begin) const {
  auto end = begin;
  Node node = kRoot;
  std::u32string folded;
  for (auto at = begin; at < text.size();) {
    const auto [value, bytes] = decode(text, at);
    folded.clear();
    append_folded(value, folded);
    node = follow(node, folded);
    if (node == kNone) break;
    at = folded == U" " ? end_of_spaces(text, at) : at + bytes;
    if (is_name_[node] && (is_word_boundary(text, at) || is_genitive(text, at))) end = at;
  }
  return end;
}

void NameFinder::find(std::string_view text, std::vector<PiiSpan>& found) const {
  if (edges_.empty()) return;
  bool is_in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto [value, bytes] = decode(text, at);
    const bool begins_word = is_word(value) && (!is_in_word || is_word_boundary(text, at));
    const auto end = begins_word ? end_of_name(text, at) : at;
    if (end > at) found.push_back({PiiKind::name, at, end});
    is_in_word = end > at || is_word(value);
    at = end > at ? end : at + bytes;
  }
}

}  // namespace samtale
