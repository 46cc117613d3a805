// Sealed values: bytes that say whose they are and what they answer, so that other bytes in their
// place are known for what they are. Private to cache/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/cache_key.h"

namespace samtale {

// Format: docs/formats/shared-cache.md.
[[nodiscard]] std::string seal(const CacheKey& key, std::string_view value);

// The value, a part of `bytes`; empty unless they are whole and were sealed for this very key.
[[nodiscard]] std::optional<std::string_view> unseal(const CacheKey& key, std::string_view bytes);

}  // namespace samtale
