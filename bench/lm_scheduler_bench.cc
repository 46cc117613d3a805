// Rooms: base json lm metrics model store sys
// What the scheduler adds to a request to a language model.
//
// Method: the real scheduler with gate, budgets over SQLite, metrics and remembered answers, all
// limits on and none reached, in front of (a) a model in this process that answers after a set
// time and (b) the real client over loopback to the tests' scripted server. A decorator counts the
// time within the model; the overhead of a request is the rest of the time of run(), waiting for
// the store included. Requests are distinct, of 2,000 characters, booked on six analyzers, of 16
// companies in turn; what they cost is stored every 16 requests of a company, outside of what is
// timed. Rounds of all cases in turn; medians of the rounds' quantiles. "cpu" is the overhead in
// the thread's own CPU time, without what it waited for: the store, other threads, other programs.
//
// The floor, in the same run: what nobody who does this can leave out, which is SHA-256 of the
// request, a copy of it and reading the answer. It tells how cold the machine's caches are after
// the model's time. At 64 threads on few cores a thread mostly waits for its turn on one.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "lm/openai_chat.h"
#include "lm/scheduler.h"
#include "lm/testing/scripted_lm_server.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

constexpr auto kUsage = R"(lm_scheduler_bench [--json] [--rounds 5] [--memory-requests 1000000]
                   [--folder .] [--source .]

What the scheduler of language models adds to a request, in microseconds.

--json               one JSON object instead of a table
--rounds N           of which the medians are told
--memory-requests N  memory is told after a tenth of them and after all; 0: not at all
--folder DIR         where the store's files are made, and removed at the end
--source DIR         the checkout, for tests/support/scripted_lm_server.py (needs python3)
)";

constexpr std::size_t kCompanies = 16;
constexpr std::size_t kThreads = 64;
constexpr std::size_t kMessageBytes = 2'000;
constexpr std::size_t kBookedTogether = 16;  // Requests of a company.
constexpr auto kLater = std::chrono::milliseconds(20);

struct Settings {
  bool is_json = false;
  std::size_t rounds = 5;
  std::size_t memory_requests = 1'000'000;
  std::string folder = ".";
  std::string source = ".";
};

// What a thread has used so far; the CPU's time is free of what others do to the machine, and of
// waiting.
struct Used {
  Duration wall{};
  Duration cpu{};

  static Used now(const Clock& clock) {
    timespec cpu{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    return {clock.now().time_since_epoch(),
            std::chrono::seconds(cpu.tv_sec) + std::chrono::nanoseconds(cpu.tv_nsec)};
  }
  friend Used operator-(const Used& a, const Used& b) { return {a.wall - b.wall, a.cpu - b.cpu}; }
};

thread_local Used used_in_model;  // By the thread's last request.

// Counts what is used within another model.
class TimedModel final : public ChatModel {
 public:
  TimedModel(ChatModel& model, const Clock& clock) : model_(model), clock_(clock) {}

  [[nodiscard]] ChatOutcome ask(const ChatRequest& request, Instant deadline,
                                const std::stop_token& stop) override {
    const auto started = Used::now(clock_);
    auto outcome = model_.ask(request, deadline, stop);
    used_in_model = Used::now(clock_) - started;
    return outcome;
  }
  [[nodiscard]] const std::string& name() const override { return model_.name(); }
  [[nodiscard]] const std::string& default_model() const override { return model_.default_model(); }

 private:
  ChatModel& model_;
  const Clock& clock_;
};

std::string answer_with(const std::string& nonce) {
  return R"({"nonce":")" + nonce +
         R"(","summary":"The parcel is late, and a new one was sent.","mood":"angry","score":4,)"
         R"("topics":["delivery","refund"]})";
}

// Answers every request of task_of() well.
class LocalModel final : public ChatModel {
 public:
  explicit LocalModel(Duration latency) : latency_(latency) {}

  [[nodiscard]] ChatOutcome ask(const ChatRequest& request, Instant,
                                const std::stop_token&) override {
    constexpr std::string_view kMark = "Nonce: ";
    const auto& text = request.messages.back().content;
    const auto nonce = text.substr(text.rfind(kMark) + kMark.size());
    if (latency_ > Duration::zero()) std::this_thread::sleep_for(latency_);
    return {.answer = ChatAnswer{.text = answer_with(nonce),
                                 .finish = Finish::stop,
                                 .usage = {.input = 700, .output = 60},
                                 .model = "local-1"},
            .hints = {}};
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const std::string& default_model() const override { return name_; }

 private:
  const Duration latency_;
  const std::string name_ = "local";
};

class HighLimits final : public BudgetPolicy {
 public:
  [[nodiscard]] BudgetLimits of_company(CompanyId) const override { return limits_; }
  [[nodiscard]] BudgetLimits of_analyzer(CompanyId, std::string_view) const override {
    return limits_;
  }

