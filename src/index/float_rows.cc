#include "index/float_rows.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "base/check.h"
#include "index/grow.h"
#include "index/segment_folder.h"

namespace samtale {

FloatRows::FloatRows(std::size_t dimension, const FloatPlace& place)
    : dimension_(dimension), place_(place) {
  const auto rows = place.file_bytes / std::max<std::size_t>(1, dimension * sizeof(float));
  file_shift_ = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(1, rows)) - 1);
}

Result<> FloatRows::make_room(std::size_t rows) {
  const bool are_many = rows * dimension_ * sizeof(float) >= place_.file_bytes;
  if (files_.empty() && (place_.folder == nullptr || !are_many)) return {};
  std::vector<MappedFile> more;
  while ((files_.size() + more.size()) * file_rows() < rows) {
    SAMTALE_TRY(auto scratch, place_.folder->map_scratch(file_bytes(), true));
    auto* const floats = reinterpret_cast<float*>(scratch->bytes().data());
    more.push_back({std::move(scratch), floats});
  }
  std::ranges::move(more, std::back_inserter(files_));
  if (memory_.empty()) return {};
  for (std::size_t row = 0; row < rows_; ++row) {
    std::copy_n(memory_.data() + row * dimension_, dimension_, at(row));
  }
  memory_ = {};
  return {};
}

Result<> FloatRows::reserve(std::size_t rows) {
  SAMTALE_TRY_VOID(make_room(rows));
  if (files_.empty()) memory_.reserve(rows * dimension_);
  return {};
}

void FloatRows::add(std::span<const float> row) {
  ++rows_;
  if (files_.empty()) {
    grow(memory_, rows_ * dimension_);
    memory_.insert(memory_.end(), row.begin(), row.end());
    return;
  }
  SAMTALE_CHECK(rows_ <= files_.size() * file_rows(), "room in files is reserved before");
  set(rows_ - 1, row);
}

void FloatRows::set(std::size_t row, std::span<const float> floats) {
  std::ranges::copy(floats, at(row));
}

void FloatRows::write_ahead(const FloatRows& more) {
  if (files_.size() * file_rows() < rows_ + more.rows_) return;
  for (ahead_ = 0; ahead_ < more.rows_; ++ahead_) set(rows_ + ahead_, more[ahead_]);
}

void FloatRows::append(const FloatRows& more) {
  const auto ahead = std::exchange(ahead_, 0);
  rows_ += ahead;
  for (auto row = ahead; row < more.rows_; ++row) add(more[row]);
}

void FloatRows::clear(std::size_t row) { std::fill_n(at(row), dimension_, 0.0F); }

void FloatRows::remove_last() {
  clear(--rows_);
  if (files_.empty()) memory_.resize(rows_ * dimension_);
}

void FloatRows::shrink() {
  files_.resize(std::min(files_.size(), (rows_ + file_rows() - 1) / file_rows()));
  if (memory_.capacity() > memory_.size() * 2) memory_.shrink_to_fit();
}

}  // namespace samtale
