#include "index/vector_tiers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "index/code_scan.h"

namespace samtale {
namespace {

// With fewer vectors for each hit wanted most are looked at anyway, and their codes are not worth
// reading.
constexpr std::size_t kCodesFrom = 8;

}  // namespace

VectorTiers::VectorTiers(std::size_t dimension, const IndexOptions& options, SegmentFolder* folder)
    : dimension_(dimension),
      options_(options),
      floats_{.folder = folder, .file_bytes = options.float_file_bytes},
      graph_from_(options.graph_from > 0 ? options.graph_from : kNever) {}

VectorTiers::Tier& VectorTiers::tail() {
  auto& tail = tiers_[tail_];
  if (!tail) {
    tail = std::make_shared<Tier>(dimension_, floats_);
    tail->rows.will_be_scanned();
  }
  return *tail;
}

Result<> VectorTiers::make_room(std::size_t more) {
  if (more == 0) return {};
  auto& rows = tail().rows;
  return rows.make_room(rows.size() + more);
}

VectorTiers::Place VectorTiers::add(Owner owner, std::span<const float> vector) {
  const auto place = tail().rows.add(owner, vector);
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

void VectorTiers::shrink() {
  if (tiers_[tail_]) tiers_[tail_]->rows.shrink();
}

// What is offered of a tier's rows goes to the sink by its owner.
class VectorTiers::OfTier final : public CodeHits {
 public:
  OfTier(const VectorRows& rows, Sink& sink) : rows_(rows), sink_(sink) {}
  [[nodiscard]] float score_min() const override { return sink_.score_min(); }
  void offer(VectorRows::Place place, float score) override {
    sink_.offer(rows_.owner(place), score);
  }

 private:
  const VectorRows& rows_;
  Sink& sink_;
};

bool VectorTiers::nearest(std::span<const float> unit, std::size_t limit, double share,
                          bool must_be_exact, Sink& sink) const {
  std::optional<QueryCode> code;  // A walk over other codes has no need of it.
  const bool filters = share < 1;
  bool is_exact = true;
  // What the graph has found tells which of the others need a look.
  for (const auto number : {graph_, frozen_, tail_}) {
    if (live(number) == 0) continue;
    const auto& tier = tiers_[number];
    std::optional<WalkPlan> plan;
    if (tier->graph && !must_be_exact) {
      plan = plan_walk(limit, share, tier->rows.size(), tier->removed, tier->walk);
    }
    if (plan && offer_near(*tier, unit, *plan, sink)) {
      is_exact = false;
    } else {
      if (tier->rows.size() / kCodesFrom >= limit) {
        const auto for_runs = [&](const VisitRun& visit) {
          for_wanted(*tier, filters, sink, visit);
        };
        OfTier hits(tier->rows, sink);
        if (!code) code = encode_query(unit);
        scan_by_code(tier->rows, unit, *code, limit, for_runs, hits);
      } else {
        offer_all(*tier, unit, filters, sink);
      }
    }
  }
  // Also where it was scanned: to measure whether walks might do.
  if (graph_size() > 0 && !must_be_exact) remember(unit);
  return is_exact;
}

void VectorTiers::for_wanted(const Tier& tier, bool filters, const Sink& sink,
                             const VisitRun& visit) {
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
    auto end = std::min(begin + kScanBlock, rows.size());
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
  std::array<float, kScanBlock> scores;
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

bool VectorTiers::offer_near(const Tier& tier, std::span<const float> unit, const WalkPlan& plan,
                             Sink& sink) const {
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
  const CodeWalk walk(tier.walked(tier.walk.is_compact), unit, plan.reach, *scratch);
  auto& pool = scratch->pool;
  if (plan.filters || tier.removed > 0) {
    std::erase_if(pool, [&](const Graph::Near& near) {
      const auto owner = rows.owner(near.place);
      return owner == kNobody || (plan.filters && !sink.allows(owner));
    });
  }
  const bool is_enough = pool.size() >= plan.least;
  if (is_enough) {
    OfTier hits(rows, sink);
    walk.offer(plan.limit, pool, hits);
  }
  const std::lock_guard lock(search_mutex_);
  scratches_.push_back(std::move(scratch));
  return is_enough;
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
