// One large company that is searched while it changes and its graph is made again.
//
// Method: searches are due at a fixed rate, whether or not those before have ended, and their
// latency counts from when they were due; so do changes. Threads have the priorities that a server
// gives them, and one of them does what is due all the time: the graph grows, is measured, and is
// made anew when a quarter of it was removed. Between two windows of load the recall is measured
// against brute force over what is there, while that goes on.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "data_folder.h"
#include "index/company_index.h"
#include "json/json.h"
#include "open_loop.h"
#include "simd/distance.h"
#include "sys/thread_priority.h"
#include "vector_contender.h"
#include "vector_data.h"

namespace samtale {

struct MixedOptions {
  std::size_t searches_per_s = 200;
  std::size_t puts_per_s = 1'000;
  std::size_t removes_per_s = 200;
  std::size_t window_s = 10;
  std::size_t windows = 8;                                             // With changes.
  IndexOptions index = {.graph_from = 50'000, .recall_target = 0.95};  // About as a server's.
};

class MixedLoad {
 public:
  // Two thirds of the vectors are there from the first, the others come.
  MixedLoad(const VectorData& data, const MixedOptions& options)
      : data_(data),
        options_(options),
        folder_(data.dimension),
        index_(make_company_index(data.dimension, index_options(),
                                  {.folder = folder_.segments(), .company = CompanyId{1}})),
        queries_(std::min<std::size_t>(data.query_count(), kQueries)) {
    std::fprintf(stderr, "making a graph\n");
    while (next_vector_ < data.size() / 3 * 2) add();
    keep_up();
    for (std::size_t q = 0; q < data.query_count(); ++q) search(q);
    keep_up();
  }

  json::Array run() {
    json::Array lines;
    std::fprintf(stderr, "searches alone\n");
    const auto alone = window(false);
    lines.push_back(told("graph, no changes", alone, alone));
    std::fprintf(stderr, "new vectors until the graph is to grow\n");
    keep_up();  // What is due by now is the measuring of the one.
    while (!work_is_due()) {
      for (int i = 0; i < 50; ++i) add();
    }
    lines.push_back(told("growth due, no changes", window(false), alone));

    std::jthread maintainer([&](const std::stop_token& stop) {
      become_maintenance_thread();
      while (!stop.stop_requested()) maintain(stop);
    });
    for (std::size_t w = 0; w < options_.windows; ++w) {
      lines.push_back(told("changes", window(true), alone));
    }
    return lines;
  }

 private:
  static constexpr std::size_t kQueries = 200;  // That recall is measured by.
  static constexpr std::size_t kSearchers = 2;
  static constexpr double kLongWork_s = 2;  // A graph is made anew, or measured.
  static constexpr std::size_t kWatchedPuts =
      7;  // Of so many changes, one is looked for if it adds.

  struct Window {
    std::vector<double> searches_us;
    std::vector<double> cpu_us;      // Of the searching thread: other load does not change it much.
    std::vector<double> changes_us;  // From when they were due until they were done.
    std::vector<double> fresh_us;    // From when a put was due until a search found it.
    double recall = 0;
  };

