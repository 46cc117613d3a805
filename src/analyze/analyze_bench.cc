// The floor is cutting the text into words, once: 20 to 60 MB/s (text/words_bench.cc). Each
// analysis cuts it for itself.
#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "analyze/extractive.h"

namespace samtale {
namespace {

// A meeting of `turns` turns of two sentences of nine words, of 2,000 words of which few are
// common.
Conversation meeting(std::int64_t turns) {
  std::mt19937_64 random(1);
  const auto word = [&] {
    const auto rank = static_cast<unsigned>(2000.0 / static_cast<double>(1 + random() % 2000));
    return "word" + std::string(1, static_cast<char>('a' + rank % 26)) +
           std::string(1, static_cast<char>('a' + rank / 26 % 26));
  };
  Conversation conversation;
  conversation.language = "en";
  for (std::int64_t i = 0; i < turns; ++i) {
    Turn turn;
    turn.role = i % 2 == 0 ? "customer" : "agent";
    for (int sentence = 0; sentence < 2; ++sentence) {
      for (int n = 0; n < 9; ++n) turn.text += word() + (n == 8 ? ". " : " ");
    }
    conversation.turns.push_back(std::move(turn));
  }
  return conversation;
}

void BM_summary(benchmark::State& state) {
  const auto conversation = meeting(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(summarise(conversation));
}
BENCHMARK(BM_summary)->Arg(20)->Arg(2000);

void BM_sentiment(benchmark::State& state) {
  const auto conversation = meeting(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(measure_sentiment(conversation));
}
BENCHMARK(BM_sentiment)->Arg(20)->Arg(2000);

void BM_topics(benchmark::State& state) {
  const auto conversation = meeting(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(find_topics(conversation, nullptr));
}
BENCHMARK(BM_topics)->Arg(20)->Arg(2000);

}  // namespace
}  // namespace samtale
