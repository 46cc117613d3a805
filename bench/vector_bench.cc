// Rooms: base index graph simd model embed sys text
// Searches by meaning in one large company, beside hnswlib (M = 16, ef_construction = 200) on the
// same vectors in the same process: queries a second of one core at the recall@10 each reaches.
//
//   vector_bench [VECTORS] [DIMENSION] [LATENT] [RUNS]        default 100000 384 96 3
//   vector_bench FILE.fvecs [RUNS]                            a thousand of them become queries
//
// Without a file the vectors are made: points around VECTORS/200 centres of unequal size in LATENT
// dimensions, turned into DIMENSION, with noise. Fewer latent dimensions are easier. Times are CPU
// times of the searching thread, so that other load on the machine matters less; the median of RUNS
// is taken, ours and hnswlib's in turn.
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "index/company_index.h"
#include "simd/distance.h"

namespace samtale {
namespace {

constexpr std::size_t kQueries = 1'000;
constexpr std::size_t kWanted = 10;

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Data {
  std::size_t dimension = 0;
  std::vector<float> vectors;
  std::vector<float> queries;

  [[nodiscard]] std::size_t size() const { return vectors.size() / dimension; }
  [[nodiscard]] std::span<const float> vector(std::size_t i) const {
    return std::span(vectors).subspan(i * dimension, dimension);
  }
  [[nodiscard]] std::span<const float> query(std::size_t i) const {
    return std::span(queries).subspan(i * dimension, dimension);
  }
};

void normalise(std::span<float> vector) {
  double sum = 0;
  for (const float value : vector) sum += double{value} * value;
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
}

Data make_data(std::size_t count, std::size_t dimension, std::size_t latent) {
  std::mt19937_64 random(7);
  std::normal_distribution<float> normal;
  const auto many = [&](std::size_t numbers) {
    std::vector<float> made(numbers);
    for (auto& value : made) value = normal(random);
    return made;
  };
  const auto turn = many(latent * dimension);
  const auto centres = many(std::max<std::size_t>(16, count / 200) * latent);
  std::uniform_real_distribution<double> uniform;
  const auto fill = [&](std::vector<float>& out, std::size_t rows) {
    out.resize(rows * dimension);
    for (std::size_t r = 0; r < rows; ++r) {
      const auto sizes = static_cast<double>(centres.size() / latent);
      const auto centre = static_cast<std::size_t>(sizes * std::pow(uniform(random), 1.5));
      const auto row = std::span(out).subspan(r * dimension, dimension);
      for (std::size_t l = 0; l < latent; ++l) {
        const auto value = (centres[centre * latent + l] + 0.6F * normal(random)) /
                           std::sqrt(static_cast<float>(latent));
        for (std::size_t d = 0; d < dimension; ++d) row[d] += value * turn[l * dimension + d];
      }
      for (auto& value : row) value += 0.15F * normal(random);
      normalise(row);
    }
  };
  Data data{.dimension = dimension, .vectors = {}, .queries = {}};
  fill(data.vectors, count);
  fill(data.queries, kQueries);
  return data;
}

Data read_data(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::vector<float>> rows;
  for (std::int32_t dimension = 0; file.read(reinterpret_cast<char*>(&dimension), 4);) {
    rows.emplace_back(static_cast<std::size_t>(dimension));
    file.read(reinterpret_cast<char*>(rows.back().data()), dimension * 4);
    normalise(rows.back());
  }
  if (rows.size() <= kQueries) {
    std::fprintf(stderr, "%s: not a file of more than %zu vectors\n", path, kQueries);
    std::exit(2);
  }
  std::ranges::shuffle(rows, std::mt19937_64(7));
  Data data{.dimension = rows[0].size(), .vectors = {}, .queries = {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& out = i < kQueries ? data.queries : data.vectors;
    out.insert(out.end(), rows[i].begin(), rows[i].end());
  }
  return data;
}

// The score of the tenth nearest of each query.
std::vector<float> truths(const Data& data) {
  std::vector<float> tenths;
  std::vector<float> scores(data.size());
  for (std::size_t q = 0; q < kQueries; ++q) {
    distance_kernels().dot_rows(data.query(q).data(), data.vectors.data(), data.size(),
                                data.dimension, scores.data());
    std::ranges::nth_element(scores, scores.begin() + kWanted - 1, std::greater());
    tenths.push_back(scores[kWanted - 1]);
  }
  return tenths;
}

struct Measured {
  double recall = 0;
  double per_second = 0;
};

// search(q) gives the scores found.
template <class Search>
Measured measure(const std::vector<float>& tenths, const Search& search) {
  std::size_t found = 0;
  const auto begin = cpu_seconds();
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (const float score : search(q)) found += score >= tenths[q] - 1e-6F ? 1 : 0;
  }
  const auto took = cpu_seconds() - begin;
  return {static_cast<double>(found) / (kWanted * kQueries), kQueries / took};
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

void run(const Data& data, int runs) {
  std::printf("%zu x %zu\n", data.size(), data.dimension);
  const auto tenths = truths(data);

  auto begin = cpu_seconds();
  hnswlib::InnerProductSpace space(data.dimension);
  hnswlib::HierarchicalNSW<float> peer(&space, data.size(), 16, 200);
  for (std::size_t i = 0; i < data.size(); ++i) peer.addPoint(data.vector(i).data(), i);
  std::printf("hnswlib  made in %.1f s\n", cpu_seconds() - begin);

  std::vector<std::pair<double, std::unique_ptr<CompanyIndex>>> ours;
  for (const double target : {0.9, 0.95, 0.99}) {
    auto index = make_company_index(data.dimension, {.graph_from = 1'000, .recall_target = target});
    for (std::size_t i = 0; i < data.size(); ++i) {
      const IndexChunk chunks[] = {{0, "", data.vector(i)}};
      const auto id = make_conversation_id(CompanyId{1}, "bench", std::to_string(i));
      if (!index->put(id, {}, chunks)) std::abort();
    }
    begin = cpu_seconds();
    if (!index->maintain({})) std::abort();
    std::printf("ours     made and measured in %.1f s, for recall %.2f\n", cpu_seconds() - begin,
                target);
    ours.emplace_back(target, std::move(index));
  }

  const auto ask_ours = [&](const CompanyIndex& index, bool must_be_exact) {
    return measure(tenths, [&](std::size_t q) {
      std::vector<float> scores;
      const auto near = index.nearest(data.query(q), kWanted, {}, must_be_exact).value();
      for (const auto& hit : near.hits) scores.push_back(hit.score);
      return scores;
    });
  };
  const auto ask_peer = [&](std::size_t ef) {
    peer.setEf(ef);
    return measure(tenths, [&](std::size_t q) {
      std::vector<float> scores;
      auto found = peer.searchKnn(data.query(q).data(), kWanted);
      for (; !found.empty(); found.pop()) scores.push_back(1 - found.top().first);
      return scores;
    });
  };
  // Enough queries that the next maintain() measures by them instead of by the vectors.
  for (const auto& [target, index] : ours) {
    for (int i = 0; i < 2; ++i) ask_ours(*index, false);
    if (!index->maintain({})) std::abort();
  }
  for (const auto& [target, index] : ours) {
    const auto mine = ask_ours(*index, false);
    // The peer's least effort that finds as much.
    std::size_t ef = kWanted;
    while (ef < 2'000 && ask_peer(ef).recall < mine.recall) ef += std::max<std::size_t>(1, ef / 10);
    std::vector<double> ratios;
    std::vector<double> speeds;
    for (int i = 0; i < runs; ++i) {
      const auto speed = ask_ours(*index, false).per_second;
      speeds.push_back(speed);
      ratios.push_back(speed / ask_peer(ef).per_second);
    }
    std::printf(
        "recall %.4f (target %.2f, measured itself %.4f): %.0f/s, %.2f of hnswlib (ef %zu)\n",
        mine.recall, target, index->size().recall, median(speeds), median(ratios), ef);
  }
  const auto exact = ask_ours(*ours[0].second, true);
  std::printf("exact: recall %.4f, %.0f/s\n", exact.recall, exact.per_second);
  std::printf("bytes a vector: %.0f\n",
              static_cast<double>(ours[0].second->size().bytes) / static_cast<double>(data.size()));
}

}  // namespace
}  // namespace samtale

int main(int argc, char** argv) {
  const auto number = [&](int at, std::size_t otherwise) {
    return argc > at ? static_cast<std::size_t>(std::atoll(argv[at])) : otherwise;
  };
  if (argc > 1 && std::string(argv[1]).find('.') != std::string::npos) {
    samtale::run(samtale::read_data(argv[1]), static_cast<int>(number(2, 3)));
  } else {
    samtale::run(samtale::make_data(number(1, 100'000), number(2, 384), number(3, 96)),
                 static_cast<int>(number(4, 3)));
  }
}
