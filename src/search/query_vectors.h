// QueryVectors: the vectors of queries, asked of the embedder once for each text.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/cache.h"
#include "embed/embedder.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

// What is passed in must outlive it.
// Threads: any method from any thread; of those who ask for the same text at once one asks the
//          embedder, the others wait for it.
// Memory:  bytes_max. An entry holds a digest of the text and the vector. Nothing is kept where the
//          embedder needs more than the text (Embedder::needs_text_alone).
class QueryVectors {
 public:
  // `shared`: the level below; null if there is none.
  QueryVectors(Embedder& embedder, std::size_t bytes_max, SharedCache* shared = nullptr);

  [[nodiscard]] const Embedder& embedder() const { return embedder_; }

  // A unit vector. Errors: those of the embedder.
  [[nodiscard]] Result<std::vector<float>> of(CompanyId company, const std::string& query,
                                              const WordStatistics& words, Duration timeout);

  // Asks the embedder once for all that are not kept, so that of() finds them. What fails, of()
  // will say. Does nothing where the embedder needs more than the text.
  void prepare(CompanyId company, std::span<const std::string> queries, Duration timeout);

  [[nodiscard]] CacheStats stats() const { return cache_.stats(); }

 private:
  [[nodiscard]] CacheKey key_of(CompanyId company, const std::string& query) const;

  Embedder& embedder_;
  Cache<std::vector<float>> cache_;
};

// As they lie in the shared cache: floats of 4 bytes, little-endian.
[[nodiscard]] std::string encode_vector(const std::vector<float>& vector);
// Empty unless it is a unit vector of that dimension.
[[nodiscard]] std::optional<std::vector<float>> decode_vector(std::string_view bytes,
                                                              std::size_t dimension);

}  // namespace samtale
