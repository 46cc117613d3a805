// Vectors to search in, and queries that are none of them: made, or read from files that anyone can
// bring (.fbin and .ibin, little-endian: int32 rows, int32 columns, then row-major float32 or
// int32).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "simd/distance.h"

namespace samtale {

constexpr std::size_t kWanted = 10;  // recall@10

struct VectorData {
  std::string name;
  std::size_t dimension = 0;
  std::vector<float> vectors;  // Of unit length, as the queries: what is compared is the cosine.
  std::vector<float> queries;

  [[nodiscard]] std::size_t size() const { return vectors.size() / dimension; }
  [[nodiscard]] std::size_t query_count() const { return queries.size() / dimension; }
  [[nodiscard]] std::span<const float> vector(std::size_t i) const {
    return std::span(vectors).subspan(i * dimension, dimension);
  }
  [[nodiscard]] std::span<const float> query(std::size_t i) const {
    return std::span(queries).subspan(i * dimension, dimension);
  }
};

// The benchmark cannot go on: says why, for whoever gave the argument.
[[noreturn]] inline void refuse(const std::string& why) {
  std::fprintf(stderr, "vector_bench: %s\n", why.c_str());
  std::exit(2);
}

inline void normalise_rows(std::vector<float>& rows, std::size_t dimension) {
  for (std::size_t begin = 0; begin < rows.size(); begin += dimension) {
    const auto row = std::span(rows).subspan(begin, dimension);
    double sum = 0;
    for (const float value : row) sum += double{value} * value;
    if (sum == 0) refuse("a vector of zeros has no direction");
    for (auto& value : row) value = static_cast<float>(value / std::sqrt(sum));
  }
}

// Points around `count` / 200 centres of unequal size in `latent` dimensions, turned into
// `dimension`, with noise. Fewer latent dimensions are easier.
inline VectorData make_vectors(std::size_t count, std::size_t dimension, std::size_t latent) {
  constexpr std::size_t kQueries = 1'000;
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
    }
    normalise_rows(out, dimension);
  };
  VectorData data{.name = "made, " + std::to_string(latent) + " latent",
                  .dimension = dimension,
                  .vectors = {},
                  .queries = {}};
  fill(data.vectors, count);
  fill(data.queries, kQueries);
  return data;
}

template <class Number>
struct BinFile {
  std::size_t columns = 0;
  std::vector<Number> numbers;
};

template <class Number>
BinFile<Number> read_bin(const std::string& path) {
  static_assert(sizeof(Number) == 4);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) refuse(path + ": cannot be read");
  const auto bytes = static_cast<std::uint64_t>(file.tellg());
  file.seekg(0);
  std::int32_t shape[2] = {};
  file.read(reinterpret_cast<char*>(shape), sizeof shape);
  const auto numbers = static_cast<std::uint64_t>(shape[0]) * static_cast<std::uint64_t>(shape[1]);
  if (!file || shape[0] <= 0 || shape[1] <= 0 || bytes != sizeof shape + numbers * 4) {
    refuse(path + ": its first eight bytes (int32 rows, int32 columns) do not fit its length");
  }
  BinFile<Number> read{.columns = static_cast<std::size_t>(shape[1]), .numbers = {}};
  read.numbers.resize(numbers);
  file.read(reinterpret_cast<char*>(read.numbers.data()),
            static_cast<std::streamsize>(numbers * 4));
  if (!file) refuse(path + ": ended early");
  return read;
}

inline VectorData read_vectors(const std::string& base_path, const std::string& queries_path) {
  auto base = read_bin<float>(base_path);
  auto queries = read_bin<float>(queries_path);
  if (base.columns != queries.columns) {
    refuse(base_path + " has " + std::to_string(base.columns) + " columns and " + queries_path +
           " " + std::to_string(queries.columns));
  }
  if (base.numbers.size() / base.columns < kWanted) refuse(base_path + ": fewer than 10 rows");
  normalise_rows(base.numbers, base.columns);
  normalise_rows(queries.numbers, base.columns);
  return {.name = base_path.substr(base_path.rfind('/') + 1),
          .dimension = base.columns,
          .vectors = std::move(base.numbers),
          .queries = std::move(queries.numbers)};
}

// Brute force: the score of the tenth nearest of each query. Found is what scores as much, so that
// vectors that are there twice do not count as missed.
inline std::vector<float> tenth_scores(const VectorData& data) {
  std::vector<float> tenths;
  std::vector<float> scores(data.size());
  const auto place = static_cast<std::ptrdiff_t>(std::min(kWanted, data.size()) - 1);
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    distance_kernels().dot_rows(data.query(q).data(), data.vectors.data(), data.size(),
                                data.dimension, scores.data());
    std::ranges::nth_element(scores, scores.begin() + place, std::greater());
    tenths.push_back(scores[static_cast<std::size_t>(place)]);
  }
  return tenths;
}

// The same by a file of the nearest rows of each query. Held against the vectors: another metric's
// or another base's truth is refused.
inline std::vector<float> tenth_scores(const VectorData& data, const std::string& truth_path) {
  const auto truth = read_bin<std::int32_t>(truth_path);
  if (truth.columns < kWanted || truth.numbers.size() / truth.columns != data.query_count()) {
    refuse(truth_path + ": needs a row of 10 or more for each of the " +
           std::to_string(data.query_count()) + " queries");
  }
  std::vector<float> tenths;
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    std::vector<float> scores;
    for (std::size_t k = 0; k < kWanted; ++k) {
      const auto row = truth.numbers[q * truth.columns + k];
      if (row < 0 || static_cast<std::size_t>(row) >= data.size()) {
        refuse(truth_path + ": names row " + std::to_string(row) + " of " +
               std::to_string(data.size()));
      }
      scores.push_back(distance_kernels().dot(
          data.query(q).data(), data.vector(static_cast<std::size_t>(row)).data(), data.dimension));
    }
    if (!std::ranges::is_sorted(scores, [](float a, float b) { return a > b + 1e-4F; })) {
      refuse(truth_path + ": query " + std::to_string(q) +
             " has its rows in another order than by cosine");
    }
    tenths.push_back(std::ranges::min(scores));
  }
  return tenths;
}

}  // namespace samtale
