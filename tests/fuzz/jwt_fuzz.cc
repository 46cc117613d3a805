// Rooms: tenants
// Goal: no bytes crash the reading of a token or of a set of keys, and none are a valid token.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tenants/jwt.h"

namespace samtale {
namespace {

void read(std::string_view bytes) {
  const auto secret = JwtKeys::of_secret("a secret that no input knows, of 32 or more");
  const auto token = read_jwt(bytes, *secret, {}, {});
  SAMTALE_CHECK(!token, "nobody who has not the secret can sign");
  const auto keys = JwtKeys::parse(bytes);
  if (keys) static_cast<void>(read_jwt("eyJhbGciOiJFUzI1NiJ9.e30.AAAA", *keys, {}, {}));
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  samtale::read({reinterpret_cast<const char*>(data), size});
  return 0;
}
