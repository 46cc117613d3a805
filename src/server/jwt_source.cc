#include "server/jwt_source.h"

#include <fstream>
#include <iterator>
#include <utility>

namespace samtale {
namespace {

constexpr auto kEvery = std::chrono::minutes(10);
constexpr auto kWhenWanted = std::chrono::seconds(30);  // Anybody can name an unknown key.
constexpr std::size_t kSetBytesMax = std::size_t{1} << 20;

Result<std::string> read_file(const std::string& key, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::unavailable, key + ": " + path + " cannot be read");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

Result<> JwtSource::open() {
  const auto take = [&](const std::string& key, Result<JwtKeys> keys) -> Result<> {
    if (!keys) return std::unexpected(std::move(keys).error().during(key));
    own_.add(*keys);
    return {};
  };
  if (!config_.jwks_file.empty()) {
    SAMTALE_TRY(const auto set, read_file("auth.jwks_file", config_.jwks_file));
    SAMTALE_TRY_VOID(take("auth.jwks_file", JwtKeys::parse(set)));
  }
  if (!config_.jwt_secret_file.empty()) {
    SAMTALE_TRY(auto secret, read_file("auth.jwt_secret_file", config_.jwt_secret_file));
    secret.erase(secret.find_last_not_of("\r\n") + 1);
    SAMTALE_TRY_VOID(take("auth.jwt_secret_file", JwtKeys::of_secret(std::move(secret))));
  }
  if (own_.size() > 0) tenants_.set_jwt_keys(own_);
  return {};
}

Result<std::size_t> JwtSource::step() {
  if (config_.jwks_url.empty()) return 0;
  const auto since = asked_at_ ? clock_.now() - *asked_at_ : Duration::max();
  if (since < kWhenWanted || (since < kEvery && !tenants_.wants_jwt_keys())) return 0;
  asked_at_ = clock_.now();
  HttpCall call;
  call.method = "GET";
  call.url = config_.jwks_url;
  call.timeout = std::chrono::seconds(10);
  call.answer_bytes_max = kSetBytesMax;
  SAMTALE_TRY(const auto answer, http_client_.call(call));
  if (answer.status != 200) {
    return fail(ErrorCode::unavailable, "auth.jwks_url answers " + std::to_string(answer.status));
  }
  auto keys = JwtKeys::parse(answer.body);
  if (!keys) return std::unexpected(std::move(keys).error().during("auth.jwks_url"));
  keys->add(own_);
  tenants_.set_jwt_keys(*std::move(keys));
  return 0;
}

}  // namespace samtale
