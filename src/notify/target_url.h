// The rules for URLs that a company may name. Not a front door.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samtale {

struct TargetRules {
  bool allow_http = false;
  std::vector<std::uint16_t> ports = {443};
  // For hosts that are written as an address: whether it may be connected to.
  std::function<bool(const sockaddr&)> may_connect;
};

// Takes less than RFC 3986 does: no two readers of a URL that passes disagree about its host.
// `https://host[:port][/path][?query]` in visible ASCII; no user, no fragment, no escapes in the
// host, and a host that ends in a number is four decimal numbers ("0x7f.1" and 2130706433 are
// addresses to some readers and names to others). Errors: invalid_argument, naming the rule.
[[nodiscard]] Result<> check_target_url(std::string_view url, const TargetRules& rules);

}  // namespace samtale
