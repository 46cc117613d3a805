#include "index/walk_plan.h"

#include <algorithm>
#include <cmath>

namespace samtale {
namespace {

// A walk with a filter goes on from so many at least, and from so many times as many as are wanted,
// more the farther it looks.
constexpr std::size_t kWidthMin = 64;
constexpr double kWidth = 2;
constexpr double kWidthAnEffort = 20;
// One without ends by itself, mostly before it has met so many times as many.
constexpr double kRoom = 4;
// Where some were removed, so many times more are wanted as chance may have it that more of the
// nearest were than of all (by the root of how many that would be), and a few times as many,
// because what goes together often lies together; but no more than so many.
constexpr double kSpareRoots = 6;
constexpr double kSpareMax = 8;
// Steps of a walk, by what is wanted and how far it looks, about as measured.
constexpr double kStepsMin = 16;
constexpr double kStepsAnEffort = 8;
// A walk of so large a part of all steps is slower than the scan; one over compact codes, of twice
// as large a part.
constexpr double kWalkShare = 16;
// Below, a scan of what the filter allows is cheaper than a walk through what it does not.
constexpr double kFilterShareMin = 0.3;

std::size_t width(std::size_t limit, double effort) {
  const auto wide = static_cast<double>(limit) * (kWidth + kWidthAnEffort * effort);
  return std::max(kWidthMin, static_cast<std::size_t>(wide));
}

double steps(double wanted, double effort) {
  return std::max(wanted, kStepsMin) * (1 + kStepsAnEffort * effort);
}

}  // namespace

Graph::Reach walk_reach(double wanted, float effort) {
  const auto count = static_cast<std::size_t>(std::ceil(wanted));
  const auto room = kRoom * static_cast<double>(width(count, effort));
  return {.width = static_cast<std::size_t>(room),
          .wanted = count,
          .slack = effort,
          .least = walk_candidates(count)};
}

std::size_t walk_candidates(std::size_t limit) { return 2 * limit + 20; }

std::optional<WalkPlan> plan_walk(std::size_t limit, double share, std::size_t rows,
                                  std::size_t removed, const WalkSettings& settings) {
  if (share < kFilterShareMin || !settings.is_of_use) return std::nullopt;
  const auto effort = settings.effort;
  const auto all = static_cast<double>(rows);
  // So many are met for each that is wanted, if those lie as everywhere.
  const auto met = all / (share * static_cast<double>(rows - removed));
  WalkPlan plan{.reach = {}, .limit = limit, .least = limit, .filters = share < 1};
  double to_go = 0;
  if (plan.filters) {
    // Those that a filter allows may lie farther off: all that is kept is walked from, and half as
    // many as chance would find among it must be there.
    const auto kept = width(limit, effort);
    plan.reach.width = static_cast<std::size_t>(static_cast<double>(kept) * met);
    plan.least = std::max(limit, kept / 2);
    to_go = static_cast<double>(plan.reach.width);
  } else {
    const auto wanted = static_cast<double>(limit) * met;
    const auto root = std::sqrt(wanted - static_cast<double>(limit));
    plan.reach = walk_reach(wanted + std::min(kSpareRoots * root, kSpareMax), effort);
    to_go = steps(wanted, effort);
  }
  const double share_max = settings.is_compact ? kWalkShare / 2 : kWalkShare;
  if (to_go >= all / share_max) return std::nullopt;
  return plan;
}

}  // namespace samtale
