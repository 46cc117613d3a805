// Rooms: providers
//
// The first byte picks a provider; the rest is lines of "name: value", an empty line and the body.
// No headers that were not made with the secret pass, whatever they hold.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "providers/provider.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  if (size == 0) return 0;
  const auto table = providers();
  const auto& provider = table[data[0] % table.size()];
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<std::pair<std::string, std::string>> headers;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) break;
    const auto colon = std::min(line.find(": "), line.size());
    headers.emplace_back(line.substr(0, colon), line.substr(std::min(colon + 2, line.size())));
  }
  const std::vector<SigningSecret> secrets{
      {"whsec_dGhpcyBpcyBub3Qga25vd24gdG8gdGhlIGZ1enplcg==", std::nullopt},
      {"whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", std::nullopt}};
  const auto answer = verify(provider, secrets, {headers, rest}, from_us(1'764'000'000'000'000));
  SAMTALE_CHECK(!answer, "nobody signs without the secret");
  SAMTALE_CHECK(answer.error().code == ErrorCode::unauthenticated, "one answer for every refusal");
  return 0;
}
