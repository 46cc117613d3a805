// The floor of BM_gate is two locks that nobody wants and three looks at the clock: some 150 ns. A
// request to a model takes a second, so 10 µs would be too little to see.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>

#include "lm/gate.h"

namespace samtale {
namespace {

// pass() and report() of `threads` threads, each of a company of its own, with all limits on and
// none reached.
void BM_gate(benchmark::State& state) {
  static SystemClock clock;
  static std::unique_ptr<Gate> gate;
  if (state.thread_index() == 0) {
    gate = std::make_unique<Gate>(GateOptions{.requests_per_minute = 100'000'000'000,
                                              .tokens_per_minute = 100'000'000'000'000,
                                              .concurrency_start = 64,
                                              .critical_share = 0.2},
                                  clock);
  }
  const GateRequest request{CompanyId{state.thread_index()}, Priority::normal, 1000, {}, false};
  const GateReport report{.fault = {}, .wait = {}, .hints = {}, .tokens = 900};
  for (auto _ : state) {
    if (!gate->pass(request, clock.now() + std::chrono::minutes(1), {})) std::abort();
    gate->report(request, report, std::chrono::milliseconds(1));
  }
  if (state.thread_index() == 0) gate.reset();
}
BENCHMARK(BM_gate)->Threads(1)->Threads(16)->UseRealTime();

}  // namespace
}  // namespace samtale
