#include "index/vector_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/check.h"
#include "index/company_index.h"
#include "index/grow.h"
#include "index/segment_folder.h"
#include "simd/codes.h"
#include "simd/distance.h"

namespace samtale {
namespace {

constexpr std::size_t kDimensionMax = std::size_t{1} << 17;
constexpr std::int32_t kCodeMax = 127;
constexpr float kScaleLeast = 1e-30F;  // Its reciprocal is a float.
// More than what rounding a double to a float can take away.
constexpr double kUp = 1 + 1e-6;
// Rows whose sums stay in the L1 cache.
constexpr std::size_t kBlock = 256;
// The mean of a block is worth reading for more.
constexpr std::size_t kFew = 16;

struct Fitted {
  float scale = 0;
  double error = 0;  // Length of what the scaled code leaves out.
};

// Writes the code of `vector`: each number in steps of 1/127 of the greatest.
Fitted encode(std::span<const float> vector, std::int8_t* codes) {
  auto scale = greatest_size(vector) / kCodeMax;
  if (scale < kScaleLeast) scale = 0;  // All of it is left out then.
  code_kernels().quantise(vector.data(), vector.size(), scale > 0 ? 1 / scale : 0, codes);
  double error = 0;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    const double part = double{scale} * codes[i];
    error += (vector[i] - part) * (vector[i] - part);
  }
  return {.scale = scale, .error = std::sqrt(error)};
}

// In steps of 1 / code_max of the greatest.
template <class Code>
QueryCodes<Code> encode_query(std::span<const float> query, std::int32_t code_max) {
  QueryCodes<Code> made;
  const auto most = static_cast<float>(code_max);
  made.scale = greatest_size(query) / most;
  if (made.scale < kScaleLeast) made.scale = 0;  // All of it is left out then.
  const auto per_step = made.scale > 0 ? 1 / made.scale : 0.0F;
  made.codes.resize(query.size());
  double length = 0;
  double error = 0;
  for (std::size_t i = 0; i < query.size(); ++i) {
    const auto step = std::clamp(query[i] * per_step, -most, most);
    made.codes[i] = static_cast<Code>(step + std::copysign(0.5F, step));
    const auto part = double{made.scale} * made.codes[i];
    length += part * part;
    error += (query[i] - part) * (query[i] - part);
  }
  length = std::sqrt(length);
  error = std::sqrt(error);
  made.length = static_cast<float>(length * kUp);
  // Twice the rounding of the score, so that the few roundings of the bound itself are in it too.
  const auto rounding = static_cast<double>(query.size() + 4) * std::ldexp(1.0, -23) *
                        (length + error) * VectorRows::kLengthMax;
  made.slack = static_cast<float>((error * VectorRows::kLengthMax + rounding) * kUp);
  return made;
}

// An error is a sum of many small ones, so about so much of what it may be.
float likely_share(std::size_t dimension) {
  return std::min(1.0F, 4 / std::sqrt(static_cast<float>(dimension)));
}

template <class Code>
VectorRows::About about(const QueryCodes<Code>& query, float scale, float error, std::int32_t sum) {
  return {.middle = query.scale * (scale * static_cast<float>(sum)),
          .distance = query.length * error + query.slack};
}

}  // namespace

QueryCode encode_query(std::span<const float> query) {
  return encode_query<std::int16_t>(query, query_code_max(query.size()));
}

CoarseQueryCode encode_query_coarsely(std::span<const float> query) {
  return encode_query<std::int8_t>(query, kCodeMax);
}

VectorRows::VectorRows(std::size_t dimension, const FloatPlace& floats)
    : dimension_(dimension), floats_(dimension, floats) {
  SAMTALE_CHECK(dimension <= kDimensionMax, "configuration allows no more dimensions");
}

VectorRows::Place VectorRows::add(Owner owner, std::span<const float> vector) {
  SAMTALE_CHECK(vector.size() == dimension_, "vectors are checked before they are added");
  const auto begin = codes_.memory.size();
  grow(codes_.memory, begin + dimension_);
  codes_.memory.resize(begin + dimension_);
  const auto fitted = encode(vector, codes_.memory.data() + begin);
  return add(owner, vector, fitted.scale, static_cast<float>(fitted.error * kUp));
}

VectorRows::Place VectorRows::add(Owner owner, const VectorRows& other, Place place) {
  const auto* const codes = other.codes_.data() + place * dimension_;
  grow(codes_.memory, codes_.memory.size() + dimension_);
  codes_.memory.insert(codes_.memory.end(), codes, codes + dimension_);
  return add(owner, other.vector(place), other.scales_[place], other.errors_[place]);
}

