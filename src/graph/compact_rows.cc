#include "graph/compact_rows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "simd/codes.h"

namespace samtale {
namespace {

constexpr std::size_t kBlock = kHalfBlockDimensions;
constexpr float kMiddle = 7.5F;  // Level u stands for u - 7.5 steps.
// Of the step at which nothing is cut off. The rare large values may be, for the others' sake.
constexpr std::array<float, 6> kSteps{0.5F, 0.6F, 0.7F, 0.8F, 0.9F, 1.0F};
constexpr float kStepLeast = 1e-30F;

int level(float value, float per_step) {
  return static_cast<int>(std::clamp(value * per_step + kMiddle + 0.5F, 0.0F, 15.0F));
}

// The step whose levels point most nearly to where the vector does.
float best_step(std::span<const float> vector) {
  const auto whole = std::max(greatest_size(vector) / kMiddle, kStepLeast);
  float best = whole;
  float best_cosine = 0;
  for (const float share : kSteps) {
    const auto step = whole * share;
    float product = 0;
    float square = 0;
    for (const float value : vector) {
      const auto code = static_cast<float>(level(value, 1 / step)) - kMiddle;
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

}  // namespace

CompactRows::CompactRows(std::size_t dimension)
    : rotation_(dimension), blocks_(rotation_.size() / kBlock) {}

void CompactRows::reserve(std::size_t rows) {
  codes_.reserve(rows * blocks_ * kHalfBlockBytes);
  scales_.reserve(rows);
}

std::vector<float> CompactRows::rotated(std::span<const float> vector) const {
  std::vector<float> turned(rotation_.size());
  rotation_.turn(vector, turned);
  return turned;
}

void CompactRows::add(std::span<const float> vector) {
  const auto turned = rotated(vector);
  const auto per_step = 1 / best_step(turned);
  const auto begin = codes_.size();
  codes_.resize(begin + blocks_ * kHalfBlockBytes);
  float product = 0;
  float square = 0;
  for (std::size_t i = 0; i < turned.size(); ++i) {
    const auto code = level(turned[i], per_step);
    auto& both = codes_[begin + i / kBlock * kHalfBlockBytes + i % kHalfBlockBytes];
    both |= static_cast<std::uint8_t>(i % kBlock < kHalfBlockBytes ? code : code << 4);
    product += turned[i] * (static_cast<float>(code) - kMiddle);
    square += turned[i] * turned[i];
  }
  scales_.push_back(product > 0 ? square / product : 0);
}

CompactRows::Query CompactRows::encode(std::span<const float> query) const {
  const auto turned = rotated(query);
  Query made;
  made.codes.resize(turned.size());
  const auto step = std::max(greatest_size(turned) / 127, kStepLeast);
  code_kernels().quantise(turned.data(), turned.size(), 1 / step, made.codes.data());
  std::int32_t sum = 0;
  for (const auto code : made.codes) sum += code;
  made.offset = kMiddle * static_cast<float>(sum);
  made.scale = step;
  return made;
}

void CompactRows::score(const Query& query, std::span<const std::uint32_t> places,
                        std::vector<std::int32_t>& sums, std::vector<float>& scores) const {
  for (const auto place : places) __builtin_prefetch(scales_.data() + place);
  sums.resize(places.size());
  scores.resize(places.size());
  code_kernels().dot_some_half(query.codes.data(), codes_.data(), places.data(), places.size(),
                               blocks_, sums.data());
  for (std::size_t i = 0; i < places.size(); ++i) {
    scores[i] = (static_cast<float>(sums[i]) - query.offset) * scales_[places[i]];
  }
}

}  // namespace samtale
