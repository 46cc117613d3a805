// Reads what a provider's headers say of its limits.
#pragma once

#include "lm/chat.h"
#include "sys/http_client.h"

namespace samtale {

// Of "x-ratelimit-limit-requests", "-remaining-" and "-reset-", and the same for tokens. What is
// missing, negative or no number stays empty; a reset is at most a day.
// Source: OpenAI API reference, "Rate limits in headers"; durations as Go writes them ("6m0s",
// "20ms").
[[nodiscard]] RateLimitHints read_rate_limit_headers(const HttpHeaders& headers);

}  // namespace samtale
