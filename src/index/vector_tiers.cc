#include "index/vector_tiers.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

namespace samtale {
namespace {

// Vectors scored at a time: their scores stay in the L1 cache.
constexpr std::size_t kBlock = 256;
// With fewer vectors for each hit wanted most are looked at anyway, and their codes are not worth
// reading.
constexpr std::size_t kCodesFrom = 8;

// Vectors so far ahead are on their way while one is scored.
constexpr std::size_t kAhead = 2;

constexpr auto kNever = -std::numeric_limits<float>::infinity();

// The least of the greatest `limit` of what it is shown.
class Least {
 public:
  explicit Least(std::size_t limit) : limit_(limit) { greatest_.reserve(limit); }

  void show(float value) {
    if (greatest_.size() == limit_) {
      if (value <= greatest_.front()) return;
      std::ranges::pop_heap(greatest_, std::greater<>());
      greatest_.pop_back();
    }
    greatest_.push_back(value);
    std::ranges::push_heap(greatest_, std::greater<>());
  }
  // What all values may be below, while there are fewer.
  [[nodiscard]] float value() const {
    return greatest_.size() < limit_ ? kNever : greatest_.front();
  }

 private:
  std::size_t limit_;
  std::vector<float> greatest_;  // A heap with the least in front.
};

}  // namespace

VectorTiers::VectorTiers(std::size_t dimension, const IndexOptions& options, SegmentFolder* folder)
    : dimension_(dimension),
      options_(options),
      floats_{.folder = folder, .file_bytes = options.float_file_bytes} {
  tiers_[tail_] = std::make_shared<Tier>(dimension, floats_);
}

Result<> VectorTiers::make_room(std::size_t more) {
  auto& rows = tiers_[tail_]->rows;
  return rows.make_room(rows.size() + more);
}

VectorTiers::Place VectorTiers::add(Owner owner, std::span<const float> vector) {
  const auto place = tiers_[tail_]->rows.add(owner, vector);
  return static_cast<Place>(tail_) << kTierShift | place;
}

bool VectorTiers::holds(Place place, std::span<const float> vector) const {
  const auto held = tiers_[place >> kTierShift]->rows.vector(place & kPlaceMask);
  return std::ranges::equal(held, vector);
}

float VectorTiers::dot(std::span<const float> unit, Place place) const {
  return tiers_[place >> kTierShift]->rows.dot(unit, place & kPlaceMask);
}

std::optional<VectorTiers::Moved> VectorTiers::remove(Place place) {
  const auto number = static_cast<TierNumber>(place >> kTierShift);
  auto& tier = *tiers_[number];
  if (number != tail_) {
    tier.rows.set_owner(place & kPlaceMask, kNobody);
    ++tier.removed;
    uncleared_.push_back(place);
    if (number == graph_) ++graph_version_;
    return std::nullopt;
  }
  tier.rows.remove(place & kPlaceMask);
  if ((place & kPlaceMask) == tier.rows.size()) return std::nullopt;
  return Moved{.owner = tier.rows.owner(place & kPlaceMask), .place = place};
}

void VectorTiers::renumber(std::span<const Owner> new_owners) {
  for (const auto& tier : tiers_) {
    if (!tier) continue;
    for (VectorRows::Place p = 0; p < tier->rows.size(); ++p) {
      const auto owner = tier->rows.owner(p);
      if (owner != kNobody) tier->rows.set_owner(p, new_owners[owner]);
    }
  }
}

void VectorTiers::shrink() { tiers_[tail_]->rows.shrink(); }

bool VectorTiers::nearest(std::span<const float> unit, std::size_t limit, double share,
                          bool must_be_exact, Sink& sink) const {
  const auto code = encode_query(unit);
  const bool filters = share < 1;
  bool is_exact = true;
  // What the graph has found tells which of the others need a look.
  for (const auto number : {graph_, frozen_, tail_}) {
    if (number == kNoTier || tiers_[number]->live() == 0) continue;
    const auto& tier = tiers_[number];
    std::optional<WalkPlan> plan;
    if (tier->graph && !must_be_exact) {
      plan = plan_walk(limit, share, tier->rows.size(), tier->removed, tier->walk);
    }
    if (plan && offer_near(*tier, unit, code, *plan, sink)) {
      is_exact = false;
    } else {
      if (tier->rows.size() / kCodesFrom >= limit) {
        offer_by_code(*tier, unit, code, limit, filters, sink);
      } else {
        offer_all(*tier, unit, filters, sink);
      }
    }
  }
  if (!is_exact) remember(unit);
  return is_exact;
}

template <class Visit>
void VectorTiers::for_wanted(const Tier& tier, bool filters, const Sink& sink, const Visit& visit) {
  const auto& rows = tier.rows;
  const bool skips = filters || tier.removed > 0;
  const auto is_wanted = [&](std::size_t place) {
    const auto owner = rows.owner(static_cast<VectorRows::Place>(place));
    return owner != kNobody && (!filters || sink.allows(owner));
  };
  for (std::size_t begin = 0; begin < rows.size();) {
    if (skips && !is_wanted(begin)) {
      ++begin;
      continue;
    }
    auto end = std::min(begin + kBlock, rows.size());
    if (skips) {
      for (auto i = begin + 1; i < end; ++i) {
        if (!is_wanted(i)) end = i;
      }
    }
    visit(static_cast<VectorRows::Place>(begin), end - begin);
    begin = end;
  }
}

void VectorTiers::offer_all(const Tier& tier, std::span<const float> unit, bool filters,
                            Sink& sink) {
  std::array<float, kBlock> scores;
  auto score_min = sink.score_min();
  for_wanted(tier, filters, sink, [&](VectorRows::Place first, std::size_t count) {
    tier.rows.dot(unit, first, count, scores.data());
    for (std::size_t i = 0; i < count; ++i) {
      if (scores[i] < score_min) continue;
      sink.offer(tier.rows.owner(first + static_cast<VectorRows::Place>(i)), scores[i]);
      score_min = sink.score_min();
    }
  });
}

// All of the codes are read once, as fast as they can be; of what that leaves, while it is in the
// caches, a finer bound leaves less. What is left is scored, best by code first: the worst of the
// hits then rules out most of it.
//
// What a hit must have at least is guessed meanwhile, from what the codes say of as many as are
// wanted. The guess is seldom too high, and then the hits that were found tell: the codes are read
// once more for what was passed over.
void VectorTiers::offer_by_code(const Tier& tier, std::span<const float> unit,
                                const QueryCode& code, std::size_t limit, bool filters,
                                Sink& sink) {
  const auto& rows = tier.rows;
  std::vector<Candidate> candidates;
  // An error is a sum of many small ones, so about so much of what it may be.
  const auto share = std::min(1.0F, 4 / std::sqrt(static_cast<float>(unit.size())));
  Least guess(limit);
  auto score_min = sink.score_min();
  const auto take = [&](VectorRows::Place place) {
    const auto [middle, distance] = rows.about(code, place);
    if (middle + distance < score_min) return;
    candidates.push_back({.place = place, .bound = middle + distance});
    guess.show(middle - distance * share);
    score_min = std::max(score_min, guess.value());
  };
  const auto coarse = encode_query_coarsely(unit);
  for_possible(tier, coarse, filters, sink, score_min, take);
  std::erase_if(candidates, [&](const Candidate& one) { return one.bound < score_min; });
  offer_candidates(rows, unit, candidates, sink);
  if (sink.score_min() >= score_min) return;

  std::ranges::sort(candidates, {}, &Candidate::place);
  std::vector<Candidate> passed_over;
  score_min = sink.score_min();
  const auto take_others = [&](VectorRows::Place place) {
    if (std::ranges::binary_search(candidates, place, {}, &Candidate::place)) return;
    const auto [middle, distance] = rows.about(code, place);
    if (middle + distance >= score_min) {
      passed_over.push_back({.place = place, .bound = middle + distance});
    }
  };
  for_possible(tier, coarse, filters, sink, score_min, take_others);
  offer_candidates(rows, unit, passed_over, sink);
}

// Those whose score may be `score_min`, which may grow meanwhile.
template <class Take>
void VectorTiers::for_possible(const Tier& tier, const CoarseQueryCode& coarse, bool filters,
                               const Sink& sink, const float& score_min, const Take& take) {
  constexpr std::size_t kGroup = 16;  // Most have none.
  static_assert(kBlock % kGroup == 0);
  std::array<float, kBlock> bounds;
  for_wanted(tier, filters, sink, [&](VectorRows::Place first, std::size_t count) {
    tier.rows.bounds(coarse, first, count, bounds.data());
    const auto groups_end = (count + kGroup - 1) / kGroup * kGroup;
    std::fill(bounds.begin() + count, bounds.begin() + groups_end, kNever);
    for (std::size_t group = 0; group < count; group += kGroup) {
      const auto least = score_min;
      int some = 0;
      for (std::size_t i = group; i < group + kGroup; ++i) {
        some |= static_cast<int>(bounds[i] >= least);
      }
      if (some == 0) continue;
      for (auto i = group; i < std::min(group + kGroup, count); ++i) {
        if (bounds[i] >= score_min) take(first + static_cast<VectorRows::Place>(i));
      }
    }
  });
}

void VectorTiers::offer_candidates(const VectorRows& rows, std::span<const float> unit,
                                   std::vector<Candidate>& candidates, Sink& sink) {
  std::ranges::sort(candidates, std::greater<>(), &Candidate::bound);
  offer_some(rows, unit, candidates, sink);
}

// Those whose bound, that a score is not above, is enough.
void VectorTiers::offer_some(const VectorRows& rows, std::span<const float> unit,
                             std::span<const Candidate> candidates, Sink& sink) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i + kAhead < candidates.size() && candidates[i + kAhead].bound >= sink.score_min()) {
      rows.fetch(candidates[i + kAhead].place);
    }
    const auto [place, bound] = candidates[i];
    if (bound < sink.score_min()) continue;
    const auto score = rows.dot(unit, place);
    if (score >= sink.score_min()) sink.offer(rows.owner(place), score);
  }
}

