// The floor of a scan is memory: each float is read once and used once. BM_plain_read reads the
// same bytes and does next to nothing with them; dot_rows should come near its GB/s when the rows
// do not fit the cache (50,000 x 384 floats are 77 MB), whatever it computes.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "simd/distance.h"

namespace samtale {
namespace {

std::vector<float> filled(std::size_t count) {
  std::vector<float> floats(count);
  for (std::size_t i = 0; i < count; ++i) floats[i] = static_cast<float>(i % 97) * 0.01F;
  return floats;
}

void report_bytes(benchmark::State& state, const std::vector<float>& rows) {
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(rows.size() * sizeof(float)));
}

void BM_plain_read(benchmark::State& state) {
  const auto rows = filled(static_cast<std::size_t>(state.range(0) * state.range(1)));
  for (auto _ : state) {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i + 16 <= rows.size(); i += 16) {
      std::uint64_t words[8];
      std::memcpy(words, rows.data() + i, sizeof words);
      for (std::size_t k = 0; k < 8; ++k) sums[k] ^= words[k];
    }
    benchmark::DoNotOptimize(sums);
  }
  report_bytes(state, rows);
}
BENCHMARK(BM_plain_read)->Args({1'000, 384})->Args({50'000, 384});

void scan(benchmark::State& state, const DistanceKernels& kernels) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const auto dimension = static_cast<std::size_t>(state.range(1));
  const auto query = filled(dimension);
  const auto rows = filled(count * dimension);
  std::vector<float> scores(count);
  for (auto _ : state) {
    kernels.dot_rows(query.data(), rows.data(), count, dimension, scores.data());
    benchmark::DoNotOptimize(scores.data());
    benchmark::ClobberMemory();
  }
  report_bytes(state, rows);
}

void BM_dot_rows(benchmark::State& state) { scan(state, distance_kernels()); }
BENCHMARK(BM_dot_rows)->Args({1'000, 384})->Args({50'000, 384})->Args({15'000, 1'536});

void BM_dot_rows_scalar(benchmark::State& state) { scan(state, scalar_distance_kernels()); }
BENCHMARK(BM_dot_rows_scalar)->Args({50'000, 384});

}  // namespace
}  // namespace samtale
