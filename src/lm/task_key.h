// What a request is known by, and what is derived from that.
#pragma once

#include <string>
#include <string_view>

#include "lm/scheduler.h"

namespace samtale {

// The line that asks for the nonce: the last of what a model is told.
[[nodiscard]] std::string nonce_line(std::string_view nonce);

// The same for each try of one rung, another one for each other rung.
[[nodiscard]] std::string idempotency_key(const Sha256& key, std::string_view rung);

}  // namespace samtale
