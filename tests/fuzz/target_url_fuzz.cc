// Rooms: notify base
//
// Any bytes as the URL of a subscription: what passes is read by curl, which will connect, with the
// same host, an allowed port, and no user, password or fragment.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "notify/public_address.h"
#include "notify/target_url.h"

namespace samtale {
namespace {

struct CurlFree {
  void operator()(char* text) const { curl_free(text); }
};
using CurlText = std::unique_ptr<char, CurlFree>;

// Null if the URL has no such part.
CurlText part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return nullptr;
  return CurlText(text);
}

// Curl writes IPv6 addresses in their shortest form.
bool is_same_v6(const std::string& a, const std::string& b) {
  const auto bytes = [](const std::string& text) {
    in6_addr address{};
    const auto inner = text.size() < 2 ? "" : text.substr(1, text.size() - 2);
    const bool is_right = inet_pton(AF_INET6, inner.c_str(), &address) == 1;
    return std::string(is_right ? reinterpret_cast<const char*>(&address) : "",
                       is_right ? 16U : 0U);
  };
  return a.starts_with('[') && b.starts_with('[') && !bytes(a).empty() && bytes(a) == bytes(b);
}

void check(const std::string& url) {
  static const TargetRules kRules{
      .allow_http = true, .ports = {443, 80, 8443}, .may_connect = public_or({})};
  if (!check_target_url(url, kRules)) return;
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> read(curl_url(), &curl_url_cleanup);
  SAMTALE_CHECK(curl_url_set(read.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK,
                "curl reads what passes");
  SAMTALE_CHECK(!part(read.get(), CURLUPART_USER) && !part(read.get(), CURLUPART_PASSWORD) &&
                    !part(read.get(), CURLUPART_FRAGMENT),
                "nobody else finds a user or a fragment in it");
  const std::string port(part(read.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT).get());
  SAMTALE_CHECK(port == "443" || port == "80" || port == "8443",
                "the port is one of those allowed");
  const std::string host(part(read.get(), CURLUPART_HOST).get());
  const auto begin = url.find("://") + 3;
  const auto end = url[begin] == '[' ? url.find(']', begin) + 1 : url.find_first_of(":/?", begin);
  const auto written = url.substr(begin, std::min(end, url.size()) - begin);
  SAMTALE_CHECK(host == written || is_same_v6(host, written), "the host is what stands there");
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  samtale::check(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
