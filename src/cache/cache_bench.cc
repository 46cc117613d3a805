// The floors: a hit costs the digest of its key (some 250 ns for a query's text, more for a
// vector), an uncontended lock and two look-ups in hash tables. A round trip to Redis over a socket
// of this machine costs two system calls here, two there and two changes of context: some 30 µs.
//
// BM_hit_ratio: what share of asks a cache answers that has room for a tenth of the values, S3-FIFO
// beside LRU, on traces made by seed.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <random>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "cache/testing/redis_process.h"

namespace samtale {
namespace {

constexpr CacheKind kKind{.name = "bench", .model = "model", .version = 1};
constexpr std::size_t kValueBytes = 6 * 1024;  // 1,536 floats.

std::string query_text(int number) {
  return "where is the parcel with number " + std::to_string(number);
}

CacheKey key_of(int number) { return {CompanyId{1}, kKind, query_text(number)}; }

void BM_key(benchmark::State& state) {
  const std::string question(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(CacheKey(CompanyId{1}, kKind, question));
}
BENCHMARK(BM_key)->Arg(40)->Arg(1536)->Arg(6144);

void BM_hit(benchmark::State& state) {
  static Cache<std::string> cache(
      {.bytes_max = std::size_t{64} << 20,
       .bytes_of = [](const std::string& text) { return text.capacity(); }});
  constexpr int kValues = 1'000;
  if (state.thread_index() == 0) {
    for (int i = 0; i < kValues; ++i) cache.put(key_of(i), std::string(kValueBytes, 'x'), {});
  }
  int next = state.thread_index();
  for (auto _ : state) benchmark::DoNotOptimize(cache.find(key_of(next++ % kValues)).value);
}
BENCHMARK(BM_hit)->Threads(1)->Threads(4);

// Who was asked for longest ago leaves first.
class Lru {
 public:
  explicit Lru(std::size_t values_max) : values_max_(values_max) {}
  bool find(int number) {
    const auto found = places_.find(number);
    if (found == places_.end()) return false;
    order_.splice(order_.begin(), order_, found->second);
    return true;
  }
  void put(int number) {
    order_.push_front(number);
    places_[number] = order_.begin();
    if (order_.size() <= values_max_) return;
    places_.erase(order_.back());
    order_.pop_back();
  }

 private:
  std::size_t values_max_;
  std::list<int> order_;
  std::unordered_map<int, std::list<int>::iterator> places_;
};

constexpr int kDifferent = 20'000;
constexpr int kAsks = 400'000;

// The r-th of them is asked for with a frequency of 1/r^skew; the ranks change with time where
// `drifts`. One in `one_off` is asked for once and never again, in runs as a crawler makes them.
std::vector<int> trace(double skew, int one_off, bool drifts) {
  std::mt19937_64 random(1);
  std::vector<double> weights;
  for (int rank = 1; rank <= kDifferent; ++rank) weights.push_back(std::pow(rank, -skew));
  std::discrete_distribution<int> rank_of(weights.begin(), weights.end());
  std::vector<int> asks;
  int never_again = 2 * kDifferent;
  constexpr int kRun = 5'000;
  while (asks.size() < kAsks) {
    const auto shift = drifts ? static_cast<int>(asks.size() / 40) : 0;
    asks.push_back((rank_of(random) + shift) % kDifferent);
    const bool scans = one_off > 0 && random() % static_cast<std::uint64_t>(one_off * kRun) == 0;
    for (int i = 0; scans && i < kRun; ++i) asks.push_back(never_again++);
  }
  return asks;
}

void BM_hit_ratio(benchmark::State& state, double skew, int one_off, bool drifts) {
  const auto asks = trace(skew, one_off, drifts);
  constexpr std::size_t kRoom = kDifferent / 10;
  std::vector<CacheKey> keys;
  for (int i = 0; i < *std::ranges::max_element(asks) + 1; ++i) keys.push_back(key_of(i));
  const auto value = std::make_shared<const int>(0);
  for (auto _ : state) {
    S3Fifo<int> fifo(kRoom * kValueBytes);
    Lru lru(kRoom);
    int fifo_hits = 0;
    int lru_hits = 0;
    for (const auto ask : asks) {
      const auto& key = keys[static_cast<std::size_t>(ask)];
      if (fifo.find(key)) {
        ++fifo_hits;
      } else {
        fifo.put(key, value, kValueBytes);
      }
      if (lru.find(ask)) {
        ++lru_hits;
      } else {
        lru.put(ask);
      }
    }
    const auto all = static_cast<double>(asks.size());
    state.counters["s3_fifo"] = fifo_hits / all;
    state.counters["lru"] = lru_hits / all;
  }
}
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_1, 1.0, 0, false)->Iterations(1);
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_08, 0.8, 0, false)->Iterations(1);
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_06, 0.6, 0, false)->Iterations(1);
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_1_drifting, 1.0, 0, true)->Iterations(1);
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_1_scans, 1.0, 2, false)->Iterations(1);
BENCHMARK_CAPTURE(BM_hit_ratio, zipf_08_scans, 0.8, 2, false)->Iterations(1);

void report(benchmark::State& state, std::vector<double> times) {
  std::ranges::sort(times);
  const auto at = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))] * 1e6;
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
}

void BM_shared_get(benchmark::State& state) {
  RedisProcess redis;
  SystemClock clock;
  SystemRandom random;
  const auto log = make_stderr_log({});
  SharedCache cache(clock, random, *log,
                    {.address = redis.address(), .timeout = std::chrono::seconds(1)});
  const auto key = key_of(1);
  cache.put(key, std::string(kValueBytes, 'x'));
  std::vector<double> times;
  for (auto _ : state) {
    const auto begin = clock.now();
    if (!cache.get(key)) state.SkipWithError("not found");
    times.push_back(std::chrono::duration<double>(clock.now() - begin).count());
  }
  report(state, std::move(times));
}
BENCHMARK(BM_shared_get)->UseRealTime();

void BM_shared_put(benchmark::State& state) {
  RedisProcess redis;
  SystemClock clock;
  SystemRandom random;
  const auto log = make_stderr_log({});
  SharedCache cache(clock, random, *log,
                    {.address = redis.address(), .timeout = std::chrono::seconds(1)});
  const std::string value(kValueBytes, 'x');
  int next = 0;
  for (auto _ : state) cache.put(key_of(next++ % 1'000), value);
}
BENCHMARK(BM_shared_put)->UseRealTime();

// What a dead server costs each request.
void BM_shared_dead(benchmark::State& state) {
  RedisProcess redis;
  redis.kill();
  SystemClock clock;
  SystemRandom random;
  const auto log = make_stderr_log({});
  SharedCache cache(clock, random, *log, {.address = redis.address()});
  const auto key = key_of(1);
  for (auto _ : state) benchmark::DoNotOptimize(cache.get(key));
}
BENCHMARK(BM_shared_dead)->UseRealTime();

}  // namespace
}  // namespace samtale
