// Result<T>: a value, or an Error that says why there is none.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace samtale {

// The few kinds of failure a caller can act on. Each kind has one HTTP status
// (api/http_status.h) and one answer to "try again?" (retryable, below). Add a kind only when
// some caller would do something new with it.
enum class ErrorCode : std::uint8_t {
  invalid_argument,    // Can never succeed as sent: the caller must change it.
  unauthenticated,     // No credential, or one that is wrong, expired or revoked.
  permission_denied,   // Known caller, not allowed.
  not_found,           // An API caller named something that is not there (or not theirs).
  conflict,            // Lost a race, or the thing is already there: read again, then decide.
  resource_exhausted,  // A quota or limit of this company: slow down.
  deadline_exceeded,   // No answer in time; the work may still have happened.
  unavailable,         // Somebody else's trouble, likely to pass.
  corrupt,             // Stored bytes fail their checksum: stop and restore.
};

struct Error {
  ErrorCode code;
  std::string message;  // For the operator: what failed, on what, and what to do next.

  // The same error, with the step it broke in front: "embed chunk 7: connect: refused".
  [[nodiscard]] Error during(std::string_view step) && {
    message.insert(0, std::string(step) + ": ");
    return std::move(*this);
  }
};

// True if the same call may succeed later with nothing changed.
[[nodiscard]] constexpr bool retryable(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::deadline_exceeded ||
         code == ErrorCode::resource_exhausted;
}

// The code as it is written in API answers and logs: "invalid_argument".
[[nodiscard]] constexpr std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::conflict:
      return "conflict";
    case ErrorCode::resource_exhausted:
      return "resource_exhausted";
    case ErrorCode::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::corrupt:
      return "corrupt";
  }
  return "unknown";
}

// std::expected, made [[nodiscard]] (libstdc++ 12 does not mark it). Absence is not an error:
// return Result<std::optional<T>> for a lookup that may find nothing.
template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace samtale

#define SAMTALE_CONCAT_INNER(a, b) a##b
#define SAMTALE_CONCAT(a, b) SAMTALE_CONCAT_INNER(a, b)
#define SAMTALE_TRY_IMPL(tmp, target, expr)                 \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  target = *std::move(tmp)

// SAMTALE_TRY(auto page, store.load(id)): returns the error from this function, or goes on.
#define SAMTALE_TRY(target, expr) SAMTALE_TRY_IMPL(SAMTALE_CONCAT(try_, __LINE__), target, expr)

// SAMTALE_TRY_VOID(store.erase(id)): the same for a Result<> without a value.
#define SAMTALE_TRY_VOID_IMPL(tmp, expr) \
  if (auto tmp = (expr); !tmp) return std::unexpected(std::move(tmp).error())
#define SAMTALE_TRY_VOID(expr) SAMTALE_TRY_VOID_IMPL(SAMTALE_CONCAT(try_, __LINE__), expr)
