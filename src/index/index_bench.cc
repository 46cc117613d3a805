// The floors: `nearest` reads the code of every vector once, so 50,000 x 384 take 19 MB divided by
// the memory bandwidth of one core (BM_plain_read of simd_bench); with as many hits wanted as
// BM_nearest_of_all wants it reads every vector, 77 MB. `words` reads the postings of the
// query's words once, 8 bytes each, and one row of lengths beside them.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>

#include "index/company_index.h"
#include "index/testing/vectors.h"

namespace samtale {
namespace {

constexpr int kChunks = 50'000;
constexpr std::size_t kDimension = 384;

// Words as common as in any language: the r-th of them with a frequency of 1/r.
std::string zipf_text(std::mt19937_64& random, int words) {
  std::uniform_real_distribution<double> uniform(0, std::log(50'000));
  std::string text;
  for (int i = 0; i < words; ++i) {
    text += "w" + std::to_string(static_cast<int>(std::exp(uniform(random)))) + " ";
  }
  return text;
}

const CompanyIndex& filled_index() {
  static const auto index = [] {
    std::mt19937_64 random(1);
    auto made = make_company_index(kDimension);
    for (int c = 0; c < kChunks / 10; ++c) {
      std::vector<std::string> texts(10);
      std::vector<std::vector<float>> vectors(10);
      std::vector<IndexChunk> chunks;
      for (std::uint32_t i = 0; i < 10; ++i) {
        texts[i] = zipf_text(random, 80);
        vectors[i] = unit_vector(random, kDimension);
        chunks.push_back({i, texts[i], vectors[i]});
      }
      Attributes attributes;
      attributes.channel = c % 10 == 0 ? "voice" : "chat";
      const auto id = make_conversation_id(CompanyId{1}, "bench", std::to_string(c));
      if (!made->put(id, std::move(attributes), chunks)) std::abort();
    }
    return made;
  }();
  return *index;
}

void nearest(benchmark::State& state, const ConversationFilter& filter, double share,
             std::size_t limit = 10) {
  std::mt19937_64 random(2);
  const auto& index = filled_index();
  for (auto _ : state)
    benchmark::DoNotOptimize(index.nearest(unit_vector(random, kDimension), limit, filter));
  state.SetBytesProcessed(static_cast<std::int64_t>(static_cast<double>(state.iterations()) *
                                                    share * kChunks * kDimension *
                                                    (limit * 8 > kChunks ? sizeof(float) : 1)));
}

void BM_nearest(benchmark::State& state) { nearest(state, {}, 1); }
BENCHMARK(BM_nearest)->Unit(benchmark::kMicrosecond);

void BM_nearest_400(benchmark::State& state) { nearest(state, {}, 1, 400); }
BENCHMARK(BM_nearest_400)->Unit(benchmark::kMicrosecond);

void BM_nearest_of_all(benchmark::State& state) { nearest(state, {}, 1, kChunks / 8 + 1); }
BENCHMARK(BM_nearest_of_all)->Unit(benchmark::kMicrosecond);

void BM_nearest_of_a_tenth(benchmark::State& state) {
  nearest(
      state, [](const Attributes& attributes) { return attributes.channel == "voice"; }, 0.1);
}
BENCHMARK(BM_nearest_of_a_tenth)->Unit(benchmark::kMicrosecond);

void BM_words(benchmark::State& state) {
  std::mt19937_64 random(3);
  const auto& index = filled_index();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        index.words(zipf_text(random, static_cast<int>(state.range(0))), 10, {}));
  }
}
BENCHMARK(BM_words)->Arg(1)->Arg(5)->Arg(20)->Unit(benchmark::kMicrosecond);

void BM_words_most_common(benchmark::State& state) {
  const auto& index = filled_index();
  for (auto _ : state) benchmark::DoNotOptimize(index.words("w1 w2 w3 w4 w5", 10, {}));
}
BENCHMARK(BM_words_most_common)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace samtale
