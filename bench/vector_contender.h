// A library with the base in it, in a process of its own on one core, so that no library warms or
// crowds another's caches and each one's memory can be told. The parent asks one at a time.
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "vector_data.h"

namespace samtale {

// Which vectors a search may find. None: all.
struct Allowed {
  const std::vector<char>* rows = nullptr;
};

class Library {
 public:
  virtual ~Library() = default;
  // The scores of what is found, in any order. `effort`: the library's own measure (ef); 0: as it
  // chooses, or for an exact one.
  virtual void search(std::size_t query, std::size_t effort, Allowed allowed,
                      std::vector<float>& scores) = 0;
  // Before the first round at an effort: what a library does in its own time.
  virtual void prepare() {}
  [[nodiscard]] virtual double bytes() const { return 0; }  // As it says itself; 0: does not.
};
using MakeLibrary = std::function<std::unique_ptr<Library>(const VectorData&)>;

// Queries, in order, of one round.
struct Round {
  std::size_t effort = 0;
  int tenths = 0;    // Which of the truths.
  int allowed = -1;  // Which of the filters; -1: none.
  int prepare = 0;   // Ask all the queries before, untimed, and let the library prepare.
  int cores = 0;     // With a thread on each of so many; by the clock, and nothing else is told.
};

struct Measured {
  double recall = 0;
  double per_second = 0;  // By the searching thread's CPU time, or by the clock for some cores.
  double p50_us = 0;      // By the clock.
  double p99_us = 0;
};

struct Built {
  double cpu_s = 0;
  double grown_mib = 0;   // The process' memory, by building: that which is nowhere else,
  double mapped_mib = 0;  // and pages of files.
  double bytes = 0;       // As the library says.
};

inline double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

inline double wall_us() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// What of the process lies in memory: of its own ("RssAnon:"), and of files ("RssFile:"), which the
// system can take back.
inline double resident_mib(std::string_view kind) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kind)) return std::strtod(line.c_str() + kind.size(), nullptr) / 1024;
  }
  return 0;
}

inline void pin_to_core(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  static_cast<void>(::sched_setaffinity(0, sizeof cores, &cores));
}

struct Truths {
  std::vector<std::vector<float>> tenths;         // Of each filter, the first without one.
  std::vector<std::vector<char>> allowed;         // Rows.
  std::vector<std::vector<std::size_t>> queries;  // Which queries go with each of `tenths`.
};

class Contender {
 public:
  // Makes the library in a child process, which sees the data as it is now.
  Contender(std::string name, const VectorData& data, const Truths& truths, MakeLibrary make)
      : name_(std::move(name)) {
    int asks[2] = {};
    int answers[2] = {};
    if (::pipe(asks) != 0 || ::pipe(answers) != 0) refuse("no pipe");
    std::fflush(nullptr);
    child_ = ::fork();
    if (child_ < 0) refuse("no process");
    if (child_ == 0) {
      // Nothing of those made before: each ends when the parent's end of its pipe is closed.
      ::dup2(asks[0], kAsks);
      ::dup2(answers[1], kAnswers);
      ::close_range(kAnswers + 1, ~0U, 0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      serve(kAsks, kAnswers, data, truths, make);
      ::_exit(0);
    }
    ::close(asks[0]);
    ::close(answers[1]);
    to_ = asks[1];
    from_ = answers[0];
    built_ = receive<Built>();
  }
  ~Contender() {
    ::close(to_);
    ::close(from_);
    ::waitpid(child_, nullptr, 0);
  }
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Built& built() const { return built_; }

  [[nodiscard]] Measured run(const Round& round) const {
    if (::write(to_, &round, sizeof round) != sizeof round) refuse(name_ + " has died");
    return receive<Measured>();
  }

 private:
  template <class T>
  [[nodiscard]] T receive() const {
    T value;
    if (::read(from_, &value, sizeof value) != sizeof value) refuse(name_ + " has died");
    return value;
  }

  static void serve(int asks, int answers, const VectorData& data, const Truths& truths,
                    const MakeLibrary& make) {
    pin_to_core(0);
    const auto before = resident_mib("RssAnon:");
    const auto mapped_before = resident_mib("RssFile:");
    const auto begin = cpu_seconds();
    const auto library = make(data);
    const Built built{.cpu_s = cpu_seconds() - begin,
                      .grown_mib = resident_mib("RssAnon:") - before,
                      .mapped_mib = resident_mib("RssFile:") - mapped_before,
                      .bytes = library->bytes()};
    if (::write(answers, &built, sizeof built) != sizeof built) return;
    for (Round round; ::read(asks, &round, sizeof round) == sizeof round;) {
      const auto measured = round.cores > 0 ? measure_together(*library, truths, round)
                                            : measure(*library, truths, round);
      if (::write(answers, &measured, sizeof measured) != sizeof measured) return;
    }
  }

  static Measured measure(Library& library, const Truths& truths, const Round& round) {
    const auto place = static_cast<std::size_t>(round.tenths);
    const auto& tenths = truths.tenths[place];
    const auto& queries = truths.queries[place];
    Allowed allowed;
    if (round.allowed >= 0) allowed.rows = &truths.allowed[static_cast<std::size_t>(round.allowed)];
    std::vector<float> scores;
    if (round.prepare != 0) {
      for (const auto q : queries) library.search(q, round.effort, allowed, scores);
      library.prepare();
    }
    std::size_t found = 0;
    std::vector<double> took_us;
    took_us.reserve(queries.size());
    const auto begin = cpu_seconds();
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const auto started = wall_us();
      library.search(queries[i], round.effort, allowed, scores);
      took_us.push_back(wall_us() - started);
      for (const float score : scores) found += score >= tenths[i] - 1e-6F ? 1 : 0;
    }
    const auto took = cpu_seconds() - begin;
    std::ranges::sort(took_us);
    const auto count = static_cast<double>(queries.size());
    return {.recall = static_cast<double>(found) / (kWanted * count),
            .per_second = count / took,
            .p50_us = took_us[took_us.size() / 2],
            .p99_us = took_us[took_us.size() * 99 / 100]};
  }

  // Each thread asks all the queries, without the filters.
  static Measured measure_together(Library& library, const Truths& truths, const Round& round) {
    constexpr int kTimes = 3;
    const auto& queries = truths.queries.front();
    std::barrier start(round.cores + 1);
    std::vector<std::jthread> threads;
    for (int core = 0; core < round.cores; ++core) {
      threads.emplace_back([&, core] {
        pin_to_core(core);
        std::vector<float> scores;
        start.arrive_and_wait();
        for (int i = 0; i < kTimes; ++i) {
          for (const auto q : queries) library.search(q, round.effort, {}, scores);
        }
      });
    }
    start.arrive_and_wait();
    const auto begin = wall_us();
    threads.clear();
    const auto searches = static_cast<double>(queries.size()) * kTimes * round.cores;
    return {.per_second = searches / (wall_us() - begin) * 1e6};
  }

  static constexpr int kAsks = 3;
  static constexpr int kAnswers = 4;

  const std::string name_;
  pid_t child_ = 0;
  int to_ = -1;
  int from_ = -1;
  Built built_;
};

}  // namespace samtale
