#include "graph/compact_rows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "simd/codes.h"
#include "simd/distance.h"

namespace samtale {
namespace {

// Of the step at which nothing is cut off. The rare large values may be, for the others' sake.
constexpr std::array<float, 6> kSteps{0.5F, 0.6F, 0.7F, 0.8F, 0.9F, 1.0F};
constexpr std::array<float, 6> kStepsOfFew{0.3F, 0.35F, 0.4F, 0.45F, 0.5F, 0.6F};
constexpr float kStepLeast = 1e-30F;
constexpr float kDeviations = 4;

int level(float value, float per_step, float middle) {
  return static_cast<int>(std::clamp(value * per_step + middle + 0.5F, 0.0F, 2 * middle));
}

// The step whose levels point most nearly to where the vector does.
float best_step(std::span<const float> vector, float middle, std::span<const float> shares) {
  const auto whole = std::max(greatest_size(vector) / middle, kStepLeast);
  float best = whole;
  float best_cosine = 0;
  for (const float share : shares) {
    const auto step = whole * share;
    float product = 0;
    float square = 0;
    for (const float value : vector) {
      const auto code = static_cast<float>(level(value, 1 / step, middle)) - middle;
      product += value * code;
      square += code * code;
    }
    const auto cosine = product / std::sqrt(square);
    if (cosine <= best_cosine) continue;
    best_cosine = cosine;
    best = step;
  }
  return best;
}

std::size_t block_dimensions(unsigned bits) {
  return bits == 4 ? kHalfBlockDimensions : kQuarterBlockDimensions;
}

}  // namespace

CompactRows::CompactRows(std::span<const float> mean, unsigned bits)
    : rotation_(mean.size()),
      mean_(rotated(mean)),
      bits_(bits),
      middle_(static_cast<float>((1U << bits) - 1) / 2),
      blocks_((rotation_.size() + block_dimensions(bits) - 1) / block_dimensions(bits)) {}

void CompactRows::reserve(std::size_t rows) {
  codes_.reserve(rows * blocks_ * kCodeBlockBytes);
  factors_.reserve(rows);
}

std::vector<float> CompactRows::rotated(std::span<const float> vector) const {
  std::vector<float> turned(rotation_.size());
  rotation_.turn(vector, turned);
  return turned;
}

void CompactRows::add(std::span<const float> vector) {
  auto rest = rotated(vector);
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= mean_[i];
  const auto* const shares = bits_ == 4 ? &kSteps : &kStepsOfFew;
  const auto per_step = 1 / best_step(rest, middle_, *shares);
  const auto begin = codes_.size();
  codes_.resize(begin + blocks_ * kCodeBlockBytes);
  const auto block = block_dimensions(bits_);
  float product = 0;
  float square = 0;
  float code_square = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto code = level(rest[i], per_step, middle_);
    auto& byte = codes_[begin + i / block * kCodeBlockBytes + i % kCodeBlockBytes];
    byte |= static_cast<std::uint8_t>(code << bits_ * (i % block / kCodeBlockBytes));
    const auto step = static_cast<float>(code) - middle_;
    product += rest[i] * step;
    square += rest[i] * rest[i];
    code_square += step * step;
  }
  const auto scale = product > 0 ? square / product : 0;
  factors_.push_back({.scale = scale, .shift = dot(mean_, rest)});
  squared_errors_ += std::max(0.0F, scale * (scale * code_square - 2 * product) + square);
}

CompactRows::Query CompactRows::encode(std::span<const float> query) const {
  auto rest = rotated(query);
  Query made;
  made.common = dot(rest, mean_);
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= mean_[i];
  // Turned at random, errors point anywhere.
  const auto numbers = static_cast<double>(std::max<std::size_t>(factors_.size(), 1) * rest.size());
  made.likely_error = kDeviations * std::sqrt(dot(rest, rest)) *
                      static_cast<float>(std::sqrt(squared_errors_ / numbers));
  made.codes.resize(blocks_ * block_dimensions(bits_));
  made.scale = std::max(greatest_size(rest) / 127, kStepLeast);
  code_kernels().quantise(rest.data(), rest.size(), 1 / made.scale, made.codes.data());
  std::int32_t sum = 0;
  for (const auto code : made.codes) sum += code;
  made.offset = middle_ * static_cast<float>(sum);
  return made;
}

void CompactRows::score(const Query& query, std::span<const std::uint32_t> places,
                        std::vector<std::int32_t>& sums, std::vector<float>& scores) const {
  for (const auto place : places) __builtin_prefetch(factors_.data() + place);
  sums.resize(places.size());
  scores.resize(places.size());
  const auto dot_some = bits_ == 4 ? code_kernels().dot_some_half : code_kernels().dot_some_quarter;
  dot_some(query.codes.data(), codes_.data(), places.data(), places.size(), blocks_, sums.data());
  const auto per_step = 1 / query.scale;
  const auto* const factors = factors_.data();
  const auto* const sum = sums.data();
  auto* const score = scores.data();
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto [scale, shift] = factors[places[i]];
    score[i] =
        (query.common + shift) * per_step + (static_cast<float>(sum[i]) - query.offset) * scale;
  }
}

}  // namespace samtale
