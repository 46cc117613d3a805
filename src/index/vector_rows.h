// VectorRows: the vectors of an index, one after the other. Private to index/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/huge_pages.h"
#include "base/result.h"
#include "graph/graph.h"
#include "index/block_codes.h"
#include "index/float_rows.h"

namespace samtale {

// A query as it is compared with codes (VectorRows::bounds).
template <class Code>
struct QueryCodes {
  std::vector<Code> codes;
  float scale = 0;
  float length = 0;  // Of scale * codes, rounded up.
  float slack = 0;   // What a score can be above its bound's other terms, whatever the row.
};
// So finely that what it leaves out hardly counts: for that the kernels' sums have room.
using QueryCode = QueryCodes<std::int16_t>;
[[nodiscard]] QueryCode encode_query(std::span<const float> query);
// As finely as the rows: bounds are about twice as far above their scores, and take less to
// compute.
using CoarseQueryCode = QueryCodes<std::int8_t>;
[[nodiscard]] CoarseQueryCode encode_query_coarsely(std::span<const float> query);
// As a scan of many rows compares it, one a thread.
struct ScanQuery {
  float likely_share = 1;  // Of what an error may be it is hardly ever more.
  CoarseQueryCode code;
  std::optional<BlockCodes::Query> by_blocks;
};

// Beside each vector x lies a code c of one byte a dimension, with a scale s and the length of what
// the code leaves out, e >= |x - s c|. For a query q with code d, scale t and q' = t d,
//
//   q.x = q'.(s c) + q'.(x - s c) + (q - q').x  <=  s t (d.c) + |q'| e + |q - q'| |x|
//
// (Cauchy and Schwarz, twice), and is not as far below s t (d.c) either; and a score computed in
// floats is at most n 2^-24 / (1 - n 2^-24) |q| |x| above or below q.x, in whatever order n
// products are added (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1). A vector
// whose bound is below the worst hit so far needs no look: a quarter of the bytes tell.
//
// Of many rows that are scanned the first, all but a few, have half as large a code besides, around
// the mean of their block (BlockCodes): most need no look at the larger one.
//
// Shapes:  a row-major matrix without gaps: the last vector takes the place of a removed one. A
//          vector's place changes with that; its owner (a row of the index) does not.
// Threads: none of its own; the index locks.
class VectorRows {
 public:
  static constexpr double kLengthMax = 1.002;

  // dimension: at most 2^17.
  explicit VectorRows(std::size_t dimension, const FloatPlace& floats = {});

  // With so many bytes of codes they no longer lie in the caches, and half of them are worth
  // having.
  static constexpr std::size_t kBlocksFrom = std::size_t{1} << 20;
  // They get codes by blocks, from so many bytes of the others on.
  void will_be_scanned(std::size_t blocks_from = kBlocksFrom);

  // Where a vector lies, and whose it is.
  using Place = std::uint32_t;
  using Owner = std::uint32_t;

  // Room on the disk for so many in all, as far as they lie there: add() must find it.
  // Errors: unavailable if the disk is full; nothing has changed.
  [[nodiscard]] Result<> make_room(std::size_t vectors) { return floats_.make_room(vectors); }
  // And no more memory than these take.
  [[nodiscard]] Result<> reserve(std::size_t vectors);
  // Of at most kLengthMax.
  Place add(Owner owner, std::span<const float> vector);
  // One of another's.
  Place add(Owner owner, const VectorRows& other, Place place);
  // Another vector lies at `place` afterwards, unless it was the last.
  void remove(Place place);
  // Nothing of it is in a file any more; codes in memory stay, for a walk may lead over them.
  void clear(Place place);
  [[nodiscard]] std::size_t size() const { return owners_.size(); }
  [[nodiscard]] Owner owner(Place place) const { return owners_[place]; }
  void set_owner(Place place, Owner owner) { owners_[place] = owner; }

  // Lent until the next change.
  [[nodiscard]] std::span<const float> vector(Place place) const { return floats_[place]; }

