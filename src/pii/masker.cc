#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "pii/finders.h"
#include "pii/name_finder.h"
#include "pii/pii.h"

namespace samtale {
namespace {

constexpr std::size_t kKeyBytes = 32;
// 48 bits: among a million values of a company two agree with a chance of 1 in 500.
constexpr std::size_t kTokenDigitsMin = 12;
constexpr std::size_t kTokenDigitsStep = 4;
constexpr std::size_t kTokenDigitsMax = 64;
constexpr PiiKind kKinds[] = {PiiKind::email, PiiKind::phone, PiiKind::card,
                              PiiKind::cpr,   PiiKind::iban,  PiiKind::name};

struct Token {
  std::string_view kind;
  std::size_t end = 0;
};

// What has a token's form and begins at the bracket at `begin`; its end is 0 if nothing does.
Token token_at(std::string_view text, std::size_t begin) {
  const auto rest = text.substr(begin + 1);
  for (const auto kind : kKinds) {
    const auto word = name(kind);
    if (!rest.starts_with(word) || !rest.substr(word.size()).starts_with('_')) continue;
    const auto hex = rest.substr(word.size() + 1);
    const auto digits = std::min(hex.find_first_not_of("0123456789abcdef"), hex.size());
    if (digits < kTokenDigitsMin || digits > kTokenDigitsMax) return {};
    if (digits == hex.size() || hex[digits] != ']') return {};
    return {.kind = word, .end = begin + 1 + word.size() + 1 + digits + 1};
  }
  return {};
}

// A piece of text that gets a token.
struct Piece {
  std::string_view kind;
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::vector<Piece> find_tokens(std::string_view text) {
  std::vector<Piece> pieces;
  for (auto at = text.find('['); at != text.npos; at = text.find('[', at + 1)) {
    const auto token = token_at(text, at);
    if (token.end != 0) pieces.push_back({token.kind, at, token.end});
  }
  return pieces;
}

}  // namespace

PiiMasker::PiiMasker(std::string key, const std::vector<std::string>& names)
    : key_(std::move(key)), names_(std::make_unique<NameFinder>(names)) {
  SAMTALE_CHECK(key_.size() == kKeyBytes, "a masker's key is 32 bytes of the company");
}

PiiMasker::PiiMasker(PiiMasker&& other) noexcept = default;
PiiMasker::~PiiMasker() = default;

std::string PiiMasker::mask(std::string_view text) {
  auto pieces = find_tokens(text);
  std::string scratch(text);
  for (const auto& piece : pieces) {
    std::fill(scratch.begin() + static_cast<std::ptrdiff_t>(piece.begin),
              scratch.begin() + static_cast<std::ptrdiff_t>(piece.end), kTaken);
  }
  const auto tokens = static_cast<std::ptrdiff_t>(pieces.size());
  for (const auto& span : find_pii(std::move(scratch), *names_)) {
    pieces.push_back({name(span.kind), span.begin, span.end});
  }
  std::ranges::inplace_merge(pieces, pieces.begin() + tokens, {}, &Piece::begin);

  std::string masked;
  std::size_t done = 0;
  for (const auto& piece : pieces) {
    masked += text.substr(done, piece.begin - done);
    masked += token_of(piece.kind, text.substr(piece.begin, piece.end - piece.begin));
    done = piece.end;
  }
  masked += text.substr(done);
  return masked;
}

std::string PiiMasker::token_of(std::string_view kind, std::string_view value) {
  const std::string head = "[" + std::string(kind) + "_";
  const auto digest = hex(hmac_sha256(key_, std::string(kind) + ":" + std::string(value)));
  for (auto digits = kTokenDigitsMin; digits <= kTokenDigitsMax; digits += kTokenDigitsStep) {
    auto token = head + digest.substr(0, digits) + "]";
    const auto [known, is_new] = values_.try_emplace(token, value);
    if (is_new || known->second == value) return token;
  }
  SAMTALE_CHECK(false, "two values have the same HMAC-SHA256");
}

std::string PiiMasker::unmask(std::string_view text) const {
  std::string unmasked;
  std::size_t done = 0;
  for (auto at = text.find('['); at != text.npos; at = text.find('[', at + 1)) {
    const auto token = token_at(text, at);
    if (token.end == 0) continue;
    const auto known = values_.find(text.substr(at, token.end - at));
    if (known == values_.end()) continue;
    unmasked += text.substr(done, at - done);
    unmasked += known->second;
    done = token.end;
  }
  unmasked += text.substr(done);
  return unmasked;
}

void unmask_strings(json::Value& value, const PiiMasker& masker) {
  if (const auto* text = value.as_string()) {
    value = masker.unmask(*text);
  } else if (auto* list = value.as_array()) {
    for (auto& item : *list) unmask_strings(item, masker);
  } else if (auto* object = value.as_object()) {
    for (auto& [key, member] : *object) unmask_strings(member, masker);
  }
}

}  // namespace samtale
