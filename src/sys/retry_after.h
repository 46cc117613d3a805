// Reads how long a server asks to be left alone.
#pragma once

#include <optional>

#include "sys/clock.h"
#include "sys/http_client.h"

namespace samtale {

// The wait that the headers (names in lower case) of an answer ask for: "retry-after-ms" (OpenAI,
// Azure), else "retry-after" in seconds or as a date. Empty if there is none, or none that can be
// read. Never negative; at most a day.
// Source: RFC 9110 sections 10.2.3 and 5.6.7 (of the dates, the one form that may be sent).
[[nodiscard]] std::optional<Duration> read_retry_after(const HttpHeaders& headers, WallTime now);

}  // namespace samtale