  // Scores of `count` vectors from `first` on.
  void dot(std::span<const float> query, Place first, std::size_t count, float* scores) const;

  // Of one vector: the same bits as among others.
  [[nodiscard]] float dot(std::span<const float> query, Place place) const;
  // Its floats and its owner are on their way to the caches.
  void fetch(Place place) const;
  struct About {
    float middle;
    float distance;
    [[nodiscard]] float bound() const { return middle + distance; }
  };
  // For each of those at `places`: its score is not farther from `middle` than `distance`. `sums`
  // is for its own use.
  void about(const QueryCode& query, std::span<const Place> places, std::vector<std::int32_t>& sums,
             std::vector<About>& about) const;
  // What the score of one is hardly ever farther off than by its code.
  [[nodiscard]] float likely_error(const QueryCode& query, Place place) const;
  [[nodiscard]] ScanQuery encode_for_scan(std::span<const float> unit) const;
  // For each of `count` vectors from `first` on, a number that its score is not above, and one that
  // it is likely not below: by half as large codes where there are such, if the query has one.
  void bounds(ScanQuery& query, Place first, std::size_t count, float* bounds, float* likely) const;
  // Said after a scan by half codes, if the query has one; without use the query has none any more.
  void half_codes_were_of_use(ScanQuery& query, bool are_of_use) const;

  [[nodiscard]] CodeRows codes() const {
    return {
        .codes = {codes_.data(), size() * dimension_}, .scales = scales_, .dimension = dimension_};
  }
  // One after the other.
  struct Codes {
    HugeVector<std::int8_t> memory;
    std::unique_ptr<Scratch> file;  // Null: they lie in memory.

    [[nodiscard]] const std::int8_t* data() const {
      return file ? reinterpret_cast<const std::int8_t*>(file->bytes().data()) : memory.data();
    }
  };
  // A copy that lies where it ought to: in a file beside those of the floats unless walks read it.
  // Empty if the codes do already, or the disk is full.
  [[nodiscard]] std::optional<Codes> codes_for(bool walks_read_them) const;
  // Codes in a file stay those of the same vectors: none is added or removed but by append().
  void put(Codes codes) { codes_ = std::move(codes); }

  // Its codes and scales, and then those of `more`: what a graph of both is made of.
  struct Joined {
    HugeVector<std::int8_t> codes;
    std::vector<float> scales;
  };
  [[nodiscard]] Joined joined(const VectorRows& more) const;
  // Such codes where its own lie; in memory if they cannot.
  [[nodiscard]] Codes laid(HugeVector<std::int8_t> codes) const;
  // What append() would have to copy, where that can be done while others read. Nothing that may
  // fail comes between them.
  void write_ahead(const VectorRows& more) { floats_.write_ahead(more.floats_); }
  // All of `more` behind its own, of the same owners; make_room() found room. `codes` are those of
  // both, and its own of before afterwards: who calls gives them back, when nobody waits.
  void append(const VectorRows& more, Codes& codes);

  void shrink();
  [[nodiscard]] std::size_t bytes() const;  // In memory.
  [[nodiscard]] std::size_t mapped_bytes() const {
    return floats_.mapped_bytes() + (codes_.file ? codes_.file->bytes().size() : 0);
  }

 private:
  // Null if the disk is full.
  [[nodiscard]] std::unique_ptr<Scratch> filed(std::span<const std::int8_t> codes) const;
  // The code is there already.
  Place add(Owner owner, std::span<const float> vector, float scale, float error);
  // If there are rows for a whole one.
  bool add_block();

  std::size_t dimension_;
  FloatRows floats_;
  Codes codes_;
  std::vector<float> scales_;
  std::vector<float> errors_;  // Rounded up.
  std::vector<Owner> owners_;
  std::size_t blocks_from_ = std::numeric_limits<std::size_t>::max();
  std::unique_ptr<BlockCodes> blocks_;  // Of the first; null while it has none.
};

}  // namespace samtale
