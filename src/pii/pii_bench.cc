// The floor is reading the text once a kind, byte by byte: some 400 MB/s for six. What costs more
// is telling where words begin (for names), and what looks like the begin of a number.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "pii/testing/found.h"

namespace samtale {
namespace {

constexpr std::size_t kTextBytes = 10'000'000;

// Talk, one word in thirty with something to be found, one in ten with a Danish letter.
std::string talk() {
  static constexpr const char* kWords[] = {"hello",  "my",  "faktura", "number", "is",    "på",
                                           "kortet", "and", "we",      "wait",   "since", "3"};
  static constexpr const char* kItems[] = {"jane@example.com", "12 34 56 78", "4111 1111 1111 1111",
                                           "Anna Hansen"};
  std::mt19937 random(1);
  std::string text;
  while (text.size() < kTextBytes) {
    text += random() % 30 == 0 ? kItems[random() % 4] : kWords[random() % 12];
    text += random() % 12 == 0 ? ". " : " ";
  }
  return text;
}

std::vector<std::string> names(std::int64_t count) {
  std::vector<std::string> all = {"Anna Hansen"};
  while (std::ssize(all) < count) all.push_back("Name Number" + std::to_string(all.size()));
  return all;
}

void run(benchmark::State& state, const std::string& text, const std::vector<std::string>& list) {
  for (auto _ : state) benchmark::DoNotOptimize(find_pii(text, list));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void BM_find_in_talk(benchmark::State& state) { run(state, talk(), names(state.range(0))); }
BENCHMARK(BM_find_in_talk)->Arg(1)->Arg(1000)->Unit(benchmark::kMillisecond);

void BM_mask_talk(benchmark::State& state) {
  const auto text = talk();
  for (auto _ : state) {
    PiiMasker masker(std::string(32, 'k'), names(10));
    benchmark::DoNotOptimize(masker.mask(text));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(BM_mask_talk)->Unit(benchmark::kMillisecond);

void BM_hostile(benchmark::State& state, const char* part) {
  run(state, repeated(part, kTextBytes), {"a a a a a a a a a a a a a a a a b", "Anna Hansen"});
}
BENCHMARK_CAPTURE(BM_hostile, digits, "4")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, single_digits, "1 ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, cards_with_wrong_check, "4111 ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, dates, "010190123 ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, brackets, "1(")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, plus, "+4")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, at, "@")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, addresses, "a@b.")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, ibans, "DK5 ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, half_names, "a ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, names, "anna hansen ")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_hostile, unspaced_script, "王")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samtale
