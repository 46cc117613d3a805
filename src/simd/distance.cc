#include "simd/distance.h"

#include <cstdlib>
#include <string_view>

namespace samtale {
namespace {

const DistanceKernels& choose() {
  const auto* wide = wide_distance_kernels();
  const char* forced = std::getenv("SAMTALE_SIMD");
  const bool scalar = forced != nullptr && std::string_view(forced) == "scalar";
  return wide == nullptr || scalar ? scalar_distance_kernels() : *wide;
}

}  // namespace

const DistanceKernels& distance_kernels() {
  static const DistanceKernels& chosen = choose();
  return chosen;
}

}  // namespace samtale