VectorRows::Place VectorRows::add(Owner owner, std::span<const float> vector, float scale,
                                  float error) {
  const auto place = owners_.size();
  floats_.add(vector);
  grow(scales_, place + 1);
  scales_.push_back(scale);
  grow(errors_, place + 1);
  errors_.push_back(error);
  grow(owners_, place + 1);
  owners_.push_back(owner);
  if (blocks_ && place < blocks_->room()) {
    blocks_->add(vector);
  } else {
    add_block();  // One at a time, so that nobody waits long for many.
  }
  return static_cast<Place>(place);
}

void VectorRows::will_be_scanned(std::size_t blocks_from) {
  blocks_from_ = blocks_from;
  while (add_block()) {
  }
}

bool VectorRows::add_block() {
  const auto blocks_end = blocks_ ? blocks_->size() : 0;
  if (size() * dimension_ < blocks_from_ || size() < blocks_end + BlockCodes::kBlock) return false;
  if (!blocks_) blocks_ = std::make_unique<BlockCodes>(dimension_);
  blocks_->add_block([this](std::size_t place) { return floats_[place]; });
  return true;
}

Result<> VectorRows::reserve(std::size_t vectors) {
  SAMTALE_TRY_VOID(floats_.reserve(vectors));
  codes_.memory.reserve(vectors * dimension_);
  scales_.reserve(vectors);
  errors_.reserve(vectors);
  owners_.reserve(vectors);
  return {};
}

std::optional<VectorRows::Codes> VectorRows::codes_for(bool walks_read_them) const {
  auto* const folder = walks_read_them ? nullptr : floats_.folder();
  if ((folder != nullptr) == (codes_.file != nullptr)) return std::nullopt;
  const std::span codes(codes_.data(), size() * dimension_);
  Codes moved;
  if (folder == nullptr) {
    moved.memory.assign(codes.begin(), codes.end());
    return moved;
  }
  moved.file = filed(codes);
  if (!moved.file) return std::nullopt;
  return moved;
}

std::unique_ptr<Scratch> VectorRows::filed(std::span<const std::int8_t> codes) const {
  auto file = floats_.folder()->map_scratch(codes.size(), false);
  if (!file) return nullptr;
  std::ranges::copy(std::as_bytes(codes), (*file)->bytes().begin());
  return *std::move(file);
}

VectorRows::Joined VectorRows::joined(const VectorRows& more) const {
  Joined both;
  both.codes.reserve((size() + more.size()) * dimension_);
  both.scales.reserve(size() + more.size());
  for (const auto* const rows : {this, &more}) {
    const auto* const codes = rows->codes_.data();
    both.codes.insert(both.codes.end(), codes, codes + rows->size() * dimension_);
    both.scales.insert(both.scales.end(), rows->scales_.begin(), rows->scales_.end());
  }
  return both;
}

VectorRows::Codes VectorRows::laid(HugeVector<std::int8_t> codes) const {
  Codes laid;
  if (codes_.file) laid.file = filed(codes);
  if (!laid.file) laid.memory = std::move(codes);
  return laid;
}

void VectorRows::append(const VectorRows& more, Codes& codes) {
  std::swap(codes_, codes);
  const auto all = size() + more.size();
  grow(scales_, all);
  grow(errors_, all);
  grow(owners_, all);
  floats_.append(more.floats_);
  for (Place place = 0; place < more.size(); ++place) {
    scales_.push_back(more.scales_[place]);
    errors_.push_back(more.errors_[place]);
    owners_.push_back(more.owners_[place]);
  }
}

void VectorRows::clear(Place place) {
  floats_.clear(place);
  if (!codes_.file) return;
  const auto bytes = codes_.file->bytes().subspan(place * dimension_, dimension_);
  std::ranges::fill(bytes, std::byte{});
}

void VectorRows::remove(Place place) {
  const auto last = owners_.size() - 1;
  if (place != last) {
    floats_.set(place, floats_[last]);
    auto* const codes = codes_.memory.data();
    std::copy_n(codes + last * dimension_, dimension_, codes + place * dimension_);
    owners_[place] = owners_[last];
    scales_[place] = scales_[last];
    errors_[place] = errors_[last];
    if (blocks_ && place < blocks_->size()) blocks_->set(place, floats_[last]);
  }
  if (blocks_ && last + 1 == blocks_->size()) blocks_->remove_last();
  floats_.remove_last();
  codes_.memory.resize(last * dimension_);
  scales_.pop_back();
  errors_.pop_back();
  owners_.pop_back();
}

