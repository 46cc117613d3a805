#include "index/walk_calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>
#include <utility>

#include "index/code_scan.h"
#include "index/walk_plan.h"

namespace samtale {
namespace {

constexpr std::array kEfforts{.0125F, .02F, .03F, .05F, .075F, .1F,  .125F, .15F, .2F,
                              .25F,   .3F,  .4F,  .6F,  .8F,   1.2F, 2.4F,  4.8F, 9.6F};
// For the first results and for a long list, which hybrid search asks for.
constexpr std::array<std::size_t, 2> kCalibratedLimits{10, 200};
// A walk over compact codes that must look so many times as far as one over 8-bit codes is slower.
constexpr float kCompactEffortMax = 3;
// Without the codes of 8 bits a company needs two thirds of the memory, or less: worth so many
// times the time.
constexpr double kCompactWorth = 1.25;
constexpr double kConfidence = 1.645;  // One-sided, 95 %.

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// The best scores of all rows but `self`.
class Best final : public CodeHits {
 public:
  Best(std::size_t limit, std::optional<VectorRows::Place> self) : limit_(limit), self_(self) {}
  [[nodiscard]] float score_min() const override {
    return scores_.size() < limit_ ? -std::numeric_limits<float>::infinity() : scores_.front();
  }
  void offer(VectorRows::Place place, float score) override {
    if (place == self_) return;
    scores_.push_back(score);
    std::ranges::push_heap(scores_, std::greater<>());
    if (scores_.size() <= limit_) return;
    std::ranges::pop_heap(scores_, std::greater<>());
    scores_.pop_back();
  }
  // Best first.
  [[nodiscard]] std::vector<float> take() && {
    std::ranges::sort_heap(scores_, std::greater<>());
    return std::move(scores_);
  }

 private:
  std::size_t limit_;
  std::optional<VectorRows::Place> self_;
  std::vector<float> scores_;  // A heap with the worst in front.
};

// The `limit` best scores of all rows but `self`, best first.
std::vector<float> scan(const VectorRows& rows, std::span<const float> unit, std::size_t limit,
                        std::optional<VectorRows::Place> self) {
  const auto for_runs = [&](const VisitRun& visit) {
    for (std::size_t begin = 0; begin < rows.size(); begin += kScanBlock) {
      visit(static_cast<VectorRows::Place>(begin), std::min(kScanBlock, rows.size() - begin));
    }
  };
  Best best(limit, self);
  scan_by_code(rows, unit, encode_query(unit), limit + (self ? 1 : 0), for_runs, best);
  return std::move(best).take();
}

// Walks of the queries, beside what an exact search finds.
class Measuring {
 public:
  Measuring(const WalkedRows& walked, std::span<const CalibrationQuery> queries)
      : walked_(walked), queries_(queries) {}

  // The truths. False if `goes_on` said no.
  bool scan_all(const GoesOn& goes_on) {
    for (const auto& query : queries_) {
      if (!goes_on()) return false;
      truths_.push_back(scan(walked_.rows, query.unit, kCalibratedLimits.back(), query.self));
    }
    return true;
  }

  struct Tried {
    double recall = 1;  // The least of all limits, with 95 % confidence at least.
    double seconds = 0;
  };
  [[nodiscard]] Tried attempt(const WalkSettings& walk) {
    Tried tried;
    const auto begin = thread_seconds();
    for (const auto limit : kCalibratedLimits) {
      tried.recall = std::min(tried.recall, recall_at(limit, walk));
    }
    tried.seconds = thread_seconds() - begin;
    return tried;
  }

 private:
  double recall_at(std::size_t limit, const WalkSettings& walk) {
    double sum = 0;
    double squares = 0;
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      const auto recall = recall_of(queries_[q], truths_[q], limit, walk);
      sum += recall;
      squares += recall * recall;
    }
    const auto count = static_cast<double>(queries_.size());
    const auto mean = sum / count;
    const auto variance = std::max(0.0, squares / count - mean * mean);
    return mean - kConfidence * std::sqrt(variance / count);
  }

  double recall_of(const CalibrationQuery& query, const std::vector<float>& truth,
                   std::size_t limit, const WalkSettings& walk) {
    const WalkedRows by{walked_.graph, walked_.rows, walk.is_compact ? walked_.compact : nullptr};
    const CodeWalk walked(by, query.unit, walk_reach(static_cast<double>(limit), walk.effort),
                          scratch_);
    Best best(limit, query.self);
    walked.offer(limit, scratch_.pool, best);
    const auto wanted = std::min(limit, truth.size());
    // Of vectors that are many times there any will do.
    const auto score_min = truth[wanted - 1];
    const auto scores = std::move(best).take();
    const auto found = static_cast<std::size_t>(
        std::ranges::count_if(scores, [&](float score) { return score >= score_min; }));
    return static_cast<double>(std::min(found, wanted)) / static_cast<double>(wanted);
  }

  const WalkedRows walked_;
  const std::span<const CalibrationQuery> queries_;
  std::vector<std::vector<float>> truths_;
  Graph::Scratch scratch_;
};

}  // namespace

Result<Calibration> calibrate(const WalkedRows& walked, std::span<const CalibrationQuery> queries,
                              const CalibrationAim& aim, const GoesOn& goes_on) {
  const auto begin = thread_seconds();
  const auto stopped = [] {
    return fail(ErrorCode::unavailable, "the measuring of a graph was stopped");
  };
  Measuring measuring(walked, queries);
  if (!measuring.scan_all(goes_on)) return stopped();
  const auto target = aim.recall_target;
  Calibration made{};
  Measuring::Tried best;
  for (const auto effort : kEfforts) {
    if (!goes_on()) return stopped();
    made.walk = {.effort = effort, .is_compact = false};
    best = measuring.attempt(made.walk);
    if (best.recall >= target) break;
  }
  // Fewer bits cost a wider view and less for each that is met: which is less depends on the data.
  const auto effort_max = made.walk.effort * kCompactEffortMax;
  for (const auto effort : kEfforts) {
    if (effort > effort_max) break;
    if (!goes_on()) return stopped();
    const WalkSettings compact{.effort = effort, .is_compact = true};
    const auto tried = measuring.attempt(compact);
    if (tried.recall < std::min(best.recall, target)) continue;
    if (tried.seconds < kCompactWorth * best.seconds) {
      made.walk = compact;
      best = tried;
    }
    break;
  }
  made.walk.recall = best.recall;
  const auto searches = static_cast<double>(queries.size() * kCalibratedLimits.size());
  const bool is_slower = best.seconds > searches * aim.scan_seconds;
  if (!queries.front().self && (best.recall < target || is_slower)) {
    made.walk = {.is_of_use = false};
  }
  const auto a_search = std::max(best.seconds / searches, 1e-9);
  made.searches_meanwhile = static_cast<std::uint64_t>((thread_seconds() - begin) / a_search);
  return made;
}

double time_scan(const VectorRows& rows, const CalibrationQuery& query) {
  const auto begin = thread_seconds();
  static_cast<void>(scan(rows, query.unit, kCalibratedLimits.front(), query.self));
  return thread_seconds() - begin;
}

}  // namespace samtale
