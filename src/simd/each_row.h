// How kernels go over rows of codes, ahead of which memory is asked for those to come. Private to
// simd/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace samtale {

template <class Code>
inline std::int32_t add_tail(std::int32_t sum, const Code* query, const std::int8_t* row,
                             std::size_t from, std::size_t dimension) {
  for (std::size_t i = from; i < dimension; ++i) sum += std::int32_t{query[i]} * row[i];
  return sum;
}

template <class Byte>
inline void fetch(const Byte* row, std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  for (std::size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(row + i);
}

// Inlined, so that it is compiled for the instruction set of who calls it. `bytes` is a row's.
template <class Byte, class Visit>
[[gnu::always_inline]] inline void for_some(const Byte* rows, const std::uint32_t* places,
                                            std::size_t count, std::size_t bytes,
                                            const Visit& visit) {
  // Rows so far ahead are on their way while one is scored.
  constexpr std::size_t kAhead = 4;
  for (std::size_t r = 0; r < std::min(kAhead, count); ++r) {
    fetch(rows + places[r] * bytes, bytes);
  }
  for (std::size_t r = 0; r < count; ++r) {
    if (r + kAhead < count) fetch(rows + places[r + kAhead] * bytes, bytes);
    visit(r, rows + places[r] * bytes);
  }
}

// The same where they lie one after the other.
template <class Byte, class Visit>
[[gnu::always_inline]] inline void for_all(const Byte* rows, std::size_t count, std::size_t bytes,
                                           const Visit& visit) {
  // Bytes so far ahead: what the processor fetches by itself is too late for memory to be read as
  // fast as it can be. Past the end it does no harm.
  constexpr std::size_t kStreamAhead = 2048;
  for (std::size_t r = 0; r < count; ++r) {
    fetch(rows + r * bytes + kStreamAhead, bytes);
    visit(r, rows + r * bytes);
  }
}

}  // namespace samtale
