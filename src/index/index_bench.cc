// The floors: `nearest` reads the code of every vector once, so 50,000 x 384 take 19 MB divided by
// the memory bandwidth of one core (BM_plain_read of simd_bench); with as many hits wanted as
// BM_nearest_of_all wants it reads every vector, 77 MB. `words` reads at the most the postings of
// the query's words once, 8 bytes each. A graph taken from its file reads 10 MB there, the vectors'
// 77 MB for their digests, and copies these.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "index/company_index.h"
#include "index/segment_folder.h"
#include "index/testing/vectors.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/log.h"

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

// Near many others, as those of texts are.
std::vector<std::vector<float>> latent_vectors() {
  constexpr std::size_t kLatent = 96;
  std::mt19937_64 random(4);
  std::normal_distribution<float> normal;
  std::vector<float> turn(kLatent * kDimension);
  for (auto& value : turn) value = normal(random);
  std::vector<std::vector<float>> vectors;
  for (int v = 0; v < kChunks; ++v) {
    std::vector<float> vector(kDimension);
    for (std::size_t l = 0; l < kLatent; ++l) {
      const auto value = normal(random);
      for (std::size_t d = 0; d < kDimension; ++d) vector[d] += value * turn[l * kDimension + d];
    }
    double sum = 0;
    for (const float value : vector) sum += double{value} * value;
    for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

struct TemporaryFolder {
  TemporaryFolder() : path("/tmp/samtale-index-bench-XXXXXX") {
    if (::mkdtemp(path.data()) == nullptr) std::abort();
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

// The first look after a start; state.range(0): whether there is a file.
void BM_graph_after_a_restart(benchmark::State& state) {
  const auto vectors = latent_vectors();
  const TemporaryFolder temporary;
  const auto files = make_system_files();
  const auto log = make_stderr_log({.level = LogLevel::warn, .json = false});
  const SystemClock clock;
  const auto start = [&] {
    auto folder =
        SegmentFolder::open(*files, temporary.path + "/index", "a-model", kDimension, clock, *log)
            .value();
    auto index =
        make_company_index(kDimension, {.graph_from = 10'000}, {folder.get(), CompanyId{1}});
    for (std::size_t v = 0; v < vectors.size(); ++v) {
      const IndexChunk chunks[] = {{0, "", vectors[v]}};
      const auto id = make_conversation_id(CompanyId{1}, "bench", std::to_string(v));
      if (!index->put(id, {}, chunks)) std::abort();
    }
    return std::pair(std::move(folder), std::move(index));
  };
  const bool has_file = state.range(0) != 0;
  if (has_file) {
    const auto [folder, index] = start();
    if (!index->maintain({}).value()) std::abort();
  }
  for (auto _ : state) {
    state.PauseTiming();
    const auto [folder, index] = start();
    state.ResumeTiming();
    if (!index->maintain({}).value() || folder->stats().loaded != (has_file ? 1 : 0)) std::abort();
  }
}
BENCHMARK(BM_graph_after_a_restart)->Arg(0)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_graph_after_a_restart)->Arg(1)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samtale