 private:
  static constexpr std::int64_t kNeverSpent = 1'000'000'000'000'000;
  const BudgetLimits limits_{kNeverSpent, kNeverSpent, kNeverSpent, kNeverSpent};
};

std::string message_of(std::size_t number) {
  static constexpr std::array kWords = {"the",   "parcel", "order",  "refund",  "late", "please",
                                        "agent", "when",   "answer", "invoice", "and",  "account"};
  std::minstd_rand random(static_cast<std::minstd_rand::result_type>(number + 1));
  auto text = "[0] customer: this is number " + std::to_string(number);
  while (text.size() < kMessageBytes) {
    text += ' ';
    text += kWords[random() % kWords.size()];
  }
  return text;
}

LmTask task_of(std::size_t number) {
  static const ChatSchema kSchema = json::parse(R"({"type": "object", "additionalProperties": false,
      "required": ["nonce", "summary", "mood", "score", "topics"],
      "properties": {"nonce": {"type": "string"},
                     "summary": {"type": "string", "maxLength": 400},
                     "mood": {"enum": ["calm", "angry", "happy"]},
                     "score": {"type": "integer", "minimum": 0, "maximum": 10},
                     "topics": {"type": "array", "maxItems": 5, "items": {"type": "string"}}}})")
                                        .value();
  LmTask task;
  task.company = CompanyId{static_cast<std::int64_t>(number % kCompanies + 1)};
  task.analyzers = {"summary", "sentiment", "topics", "intent", "resolution", "action_items"};
  task.request.messages = {{"system", "You read conversations of customers and agents."},
                           {"user", message_of(number)},
                           {"user", "Say what it is about, and how the customer feels."}};
  task.request.schema_name = "analyses";
  task.request.schema = kSchema;
  task.request.output_tokens_max = 512;
  return task;
}

// A scheduler as the server wires it, in front of one model.
class Rig {
 public:
  Rig(ChatModel& model, const std::string& folder)
      : model_(model, clock_),
        store_(SqliteStore::open({.folder = folder}, clock_, random_).value()),
        upkeep_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            if (budget_.step().value() == 0) clock_.sleep_for(std::chrono::milliseconds(10), stop);
          }
        }) {}

  [[nodiscard]] LmOutcome run(const LmTask& task) {
    auto outcome = scheduler_.run(task, clock_.now() + std::chrono::minutes(1), {});
    SAMTALE_CHECK(outcome.answer.has_value(), "every request is answered");
    return outcome;
  }
  // As the server does in the transaction that stores the result.
  void book(CompanyId company, const std::vector<SpendChange>& spend) {
    const auto booked = store_->write(store_->partition_of(company), [&](StoreWriter& writer) {
      return writer.add_spend(company, spend);
    });
    SAMTALE_CHECK(booked.has_value(), "the store takes what was spent");
  }
  // The first of so many numbers that no request has had.
  [[nodiscard]] std::size_t take_numbers(std::size_t count) {
    return next_number_.fetch_add(count);
  }
  SystemClock& clock() { return clock_; }

 private:
  // None is reached. Of the concurrency a fifth is kept for critical requests.
  static constexpr GateOptions kGateOptions{.requests_per_minute = 100'000'000'000,
                                            .tokens_per_minute = 100'000'000'000'000,
                                            .concurrency_min = 2 * kThreads,
                                            .concurrency_start = 2 * kThreads,
                                            .concurrency_max = 2 * kThreads};

  SystemClock clock_;
  SystemRandom random_;
  TimedModel model_;
  HighLimits limits_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Gate gate_{kGateOptions, clock_};
  Budget budget_{*store_, limits_, clock_};
  LmScheduler scheduler_{{{.model = &model_,
                           .gate = &gate_,
                           .prices = {.input = 1, .cached_input = 0.5, .output = 4}}},
                         budget_,
                         *metrics_,
                         clock_,
                         random_,
                         {}};
  std::atomic<std::size_t> next_number_ = 0;
  std::jthread upkeep_;
};

