// Embedder: text in, unit vectors out.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

namespace samtale {

// Models such as E5 want to know which side a text is on.
enum class EmbedRole : unsigned char { passage, query };

// How rare words are among a company's chunks. A lexical embedder weights a query by it; others do
// not look.
class WordStatistics {
 public:
  virtual ~WordStatistics() = default;
  // BM25's: ln(1 + (N - n + 0.5) / (n + 0.5)) for a word as text/words.h gives it.
  [[nodiscard]] virtual double inverse_document_frequency(std::string_view word) const = 0;
};

// Threads: any method from any thread.
class Embedder {
 public:
  virtual ~Embedder() = default;

  // Names the model and what of its settings changes vectors: "builtin-1024-v1",
  // "openai:text-embedding-3-small:1536". Vectors of different ids are never compared.
  [[nodiscard]] virtual const std::string& model_id() const = 0;
  [[nodiscard]] virtual std::size_t dimension() const = 0;
  [[nodiscard]] virtual std::size_t batch_max() const = 0;
  // Whether a query's vector follows from model_id() and the text alone, so that it may be kept; it
  // does not where it looks at `words`.
  [[nodiscard]] virtual bool needs_text_alone() const = 0;

  // Returns one unit vector for each text, in order. `words` may be null.
  // Errors: unavailable, deadline_exceeded, resource_exhausted (rate limit); invalid_argument if a
  // text is one the model will never take (which one is not known: try them alone).
  [[nodiscard]] virtual Result<std::vector<std::vector<float>>> embed(
      std::span<const std::string> texts, EmbedRole role, const WordStatistics* words,
      Duration timeout) = 0;
};

}  // namespace samtale
