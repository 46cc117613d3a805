// JWT: tokens that an identity provider has signed (RFC 7519), in compact form (RFC 7515).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

struct evp_pkey_st;

namespace samtale {

// The keys that tokens may be signed with. A key says by which algorithm, and a token that names
// another is refused: what the token says of itself chooses nothing (RFC 8725, section 3.1).
// Threads: as a value that is not changed.
class JwtKeys {
 public:
  // A JWK Set (RFC 7517): RSA of 2,048 bits or more (RS256), P-256 (ES256) and Ed25519 (EdDSA).
  // Keys of other kinds (secrets too) or for another use are left out. Errors: invalid_argument if
  // it is no set, a key of these kinds is broken, or none is left.
  [[nodiscard]] static Result<JwtKeys> parse(std::string_view set);
  // One secret (HS256), of 32 bytes or more (RFC 7518, section 3.2). Errors: invalid_argument.
  [[nodiscard]] static Result<JwtKeys> of_secret(std::string secret);

  // Adds those of `others` that it has not.
  void add(const JwtKeys& others) {
    keys_.insert(keys_.end(), others.keys_.begin(), others.keys_.end());
  }
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

 private:
  friend class JwtReader;
  struct Key {
    std::string id;  // "kid"; empty: it has none.
    std::string algorithm;
    std::string secret;                    // Of HS256.
    std::shared_ptr<evp_pkey_st> public_;  // Of the others.
  };

  std::vector<Key> keys_;
};

struct JwtRules {
  std::string issuer;                        // What "iss" must be; empty: anything.
  std::string audience;                      // What "aud" must be or have; empty: anything.
  std::string company_claim = "company_id";  // Where the company's name is: "app_metadata.company".
  Duration leeway = std::chrono::seconds(30);  // Of its times, for clocks that differ.
};

struct JwtClaims {
  std::string company;
  std::string subject;  // "sub"; may be empty.
};

// Errors: unauthenticated, saying what is wrong: for the log, not for who sent it. not_found if the
// token names a key that is not among `keys`: they may have been changed.
[[nodiscard]] Result<JwtClaims> read_jwt(std::string_view token, const JwtKeys& keys,
                                         const JwtRules& rules, WallTime now);

// Whether it looks like one, and not like an API key.
[[nodiscard]] bool is_jwt(std::string_view token);

}  // namespace samtale