struct Timing {
  double run_us = 0;
  double overhead_us = 0;
  double cpu_us = 0;  // Of the overhead.
};

double microseconds(Duration length) {
  return std::chrono::duration<double, std::micro>(length).count();
}

Timing time_of(Rig& rig, const LmTask& task, std::vector<SpendChange>& spend) {
  used_in_model = {};
  const auto started = Used::now(rig.clock());
  auto outcome = rig.run(task);
  const auto used = Used::now(rig.clock()) - started;
  const auto overhead = used - used_in_model;
  SAMTALE_CHECK(outcome.requests <= 1, "nothing is asked twice");
  spend.insert(spend.end(), outcome.spend.begin(), outcome.spend.end());
  return {microseconds(used.wall), microseconds(overhead.wall), microseconds(overhead.cpu)};
}

// Each `threads`-th request from `first`. `timings` may be null.
void send_some(Rig& rig, std::size_t first, std::size_t end, std::size_t threads,
               std::vector<Timing>* timings) {
  struct Unbooked {
    std::size_t requests = 0;
    std::vector<SpendChange> spend;
  };
  std::map<CompanyId, Unbooked> unbooked;
  for (auto number = first; number < end; number += threads) {
    const auto task = task_of(number);
    auto& own = unbooked[task.company];
    const auto timing = time_of(rig, task, own.spend);
    if (timings != nullptr) timings->push_back(timing);
    if (++own.requests == kBookedTogether) {
      rig.book(task.company, own.spend);
      own = {};
    }
  }
  for (const auto& [company, own] : unbooked) rig.book(company, own.spend);
}

// So many distinct requests by so many threads.
std::vector<Timing> send(Rig& rig, std::size_t threads, std::size_t requests, bool keep_timings) {
  const auto first = rig.take_numbers(requests);
  std::vector<std::vector<Timing>> timings(threads);
  {
    std::vector<std::jthread> senders;
    for (std::size_t i = 0; i < threads; ++i) {
      senders.emplace_back([&, i] {
        send_some(rig, first + i, first + requests, threads, keep_timings ? &timings[i] : nullptr);
      });
    }
  }
  std::vector<Timing> all;
  for (const auto& some : timings) all.insert(all.end(), some.begin(), some.end());
  return all;
}

double quantile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

// The quantiles of each round, of one kind of times.
struct Rounds {
  std::vector<double> p50;
  std::vector<double> p99;

  void add(const std::vector<double>& times) {
    p50.push_back(quantile(times, 0.5));
    p99.push_back(quantile(times, 0.99));
  }
};

double rounded(double value) { return std::round(value * 10) / 10; }

json::Object to_json(const Rounds& rounds, const std::string& what) {
  return {{what + "_p50_us", rounded(quantile(rounds.p50, 0.5))},
          {what + "_p99_us", rounded(quantile(rounds.p99, 0.5))}};
}

