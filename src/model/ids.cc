#include "model/ids.h"

#include <algorithm>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::string_view kPrefix = "cnv_";

void append_with_length(std::string& out, std::string_view part) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((static_cast<std::uint64_t>(part.size()) >> shift) & 0xFFU));
  }
  out.append(part);
}

}  // namespace

ConversationId make_conversation_id(CompanyId company, std::string_view source,
                                    std::string_view external_id) {
  std::string bytes;
  append_with_length(bytes, std::to_string(number(company)));
  append_with_length(bytes, source);
  append_with_length(bytes, external_id);
  ConversationId id;
  std::copy_n(sha256(bytes).begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::string text(const ConversationId& id) { return std::string(kPrefix) + base32(id.view()); }

std::optional<ConversationId> parse_conversation_id(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  const auto bytes = unbase32(text.substr(kPrefix.size()));
  if (!bytes) return std::nullopt;
  return conversation_id_from_bytes(*bytes);
}

std::optional<ConversationId> conversation_id_from_bytes(std::string_view bytes) {
  ConversationId id;
  if (bytes.size() != id.bytes.size()) return std::nullopt;
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

}  // namespace samtale
