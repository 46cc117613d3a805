// Jobs taken and finished, by PostgreSQL's queue alone and through a broker before it, on one
// machine: a real PostgreSQL (its disk is not waited for, as it isn't for taking and finishing),
// and a real RabbitMQ that syncs what it confirms.
//
// The floor of the broker's part: a window of messages is one sync (.2 to 4 ms) and some 50 µs a
// message of the broker's own work. PostgreSQL's part is the same on both sides, and once more: a
// job is lent first, then claimed.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>

#include "amqp/testing/rabbit_process.h"
#include "postgres/testing/postgres_process.h"
#include "queue/rabbit_queue.h"

namespace samtale {
namespace {

constexpr auto kLease = std::chrono::minutes(10);
constexpr int kCompanies = 8;

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    SAMTALE_CHECK(event != "queue.broker_away", "what is measured goes through the broker");
  }
};

struct Bench {
  explicit Bench(std::size_t window) {
    const std::array migrations = {postgres_queue_schema_1(),
                                   postgres::Migration{{"INSERT INTO partitions VALUES(0)"}}};
    database = postgres::Database::open(
                   {.pool = {.address = postgres::PostgresProcess::shared().address()},
                    .schema = postgres::PostgresProcess::shared().fresh_schema()},
                   clock, migrations)
                   .value();
    outbox = PostgresQueue::open(*database, 1, clock, {.node = "bench"}).value();
    const auto connection = amqp::RabbitProcess::shared().connect();
    SAMTALE_CHECK(check_topology(*connection, topology, true, clock, std::chrono::seconds(30)),
                  "the queues can be made");
    queue = std::make_unique<RabbitQueue>(
        *outbox, topology, clock, random, log,
        RabbitQueueOptions{.session = {.address = amqp::RabbitProcess::shared().address()},
                           .lane = {.window = window}});
  }
  // Of several companies, so that each batch has some of all.
  void fill(std::int64_t jobs) const {
    for (int company = 1; company <= kCompanies; ++company) {
      auto transaction = database->begin({.company = static_cast<CompanyId>(company)}).value();
      SAMTALE_CHECK(transaction.later(
                        "INSERT INTO jobs(company, partition, id, kind, key, priority, due_us, "
                        "leased, attempts, expiries, fence, enqueued_us, payload) SELECT $1, 0, "
                        "nextval('job_ids'), 'embed', '', 1, $2, false, 0, 0, 0, $2, "
                        "'{\"v\":1}' FROM generate_series(1, $3)",
                        company, to_us(clock.wall_now()), jobs / kCompanies) &&
                        transaction.commit(),
                    "a bench may enqueue");
    }
    auto statistics = database->begin({}).value();  // Without them it reads all for each.
    SAMTALE_CHECK(statistics.later("ANALYZE jobs") && statistics.commit(), "its owner may");
    SAMTALE_CHECK(outbox->end_leases(), "this looks at what is there");
  }

  SystemClock clock;
  SystemRandom random;
  NoLog log;
  const RabbitTopology topology{amqp::RabbitProcess::shared().fresh_name(), {"embed"}};
  std::unique_ptr<postgres::Database> database;
  std::unique_ptr<PostgresQueue> outbox;
  std::unique_ptr<RabbitQueue> queue;
};

void take_and_finish(benchmark::State& state, Queue& queue, std::size_t batch) {
  std::int64_t done = 0;
  for (auto _ : state) {
    const auto jobs = queue.take("embed", batch, kLease);
    SAMTALE_CHECK(jobs, "both servers are there");
    SAMTALE_CHECK(queue.finish(*jobs), "nobody else has them");
    done += static_cast<std::int64_t>(jobs->size());
  }
  state.SetItemsProcessed(done);
}

constexpr std::int64_t kRounds = 60;
std::unique_ptr<Bench> bench;  // Of the benchmark that runs.

void set_up(const benchmark::State& state, std::size_t window) {
  bench = std::make_unique<Bench>(window);
  bench->fill(2 * kRounds * state.range(0) * state.threads());
}
void tear_down(const benchmark::State&) { bench.reset(); }

void BM_postgres(benchmark::State& state) {
  take_and_finish(state, *bench->outbox, static_cast<std::size_t>(state.range(0)));
}
void BM_rabbit(benchmark::State& state) {
  take_and_finish(state, *bench->queue, static_cast<std::size_t>(state.range(0)));
}

void set_up_postgres(const benchmark::State& state) { set_up(state, 0); }
void set_up_rabbit(const benchmark::State& state) {
  set_up(state, static_cast<std::size_t>(state.range(1)));
}

// Threads of one server: they take the broker's jobs in turn.
void postgres_cases(benchmark::internal::Benchmark* cases) {
  cases->ArgName("batch")->Iterations(kRounds)->UseRealTime();
  cases->Setup(set_up_postgres)->Teardown(tear_down);
  for (const int batch : {1, 16, 64}) cases->Arg(batch);
}
void rabbit_cases(benchmark::internal::Benchmark* cases) {
  cases->ArgNames({"batch", "window"})->Iterations(kRounds)->UseRealTime();
  cases->Setup(set_up_rabbit)->Teardown(tear_down);
  for (const int batch : {1, 16, 64}) cases->Args({batch, 0});
  cases->Args({64, 256});
}

BENCHMARK(BM_postgres)->Apply(postgres_cases);
BENCHMARK(BM_rabbit)->Apply(rabbit_cases);
BENCHMARK(BM_postgres)->Apply(postgres_cases)->Threads(4);
BENCHMARK(BM_rabbit)->Apply(rabbit_cases)->Threads(4);

}  // namespace
}  // namespace samtale
