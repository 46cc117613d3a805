// Rooms: base providers
// Whether the time of checking a signature tells how much of it is right.
//
// Method: two kinds of wrong signatures, alike but for where they are wrong: in the first byte, or
// in the last. They are drawn at random, timed one by one, and the two samples compared by Welch's
// t-test, over all and over the quickest 90 % (what took longer was interrupted). A loop that stops
// at the first difference is timed the same way: if the test does not see that, it sees nothing.
// Exits 1 if |t| reaches 4.5 for what the server uses, or does not for that loop.
//
// Source: Reparaz, Balasch, Verbauwhede: Dude, is my code constant time? (2017).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "providers/provider.h"

namespace samtale {
namespace {

constexpr double kSuspicious = 4.5;
constexpr std::size_t kDigestBytes = 32;
constexpr int kCallsPerSample = 16;  // One call is shorter than the clock's tick.

struct Sample {
  bool is_wrong_at_end = false;
  double nanoseconds = 0;
};

struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  // Sum of squared distances from the mean.

  void add(double value) {
    ++count;
    const double distance = value - mean;
    mean += distance / count;
    squares += distance * (value - mean);
  }
  [[nodiscard]] double error() const { return squares / (count - 1) / count; }
};

double welch_t(const std::vector<Sample>& samples, double longest) {
  Moments at_begin;
  Moments at_end;
  for (const auto& sample : samples) {
    if (sample.nanoseconds > longest) continue;
    (sample.is_wrong_at_end ? at_end : at_begin).add(sample.nanoseconds);
  }
  return (at_begin.mean - at_end.mean) / std::sqrt(at_begin.error() + at_end.error());
}

// The larger of the two |t|.
double compare(std::vector<Sample>& samples) {
  const double of_all = std::abs(welch_t(samples, HUGE_VAL));
  const auto cut = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() * 9 / 10);
  std::ranges::nth_element(samples, cut, {}, &Sample::nanoseconds);
  return std::max(of_all, std::abs(welch_t(samples, cut->nanoseconds)));
}

std::string wrong_at(std::string digest, std::size_t place) {
  digest[place] = static_cast<char>(digest[place] ^ 0x55);
  return digest;
}

// `prepare` lays out a wrong signature, always at the same place in memory; `check` is what is
// timed.
template <class Prepare, class Check>
double measure(const char* what, std::size_t count, int calls, Prepare prepare, Check check) {
  std::mt19937_64 random(1);
  std::vector<Sample> samples(count);
  std::uint64_t matched = 0;
  for (auto& sample : samples) {
    sample.is_wrong_at_end = (random() & 1U) != 0;
    prepare(sample.is_wrong_at_end);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) matched += check() ? 1U : 0U;
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    sample.nanoseconds = took.count();
  }
  if (matched != 0) {
    std::fprintf(stderr, "%s: a wrong signature was taken for a right one\n", what);
    std::exit(EXIT_FAILURE);
  }
  const double t = compare(samples);
  std::printf("%-32s %zu samples of %d calls, |t| = %.2f\n", what, count, calls, t);
  return t;
}

[[gnu::noinline]] bool equal_until_it_differs(std::string_view a, std::string_view b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

using Equal = bool (*)(std::string_view, std::string_view);

double measure_equal(const char* what, std::size_t count, Equal equal) {
  const std::string expected(kDigestBytes, 'e');
  const std::string wrong[] = {wrong_at(expected, 0), wrong_at(expected, kDigestBytes - 1)};
  std::string given = expected;
  return measure(
      what, count, kCallsPerSample, [&](bool at_end) { given = wrong[at_end]; },
      [&] { return equal(given, expected); });
}

double measure_verify(const char* what, std::size_t count) {
  constexpr std::int64_t kNow = 1'790'000'000;
  const std::string body = R"({"id":"c1","turns":[{"speaker":"customer","text":"hello"}]})";
  const std::string key(kDigestBytes, 'k');
  const SigningSecret secret{"whsec_" + base64(key), std::nullopt};
  const auto seal = hmac_sha256(key, "msg_1." + std::to_string(kNow) + "." + body);
  const std::string wrong[] = {"v1," + base64(wrong_at(seal, 0)),
                               "v1," + base64(wrong_at(seal, kDigestBytes - 1))};
  std::vector<std::pair<std::string, std::string>> headers = {
      {"webhook-id", "msg_1"},
      {"webhook-timestamp", std::to_string(kNow)},
      {"webhook-signature", wrong[0]}};
  const auto& provider = *find_provider("standard-webhooks");
  const auto now = from_us(kNow * 1'000'000);
  return measure(
      what, count, 1, [&](bool at_end) { headers.back().second = wrong[at_end]; },
      [&] {
        return verify(provider, {&secret, 1}, {headers, body}, now).has_value();
      });
}

}  // namespace

bool is_constant_time(std::size_t count) {
  const double early = measure_equal("a loop that stops early", count, equal_until_it_differs);
  const double equal = measure_equal("equal_in_constant_time", count, equal_in_constant_time);
  const double whole = measure_verify("verify, a whole webhook", count);
  return early >= kSuspicious && equal < kSuspicious && whole < kSuspicious;
}

}  // namespace samtale

int main(int argc, char** argv) {
  constexpr std::size_t kSamples = 1'000'000;
  const auto count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : kSamples;
  if (count < 1000) {
    std::fprintf(stderr, "timing_bench [SAMPLES], at least 1000\n");
    return 2;
  }
  return samtale::is_constant_time(count) ? EXIT_SUCCESS : EXIT_FAILURE;
}
