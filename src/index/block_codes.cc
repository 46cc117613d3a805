#include "index/block_codes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "index/grow.h"
#include "simd/codes.h"
#include "simd/distance.h"

namespace samtale {
namespace {

constexpr float kMiddle = 7.5F;  // Level u stands for u - 7.5 steps.
// Of the step at which nothing is cut off: what few large numbers lose, the many gain.
constexpr float kStep = 0.75F;
constexpr float kStepLeast = 1e-30F;  // Its reciprocal is a float.
constexpr std::int32_t kQueryMax = 127;
// More than what rounding a double to a float can take away.
constexpr double kUp = 1 + 1e-6;

double squared(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return sum;
}

// Products of floats are at most n 2^-24 / (1 - n 2^-24) |q| |x| off (Higham, "Accuracy and
// Stability of Numerical Algorithms", 3.1): the score's, and q.m. Twice that, and that of turning,
// leave room for the few roundings of the bound itself. Lengths are at most 1.002.
float rounding_of(const Rotation& rotation) {
  const auto sums = static_cast<float>(rotation.size() + 16) * 4 * std::ldexp(1.0F, -24);
  return 1.01F * (sums + rotation.error());
}

}  // namespace

BlockCodes::BlockCodes(std::size_t dimension)
    : rotation_(dimension),
      row_bytes_(rotation_.size() / kHalfBlockDimensions * kCodeBlockBytes),
      rounding_(rounding_of(rotation_)) {}

void BlockCodes::add_block(const VectorAt& vector_at) {
  const auto begin = size();
  const auto width = rotation_.size();
  std::vector<float> turned(kBlock * width);
  std::vector<double> sums(width);
  for (std::size_t i = 0; i < kBlock; ++i) {
    const std::span row(turned.data() + i * width, width);
    rotation_.turn(vector_at(begin + i), row);
    for (std::size_t d = 0; d < width; ++d) sums[d] += row[d];
  }
  grow(means_, means_.size() + width);
  for (const auto sum : sums) means_.push_back(static_cast<float>(sum / kBlock));
  if (first_.empty()) first_ = means_;
  grow(squares_, squares_.size() + 1);
  squares_.push_back(squared(mean(lengths_.size())));
  grow(lengths_, lengths_.size() + 1);
  lengths_.push_back(0);

  const auto rows = begin + kBlock;
  grow(codes_, rows * row_bytes_);
  codes_.resize(rows * row_bytes_);
  for (auto* const column : {&scales_, &errors_, &shifts_}) {
    grow(*column, rows);
    column->resize(rows);
  }
  for (std::size_t i = 0; i < kBlock; ++i) encode(begin + i, {turned.data() + i * width, width});
}

void BlockCodes::add(std::span<const float> vector) {
  const auto place = size();
  codes_.resize((place + 1) * row_bytes_);
  for (auto* const column : {&scales_, &errors_, &shifts_}) column->resize(place + 1);
  set(place, vector);
}

void BlockCodes::set(std::size_t place, std::span<const float> vector) {
  std::vector<float> turned(rotation_.size());
  rotation_.turn(vector, turned);
  encode(place, turned);
}

void BlockCodes::remove_last() {
  const auto rows = size() - 1;
  codes_.resize(rows * row_bytes_);
  for (auto* const column : {&scales_, &errors_, &shifts_}) column->resize(rows);
  if (rows % kBlock != 0) return;
  lengths_.pop_back();
  squares_.pop_back();
  means_.resize(lengths_.size() * rotation_.size());
}

void BlockCodes::encode(std::size_t place, std::span<const float> turned) {
  const auto block = place / kBlock;
  const auto around = mean(block);
  const auto width = turned.size();
  std::vector<float> rest(width);
  for (std::size_t i = 0; i < width; ++i) rest[i] = turned[i] - around[i];
  const auto step = std::max(greatest_size(rest) / kMiddle * kStep, kStepLeast);
  const auto per_step = 1 / step;
  auto* const codes = codes_.data() + place * row_bytes_;
  double length = 0;
  double error = 0;
  double shift = 0;
  const auto level = [&](std::size_t i) {
    const auto nearest = std::clamp(rest[i] * per_step + kMiddle + 0.5F, 0.0F, 15.0F);
    const auto code = static_cast<int>(nearest);
    const auto part = step * (static_cast<float>(code) - kMiddle);
    const auto left = double{rest[i]} - part;
    length += double{part} * part;
    error += left * left;
    shift += double{part} * first_[i] + left * around[i];
    return static_cast<unsigned>(code);
  };
  for (std::size_t begin = 0; begin < width; begin += kHalfBlockDimensions) {
    for (std::size_t i = 0; i < kCodeBlockBytes; ++i) {
      const auto low = level(begin + i);
      const auto high = level(begin + kCodeBlockBytes + i);
      *(codes + begin / 2 + i) = static_cast<std::uint8_t>(low | high << 4U);
    }
  }
  scales_[place] = step;
  errors_[place] = static_cast<float>(std::sqrt(error) * kUp);
  shifts_[place] = static_cast<float>(shift);
  lengths_[block] = std::max(lengths_[block], static_cast<float>(std::sqrt(length) * kUp));
}

bool BlockCodes::are_to_be_read() const {
  auto left = pause_.load();
  while (left > 0 && !pause_.compare_exchange_weak(left, left - 1)) {
  }
  return left == 0;
}

void BlockCodes::were_of_use(bool are_of_use) const {
  const auto next = next_pause_.load();
  if (!are_of_use) {
    pause_ = next;
    next_pause_ = std::min(4 * next, kPauseMost);
  } else if (next != kPauseLeast) {
    next_pause_ = kPauseLeast;
  }
}

BlockCodes::Query BlockCodes::encode(std::span<const float> unit) const {
  Query made;
  made.turned.resize(rotation_.size());
  rotation_.turn(unit, made.turned);
  auto rest = made.turned;
  for (std::size_t i = 0; i < rest.size(); ++i) rest[i] -= first_[i];
  made.codes.resize(rest.size());
  made.scale = std::max(greatest_size(rest) / kQueryMax, kStepLeast);
  code_kernels().quantise(rest.data(), rest.size(), 1 / made.scale, made.codes.data());
  std::int32_t sum = 0;
  double error = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    sum += made.codes[i];
    const auto left = double{rest[i]} - double{made.scale} * made.codes[i];
    error += left * left;
  }
  made.offset = kMiddle * static_cast<float>(sum);
  made.error = static_cast<float>(std::sqrt(error) * kUp);
  made.square = squared(made.turned);
  return made;
}

