// The keys of an identity provider's tokens, from where the configuration says.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "tenants/tenants.h"

namespace samtale {

// Threads: one.
class JwtSource {
 public:
  // All must outlive it.
  JwtSource(const AuthConfig& config, HttpClient& http_client, Clock& clock, Tenants& tenants)
      : config_(config), http_client_(http_client), clock_(clock), tenants_(tenants) {}

  // Reads the files. Errors: invalid_argument, unavailable, naming the key of the configuration.
  Result<> open();
  // A worker's step: asks the URL when it is time, or a token named an unknown key; returns 0. What
  // was known stays where it cannot be asked.
  Result<std::size_t> step();

 private:
  const AuthConfig& config_;
  HttpClient& http_client_;
  Clock& clock_;
  Tenants& tenants_;
  JwtKeys own_;  // Of the files.
  std::optional<Instant> asked_at_;
};

}  // namespace samtale
