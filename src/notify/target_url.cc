#include "notify/target_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

namespace samtale {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kHostBytesMax = 253;  // RFC 1035, section 2.3.4.
constexpr std::size_t kLabelBytesMax = 63;

std::unexpected<Error> broken(std::string rule) {
  return fail(ErrorCode::invalid_argument, std::move(rule));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter_or_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 3986, section 2: reserved, unreserved and "%", which begins an escape.
bool is_url_character(char c) {
  constexpr std::string_view kOthers = "-._~:/?[]@!$&'()*+,;=%";
  return is_letter_or_digit(c) || kOthers.find(c) != std::string_view::npos;
}

// As WHATWG's "ends in a number": a host of digits, or of 0x and hexadecimal digits, at its end.
bool ends_in_number(std::string_view host) {
  const auto last = host.substr(host.rfind('.') + 1);
  if (std::ranges::all_of(last, is_digit)) return true;
  return last.size() >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X');
}

Result<> check_name(std::string_view host) {
  const auto wrong = [] {
    return broken(
        "the host must be a name of letters, digits, \"-\" and \".\" (an international one in its "
        "xn-- form), or an IP address");
  };
  if (host.empty() || host.size() > kHostBytesMax) return wrong();
  for (std::size_t begin = 0; begin <= host.size();) {
    const auto end = std::min(host.find('.', begin), host.size());
    const auto label = host.substr(begin, end - begin);
    const bool is_right =
        !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' &&
        label.back() != '-' &&
        std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; });
    if (!is_right) return wrong();
    begin = end + 1;
  }
  return {};
}

// Asked now only to refuse early; the client asks again about what it connects to.
template <class Address>
Result<> check_address(const Address& address, const TargetRules& rules) {
  sockaddr_storage storage{};
  std::memcpy(&storage, &address, sizeof address);
  if (rules.may_connect && !rules.may_connect(reinterpret_cast<const sockaddr&>(storage))) {
    return broken("the host is an address that is not public");
  }
  return {};
}

Result<> check_host(std::string_view host, const TargetRules& rules) {
  if (host.starts_with('[')) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    const std::string inner(host.substr(1, host.size() - 2));
    if (!host.ends_with(']') || inet_pton(AF_INET6, inner.c_str(), &address.sin6_addr) != 1) {
      return broken("the host in brackets is no IPv6 address");
    }
    return check_address(address, rules);
  }
  SAMTALE_TRY_VOID(check_name(host));
  if (!ends_in_number(host)) return {};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (inet_pton(AF_INET, std::string(host).c_str(), &address.sin_addr) != 1) {
    return broken("the host must be a name, or an address written as four decimal numbers");
  }
  return check_address(address, rules);
}

Result<> check_port(std::string_view digits, const TargetRules& rules) {
  std::uint16_t port = 0;
  const auto* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end || digits.starts_with('0') ||
      std::ranges::count(rules.ports, port) == 0) {
    std::string known;
    for (const auto one : rules.ports) known += (known.empty() ? "" : ", ") + std::to_string(one);
    return broken("the port must be one that this server's operator allows: " + known);
  }
  return {};
}

}  // namespace

Result<> check_target_url(std::string_view url, const TargetRules& rules) {
  constexpr std::string_view kHttps = "https://";
  constexpr std::string_view kHttp = "http://";
  if (url.size() > kUrlBytesMax) return broken("at most 2048 bytes");
  const bool is_https = url.starts_with(kHttps);
  if (!is_https && !(rules.allow_http && url.starts_with(kHttp))) {
    return broken("must begin with https://");
  }
  if (!std::ranges::all_of(url, is_url_character)) {
    return broken(
        "may hold letters, digits and -._~:/?[]@!$&'()*+,;=% only; escape the others; no #");
  }
  const auto rest = url.substr(is_https ? kHttps.size() : kHttp.size());
  const auto authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != std::string_view::npos) {
    return broken("must hold no user and password; the signature says who sends");
  }
  const auto closing = authority.rfind(']');
  const auto colon = authority.find(':', closing == std::string_view::npos ? 0 : closing);
  SAMTALE_TRY_VOID(check_host(authority.substr(0, colon), rules));
  if (colon != std::string_view::npos) return check_port(authority.substr(colon + 1), rules);
  return is_https ? Result<>() : check_port("80", rules);
}

}  // namespace samtale
