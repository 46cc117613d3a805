// Dot products of vectors quantised to 8 bits, by the widest instructions this processor has.
#pragma once

#include <cstddef>
#include <cstdint>

namespace samtale {

// One instruction set's kernel. Pointers need no alignment.
struct CodeKernels {
  const char* name;
  // out[r] = sum of query[i] * rows[r * dimension + i]: exact, so the same for every kernel. All
  // values within -127 and 127; `dimension` at most 2^17, or the sum would not fit. The query comes
  // widened, because it is met once a row and a code of it would be widened as often.
  void (*dot_rows)(const std::int16_t* query, const std::int8_t* rows, std::size_t count,
                   std::size_t dimension, std::int32_t* out);
  // The same for the rows at `places`, which may lie far apart: those to come are fetched ahead.
  void (*dot_some)(const std::int16_t* query, const std::int8_t* rows, const std::uint32_t* places,
                   std::size_t count, std::size_t dimension, std::int32_t* out);
};

// Chosen once, at the first call: AVX-512 if the processor has it, else AVX2, else scalar. The
// environment variable SAMTALE_SIMD=scalar|avx2|avx512 forces one, as for the distances.
// Threads: any.
[[nodiscard]] const CodeKernels& code_kernels();

// Each by itself, for tests. Null where the processor cannot run it.
[[nodiscard]] const CodeKernels& scalar_code_kernels();
[[nodiscard]] const CodeKernels* avx2_code_kernels();
[[nodiscard]] const CodeKernels* avx512_code_kernels();

}  // namespace samtale
