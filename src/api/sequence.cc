#include "api/sequence.h"

#include <cstring>

#include "base/bytes.h"

namespace samtale::api {
namespace {

constexpr std::size_t kSealBytes = 16;
// A random number before the change: else equal sequences would tell that nobody has written.
constexpr std::size_t kNonceBytes = 8;
constexpr std::size_t kPlainBytes = kNonceBytes + sizeof(std::uint64_t);

std::string key_of(const Context& context, CompanyId company) {
  const auto secret = context.parts.store.secret("sequences of the change feed");
  const auto partition = context.parts.store.partition_of(company);
  return hmac_sha256(secret, std::to_string(number(company)) + " " +
                                 std::to_string(static_cast<std::uint32_t>(partition)));
}

std::string seal_of(std::string_view key, std::string_view plain) {
  return hmac_sha256(key, "seal " + std::string(plain)).substr(0, kSealBytes);
}

// The seal is the synthetic initial vector of a stream of one block (RFC 5297 has the idea).
std::string masked(std::string_view key, std::string_view seal, std::string_view bytes) {
  const auto mask = hmac_sha256(key, "mask " + std::string(seal));
  std::string out(bytes);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ mask[i]);
  return out;
}

}  // namespace

std::string seal_sequence(const Context& context, CompanyId company, std::uint64_t change) {
  const auto key = key_of(context, company);
  std::string plain = context.parts.random.bytes(kNonceBytes);
  plain.append(reinterpret_cast<const char*>(&change), sizeof change);
  const auto seal = seal_of(key, plain);
  return base32(seal + masked(key, seal, plain));
}

Result<std::uint64_t> unseal_sequence(const Context& context, CompanyId company,
                                      std::string_view sequence) {
  const auto bytes = unbase32(sequence);
  if (bytes && bytes->size() == kSealBytes + kPlainBytes) {
    const auto key = key_of(context, company);
    const auto seal = std::string_view(*bytes).substr(0, kSealBytes);
    const auto plain = masked(key, seal, std::string_view(*bytes).substr(kSealBytes));
    if (equal_in_constant_time(seal, seal_of(key, plain))) {
      std::uint64_t change = 0;
      std::memcpy(&change, plain.data() + kNonceBytes, sizeof change);
      return change;
    }
  }
  return fail(ErrorCode::invalid_argument,
              "/min_sequence: must be a \"sequence\" that this server has told this company");
}

Result<std::string> sequence_now(const Context& context, CompanyId company) {
  const auto& store = context.parts.store;
  SAMTALE_TRY(const auto change, store.last_change(store.partition_of(company)));
  return seal_sequence(context, company, change.sequence);
}

http::Response with_sequence(const Context& context, CompanyId company, http::Response response) {
  if (auto sequence = sequence_now(context, company)) {
    response.headers.emplace_back(kSequenceHeader, *std::move(sequence));
  }
  return response;
}

}  // namespace samtale::api