void BlockCodes::bounds(Query& query, float likely_share, std::size_t first, std::size_t count,
                        float* bounds, float* likely) const {
  std::array<std::int32_t, kBlock> sums;
  const auto blocks = row_bytes_ / kCodeBlockBytes;
  for (const auto end = first + count; first < end;) {
    const auto block = first / kBlock;
    const auto some = std::min(end, (block + 1) * kBlock) - first;
    if (query.block != block) {
      const auto product =
          distance_kernels().dot(query.turned.data(), mean(block).data(), rotation_.size());
      const auto square = query.square - 2 * double{product} + squares_[block];
      query.block = block;
      query.middle = product;
      query.distance = static_cast<float>(std::sqrt(std::max(square, 0.0) + 2 * rounding_) * kUp);
      query.block_error = query.error * lengths_[block] + rounding_;
    }
    code_kernels().dot_rows_half(query.codes.data(), codes_.data() + first * row_bytes_, some,
                                 blocks, sums.data());
    const auto* const scales = scales_.data() + first;
    const auto* const errors = errors_.data() + first;
    const auto* const shifts = shifts_.data() + first;
    for (std::size_t i = 0; i < some; ++i) {
      const auto sum = static_cast<float>(sums[i]) - query.offset;
      const auto middle = query.middle + query.scale * (scales[i] * sum) + shifts[i];
      const auto distance = query.block_error + query.distance * errors[i];
      bounds[i] = middle + distance;
      likely[i] = middle - likely_share * distance;
    }
    first += some;
    bounds += some;
    likely += some;
  }
}

void BlockCodes::shrink() {
  if (codes_.capacity() > codes_.size() * 2) codes_.shrink_to_fit();
  for (auto* const column : {&scales_, &errors_, &shifts_, &means_, &lengths_}) {
    if (column->capacity() > column->size() * 2) column->shrink_to_fit();
  }
  if (squares_.capacity() > squares_.size() * 2) squares_.shrink_to_fit();
}

std::size_t BlockCodes::bytes() const {
  auto floats = std::size_t{0};
  for (const auto* const column : {&scales_, &errors_, &shifts_, &first_, &means_, &lengths_}) {
    floats += column->capacity();
  }
  return codes_.capacity() + floats * sizeof(float) + squares_.capacity() * sizeof(double) +
         rotation_.bytes();
}

}  // namespace samtale
