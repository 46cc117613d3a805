// FloatRows: the vectors of an index as they came, read only to score what their codes could not
// rule out. Private to index/.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "base/result.h"
#include "sys/files.h"

namespace samtale {

class SegmentFolder;

// Where the floats of many vectors go.
struct FloatPlace {
  SegmentFolder* folder = nullptr;  // Null: they stay in memory.
  std::size_t file_bytes = 0;       // From so many on; a file has about as many.
};

// Few lie in memory; many lie in mapped files without a name (Files::map_scratch), whose pages the
// system can take back when memory is short.
//
// Shapes:  rows of `dimension` floats; no row lies in two files.
// Threads: none of its own.
class FloatRows {
 public:
  FloatRows(std::size_t dimension, const FloatPlace& place);

  // Room in files for so many rows in all, if they are to lie there: add() must find it.
  // Errors: unavailable if the disk is full; nothing has changed.
  [[nodiscard]] Result<> make_room(std::size_t rows);
  // And no more memory than that.
  [[nodiscard]] Result<> reserve(std::size_t rows);
  void add(std::span<const float> row);
  void set(std::size_t row, std::span<const float> floats);
  // Writes all of `more` behind its own if files have room for it. Others may read its own
  // meanwhile, for these are not there before append(), which is to follow.
  void write_ahead(const FloatRows& more);
  // All of `more` is behind its own; make_room() found room.
  void append(const FloatRows& more);
  // Its numbers are in no file any more.
  void clear(std::size_t row);
  void remove_last();
  // Gives back what is empty.
  void shrink();

  [[nodiscard]] std::span<const float> operator[](std::size_t row) const {
    const auto* const begin = files_.empty()
                                  ? memory_.data() + row * dimension_
                                  : files_[row >> file_shift_].floats + place_in_file(row);
    return {begin, dimension_};
  }
  // So many rows from `row` on lie one after the other.
  [[nodiscard]] std::size_t together(std::size_t row) const {
    return files_.empty() ? rows_ - row : file_rows() - (row & (file_rows() - 1));
  }

  // Where the files are; null while there are none.
  [[nodiscard]] SegmentFolder* folder() const { return files_.empty() ? nullptr : place_.folder; }
  [[nodiscard]] std::size_t bytes() const {
    return memory_.capacity() * sizeof(float) + files_.capacity() * sizeof(MappedFile);
  }
  [[nodiscard]] std::size_t mapped_bytes() const { return files_.size() * file_bytes(); }

 private:
  struct MappedFile {
    std::unique_ptr<Scratch> scratch;
    float* floats = nullptr;
  };
  [[nodiscard]] std::size_t file_rows() const { return std::size_t{1} << file_shift_; }
  [[nodiscard]] std::size_t file_bytes() const { return file_rows() * dimension_ * sizeof(float); }
  [[nodiscard]] std::size_t place_in_file(std::size_t row) const {
    return (row & (file_rows() - 1)) * dimension_;
  }
  [[nodiscard]] float* at(std::size_t row) {
    if (files_.empty()) return memory_.data() + row * dimension_;
    return files_[row >> file_shift_].floats + place_in_file(row);
  }

  std::size_t dimension_;
  FloatPlace place_;
  unsigned file_shift_;  // Rows of a file: a power of two.
  std::size_t rows_ = 0;
  std::size_t ahead_ = 0;  // So many were written behind these.
  HugeVector<float> memory_;
  std::vector<MappedFile> files_;
};

}  // namespace samtale
