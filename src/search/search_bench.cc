// What exact freshness costs. The floors: BM_plain is a look-up that knows of no change: the digest
// of the query's vector, a hash table, a copy of the hits. BM_kept adds the index' lock and a look
// at its sequence; BM_renewed one dot product for each chunk that has changed, and a sort.
// BM_searched is the search itself, as index_bench has it.
#include <benchmark/benchmark.h>

#include <random>

#include "index/testing/vectors.h"
#include "search/near_cache.h"

namespace samtale {
namespace {

constexpr CompanyId kCompany{1};
constexpr int kChunks = 50'000;
constexpr std::size_t kDimension = 384;
constexpr std::size_t kLimit = 200;  // What a search asks for.

ConversationId conversation(int number) {
  return make_conversation_id(kCompany, "bench", std::to_string(number));
}

void put(CompanyIndex& index, int number, std::mt19937_64& random) {
  std::vector<std::vector<float>> vectors(10);
  std::vector<IndexChunk> chunks;
  for (std::uint32_t i = 0; i < 10; ++i) {
    vectors[i] = unit_vector(random, kDimension);
    chunks.push_back({i, "", vectors[i]});
  }
  if (!index.put(conversation(number), {}, chunks)) std::abort();
}

const std::shared_ptr<CompanyIndex>& filled_index() {
  static const std::shared_ptr<CompanyIndex> index = [] {
    std::mt19937_64 random(1);
    auto made = make_company_index(kDimension);
    for (int number = 0; number < kChunks / 10; ++number) put(*made, number, random);
    return made;
  }();
  return index;
}

const ConversationFilter kAll;

NearQuery query_of(const std::vector<float>& vector) {
  return {.vector = vector, .limit = kLimit, .filter = kAll, .filter_text = ""};
}

void BM_searched(benchmark::State& state) {
  std::mt19937_64 random(2);
  const auto vector = unit_vector(random, kDimension);
  NearCache cache("model", 0);
  const auto& index = filled_index();
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.nearest(kCompany, index, query_of(vector)));
  }
}
BENCHMARK(BM_searched)->Unit(benchmark::kMicrosecond);

void BM_plain(benchmark::State& state) {
  std::mt19937_64 random(2);
  const auto vector = unit_vector(random, kDimension);
  using Hits = std::vector<ChunkHit>;
  Cache<Hits> cache({.bytes_max = std::size_t{1} << 20, .bytes_of = [](const Hits& hits) {
                       return hits.capacity() * sizeof(ChunkHit);
                     }});
  const std::string_view bytes(reinterpret_cast<const char*>(vector.data()),
                               vector.size() * sizeof(float));
  const auto key = [&] {
    return CacheKey(kCompany, {.name = "plain", .model = "model", .version = 1}, bytes);
  };
  cache.put(key(), filled_index()->nearest(vector, kLimit, {}, true)->hits, {});
  for (auto _ : state) {
    auto hits = *cache.find(key()).value;
    benchmark::DoNotOptimize(hits);
  }
}
BENCHMARK(BM_plain)->Unit(benchmark::kMicrosecond);

void BM_kept(benchmark::State& state) {
  std::mt19937_64 random(2);
  const auto vector = unit_vector(random, kDimension);
  NearCache cache("model", std::size_t{1} << 20);
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.nearest(kCompany, filled_index(), query_of(vector)));
  }
}
BENCHMARK(BM_kept)->Unit(benchmark::kMicrosecond);

// After so many changes of conversations of ten chunks each. Every round begins with the entry of
// before them.
void BM_renewed(benchmark::State& state) {
  std::mt19937_64 random(2);
  const auto vector = unit_vector(random, kDimension);
  const auto& index = filled_index();
  NearCache cache("model", std::size_t{1} << 20);
  int next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    if (!cache.nearest(kCompany, index, query_of(vector))) std::abort();
    for (int i = 0; i < state.range(0); ++i) put(*index, next++ % (kChunks / 10), random);
    state.ResumeTiming();
    benchmark::DoNotOptimize(cache.nearest(kCompany, index, query_of(vector)));
  }
  const auto stats = cache.stats();
  state.counters["renewed"] =
      static_cast<double>(stats.renewed) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_renewed)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->Iterations(100)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace samtale
