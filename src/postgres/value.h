// What goes into a statement and what comes out of it, in PostgreSQL's binary form.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

struct pg_result;

namespace samtale::postgres {

// A bytea; a plain string_view is a text, which cannot hold a NUL.
struct Bytes {
  std::string_view view;
};

class Column;

template <class T>
concept WholeNumber = std::integral<T> || std::is_enum_v<T>;

// One parameter. Whole numbers are sent as bigint, whatever their size; an unsigned one that is too
// large comes back the same after a cast.
// Memory: strings are lent until the statement has been sent.
class Parameter {
 public:
  template <WholeNumber T>
  Parameter(T value) : Parameter(Number{static_cast<std::uint64_t>(value)}, kBigint) {}
  Parameter(bool value) : Parameter(std::uint64_t{value ? 1U : 0U}) {}
  Parameter(double value);
  Parameter(std::string_view text) : type_(kText), bytes_(text) {}
  Parameter(const std::string& text) : Parameter(std::string_view(text)) {}
  Parameter(const char* text) : Parameter(std::string_view(text)) {}
  Parameter(Bytes bytes) : type_(kBytea), bytes_(bytes.view) {}
  Parameter(const std::optional<double>& value);
  Parameter(const std::optional<std::int64_t>& value);
  Parameter(const Column& column);

  [[nodiscard]] unsigned type() const { return type_; }
  [[nodiscard]] bool is_null() const { return is_null_; }
  [[nodiscard]] std::string_view bytes() const {
    return is_number_ ? std::string_view(number_.data(), number_.size()) : bytes_;
  }

 private:
  friend class Column;
  struct Number {
    std::uint64_t bits;
  };
  // Types by their oid: fixed in PostgreSQL's catalogue for ever (pg_type.dat).
  static constexpr unsigned kBytea = 17;
  static constexpr unsigned kBigint = 20;
  static constexpr unsigned kText = 25;
  static constexpr unsigned kDouble = 701;

  Parameter(Number number, unsigned type);

  unsigned type_;
  bool is_null_ = false;
  bool is_number_ = false;
  std::array<char, 8> number_{};
  std::string_view bytes_;
};

// One column of many rows: an array, of which unnest() makes rows again.
class Column {
 public:
  static Column numbers() { return Column(Parameter::kBigint); }
  static Column blobs() { return Column(Parameter::kBytea); }
  static Column texts() { return Column(Parameter::kText); }
  static Column reals() { return Column(Parameter::kDouble); }

  // Copies the value. One of another type is a CHECK failure.
  void add(const Parameter& value);

 private:
  friend class Parameter;

  explicit Column(unsigned type);
  [[nodiscard]] unsigned array_type() const;

  unsigned type_;
  std::uint32_t size_ = 0;
  std::string array_;  // As PostgreSQL's array_recv() reads it.
};

// What one statement answered.
// Memory: what bytes() lends lives as long as the Rows.
// Errors: none; a column read as a type that it hasn't is a CHECK failure, for the SQL is ours.
class Rows {
 public:
  explicit Rows(pg_result* result) : result_(result) {}

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::int64_t affected() const;  // Rows inserted, updated or deleted.
  // "COMMIT", "ROLLBACK", "INSERT 0 1": what was done.
  [[nodiscard]] std::string_view command() const;

  [[nodiscard]] bool is_null(std::size_t row, int column) const;
  [[nodiscard]] std::int64_t integer(std::size_t row, int column) const;  // Also of a boolean.
  [[nodiscard]] double real(std::size_t row, int column) const;
  [[nodiscard]] std::string_view bytes(std::size_t row, int column) const;  // bytea or text.

 private:
  struct Free {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Free> result_;
};

// One of them.
class Row {
 public:
  Row(const Rows& rows, std::size_t place) : rows_(rows), place_(place) {}

  [[nodiscard]] bool is_null(int column) const { return rows_.is_null(place_, column); }
  [[nodiscard]] std::int64_t integer(int column) const { return rows_.integer(place_, column); }
  [[nodiscard]] double real(int column) const { return rows_.real(place_, column); }
  [[nodiscard]] std::string_view bytes(int column) const { return rows_.bytes(place_, column); }

 private:
  const Rows& rows_;
  const std::size_t place_;
};

}  // namespace samtale::postgres
