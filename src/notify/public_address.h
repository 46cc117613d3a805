// Addresses of the public Internet, told from those of this machine, its networks and its cloud:
// what a company names may be connected to only if it is public.
#pragma once

#include <sys/socket.h>

#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samtale {

// A block of addresses, IPv4 ones in their IPv6 form (::ffff:a.b.c.d).
struct Network {
  std::array<unsigned char, 16> address{};
  unsigned prefix = 0;  // Bits that are fixed, 0 to 128.
};

// "10.1.0.0/16", "fd00::/8", or one address. Errors: invalid_argument.
[[nodiscard]] Result<Network> parse_network(std::string_view text);

// Also for a v4 address that is written as a v6 one.
[[nodiscard]] bool is_in(const sockaddr& address, const Network& network);

// False for whatever is not for everybody: private, shared, loopback, link-local, documentation,
// benchmarking, multicast and reserved blocks, of IPv6 all that is not global unicast, and forms of
// IPv6 that carry such an IPv4 address (mapped, NAT64, 6to4, Teredo). False for other families.
// Source: IANA's registries of special-purpose addresses (RFC 6890), 2026-11; RFC 6052, section 2;
//         RFC 3056, section 2; RFC 4380, section 4.
[[nodiscard]] bool is_public_address(const sockaddr& address);

// Says yes to public addresses and to those of `allowed`: for HttpClientOptions::may_connect.
[[nodiscard]] std::function<bool(const sockaddr&)> public_or(std::vector<Network> allowed);

}  // namespace samtale
