// Very many companies in one process, of sizes as they are (Zipf): what each takes of memory and
// time, and what a busy one costs the others.
//
// Method: an index a company, as a server has them; the r-th largest has 1/r of the chunks of the
// largest, and one at least. Searches are open loop (open_loop.h). Memory is what the process has
// of its own (RssAnon), by each step, beside what the indexes say.
#pragma once

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "data_folder.h"
#include "index/company_index.h"
#include "json/json.h"
#include "open_loop.h"
#include "sys/thread_priority.h"
#include "vector_contender.h"
#include "vector_data.h"

namespace samtale {

struct CompaniesOptions {
  std::size_t companies = 100'000;
  std::size_t chunks = 500'000;  // Of all, about.
  std::size_t searches_per_s = 200;
  std::size_t window_s = 10;
  IndexOptions index = {.graph_from = 50'000, .recall_target = 0.95};  // About as a server's.
};

class ManyCompanies {
 public:
  ManyCompanies(const VectorData& data, const CompaniesOptions& options)
      : data_(data), options_(options), folder_(data.dimension) {}

  json::Array run() {
    lines_.clear();
    make_empty();
    fill();
    search_once();
    const auto quiet = search_for_a_while(false);
    const auto beside = search_for_a_while(true);
    tell({{"what", "of the others, beside one that is searched without a pause"},
          {"p99_times", std::round(beside / quiet * 100) / 100}});
    look_at_all();
    return lines_;
  }

 private:
  static double own_bytes() {
    ::malloc_trim(0);
    return resident_mib("RssAnon:") * (1 << 20);
  }
  void tell(json::Object line) {
    std::fprintf(stderr, "%s\n", json::dump(line).c_str());
    lines_.emplace_back(std::move(line));
  }
  void tell(const char* what, const std::vector<double>& took_us) {
    tell({{"what", what},
          {"searches", took_us.size()},
          {"p50_us", tenths(quantile(took_us, .5))},
          {"p99_us", tenths(quantile(took_us, .99))},
          {"most_us", tenths(quantile(took_us, 1))}});
  }
  [[nodiscard]] double bytes_as_they_say() const {
    double sum = 0;
    for (const auto& [company, index] : indexes_) sum += static_cast<double>(index->size().bytes);
    return sum;
  }
  [[nodiscard]] CompanyId company(std::size_t rank) const {
    return CompanyId{static_cast<std::int64_t>(rank + 1)};
  }

  void make_empty() {
    const auto before = own_bytes();
    const auto begin = wall_s();
    for (std::size_t c = 0; c < options_.companies; ++c) {
      const SegmentPlace place{.folder = folder_.segments(), .company = company(c)};
      indexes_.emplace(company(c), make_company_index(data_.dimension, options_.index, place));
    }
    const auto took = wall_s() - begin;
    const auto count = static_cast<double>(options_.companies);
    tell({{"what", "indexes with nothing in them"},
          {"companies", options_.companies},
          {"bytes_each", std::round((own_bytes() - before) / count)},
          {"bytes_as_they_say", std::round(bytes_as_they_say() / count)},
          {"made_in_us_each", tenths(took / count * 1e6)}});
  }

  void fill() {
    double harmonic = 0;
    for (std::size_t r = 1; r <= options_.companies; ++r) harmonic += 1 / static_cast<double>(r);
    const auto largest = static_cast<double>(options_.chunks) / harmonic;
    const auto before = own_bytes();
    const auto said_before = bytes_as_they_say();
    const auto begin = wall_s();
    std::size_t chunks = 0;
    for (std::size_t c = 0; c < options_.companies; ++c) {
      const auto size = std::max(1.0, largest / static_cast<double>(c + 1));
      for (std::size_t i = 0; i < static_cast<std::size_t>(size); ++i) put(c, chunks++);
    }
    const auto took = wall_s() - begin;
    const auto grown = own_bytes() - before;
    tell({{"what", "filled"},
          {"chunks", chunks},
          {"chunks_of_the_largest", static_cast<std::size_t>(largest)},
          {"seconds", tenths(took)},
          {"companies_per_s", std::round(static_cast<double>(options_.companies) / took)},
          {"mib", std::round(grown / (1 << 20))},
          {"bytes_a_chunk", std::round(grown / static_cast<double>(chunks))},
          {"as_they_say_of_it",
           std::round((bytes_as_they_say() - said_before) / grown * 1000) / 1000}});
  }
  void put(std::size_t company_rank, std::size_t chunk) {
    const auto id = make_conversation_id(company(company_rank), "bench", std::to_string(chunk));
    std::string text = "hello about an order";
    for (const int some : {3, 5, 7}) {
      text.append(" w").append(std::to_string(chunk % 9973 * static_cast<std::size_t>(some) % 997));
    }
    const IndexChunk chunks[] = {{0, text, data_.vector(chunk % data_.size())}};
    if (!indexes_.at(company(company_rank))->put(id, {}, chunks)) refuse("it takes every vector");
  }

  void search(std::size_t rank, std::size_t query) const {
    const auto found =
        indexes_.at(company(rank))->nearest(data_.query(query % data_.query_count()), kWanted, {});
    if (!found || found->hits.empty()) refuse("each company finds something");
  }

  // Companies that nobody asked before, and the same ones at once again.
  void search_once() {
    std::mt19937_64 random(3);
    std::vector<double> cold_us;
    std::vector<double> warm_us;
    for (std::size_t n = 0; n < std::min<std::size_t>(options_.companies, 20'000); ++n) {
      const auto rank = random() % options_.companies;
      for (auto* const took_us : {&cold_us, &warm_us}) {
        const auto begin = wall_us();
        search(rank, n);
        took_us->push_back(wall_us() - begin);
      }
    }
    tell("the first search of a company", cold_us);
    tell("the same again", warm_us);
  }

  // At p99, of all but the largest.
  double search_for_a_while(bool with_busy_one) {
    std::vector<double> took_us;
    {
      std::jthread busy;
      if (with_busy_one) {
        busy = std::jthread([this](const std::stop_token& stop) {
          become_prompt_thread();
          for (std::size_t n = 0; !stop.stop_requested(); ++n) search(0, n);
        });
      }
      std::jthread searcher([&] {
        become_prompt_thread();
        OpenLoop loop;
        loop.per_s = static_cast<double>(options_.searches_per_s);
        loop.begin = wall_s();
        loop.end = loop.begin + static_cast<double>(options_.window_s);
        std::mt19937_64 random(4);
        loop.run([&](std::uint64_t n, double due) {
          search(1 + random() % (options_.companies - 1), n);
          took_us.push_back((wall_s() - due) * 1e6);
        });
      });
      searcher.join();
    }
    tell(with_busy_one ? "any company, beside a busy one" : "any company", took_us);
    return quantile(took_us, .99);
  }

  // As often as once a second in a server: whether a graph is due.
  void look_at_all() {
    std::thread([this] {
      become_maintenance_thread();
      for (const auto* const what : {"the first look at all for due graphs", "another look"}) {
        const auto begin = cpu_seconds();
        for (const auto& [company, index] : indexes_) static_cast<void>(index->maintain({}));
        tell({{"what", what}, {"cpu_ms", tenths((cpu_seconds() - begin) * 1000)}});
      }
    }).join();
  }

  const VectorData& data_;
  const CompaniesOptions options_;
  const DataFolder folder_;
  std::map<CompanyId, std::unique_ptr<CompanyIndex>> indexes_;
  json::Array lines_;
};

}  // namespace samtale
