// Ids that the compiler keeps apart.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace samtale {

// A company: our user's customer, the tenant. Given once, never used again, also not after the
// company is gone. Everything that is stored, queued, indexed, cached or asked carries one.
enum class CompanyId : std::int64_t {};

// Where an accepted event lies in the accept log (accept/accept_log.h): grows along the log.
enum class LogPosition : std::uint64_t {};

// An accept log among those whose events lie in one store: each node has its own. Given by the
// store.
enum class LogId : std::int64_t {};

// Where the raw bytes of an event lie.
struct EventPlace {
  LogId log{};
  LogPosition position{};

  friend bool operator==(const EventPlace&, const EventPlace&) = default;
};

// A job of the queue; unique within its partition.
enum class JobId : std::int64_t {};

[[nodiscard]] constexpr std::int64_t number(CompanyId id) { return static_cast<std::int64_t>(id); }
[[nodiscard]] constexpr std::uint64_t number(LogPosition at) {
  return static_cast<std::uint64_t>(at);
}
[[nodiscard]] constexpr std::int64_t number(LogId id) { return static_cast<std::int64_t>(id); }
[[nodiscard]] constexpr std::int64_t number(JobId id) { return static_cast<std::int64_t>(id); }

// A conversation of a company. Derived from (company, source, external id), so that the same
// conversation has the same id on whichever path and in whichever order its events arrive.
struct ConversationId {
  std::array<char, 16> bytes{};

  friend auto operator<=>(const ConversationId&, const ConversationId&) = default;
  [[nodiscard]] std::string_view view() const { return {bytes.data(), bytes.size()}; }
};

// The first 16 bytes of SHA-256 over the three, each with its length before it.
[[nodiscard]] ConversationId make_conversation_id(CompanyId company, std::string_view source,
                                                  std::string_view external_id);

// "cnv_" and 26 characters of base32: the form in URLs and answers.
[[nodiscard]] std::string text(const ConversationId& id);
[[nodiscard]] std::optional<ConversationId> parse_conversation_id(std::string_view text);
// From the 16 bytes a database or a log holds.
[[nodiscard]] std::optional<ConversationId> conversation_id_from_bytes(std::string_view bytes);

}  // namespace samtale

template <>
struct std::hash<samtale::ConversationId> {
  std::size_t operator()(const samtale::ConversationId& id) const noexcept {
    std::size_t value = 0;  // The id is a digest already.
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};
