// The floor is reading the bytes and writing a std::string a word: about 20 ns for the five or six
// bytes of a word and a space, 250 MB/s. ICU's word iterator alone reaches 17 MB/s (no short cut
// for Latin letters, no memory of words).
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>

#include "text/chunker.h"
#include "text/words.h"

namespace samtale {
namespace {

constexpr std::size_t kTextBytes = 1 << 20;

// Words as common as in any language: the r-th of 20,000 with a frequency of 1/r. One in ten has a
// Danish letter.
std::string zipf_text() {
  static constexpr const char* kSyllables[] = {"fak", "tu", "ra", "er",  "ne",  "pak", "ke", "in",
                                               "voi", "ce", "re", "fun", "ded", "kun", "de"};
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(0, std::log(20'000));
  std::string text;
  while (text.size() < kTextBytes) {
    auto rank = static_cast<std::size_t>(std::exp(uniform(random)));
    if (rank % 10 == 0) text += "ø";
    do {
      text += kSyllables[rank % 15];
      rank /= 15;
    } while (rank > 0);
    text += random() % 12 == 0 ? ". " : " ";
  }
  return text;
}

void report_bytes(benchmark::State& state, const std::string& text) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void BM_words(benchmark::State& state) {
  const auto text = zipf_text();
  for (auto _ : state) benchmark::DoNotOptimize(words(text));
  report_bytes(state, text);
}
BENCHMARK(BM_words)->Unit(benchmark::kMillisecond);

void BM_cut_one_long_turn(benchmark::State& state) {
  Conversation conversation;
  conversation.turns.emplace_back().text = zipf_text();
  for (auto _ : state) benchmark::DoNotOptimize(cut(conversation, ChunkPolicy{}));
  report_bytes(state, conversation.turns[0].text);
}
BENCHMARK(BM_cut_one_long_turn)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace samtale