bool VectorTiers::offer_near(const Tier& tier, std::span<const float> unit, const QueryCode& code,
                             const WalkPlan& plan, Sink& sink) const {
  std::unique_ptr<Graph::Scratch> scratch;
  {
    const std::lock_guard lock(search_mutex_);
    if (!scratches_.empty()) {
      scratch = std::move(scratches_.back());
      scratches_.pop_back();
    }
  }
  if (!scratch) scratch = std::make_unique<Graph::Scratch>();
  const auto& rows = tier.rows;
  search(tier, unit, code, tier.walk.is_compact, plan.reach, *scratch);
  if (plan.filters || tier.removed > 0) {
    std::erase_if(scratch->pool, [&](const Graph::Near& near) {
      const auto owner = rows.owner(near.place);
      return owner == kNobody || (plan.filters && !sink.allows(owner));
    });
  }
  const bool is_enough = scratch->pool.size() >= plan.least;
  if (is_enough) {
    auto& [seen, pool, places, sums, scores] = *scratch;
    places.clear();
    for (const auto& near :
         std::span(pool).first(std::min(walk_candidates(plan.limit), pool.size()))) {
      places.push_back(near.place);
    }
    rows.bounds(code, places, sums, scores);
    std::vector<Candidate> candidates(places.size());
    for (std::size_t i = 0; i < places.size(); ++i) candidates[i] = {places[i], scores[i]};
    offer_some(rows, unit, candidates, sink);
  }
  const std::lock_guard lock(search_mutex_);
  scratches_.push_back(std::move(scratch));
  return is_enough;
}

