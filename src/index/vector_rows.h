// VectorRows: the vectors of an index, one after the other in one block. Private to index/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace samtale {

// Shapes:  a row-major matrix without gaps: the last vector takes the place of a removed one. A
//          vector's place changes with that; its owner (a row of the index) does not.
// Threads: none of its own; the index locks.
class VectorRows {
 public:
  explicit VectorRows(std::size_t dimension) : dimension_(dimension) {}

  // Where a vector lies, and whose it is.
  using Place = std::uint32_t;
  using Owner = std::uint32_t;

  Place add(Owner owner, std::span<const float> vector);
  // Another vector lies at `place` afterwards, unless it was the last.
  void remove(Place place);
  [[nodiscard]] std::size_t size() const { return owners_.size(); }
  [[nodiscard]] Owner owner(Place place) const { return owners_[place]; }
  void set_owner(Place place, Owner owner) { owners_[place] = owner; }

  // Scores of `count` vectors from `first` on.
  void dot(std::span<const float> query, Place first, std::size_t count, float* scores) const;

  void shrink();
  [[nodiscard]] std::size_t bytes() const;

 private:
  std::size_t dimension_;
  std::vector<float> floats_;
  std::vector<Owner> owners_;
};

// Errors: invalid_argument unless `vector` has `dimension` finite floats that are not all zero.
[[nodiscard]] Result<double> checked_length(std::span<const float> vector, std::size_t dimension);

}  // namespace samtale
