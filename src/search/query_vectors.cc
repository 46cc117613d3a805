#include "search/query_vectors.h"

#include <bit>
#include <cmath>
#include <utility>

namespace samtale {
namespace {

constexpr std::uint32_t kVersion = 1;

std::size_t bytes_of(const std::vector<float>& vector) { return vector.capacity() * sizeof(float); }

constexpr double kSquareTolerance = 1e-3;

std::optional<Cache<std::vector<float>>::Shared> shared_by(SharedCache* shared,
                                                           std::size_t dimension) {
  if (shared == nullptr) return std::nullopt;
  const auto decode = [dimension](std::string_view bytes) {
    return decode_vector(bytes, dimension);
  };
  return Cache<std::vector<float>>::Shared{
      .cache = *shared, .encode = encode_vector, .decode = decode};
}

}  // namespace

std::string encode_vector(const std::vector<float>& vector) {
  std::string bytes;
  bytes.reserve(vector.size() * sizeof(float));
  for (const float value : vector) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(bits >> shift & 0xFF);
  }
  return bytes;
}

std::optional<std::vector<float>> decode_vector(std::string_view bytes, std::size_t dimension) {
  if (dimension == 0 || bytes.size() != dimension * sizeof(float)) return std::nullopt;
  std::vector<float> vector;
  vector.reserve(dimension);
  double squares = 0;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < sizeof bits; ++i) {
      bits |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
    }
    vector.push_back(std::bit_cast<float>(bits));
    squares += double{vector.back()} * vector.back();
  }
  // Also false for what is no number.
  if (!(std::abs(squares - 1) < kSquareTolerance)) return std::nullopt;
  return vector;
}

QueryVectors::QueryVectors(Embedder& embedder, std::size_t bytes_max, SharedCache* shared)
    : embedder_(embedder),
      cache_({.bytes_max = bytes_max,
              .bytes_of = bytes_of,
              .shared = shared_by(shared, embedder.dimension())}) {}

Result<std::vector<float>> QueryVectors::of(CompanyId company, const std::string& query,
                                            const WordStatistics& words, Duration timeout) {
  const auto ask = [&]() -> Result<std::vector<float>> {
    SAMTALE_TRY(auto vectors,
                embedder_.embed(std::span(&query, 1), EmbedRole::query, &words, timeout));
    return std::move(vectors.front());
  };
  if (!embedder_.needs_text_alone()) return ask();
  SAMTALE_TRY(const auto kept, cache_.find_or_make(key_of(company, query), ask));
  return *kept;
}

void QueryVectors::prepare(CompanyId company, std::span<const std::string> queries,
                           Duration timeout) {
  if (!embedder_.needs_text_alone()) return;
  std::vector<std::string> unknown;
  for (const auto& query : queries) {
    if (!cache_.find(key_of(company, query)).value) unknown.push_back(query);
  }
  if (unknown.empty()) return;
  auto vectors = embedder_.embed(unknown, EmbedRole::query, nullptr, timeout);
  if (!vectors) return;
  for (std::size_t i = 0; i < unknown.size(); ++i) {
    (void)cache_.find_or_make(key_of(company, unknown[i]),
                              [&] { return Result<std::vector<float>>((*vectors)[i]); });
  }
}

CacheKey QueryVectors::key_of(CompanyId company, const std::string& query) const {
  const CacheKind kind{.name = "query-vector", .model = embedder_.model_id(), .version = kVersion};
  return {company, kind, query};
}

}  // namespace samtale
