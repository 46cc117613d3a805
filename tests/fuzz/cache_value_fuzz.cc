// Rooms: cache search
//
// Whatever lies in the shared cache: either nothing, or the very value that was put for the key,
// and of that either no vector or one of unit length. The first byte of the input says whether the
// rest is taken as it lies there or is sealed first, so that values of any bytes get past the seal.
// And what the script that divides a rate answers: nothing, or numbers in their ranges.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "cache/sealed_value.h"
#include "cache/shared_rate.h"
#include "search/query_vectors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  if (size == 0) return 0;
  const CacheKind kind{.name = "query-vector", .model = "m", .version = 1};
  const CacheKey key(CompanyId{1}, kind, "question");
  const CacheKey foreign(CompanyId{2}, kind, "question");
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string bytes = data[0] % 2 == 0 ? std::string(rest) : seal(key, rest);

  if (const auto reply = parse_rate_reply(rest)) {
    SAMTALE_CHECK(reply->part >= 0 && reply->part <= 1 && reply->nodes >= 1, "a part of a whole");
    SAMTALE_CHECK(reply->closed_for >= Duration::zero(), "not closed for less than nothing");
  }
  SAMTALE_CHECK(!unseal(foreign, bytes), "sealed for another, or not at all");
  const auto value = unseal(key, bytes);
  if (!value) return 0;
  SAMTALE_CHECK(seal(key, *value) == bytes, "one value has one form");
  const auto vector = decode_vector(*value, 2);
  if (!vector) return 0;
  SAMTALE_CHECK(vector->size() == 2, "the dimension that was asked for");
  SAMTALE_CHECK(std::abs(std::hypot((*vector)[0], (*vector)[1]) - 1) < 1e-3, "unit length");
  SAMTALE_CHECK(encode_vector(*vector) == *value, "the same vector again");
  return 0;
}
