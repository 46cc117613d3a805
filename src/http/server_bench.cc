// What a request costs when its handler does nothing: 64 connections kept alive, each with one
// request at a time, from one client thread in this process. Arguments: I/O threads, handler
// threads. The floor is the kernel's socket work: 7.8 us of CPU a request for a bare epoll loop
// (ADR 3); what a server alone reaches is seen with a client on other cores, such as wrk.
#include <benchmark/benchmark.h>

#include "http/testing/running_server.h"

namespace samtale::http::testing {
namespace {

constexpr std::size_t kConnections = 64;

void keep_alive_requests(benchmark::State& state) {
  const RunningServer server(echo_routes(),
                             {.io_threads = static_cast<std::size_t>(state.range(0)),
                              .handler_threads = static_cast<std::size_t>(state.range(1))});
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < kConnections; ++i) clients.push_back(server.connect());
  const auto request = post("/echo", "{\"ok\":true}");
  for (auto _ : state) {
    for (auto& client : clients) client.send(request);
    for (auto& client : clients) benchmark::DoNotOptimize(client.read_answer());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kConnections));
}
BENCHMARK(keep_alive_requests)
    ->Args({1, 1})
    ->Args({1, 4})
    ->Args({2, 4})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace samtale::http::testing