  [[nodiscard]] IndexOptions index_options() const {
    auto index = options_.index;
    index.graph_from = std::min(index.graph_from, data_.size() / 3);
    return index;
  }
  static ConversationId id_of(std::size_t number) {
    return make_conversation_id(CompanyId{1}, "bench", std::to_string(number));
  }
  // Forty words, the common ones more often.
  std::string text() {
    constexpr int kWords = 40;
    std::uniform_real_distribution<double> uniform(0, std::log(50'000));
    std::string made;
    for (int i = 0; i < kWords; ++i) {
      made.append(1, 'w').append(std::to_string(static_cast<int>(std::exp(uniform(random_)))));
      made.append(1, ' ');
    }
    return made;
  }

  void put(std::size_t number) {
    const auto row = next_vector_++ % data_.size();
    const auto words = text();
    const IndexChunk chunks[] = {{0, words, data_.vector(row)}};
    if (!index_->put(id_of(number), {}, chunks)) refuse("the index takes every vector");
    rows_[number] = row;
  }
  void add() {
    rows_.push_back(0);
    live_.push_back(rows_.size() - 1);
    put(live_.back());
  }
  void remove() {
    const auto some = random_() % live_.size();
    const auto number = std::exchange(live_[some], live_.back());
    live_.pop_back();
    index_->remove(id_of(number));
  }
  void search(std::size_t query) const {
    if (!index_->nearest(data_.query(query % data_.query_count()), kWanted, {})) refuse("it finds");
  }
  void keep_up() const {
    while (index_->maintain({}).value()) {
    }
  }
  // What is due is begun, and stopped at once.
  [[nodiscard]] bool work_is_due() const {
    std::stop_source stop;
    stop.request_stop();
    return !index_->maintain(stop.get_token());
  }
  // As a server does: what is due, and another look a second after there was nothing.
  void maintain(const std::stop_token& stop) const {
    const auto begin = wall_s();
    const auto done = index_->maintain(stop);
    if (!done) return;
    if (!*done) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
    } else if (wall_s() - begin >= kLongWork_s) {
      std::fprintf(stderr, "work that took %.1f s\n", wall_s() - begin);
    }
  }

  Window window(bool changes) {
    Window window;
    std::array<Window, kSearchers> parts;
    OpenLoop searches;
    OpenLoop all_changes;
    begin(static_cast<double>(options_.searches_per_s), searches);
    begin(static_cast<double>(options_.puts_per_s + options_.removes_per_s), all_changes);
    {
      std::vector<std::jthread> threads;
      for (auto& part : parts) {
        threads.emplace_back([&] {
          become_prompt_thread();
          searches.run([&](std::uint64_t n, double due) {
            const auto cpu_before = cpu_seconds();
            search(n);
            part.cpu_us.push_back((cpu_seconds() - cpu_before) * 1e6);
            part.searches_us.push_back((wall_s() - due) * 1e6);
          });
        });
      }
      if (changes) threads.emplace_back([&] { change(all_changes, window); });
    }
    for (const auto& part : parts) {
      append(part.searches_us, window.searches_us);
      append(part.cpu_us, window.cpu_us);
    }
    window.recall = recall();
    return window;
  }

  static void append(const std::vector<double>& some, std::vector<double>& all) {
    all.insert(all.end(), some.begin(), some.end());
  }
  void begin(double per_s, OpenLoop& loop) const {
    loop.per_s = per_s;
    loop.begin = wall_s();
    loop.end = loop.begin + static_cast<double>(options_.window_s);
  }

  // Half of what is put is new, half takes another's place.
  void change(OpenLoop& changes, Window& window) {
    become_background_thread();
    const auto removes_of = [this](std::uint64_t n) {
      return n * options_.removes_per_s / (options_.puts_per_s + options_.removes_per_s);
    };
    changes.run([&](std::uint64_t n, double due) {
      const bool removes = removes_of(n) != removes_of(n + 1);
      const bool adds = !removes && n % 2 == 0;
      if (removes) {
        remove();
      } else if (adds) {
        add();
      } else {
        put(live_[random_() % live_.size()]);
      }
      window.changes_us.push_back((wall_s() - due) * 1e6);
      if (!adds || window.changes_us.size() % kWatchedPuts != 0) return;
      while (!is_found(live_.back())) {
      }
      window.fresh_us.push_back((wall_s() - due) * 1e6);
    });
  }
  [[nodiscard]] bool is_found(std::size_t number) const {
    const auto found = index_->nearest(data_.vector(rows_[number]), kWanted, {});
    const auto hit = std::ranges::find(found->hits, id_of(number), &ChunkHit::conversation);
    return hit != found->hits.end();
  }

  // Against brute force over what is there now.
  [[nodiscard]] double recall() const {
    std::size_t met = 0;
    for (std::size_t q = 0; q < queries_; ++q) {
      const auto query = data_.query(q);
      std::vector<float> scores;
      scores.reserve(live_.size());
      for (const auto number : live_) {
        scores.push_back(distance_kernels().dot(query.data(), data_.vector(rows_[number]).data(),
                                                data_.dimension));
      }
      std::ranges::nth_element(scores, scores.begin() + kWanted - 1, std::greater());
      const auto tenth = scores[kWanted - 1];
      const auto found = index_->nearest(query, kWanted, {});
      for (const auto& hit : found->hits) met += hit.score >= tenth - 1e-6F ? 1 : 0;
    }
    return static_cast<double>(met) / static_cast<double>(kWanted * queries_);
  }

  [[nodiscard]] json::Value told(const char* what, const Window& window,
                                 const Window& alone) const {
    const auto size = index_->size();
    json::Object line = {{"load", what},
                         {"searches", window.searches_us.size()},
                         {"p50_us", tenths(quantile(window.searches_us, .5))},
                         {"p99_us", tenths(quantile(window.searches_us, .99))},
                         {"most_us", tenths(quantile(window.searches_us, 1))},
                         {"p99_times", std::round(quantile(window.searches_us, .99) /
                                                  quantile(alone.searches_us, .99) * 100) /
                                           100},
                         {"cpu_p50_us", tenths(quantile(window.cpu_us, .5))},
                         {"cpu_p99_us", tenths(quantile(window.cpu_us, .99))},
                         {"recall", std::round(window.recall * 1e4) / 1e4},
                         {"vectors", size.vectors},
                         {"in_graph", size.graph_vectors}};
    if (!window.changes_us.empty()) {
      line.emplace_back("changes", window.changes_us.size());
      line.emplace_back("change_p99_us", tenths(quantile(window.changes_us, .99)));
      line.emplace_back("found_after_p99_us", tenths(quantile(window.fresh_us, .99)));
    }
    std::fprintf(stderr, "%s\n", json::dump(line).c_str());
    return line;
  }

  const VectorData& data_;
  const MixedOptions options_;
  const DataFolder folder_;
  const std::unique_ptr<CompanyIndex> index_;
  const std::size_t queries_;
  std::mt19937_64 random_{5};
  std::size_t next_vector_ = 0;
  std::vector<std::size_t> rows_;  // The vector of each conversation.
  std::vector<std::size_t> live_;  // Conversations that are there.
};

}  // namespace samtale
