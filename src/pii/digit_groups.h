// Digits in groups, as people write long numbers. Private to pii/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

namespace samtale {

// What stands between two groups of digits.
enum class Gap : std::uint8_t { none, blank, dash, dot, slash, bracket, mixed };

struct DigitGroup {
  std::size_t begin = 0;
  std::size_t end = 0;
  Gap gap = Gap::none;         // Before it; none for the first.
  std::size_t gap_length = 0;  // In code points.

  [[nodiscard]] std::size_t size() const { return end - begin; }
};

// The groups from the digit at `begin` on, until they hold more than kDigitsMax digits.
class DigitGroups {
 public:
  static constexpr std::size_t kDigitsMax = 19;  // Of a card; no kind has more.

  DigitGroups(std::string_view text, std::size_t begin);

  [[nodiscard]] std::span<const DigitGroup> groups() const { return {groups_.data(), count_}; }

 private:
  std::array<DigitGroup, kDigitsMax + 1> groups_{};
  std::size_t count_ = 0;
};

// The end of the digits that begin at `at`.
[[nodiscard]] std::size_t end_of_digits(std::string_view text, std::size_t at);

// A number may begin or end here: no part of a word, of a fraction, or of a longer chain of numbers
// ("2013-03-26-205909").
[[nodiscard]] bool may_begin_number(std::string_view text, std::size_t at);
[[nodiscard]] bool may_end_number(std::string_view text, std::size_t at);

// A word that begins with one of `beginnings` (ASCII, lower case) stands within 40 bytes before
// `begin` or 20 after `end`.
[[nodiscard]] bool is_word_near(std::string_view text, std::size_t begin, std::size_t end,
                                std::initializer_list<std::string_view> beginnings);

// Two digits at `at`; four at `at`.
[[nodiscard]] int two_digits(std::string_view digits, std::size_t at);
[[nodiscard]] int four_digits(std::string_view digits, std::size_t at);
// A day of the Gregorian calendar.
[[nodiscard]] bool is_date(int year, int month, int day);

}  // namespace samtale
