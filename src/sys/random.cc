#include "sys/random.h"

#include <sys/random.h>

#include <cstring>

#include "base/check.h"

namespace samtale {

double Random::fraction() {
  std::uint64_t bits = 0;
  std::memcpy(&bits, bytes(sizeof bits).data(), sizeof bits);
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

std::string SystemRandom::bytes(std::size_t count) {
  std::string out(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    const auto got = getrandom(out.data() + have, count - have, 0);
    SAMTALE_CHECK(got > 0 || errno == EINTR, "getrandom(2) on an initialised pool cannot fail");
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace samtale