json::Object together(std::initializer_list<json::Object> parts) {
  json::Object all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// One model behind a rig of its own, with so many requests at once.
class Case {
 public:
  Case(Rig& rig, json::Object named, std::size_t threads, std::size_t requests)
      : rig_(rig), named_(std::move(named)), threads_(threads), requests_(requests) {}

  void run_round() {
    send(rig_, 1, 2 * kCompanies, false);  // So that budgets are held ahead for each company.
    std::vector<double> overhead;
    std::vector<double> cpu;
    for (const auto& timing : send(rig_, threads_, requests_, true)) {
      overhead.push_back(timing.overhead_us);
      cpu.push_back(timing.cpu_us);
    }
    overhead_.add(overhead);
    cpu_.add(cpu);
  }
  [[nodiscard]] json::Value result() const {
    return together({named_,
                     {{"concurrency", threads_}},
                     to_json(overhead_, "overhead"),
                     to_json(cpu_, "cpu")});
  }

 private:
  Rig& rig_;
  const json::Object named_;
  const std::size_t threads_;
  const std::size_t requests_;
  Rounds overhead_;
  Rounds cpu_;
};

// What is left of a request's cost where there is no scheduler, right after `latency`.
std::vector<double> time_floor(Rig& rig, Duration latency, std::size_t requests) {
  std::vector<double> times;
  for (auto number = rig.take_numbers(requests); times.size() < requests; ++number) {
    const auto task = task_of(number);
    const auto answer = answer_with(std::to_string(number));
    if (latency > Duration::zero()) std::this_thread::sleep_for(latency);
    const auto started = rig.clock().now();
    const auto copy = task.request;
    const auto digest = sha256(copy.messages[1].content + json::dump(copy.schema.value()));
    const auto read = json::parse(answer);
    times.push_back(microseconds(rig.clock().now() - started));
    SAMTALE_CHECK(read.has_value() && digest != Sha256{}, "the work is not left out");
  }
  return times;
}

// The same question again and again.
std::vector<double> time_remembered(Rig& rig) {
  constexpr std::size_t kQuestions = 64;
  constexpr std::size_t kTimesEach = 50;
  const auto first = rig.take_numbers(kQuestions);
  std::vector<LmTask> tasks;
  std::vector<SpendChange> spend;
  for (std::size_t i = 0; i < kQuestions; ++i) {
    tasks.push_back(task_of(first + i));
    time_of(rig, tasks.back(), spend);
    rig.book(tasks.back().company, std::exchange(spend, {}));
  }
  std::vector<double> times;
  for (std::size_t i = 0; i < kQuestions * kTimesEach; ++i) {
    times.push_back(time_of(rig, tasks[i % kQuestions], spend).run_us);
  }
  SAMTALE_CHECK(spend.empty(), "what is remembered costs nothing");
  return times;
}

// Each of a company that has not asked before, so that a budget is held for it first.
std::vector<double> time_first(Rig& rig) {
  constexpr std::size_t kRequests = 200;
  constexpr std::int64_t kFromCompany = 1'000;
  std::vector<double> times;
  std::vector<SpendChange> spend;
  for (auto number = rig.take_numbers(kRequests); times.size() < kRequests; ++number) {
    auto task = task_of(number);
    task.company = CompanyId{kFromCompany + static_cast<std::int64_t>(number)};
    times.push_back(time_of(rig, task, spend).overhead_us);
    rig.book(task.company, std::exchange(spend, {}));
  }
  return times;
}

double requests_per_second(Rig& rig) {
  constexpr std::size_t kRequests = 20'000;
  const auto started = rig.clock().now();
  send(rig, kThreads, kRequests, false);
  const std::chrono::duration<double> took = rig.clock().now() - started;
  return static_cast<double>(kRequests) / took.count();
}

// The client alone and behind the scheduler, in turn: its times without and with it.
struct SideBySide {
  std::vector<double> ask_us;
  std::vector<double> run_us;
};

SideBySide time_side_by_side(Rig& rig, ChatModel& model) {
  constexpr std::size_t kRequests = 500;
  SideBySide times;
  std::vector<SpendChange> spend;
  const auto first = rig.take_numbers(2 * kRequests);
  for (std::size_t i = 0; i < kRequests; ++i) {
    const auto request = with_nonce(task_of(first + 2 * i).request, std::to_string(first + i));
    const auto started = rig.clock().now();
    const auto outcome = model.ask(request, started + std::chrono::minutes(1), {});
    times.ask_us.push_back(microseconds(rig.clock().now() - started));
    SAMTALE_CHECK(outcome.answer.has_value(), "the scripted server answers");
    const auto task = task_of(first + 2 * i + 1);
    times.run_us.push_back(time_of(rig, task, spend).run_us);
    rig.book(task.company, std::exchange(spend, {}));
  }
  return times;
}

double resident_mib() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

json::Array memory_after(Rig& rig, std::size_t requests) {
  json::Array told;
  std::size_t sent = 0;
  for (const auto until : {requests / 10, requests}) {
    send(rig, kThreads, until - sent, false);
    sent = until;
    told.push_back(json::Object{{"requests", sent}, {"resident_mib", rounded(resident_mib())}});
  }
  return told;
}

json::Value measure(const Settings& settings, const std::string& folder) {
  const auto make_folder = [&](const char* name) {
    std::filesystem::create_directory(folder + "/" + name);
    return folder + "/" + name;
  };
  ScriptedLmServer server(settings.source);
  SystemClock clock;
  const auto http_client = make_http_client();
  const auto client =
      make_openai_chat(*http_client, clock, {.url = server.url() + "/v1", .model = "ok"}).value();
  LocalModel at_once({});
  LocalModel later(kLater);
  Rig at_once_rig(at_once, make_folder("at-once"));
  Rig later_rig(later, make_folder("later"));
  Rig client_rig(*client, make_folder("client"));

  std::array local = {
      Case(at_once_rig, {{"latency_ms", 0}}, 1, 5'000),
      Case(at_once_rig, {{"latency_ms", 0}}, kThreads, 20'000),
      Case(later_rig, {{"latency_ms", 20}}, 1, 400),
      Case(later_rig, {{"latency_ms", 20}}, kThreads, 6'400),
  };
  std::array http = {Case(client_rig, {}, 1, 1'000), Case(client_rig, {}, kThreads, 3'200)};
  Rounds asks;
  Rounds runs;
  Rounds floor_at_once;
  Rounds floor_later;
  Rounds firsts;
  Rounds remembered;
  std::vector<double> rates;
  for (std::size_t i = 0; i < settings.rounds; ++i) {
    std::fprintf(stderr, "round %zu of %zu\n", i + 1, settings.rounds);
    for (auto& one : local) one.run_round();
    for (auto& one : http) one.run_round();
    const auto times = time_side_by_side(client_rig, *client);
    asks.add(times.ask_us);
    runs.add(times.run_us);
    floor_at_once.add(time_floor(at_once_rig, {}, 5'000));
    floor_later.add(time_floor(at_once_rig, kLater, 400));
    firsts.add(time_first(at_once_rig));
    remembered.add(time_remembered(at_once_rig));
    rates.push_back(requests_per_second(at_once_rig));
  }

  json::Object result = {{"cores", std::size_t{std::thread::hardware_concurrency()}},
                         {"rounds", settings.rounds}};
  json::Array in_process;
  for (const auto& one : local) in_process.push_back(one.result());
  result.emplace_back("in_process", std::move(in_process));
  result.emplace_back("floor",
                      json::Array{together({{{"latency_ms", 0}}, to_json(floor_at_once, "floor")}),
                                  together({{{"latency_ms", 20}}, to_json(floor_later, "floor")})});
  json::Array over_http;
  for (const auto& one : http) over_http.push_back(one.result());
  result.emplace_back("http", std::move(over_http));
  result.emplace_back("http_side_by_side", together({to_json(asks, "ask"), to_json(runs, "run")}));
  result.emplace_back("first_of_a_company", to_json(firsts, "overhead"));
  result.emplace_back("remembered", to_json(remembered, "run"));
  result.emplace_back("requests_per_s", std::round(quantile(rates, 0.5)));
  if (settings.memory_requests > 0) {
    std::fprintf(stderr, "memory\n");
    result.emplace_back("memory", memory_after(at_once_rig, settings.memory_requests));
  }
  return result;
}

// One line a case: "in_process  latency_ms 0  concurrency 1  overhead_p50_us 40.1 …"
void print_table(const json::Value& result) {
  const auto line = [](const std::string& name, const json::Value& value) {
    std::printf("%-18s", name.c_str());
    if (const auto* members = value.as_object()) {
      for (const auto& [key, one] : *members) {
        std::printf("  %s %-8s", key.c_str(), json::dump(one).c_str());
      }
    } else {
      std::printf("  %s", json::dump(value).c_str());
    }
    std::printf("\n");
  };
  for (const auto& [name, value] : *result.as_object()) {
    if (const auto* cases = value.as_array()) {
      for (const auto& one : *cases) line(name, one);
    } else {
      line(name, value);
    }
  }
}

std::optional<Settings> read_settings(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      settings.is_json = true;
      continue;
    }
    if (++i == argc) return std::nullopt;
    const auto number = [&] { return std::strtoull(argv[i], nullptr, 10); };
    if (name == "--rounds") {
      settings.rounds = std::max<std::size_t>(1, number());
    } else if (name == "--memory-requests") {
      settings.memory_requests = number();
    } else if (name == "--folder") {
      settings.folder = argv[i];
    } else if (name == "--source") {
      settings.source = argv[i];
    } else {
      return std::nullopt;
    }
  }
  return settings;
}

}  // namespace
}  // namespace samtale

int main(int argc, char** argv) {
  if (argc == 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h")) {
    std::printf("%s", samtale::kUsage);
    return 0;
  }
  const auto settings = samtale::read_settings(argc, argv);
  if (!settings) {
    std::fprintf(stderr, "%s", samtale::kUsage);
    return 2;
  }
  auto folder = settings->folder + "/lm-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("mkdtemp");
    return 1;
  }
  const auto result = samtale::measure(*settings, folder);
  std::filesystem::remove_all(folder);
  if (settings->is_json) {
    std::printf("%s\n", samtale::json::dump(result).c_str());
  } else {
    samtale::print_table(result);
  }
  return 0;
}
