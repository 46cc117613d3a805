#include "postgres/value.h"

#include <libpq-fe.h>

#include <bit>
#include <charconv>
#include <cstdint>
#include <string>

#include "base/check.h"

namespace samtale::postgres {
namespace {

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t bits = 0;
  for (const char byte : bytes) bits = bits << 8 | static_cast<unsigned char>(byte);
  return bits;
}

// An array's header: dimensions, flags, type of the elements, their number, the first one's place.
constexpr std::size_t kArraySizeAt = 12;

void put_int32(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * (3 - i)));
}

void append_int32(std::string& bytes, std::uint32_t value) {
  bytes.resize(bytes.size() + 4);
  put_int32(bytes, bytes.size() - 4, value);
}

}  // namespace

Parameter::Parameter(Number number, unsigned type) : type_(type), is_number_(true) {
  for (std::size_t i = 0; i < number_.size(); ++i) {
    number_[i] = static_cast<char>(number.bits >> (8 * (number_.size() - 1 - i)));
  }
}

Parameter::Parameter(double value)
    : Parameter(Number{std::bit_cast<std::uint64_t>(value)}, kDouble) {}

Parameter::Parameter(const std::optional<double>& value) : Parameter(value.value_or(0)) {
  is_null_ = !value.has_value();
}

Parameter::Parameter(const std::optional<std::int64_t>& value) : Parameter(value.value_or(0)) {
  is_null_ = !value.has_value();
}

Parameter::Parameter(const Column& column) : type_(column.array_type()), bytes_(column.array_) {}

Column::Column(unsigned type) : type_(type) {
  for (const std::uint32_t field : {1U, 0U, type, 0U, 1U}) append_int32(array_, field);
}

unsigned Column::array_type() const {
  // By their oid, as those of the elements.
  switch (type_) {
    case Parameter::kBytea:
      return 1001;
    case Parameter::kBigint:
      return 1016;
    case Parameter::kText:
      return 1009;
    default:
      return 1022;  // Of double precision.
  }
}

void Column::add(const Parameter& value) {
  SAMTALE_CHECK(value.type() == type_, "the values of a column have one type");
  put_int32(array_, kArraySizeAt, ++size_);
  if (value.is_null()) return append_int32(array_, 0xFFFF'FFFF);
  append_int32(array_, static_cast<std::uint32_t>(value.bytes().size()));
  array_ += value.bytes();
}

void Rows::Free::operator()(pg_result* result) const { ::PQclear(result); }

std::size_t Rows::size() const { return static_cast<std::size_t>(::PQntuples(result_.get())); }

std::int64_t Rows::affected() const {
  const std::string_view digits = ::PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return count;
}

std::string_view Rows::command() const { return ::PQcmdStatus(result_.get()); }

bool Rows::is_null(std::size_t row, int column) const {
  return ::PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
}

std::int64_t Rows::integer(std::size_t row, int column) const {
  const auto value = bytes(row, column);
  switch (value.size()) {
    case 8:
      return static_cast<std::int64_t>(big_endian(value));
    case 4:
      return static_cast<std::int32_t>(big_endian(value));
    case 1:
      return static_cast<std::int64_t>(big_endian(value));
    default:
      SAMTALE_CHECK(false, "the column is a bigint, an integer or a boolean");
  }
  return 0;
}

double Rows::real(std::size_t row, int column) const {
  const auto value = bytes(row, column);
  SAMTALE_CHECK(value.size() == 8, "the column is a double precision");
  return std::bit_cast<double>(big_endian(value));
}

std::string_view Rows::bytes(std::size_t row, int column) const {
  const auto place = static_cast<int>(row);
  SAMTALE_CHECK(place < ::PQntuples(result_.get()) && column < ::PQnfields(result_.get()),
                "the statement has this row and this column");
  return {::PQgetvalue(result_.get(), place, column),
          static_cast<std::size_t>(::PQgetlength(result_.get(), place, column))};
}

}  // namespace samtale::postgres