void VectorRows::dot(std::span<const float> query, Place first, std::size_t count,
                     float* scores) const {
  for (std::size_t done = 0; done < count;) {
    const auto begin = first + done;
    const auto some = std::min(count - done, floats_.together(begin));
    distance_kernels().dot_rows(query.data(), floats_[begin].data(), some, dimension_,
                                scores + done);
    done += some;
  }
}

float VectorRows::dot(std::span<const float> query, Place place) const {
  return distance_kernels().dot(query.data(), floats_[place].data(), dimension_);
}

void VectorRows::fetch(Place place) const {
  constexpr std::size_t kLine = 64 / sizeof(float);
  const auto* const row = floats_[place].data();
  for (std::size_t i = 0; i < dimension_; i += kLine) __builtin_prefetch(row + i);
  __builtin_prefetch(owners_.data() + place);
}

void VectorRows::about(const QueryCode& query, std::span<const Place> places,
                       std::vector<std::int32_t>& sums, std::vector<About>& about) const {
  sums.resize(places.size());
  about.resize(places.size());
  code_kernels().dot_some(query.codes.data(), codes_.data(), places.data(), places.size(),
                          dimension_, sums.data());
  for (std::size_t i = 0; i < places.size(); ++i) {
    about[i] = samtale::about(query, scales_[places[i]], errors_[places[i]], sums[i]);
  }
}

float VectorRows::likely_error(const QueryCode& query, Place place) const {
  return likely_share(dimension_) * (query.length * errors_[place] + query.slack);
}

ScanQuery VectorRows::encode_for_scan(std::span<const float> unit) const {
  ScanQuery query{.likely_share = likely_share(dimension_),
                  .code = encode_query_coarsely(unit),
                  .by_blocks = {}};
  if (blocks_ && blocks_->size() > 0 && blocks_->are_to_be_read()) {
    query.by_blocks = blocks_->encode(unit);
  }
  return query;
}

void VectorRows::half_codes_were_of_use(ScanQuery& query, bool are_of_use) const {
  blocks_->were_of_use(are_of_use);
  if (!are_of_use) query.by_blocks.reset();
}

void VectorRows::bounds(ScanQuery& query, Place first, std::size_t count, float* bounds,
                        float* likely) const {
  if (query.by_blocks && count > kFew && first < blocks_->size()) {
    const auto some = std::min(count, blocks_->size() - first);
    blocks_->bounds(*query.by_blocks, query.likely_share, first, some, bounds, likely);
    first += static_cast<Place>(some);
    count -= some;
    bounds += some;
    likely += some;
  }
  std::array<std::int32_t, kBlock> sums;
  for (std::size_t done = 0; done < count; done += kBlock) {
    const auto begin = first + done;
    const auto some = std::min(kBlock, count - done);
    code_kernels().dot_rows(query.code.codes.data(), codes_.data() + begin * dimension_, some,
                            dimension_, sums.data());
    const auto* const scales = scales_.data() + begin;
    const auto* const errors = errors_.data() + begin;
    for (std::size_t i = 0; i < some; ++i) {
      const auto [middle, distance] = samtale::about(query.code, scales[i], errors[i], sums[i]);
      bounds[done + i] = middle + distance;
      likely[done + i] = middle - query.likely_share * distance;
    }
  }
}

void VectorRows::shrink() {
  auto& codes = codes_.memory;
  if (codes.capacity() > codes.size() * 2) codes.shrink_to_fit();
  if (scales_.capacity() > scales_.size() * 2) scales_.shrink_to_fit();
  if (errors_.capacity() > errors_.size() * 2) errors_.shrink_to_fit();
  floats_.shrink();
  if (owners_.capacity() > owners_.size() * 2) owners_.shrink_to_fit();
  if (blocks_) blocks_->shrink();
}

std::size_t VectorRows::bytes() const {
  return floats_.bytes() + codes_.memory.capacity() +
         (scales_.capacity() + errors_.capacity()) * sizeof(float) +
         owners_.capacity() * sizeof(Owner) + (blocks_ ? blocks_->bytes() : 0);
}

Result<double> checked_length(std::span<const float> vector, std::size_t dimension) {
  if (vector.size() != dimension) {
    return fail(ErrorCode::invalid_argument,
                "vector of " + std::to_string(vector.size()) + " dimensions, where the index has " +
                    std::to_string(dimension) + ": embed with the index's model");
  }
  double sum = 0;
  for (const float value : vector) {
    if (!std::isfinite(value)) {
      return fail(ErrorCode::invalid_argument,
                  "vector with NaN or infinity: the embedder is broken; embed again");
    }
    sum += double{value} * value;
  }
  if (sum == 0) {
    return fail(ErrorCode::invalid_argument,
                "vector of length zero points nowhere: embed a text with words");
  }
  return std::sqrt(sum);
}

}  // namespace samtale
