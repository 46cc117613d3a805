#include "notify/public_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace samtale {
namespace {

using V6 = std::array<unsigned char, 16>;
using V4 = std::array<unsigned char, 4>;

struct V4Block {
  V4 address;
  unsigned prefix;
};

constexpr V4Block kSpecialV4[] = {
    {{0, 0, 0, 0}, 8},        // This network.
    {{10, 0, 0, 0}, 8},       // Private.
    {{100, 64, 0, 0}, 10},    // Shared by a carrier's customers; cloud metadata of some.
    {{127, 0, 0, 0}, 8},      // Loopback.
    {{169, 254, 0, 0}, 16},   // Link-local; cloud metadata of most.
    {{172, 16, 0, 0}, 12},    // Private.
    {{192, 0, 0, 0}, 24},     // IETF protocol assignments.
    {{192, 0, 2, 0}, 24},     // Documentation.
    {{192, 88, 99, 0}, 24},   // Relays of 6to4.
    {{192, 168, 0, 0}, 16},   // Private.
    {{198, 18, 0, 0}, 15},    // Benchmarking.
    {{198, 51, 100, 0}, 24},  // Documentation.
    {{203, 0, 113, 0}, 24},   // Documentation.
    {{224, 0, 0, 0}, 4},      // Multicast.
    {{240, 0, 0, 0}, 4},      // Reserved; broadcast.
};

struct V6Block {
  std::array<unsigned char, 6> address;  // The rest is 0.
  unsigned prefix;
};

constexpr V6Block kNat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
constexpr V6Block kGlobalUnicast = {{0x20}, 3};
constexpr V6Block kTeredo = {{0x20, 0x01}, 32};
constexpr V6Block k6To4 = {{0x20, 0x02}, 16};
constexpr V6Block kSpecialV6[] = {
    {{0x20, 0x01}, 23},              // IETF protocol assignments: benchmarking, ORCHID, …
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // Documentation.
    {{0x3f, 0xff}, 20},              // Documentation.
};

bool starts_with(std::span<const unsigned char> address, std::span<const unsigned char> prefix,
                 unsigned bits) {
  const auto bytes = bits / 8;
  if (!std::equal(address.begin(), address.begin() + bytes, prefix.begin())) return false;
  const auto rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff00U >> rest);
  return ((address[bytes] ^ prefix[bytes]) & mask) == 0;
}

bool is_within(const V6& address, const V6Block& block) {
  V6 whole{};
  std::ranges::copy(block.address, whole.begin());
  return starts_with(address, whole, block.prefix);
}

bool is_mapped(const V6& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](auto byte) { return byte == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

V4 v4_at(const V6& address, std::size_t place) {
  V4 found{};
  std::copy_n(address.begin() + static_cast<std::ptrdiff_t>(place), found.size(), found.begin());
  return found;
}

bool is_public(const V4& address) {
  return std::ranges::none_of(kSpecialV4, [&](const V4Block& block) {
    return starts_with(address, block.address, block.prefix);
  });
}

bool is_public(const V6& address) {
  if (is_mapped(address)) return is_public(v4_at(address, 12));
  if (is_within(address, kNat64)) return is_public(v4_at(address, 12));
  if (is_within(address, k6To4)) return is_public(v4_at(address, 2));
  if (is_within(address, kTeredo)) {
    auto client = v4_at(address, 12);
    for (auto& byte : client) byte = static_cast<unsigned char>(~byte);  // As sent.
    return is_public(v4_at(address, 4)) && is_public(client);
  }
  if (!is_within(address, kGlobalUnicast)) return false;
  return std::ranges::none_of(kSpecialV6,
                              [&](const V6Block& block) { return is_within(address, block); });
}

V6 mapped(const V4& address) {
  V6 whole{};
  whole[10] = whole[11] = 0xff;
  std::ranges::copy(address, whole.begin() + 12);
  return whole;
}

// The address in its IPv6 form; empty for another family.
std::optional<V6> bytes_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    V4 bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return mapped(bytes);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    V6 bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return bytes;
  }
  return std::nullopt;
}

}  // namespace

Result<Network> parse_network(std::string_view text) {
  const auto wrong = [&] {
    return fail(ErrorCode::invalid_argument,
                "\"" + std::string(text.substr(0, 64)) +
                    "\" is no network such as 10.1.0.0/16, fd00::/8 or 192.168.1.7");
  };
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Network network;
  V4 v4{};
  unsigned longest = 128;
  if (inet_pton(AF_INET, address.c_str(), v4.data()) == 1) {
    network.address = mapped(v4);
    longest = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), network.address.data()) != 1) {
    return wrong();
  }
  network.prefix = longest;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, network.prefix);
    if (error != std::errc() || stop != end || network.prefix > longest) return wrong();
  }
  network.prefix += 128 - longest;
  return network;
}

bool is_in(const sockaddr& address, const Network& network) {
  const auto bytes = bytes_of(address);
  return bytes && starts_with(*bytes, network.address, network.prefix);
}

bool is_public_address(const sockaddr& address) {
  const auto bytes = bytes_of(address);
  return bytes && is_public(*bytes);
}

std::function<bool(const sockaddr&)> public_or(std::vector<Network> allowed) {
  return [allowed = std::move(allowed)](const sockaddr& address) {
    return is_public_address(address) || std::ranges::any_of(allowed, [&](const Network& network) {
             return is_in(address, network);
           });
  };
}

}  // namespace samtale
