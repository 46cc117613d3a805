#include "simd/distance.h"

#include <cstdlib>
#include <string_view>

namespace samtale {
namespace {

const DistanceKernels& choose() {
  const auto* avx2 = avx2_distance_kernels();
  const char* forced = std::getenv("SAMTALE_SIMD");
  const bool scalar = forced != nullptr && std::string_view(forced) == "scalar";
  return avx2 == nullptr || scalar ? scalar_distance_kernels() : *avx2;
}

}  // namespace

const DistanceKernels& distance_kernels() {
  static const DistanceKernels& chosen = choose();
  return chosen;
}

}  // namespace samtale
