// BlockCodes: vectors in 4 bits a dimension, around the mean of their block. Private to index/.
//
// Vectors of texts lie close together: most of each is what they have in common, which needs to be
// kept and compared only once for a block of them. A vector x, turned by a random rotation (as a
// query q is), is m + r for the mean m of its block, and r has a code c of 4 bits a dimension with
// a scale s, which leaves out l: r = s c + l. What is left of a query when the mean f of the first
// block is taken away, p = q - f, has a code d with a scale t, p' = t d. Then
//
//   q.x = q.m + p'.(s c) + f.(s c) + m.l + (p - p').(s c) + (q - m).l
//      <= q.m + s t (d.c) + (f.(s c) + m.l) + |p - p'| |s c| + |q - m| |l|
//
// (Cauchy and Schwarz, twice). A row keeps s, |l| and what is in brackets, a block m and the
// greatest |s c|.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "simd/rotation.h"

namespace samtale {

// Shapes:  all rows but the last of whole blocks of kBlock; the last vector takes the place of a
//          removed one.
// Threads: none of its own; the index locks.
class BlockCodes {
 public:
  static constexpr std::size_t kBlock = 256;
  // Scans that do without these codes after one to which they were of no use: so many, four times
  // as many after another, and the most at the most.
  static constexpr int kPauseLeast = 4;
  static constexpr int kPauseMost = 64;

  // A query, and what is known of the block that it was compared with last. One a thread.
  struct Query {
    std::vector<float> turned;
    std::vector<std::int8_t> codes;
    float scale = 0;
    float offset = 0;   // What the sums of products are too large by.
    float error = 0;    // |p - p'|
    double square = 0;  // |q|^2
    std::size_t block = std::numeric_limits<std::size_t>::max();
    float middle = 0;       // q.m
    float distance = 0;     // |q - m|
    float block_error = 0;  // What scores may be off for, whatever the row.
  };

  explicit BlockCodes(std::size_t dimension);

  // Rows that have codes.
  [[nodiscard]] std::size_t size() const { return scales_.size(); }
  // Of which there is a mean: add() takes so many.
  [[nodiscard]] std::size_t room() const { return lengths_.size() * kBlock; }

  using VectorAt = std::function<std::span<const float>(std::size_t place)>;
  // Another block, when there is no room in the last: the vectors of its places.
  void add_block(const VectorAt& vector_at);
  void add(std::span<const float> vector);
  void set(std::size_t place, std::span<const float> vector);
  void remove_last();

  // Whether a scan is to read these.
  [[nodiscard]] bool are_to_be_read() const;
  // Said after one that has.
  void were_of_use(bool are_of_use) const;

  [[nodiscard]] Query encode(std::span<const float> unit) const;
  // For each of `count` vectors from `first` on, a number that its score is not above, and one that
  // it is likely not below: the share `likely_share` of how far it may be.
  void bounds(Query& query, float likely_share, std::size_t first, std::size_t count, float* bounds,
              float* likely) const;

  void shrink();
  [[nodiscard]] std::size_t bytes() const;

 private:
  void encode(std::size_t place, std::span<const float> turned);
  [[nodiscard]] std::span<const float> mean(std::size_t block) const {
    return {means_.data() + block * rotation_.size(), rotation_.size()};
  }

  Rotation rotation_;
  std::size_t row_bytes_;
  float rounding_;  // What a score can be above the exact sum of its bound's terms.
  HugeVector<std::uint8_t> codes_;
  std::vector<float> scales_;
  std::vector<float> errors_;  // |l|, rounded up.
  std::vector<float> shifts_;  // f.(s c) + m.l
  std::vector<float> first_;   // f: that of the first block that there was.
  // A block's.
  std::vector<float> means_;
  std::vector<double> squares_;         // |m|^2
  std::vector<float> lengths_;          // The greatest |s c|, rounded up.
  mutable std::atomic<int> pause_ = 0;  // Scans without them that are still to come.
  mutable std::atomic<int> next_pause_ = kPauseLeast;
};

}  // namespace samtale
