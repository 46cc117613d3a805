// BuiltinEmbedder: vectors from the words and word parts of a text. Lexical: it knows spelling, not
// meaning.
#pragma once

#include <cstddef>
#include <string>

#include "embed/embedder.h"

namespace samtale {

// Shapes:  1024 numbers of unit length. Every word and each of its parts of 3 to 5 characters is
//          hashed to a place and a sign. A text without a word gets the direction of its bytes.
// Order:   the same text gives the same bytes on every machine, in every process, for ever: what
//          changes a vector changes the model id.
// Source:  Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009);
//          Bojanowski et al., "Enriching Word Vectors with Subword Information" (2017) for the
//          parts. The constants are measured: docs/adr/0011-builtin-embedder.md.
class BuiltinEmbedder final : public Embedder {
 public:
  [[nodiscard]] const std::string& model_id() const override { return model_id_; }
  [[nodiscard]] std::size_t dimension() const override { return kDimension; }
  [[nodiscard]] std::size_t batch_max() const override { return 64; }
  [[nodiscard]] bool needs_text_alone() const override { return false; }

  // A passage never looks at `words`, so that its vector stays right when they change; a query's
  // words weigh by their rarity. Never fails; `timeout` is not looked at, as a text takes well
  // under a millisecond.
  [[nodiscard]] Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                              EmbedRole role,
                                                              const WordStatistics* words,
                                                              Duration timeout) override;

 private:
  static constexpr std::size_t kDimension = 1024;
  const std::string model_id_ = "builtin-1024-v1";
};

}  // namespace samtale
