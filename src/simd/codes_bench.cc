// What a step of a walk costs: 32 rows of codes that lie anywhere among 100,000, by each
// instruction set; and a scan of codes, whose floor is memory (BM_plain_read).
#include "simd/codes.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace samtale {
namespace {

constexpr std::size_t kRows = 100'000;
constexpr std::size_t kStep = 32;

std::vector<const CodeKernels*> all_kernels() {
  auto kernels = wide_code_kernels();
  kernels.push_back(&scalar_code_kernels());
  return kernels;
}

template <class Code>
std::vector<Code> any(std::size_t count, int least, int most) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> one(least, most);
  std::vector<Code> values(count);
  for (auto& value : values) value = static_cast<Code>(one(random));
  return values;
}

template <class Score>
void steps(benchmark::State& state, const Score& score) {
  const auto places = any<std::uint32_t>(kRows, 0, kRows - 1);
  std::vector<std::int32_t> out(kStep);
  std::size_t at = 0;
  for (auto _ : state) {
    score(places.data() + at, out.data());
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
    at = (at + kStep) % (kRows - kStep);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kStep));
}

void add_benchmarks(const CodeKernels& kernels, std::size_t dimension) {
  const auto name = [&](const std::string& what) {
    return what + "/" + kernels.name + "/" + std::to_string(dimension);
  };
  benchmark::RegisterBenchmark(name("dot_some").c_str(), [=, &kernels](benchmark::State& state) {
    const auto query = any<std::int16_t>(dimension, -1'000, 1'000);
    const auto rows = any<std::int8_t>(kRows * dimension, -127, 127);
    steps(state, [&](const std::uint32_t* places, std::int32_t* out) {
      kernels.dot_some(query.data(), rows.data(), places, kStep, dimension, out);
    });
  });
  benchmark::RegisterBenchmark(
      name("dot_some_half").c_str(), [=, &kernels](benchmark::State& state) {
        const auto blocks = (dimension + kHalfBlockDimensions - 1) / kHalfBlockDimensions;
        const auto query = any<std::int8_t>(blocks * kHalfBlockDimensions, -127, 127);
        const auto rows = any<std::uint8_t>(kRows * blocks * kCodeBlockBytes, 0, 255);
        steps(state, [&](const std::uint32_t* places, std::int32_t* out) {
          kernels.dot_some_half(query.data(), rows.data(), places, kStep, blocks, out);
        });
      });
  benchmark::RegisterBenchmark(
      name("dot_some_quarter").c_str(), [=, &kernels](benchmark::State& state) {
        const auto blocks = (dimension + kQuarterBlockDimensions - 1) / kQuarterBlockDimensions;
        const auto query = any<std::int8_t>(blocks * kQuarterBlockDimensions, -127, 127);
        const auto rows = any<std::uint8_t>(kRows * blocks * kCodeBlockBytes, 0, 255);
        steps(state, [&](const std::uint32_t* places, std::int32_t* out) {
          kernels.dot_some_quarter(query.data(), rows.data(), places, kStep, blocks, out);
        });
      });
  benchmark::RegisterBenchmark(name("dot_rows").c_str(), [=, &kernels](benchmark::State& state) {
    const auto query = any<std::int8_t>(dimension, -127, 127);
    const auto rows = any<std::int8_t>(kRows * dimension, -127, 127);
    std::vector<std::int32_t> out(kRows);
    for (auto _ : state) {
      kernels.dot_rows(query.data(), rows.data(), kRows, dimension, out.data());
      benchmark::DoNotOptimize(out.data());
      benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(rows.size()));
  });
}

const bool kAdded = [] {
  for (const std::size_t dimension : {384, 1536}) {
    for (const auto* kernels : all_kernels()) add_benchmarks(*kernels, dimension);
  }
  return true;
}();

}  // namespace
}  // namespace samtale
