// Vectors for the tests and benchmarks of indexes.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace samtale {

// Of length 1, in any direction.
inline std::vector<float> unit_vector(std::mt19937_64& random, std::size_t dimension) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimension);
  double sum = 0;
  for (auto& value : vector) {
    value = normal(random);
    sum += double{value} * value;
  }
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
  return vector;
}

// Clusters, so that many scores are close, and vectors that are there twice, so that some are
// equal.
inline std::vector<float> clustered(std::mt19937_64& random, std::size_t dimension) {
  // Two of them: each keeps a number from the generator it was given before.
  std::normal_distribution<float> normal_centre;
  std::normal_distribution<float> normal_noise;
  std::mt19937_64 centre(random() % 40);
  std::vector<float> vector(dimension);
  double sum = 0;
  for (auto& value : vector) {
    value = normal_centre(centre) + normal_noise(random) / 3;
    sum += double{value} * value;
  }
  for (auto& value : vector) value = static_cast<float>(value / std::sqrt(sum));
  return vector;
}

}  // namespace samtale
