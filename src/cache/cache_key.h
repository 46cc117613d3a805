// CacheKey: what a kept value is the answer to. There is none without a company, a model and a
// version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "model/ids.h"

namespace samtale {

// What kind of values a cache keeps.
struct CacheKind {
  std::string_view name;      // Of the cache: "query-vector".
  std::string_view model;     // With all of its settings that change a value.
  std::uint32_t version = 0;  // Of the value's form: another one is another key.
};

class CacheKey {
 public:
  // `question`: bytes of any length, all that the value follows from beside the kind.
  CacheKey(CompanyId company, const CacheKind& kind, std::string_view question);

  [[nodiscard]] CompanyId company() const { return company_; }
  // SHA-256 of all of it, each part with its length before it.
  [[nodiscard]] const Sha256& digest() const { return digest_; }

  struct DigestHash {
    std::size_t operator()(const Sha256& digest) const noexcept {
      std::size_t value = 0;
      std::memcpy(&value, digest.data(), sizeof value);
      return value;
    }
  };

 private:
  CompanyId company_;
  Sha256 digest_;
};

}  // namespace samtale
