#include "embed/builtin_embedder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "embed/common_words.h"
#include "text/words.h"

namespace samtale {
namespace {

// Of a word's parts together, against the word itself: 1.
constexpr double kPartsWeight = 0.8;
constexpr std::size_t kPartShortest = 3;  // Characters, with the marks of the word's ends.
constexpr std::size_t kPartLongest = 5;
// BM25's k1: how soon the repetitions of a word stop counting.
constexpr double kSaturation = 1.2;
constexpr double kCommonWordWeight = 0.1;

// FNV-1a, then the finalizer of splitmix64: FNV alone leaves the low bits of short keys uneven.
std::uint64_t hash(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t h = 0xCBF29CE484222325U ^ seed;
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  h = (h ^ (h >> 30U)) * 0xBF58476D1CE4E5B9U;
  h = (h ^ (h >> 27U)) * 0x94D049BB133111EBU;
  return h ^ (h >> 31U);
}

// Seeds that keep a word and an equal part apart.
constexpr std::uint64_t kWordSeed = 1;
constexpr std::uint64_t kPartSeed = 2;
constexpr std::uint64_t kTextSeed = 3;

// The sum of a text's features.
class Sum {
 public:
  explicit Sum(std::size_t dimension) : places_(dimension) {}

  void add(std::uint64_t feature, double weight) {
    places_[feature % places_.size()] += (feature >> 63U) != 0 ? -weight : weight;
  }

  // The parts of a word: all runs of 3 to 5 characters of "<word>", but for the whole.
  void add_parts(std::string_view word, double weight) {
    marked_.assign("<").append(word).append(">");
    starts_.clear();
    for (std::size_t i = 0; i < marked_.size(); ++i) {
      if ((static_cast<unsigned char>(marked_[i]) & 0xC0U) != 0x80U) starts_.push_back(i);
    }
    starts_.push_back(marked_.size());
    const auto characters = starts_.size() - 1;
    parts_.clear();
    for (auto length = kPartShortest; length <= kPartLongest && length < characters; ++length) {
      for (std::size_t at = 0; at + length <= characters; ++at) {
        const auto part =
            std::string_view(marked_).substr(starts_[at], starts_[at + length] - starts_[at]);
        parts_.push_back(hash(part, kPartSeed));
      }
    }
    // Parts of one word are far from independent: their lengths add up, not their number.
    const auto each =
        weight / std::sqrt(static_cast<double>(std::max<std::size_t>(1, parts_.size())));
    for (const auto part : parts_) add(part, each);
  }

  // Empty if nothing was added, or everything cancelled out.
  [[nodiscard]] std::vector<float> unit() const {
    double squares = 0;
    for (const double x : places_) squares += x * x;
    if (squares < 1e-12) return {};
    const double length = std::sqrt(squares);
    std::vector<float> vector;
    vector.reserve(places_.size());
    for (const double x : places_) vector.push_back(static_cast<float>(x / length));
    return vector;
  }

 private:
  std::vector<double> places_;
  std::string marked_;
  std::vector<std::size_t> starts_;
  std::vector<std::uint64_t> parts_;
};

double rarity(const std::string& word, const WordStatistics* words) {
  return words == nullptr ? 1.0 : words->inverse_document_frequency(word);
}

std::vector<float> vector_of(const std::string& text, EmbedRole role,
                             const WordStatistics* statistics, std::size_t dimension) {
  auto terms = words(text);
  std::ranges::sort(terms);
  // No term is empty, so this is how rare a word is that no chunk has.
  const double rarest = rarity("", statistics);

  Sum sum(dimension);
  for (auto at = terms.begin(); at != terms.end();) {
    const auto end = std::find_if(at, terms.end(), [&](const auto& term) { return term != *at; });
    // In a question a word said twice is grammar, not emphasis: "the … of the …".
    const auto count = role == EmbedRole::query ? 1.0 : static_cast<double>(end - at);
    const double idf = rarity(*at, statistics);
    double weight = idf * count * (kSaturation + 1) / (count + kSaturation);
    if (is_common_word(*at)) weight *= kCommonWordWeight;
    // A word that no chunk has can only meet others by accident; its parts may meet a variant.
    if (statistics == nullptr || idf < rarest) sum.add(hash(*at, kWordSeed), weight);
    sum.add_parts(*at, kPartsWeight * weight);
    at = end;
  }
  auto vector = sum.unit();
  if (!vector.empty()) return vector;
  Sum bytes(dimension);
  bytes.add(hash(text, kTextSeed), 1);
  return bytes.unit();
}

}  // namespace

Result<std::vector<std::vector<float>>> BuiltinEmbedder::embed(std::span<const std::string> texts,
                                                               EmbedRole role,
                                                               const WordStatistics* words,
                                                               Duration) {
  const auto* weights = role == EmbedRole::query ? words : nullptr;
  std::vector<std::vector<float>> vectors;
  vectors.reserve(texts.size());
  for (const auto& text : texts) {
    vectors.push_back(vector_of(text, role, weights, kDimension));
  }
  return vectors;
}

}  // namespace samtale
