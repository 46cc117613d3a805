// Source: RFC 5321 section 4.1.2 (dot-string@domain), RFC 6531 (letters beyond ASCII), RFC 5890
// (labels of a host).
#include <algorithm>

#include "pii/code_points.h"
#include "pii/finders.h"

namespace samtale {
namespace {

// RFC 5321 section 4.5.3.1.
constexpr std::size_t kLocalBytesMax = 64;
constexpr std::size_t kDomainBytesMax = 255;

constexpr bool is_ascii(std::int32_t code_point) { return code_point >= 0 && code_point < 0x80; }

// Not "/=?`{|}", which RFC 5321 allows and nobody uses: they part an address from what stands
// around it, as in "?to=a@b.dk".
bool is_of_local(std::int32_t code_point) {
  static constexpr std::string_view kSigns = ".!#$%&'*+-^_~";
  return is_word(code_point) ||
         (is_ascii(code_point) && kSigns.contains(static_cast<char>(code_point)));
}

// Where the local part begins that ends at `at`; `at` if there is none.
std::size_t begin_of_local(std::string_view text, std::size_t at) {
  auto begin = at;
  std::int32_t after = '@';
  while (true) {
    const auto [value, bytes] = decode_before(text, begin);
    if (!is_of_local(value) || at - begin + bytes > kLocalBytesMax) break;
    if (value == '.' && (after == '.' || after == '@')) break;
    // A sentence without spaces goes over into an address.
    if (is_unspaced(value) && is_ascii(after) && after != '@') break;
    begin -= bytes;
    after = value;
  }
  // What stands before a name is a quote, a bullet or emphasis.
  while (begin < at && is_ascii(text[begin]) && !is_word(text[begin]) && text[begin] != '_') {
    ++begin;
  }
  return begin;
}

struct Label {
  std::size_t end = 0;
  bool is_top = false;  // May be the last one.
};

// The label that begins at `begin`.
Label read_label(std::string_view text, std::size_t begin, std::size_t limit) {
  Label label{.end = begin};
  std::size_t letters = 0;
  bool has_digit = false;
  std::int32_t before = -1;
  while (label.end < limit) {
    const auto [value, bytes] = decode(text, label.end);
    if (!is_word(value) && (value != '-' || label.end == begin)) break;
    // An address goes over into a sentence without spaces.
    if (is_unspaced(value) && is_ascii(before)) break;
    label.end += bytes;
    before = value;
    has_digit = has_digit || (is_ascii(value) && is_digit(static_cast<char>(value)));
    if (value != '-') ++letters;
  }
  while (label.end > begin && text[label.end - 1] == '-') --label.end;
  const auto name = text.substr(begin, label.end - begin);
  const bool is_encoded =
      name.size() > 4 &&
      std::ranges::equal(name.substr(0, 4), std::string_view("xn--"), {}, ascii_lower);
  label.is_top = is_encoded || (letters >= 2 && !has_digit && !name.contains('-'));
  return label;
}

// Where the host ends that begins at `begin`; `begin` if there is none.
std::size_t end_of_domain(std::string_view text, std::size_t begin) {
  const auto limit = std::min(text.size(), begin + kDomainBytesMax);
  auto end = begin;
  for (auto at = begin; at < limit;) {
    const auto label = read_label(text, at, limit);
    if (label.end == at) break;
    if (at > begin && label.is_top) end = label.end;
    if (label.end >= limit || text[label.end] != '.') break;
    at = label.end + 1;
  }
  return end;
}

}  // namespace

void find_emails(std::string_view text, std::vector<PiiSpan>& found) {
  std::size_t done = 0;
  for (auto at = text.find('@'); at != text.npos; at = text.find('@', at + 1)) {
    const auto begin = begin_of_local(text, at);
    const auto end = end_of_domain(text, at + 1);
    if (begin == at || end == at + 1 || begin < done) continue;
    found.push_back({PiiKind::email, begin, end});
    done = end;
  }
}

}  // namespace samtale