void VectorTiers::search(const Tier& tier, std::span<const float> unit, const QueryCode& code,
                         bool is_compact, const Graph::Reach& reach, Graph::Scratch& scratch) {
  if (is_compact) {
    tier.graph->search(*tier.compact, tier.compact->encode(unit), reach, scratch);
  } else {
    tier.graph->search(tier.rows.codes(), {code.codes.data(), code.scale}, reach, scratch);
  }
}

void VectorTiers::remember(std::span<const float> unit) const {
  const std::lock_guard lock(search_mutex_);
  if (queries_.size() < kQueries) queries_.emplace_back();
  queries_[queries_seen_++ % kQueries].assign(unit.begin(), unit.end());
}

std::size_t VectorTiers::size() const {
  std::size_t sum = 0;
  for (const auto& tier : tiers_) sum += tier ? tier->live() : 0;
  return sum;
}

std::size_t VectorTiers::graph_size() const {
  return graph_ != kNoTier && tiers_[graph_]->graph ? tiers_[graph_]->live() : 0;
}

double VectorTiers::recall() const { return graph_ == kNoTier ? 1 : tiers_[graph_]->walk.recall; }

std::size_t VectorTiers::bytes() const {
  std::size_t sum = 0;
  for (const auto& tier : tiers_) {
    if (!tier) continue;
    sum += sizeof(Tier) + tier->rows.bytes();
    if (tier->compact) sum += tier->compact->bytes();
    if (tier->graph) sum += tier->graph->bytes();
  }
  sum += uncleared_.capacity() * sizeof(Place);
  const std::lock_guard lock(search_mutex_);
  for (const auto& scratch : scratches_) sum += scratch->seen.capacity() * sizeof(std::uint64_t);
  return sum + queries_.size() * dimension_ * sizeof(float);
}

std::size_t VectorTiers::mapped_bytes() const {
  std::size_t sum = 0;
  for (const auto& tier : tiers_) sum += tier ? tier->rows.mapped_bytes() : 0;
  return sum;
}

}  // namespace samtale
