#include "index/vector_rows.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "simd/distance.h"

namespace samtale {

VectorRows::Place VectorRows::add(Owner owner, std::span<const float> vector) {
  SAMTALE_CHECK(vector.size() == dimension_, "vectors are checked before they are added");
  floats_.insert(floats_.end(), vector.begin(), vector.end());
  owners_.push_back(owner);
  return static_cast<Place>(owners_.size() - 1);
}

void VectorRows::remove(Place place) {
  const auto last = owners_.size() - 1;
  if (place != last) {
    std::copy_n(floats_.data() + last * dimension_, dimension_,
                floats_.data() + place * dimension_);
    owners_[place] = owners_[last];
  }
  floats_.resize(last * dimension_);
  owners_.pop_back();
}

void VectorRows::dot(std::span<const float> query, Place first, std::size_t count,
                     float* scores) const {
  distance_kernels().dot_rows(query.data(), floats_.data() + first * dimension_, count, dimension_,
                              scores);
}

void VectorRows::shrink() {
  if (floats_.capacity() > floats_.size() * 2) floats_.shrink_to_fit();
  if (owners_.capacity() > owners_.size() * 2) owners_.shrink_to_fit();
}

std::size_t VectorRows::bytes() const {
  return floats_.capacity() * sizeof(float) + owners_.capacity() * sizeof(Owner);
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
