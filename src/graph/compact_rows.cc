#include "graph/compact_rows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "simd/codes.h"

namespace samtale {
namespace {

constexpr std::size_t kBlock = kHalfBlockDimensions;
constexpr std::size_t kPoints = 8;  // Of a transform; divides a block.
constexpr float kMiddle = 7.5F;     // Level u stands for u - 7.5 steps.
// Of the step at which nothing is cut off. The rare large values may be, for the others' sake.
constexpr std::array<float, 6> kSteps{0.5F, 0.6F, 0.7F, 0.8F, 0.9F, 1.0F};

// SplitMix64 (Steele, Lea and Flood, 2014): the same signs in every process.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

// 1 and -1 at random, for each dimension of each round.
std::vector<float> make_signs(std::size_t count) {
  std::vector<float> signs(count);
  for (std::size_t i = 0; i < count; ++i) signs[i] = (mix(i) & 1U) != 0 ? 1.0F : -1.0F;
  return signs;
}

// The Walsh-Hadamard transform of each eight values that lie an eighth of all apart, in place,
// their length kept.
void transform(std::vector<float>& values) {
  const auto size = values.size();
  for (std::size_t half = size / kPoints; half < size; half *= 2) {
    for (std::size_t begin = 0; begin < size; begin += 2 * half) {
      auto* const left = values.data() + begin;
      auto* const right = left + half;
      for (std::size_t i = 0; i < half; ++i) {
        const float sum = left[i] + right[i];
        right[i] = left[i] - right[i];
        left[i] = sum;
      }
    }
  }
  const float scale = 1 / std::sqrt(static_cast<float>(kPoints));
  for (auto& value : values) value *= scale;
}

float greatest(std::span<const float> values) {
  float most = 0;
  for (const float value : values) most = std::max(most, std::abs(value));
  return most;
}

int level(float value, float step) {
  return std::clamp(static_cast<int>(std::floor(value / step + kMiddle + 0.5F)), 0, 15);
}

// The step whose levels point most nearly to where the vector does.
float best_step(std::span<const float> vector) {
  const auto whole = greatest(vector) / kMiddle;
  float best = whole;
  float best_cosine = 0;
  for (const float share : kSteps) {
    const auto step = whole * share;
    float product = 0;
    float square = 0;
    for (const float value : vector) {
      const auto code = static_cast<float>(level(value, step)) - kMiddle;
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

CompactRows::CompactRows(std::size_t dimension) : blocks_((dimension + kBlock - 1) / kBlock) {}

void CompactRows::reserve(std::size_t rows) {
  codes_.reserve(rows * blocks_ * kHalfBlockBytes);
  scales_.reserve(rows);
}

// Rounds of signs and transforms, the values dealt out like cards between them, until each has some
// of all.
std::vector<float> CompactRows::rotated(std::span<const float> vector) const {
  static const auto kSigns = make_signs(std::size_t{1} << 12U);
  const auto size = blocks_ * kBlock;
  std::vector<float> turned(size);
  std::ranges::copy(vector, turned.begin());
  std::vector<float> dealt(size);
  std::size_t sign = 0;
  for (std::size_t mixed = 1; mixed < size; mixed *= kPoints) {
    if (mixed > 1) {
      const auto rows = size / kPoints;
      for (std::size_t p = 0; p < kPoints; ++p) {
        for (std::size_t r = 0; r < rows; ++r) dealt[r * kPoints + p] = turned[p * rows + r];
      }
      turned.swap(dealt);
    }
    for (auto& value : turned) value *= kSigns[sign++ % kSigns.size()];
    transform(turned);
  }
  return turned;
}

void CompactRows::add(std::span<const float> vector) {
  const auto turned = rotated(vector);
  const auto step = std::max(best_step(turned), 1e-30F);
  const auto begin = codes_.size();
  codes_.resize(begin + blocks_ * kHalfBlockBytes);
  float product = 0;
  float square = 0;
  for (std::size_t i = 0; i < turned.size(); ++i) {
    const auto code = level(turned[i], step);
    auto& both = codes_[begin + i / kBlock * kHalfBlockBytes + i % kHalfBlockBytes];
    both |= static_cast<std::uint8_t>(i % kBlock < kHalfBlockBytes ? code : code << 4);
    product += turned[i] * (static_cast<float>(code) - kMiddle);
    square += turned[i] * turned[i];
  }
  scales_.push_back(product > 0 ? square / product : 0);
}

CompactRows::Query CompactRows::encode(std::span<const float> query) const {
  const auto turned = rotated(query);
  const auto step = std::max(greatest(turned) / 127, 1e-30F);
  Query made;
  made.codes.reserve(turned.size());
  std::int32_t sum = 0;
  for (const float value : turned) {
    const auto code = static_cast<std::int8_t>(std::lround(value / step));
    made.codes.push_back(code);
    sum += code;
  }
  made.offset = kMiddle * static_cast<float>(sum);
  return made;
}

void CompactRows::score(const Query& query, std::span<const std::uint32_t> places,
                        std::vector<std::int32_t>& sums, std::vector<float>& scores) const {
  sums.resize(places.size());
  scores.resize(places.size());
  code_kernels().dot_some_half(query.codes.data(), codes_.data(), places.data(), places.size(),
                               blocks_, sums.data());
  for (std::size_t i = 0; i < places.size(); ++i) {
    scores[i] = (static_cast<float>(sums[i]) - query.offset) * scales_[places[i]];
  }
}

}  // namespace samtale
