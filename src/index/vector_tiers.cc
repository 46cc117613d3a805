#include "index/vector_tiers.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <unordered_map>
#include <utility>

#include "base/check.h"

namespace samtale {
namespace {

constexpr int kTierShift = 30;
constexpr std::uint32_t kPlaceMask = (std::uint32_t{1} << kTierShift) - 1;

// Vectors scored at a time: their scores stay in the L1 cache.
constexpr std::size_t kBlock = 256;
// With fewer vectors for each hit wanted most are looked at anyway, and their codes are not worth
// reading.
constexpr std::size_t kCodesFrom = 8;

// A new graph costs the building of all of it, so each waits for half as many vectors again, or
// until a quarter of it is dead.
constexpr std::size_t kTailShare = 2;
constexpr std::size_t kRemovedShare = 4;

// With an effort of 1 a walk sees at least so many.
constexpr std::size_t kWidthMin = 32;
// A walk that would see so large a part of all is slower than the scan; one over 4-bit codes, twice
// as large a part.
constexpr std::size_t kWalkShare = 16;
// Below, a scan of what the filter allows is cheaper than a walk through what it does not.
constexpr double kFilterShareMin = 0.3;

constexpr std::size_t kQueries = 128;
constexpr std::uint64_t kCalibrateAfter = 1024;
constexpr std::array<float, 15> kEfforts{.5, .625, .75, 1, 1.25, 1.5, 2, 2.5,
                                         3,  4,    5,   6, 8,    12,  16};
// For the first results and for a long list, which hybrid search asks for.
constexpr std::array<std::size_t, 2> kCalibratedLimits{10, 200};
// A walk over 4-bit codes that must look so many times as wide as one over 8-bit codes is slower.
constexpr float kCompactEffortMax = 2;
constexpr double kConfidence = 1.645;  // One-sided, 95 %.

struct Best {
  float score;
  VectorRows::Place place;
};

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::size_t width(std::size_t limit, double effort) {
  const auto wide = static_cast<double>(std::max(limit, kWidthMin)) * effort;
  return std::max(limit, static_cast<std::size_t>(wide));
}

// The `limit` nearest rows but `self`, best first, by brute force over the codes.
std::vector<Best> scan(const VectorRows& rows, std::span<const float> unit, std::size_t limit,
                       std::optional<VectorRows::Place> self) {
  const auto code = encode_query(unit);
  const auto is_better = [](const Best& a, const Best& b) { return a.score > b.score; };
  std::vector<Best> best;
  std::array<float, kBlock> bounds;
  for (std::size_t begin = 0; begin < rows.size(); begin += kBlock) {
    const auto count = std::min(kBlock, rows.size() - begin);
    rows.bounds(code, static_cast<VectorRows::Place>(begin), count, bounds.data());
    for (std::size_t i = 0; i < count; ++i) {
      const auto place = static_cast<VectorRows::Place>(begin + i);
      if (place == self || (best.size() == limit && bounds[i] < best.front().score)) continue;
      best.push_back({rows.dot(unit, place), place});
      std::ranges::push_heap(best, is_better);
      if (best.size() <= limit) continue;
      std::ranges::pop_heap(best, is_better);
      best.pop_back();
    }
  }
  std::ranges::sort(best, is_better);
  return best;
}

}  // namespace

struct VectorTiers::Work {
  struct Query {
    std::vector<float> unit;
    std::optional<VectorRows::Place> self;  // It lies there, and is no find.
  };

  // A merge: of these, in the order of `origins`, into `made`. Else `graph` is measured anew.
  std::array<std::shared_ptr<const Tier>, kNoTier> sources;
  std::vector<Place> origins;
  std::shared_ptr<Tier> made;
  std::shared_ptr<Tier> graph;

  // Where the graph may come from. What its file does not have goes to the tail: `rest`.
  std::optional<Segment> segment;
  std::vector<Place> rest;
  std::size_t from_segment = 0;

  std::size_t dimension = 0;
  IndexOptions options;
  std::vector<Query> queries;
  double recall_target = 1;  // For these queries.
  // The result, for a tier that is being searched.
  WalkSettings walk;
};

struct VectorTiers::Snapshot {
  std::shared_ptr<const Tier> tier;
  std::vector<bool> keeps;  // By place.
  WalkSettings walk;
};

VectorTiers::VectorTiers(std::size_t dimension, const IndexOptions& options)
    : dimension_(dimension), options_(options) {
  tiers_[tail_] = std::make_shared<Tier>(dimension);
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
  for (const auto& tier : tiers_) {
    if (!tier || tier->live() == 0) continue;
    const auto all = tier->rows.size();
    const double wanted = share * static_cast<double>(tier->live()) / static_cast<double>(all);
    // Where not all that is met is wanted, chance needs room.
    const auto effort = wanted < 1 ? std::max(tier->walk.effort, 1.0F) : tier->walk.effort;
    const auto ef = width(limit, effort / std::max(wanted, 1e-3));
    // Half of what is met where the wanted lie as everywhere.
    const auto least = std::max(limit, width(limit, effort) / 2);
    const auto ef_max = all / (tier->walk.is_compact ? kWalkShare / 2 : kWalkShare);
    const bool may_walk = tier->graph && !must_be_exact && share >= kFilterShareMin && ef < ef_max;
    if (may_walk && offer_near(*tier, unit, code, ef, least, filters, sink)) {
      is_exact = false;
    } else {
      offer_all(*tier, unit, code, all / kCodesFrom >= limit, filters, sink);
    }
  }
  if (!is_exact) remember(unit);
  return is_exact;
}

void VectorTiers::offer_all(const Tier& tier, std::span<const float> unit, const QueryCode& code,
                            bool by_code, bool filters, Sink& sink) const {
  const auto& rows = tier.rows;
  const bool skips = filters || tier.removed > 0;
  const auto is_wanted = [&](std::size_t place) {
    const auto owner = rows.owner(static_cast<VectorRows::Place>(place));
    return owner != kNobody && (!filters || sink.allows(owner));
  };
  // By code only what a score can be at most.
  std::array<float, kBlock> scores;
  auto score_min = sink.score_min();
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
    const auto first = static_cast<VectorRows::Place>(begin);
    if (by_code) {
      rows.bounds(code, first, end - begin, scores.data());
    } else {
      rows.dot(unit, first, end - begin, scores.data());
    }
    for (auto i = begin; i < end; ++i) {
      auto score = scores[i - begin];
      if (score < score_min) continue;
      const auto place = static_cast<VectorRows::Place>(i);
      if (by_code) score = rows.dot(unit, place);
      if (score < score_min) continue;
      sink.offer(rows.owner(place), score);
      score_min = sink.score_min();
    }
    begin = end;
  }
}

bool VectorTiers::offer_near(const Tier& tier, std::span<const float> unit, const QueryCode& code,
                             std::size_t ef, std::size_t least, bool filters, Sink& sink) const {
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
  search(tier, unit, code, tier.walk.is_compact, ef, *scratch);
  if (filters || tier.removed > 0) {
    std::erase_if(scratch->pool, [&](const Graph::Near& near) {
      const auto owner = rows.owner(near.place);
      return owner == kNobody || (filters && !sink.allows(owner));
    });
  }
  const bool is_enough = scratch->pool.size() >= least;
  if (is_enough) {
    auto& [seen, graph_search, pool, places, sums, scores] = *scratch;
    places.clear();
    for (const auto& near : pool) places.push_back(near.place);
    rows.bounds(code, places, sums, scores);
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (scores[i] < sink.score_min()) continue;
      const auto score = rows.dot(unit, places[i]);
      if (score >= sink.score_min()) sink.offer(rows.owner(places[i]), score);
    }
  }
  const std::lock_guard lock(search_mutex_);
  scratches_.push_back(std::move(scratch));
  return is_enough;
}

void VectorTiers::search(const Tier& tier, std::span<const float> unit, const QueryCode& code,
                         bool is_compact, std::size_t ef, Graph::Scratch& scratch) {
  if (is_compact) {
    tier.graph->search(tier.compact, tier.compact.encode(unit), ef, scratch);
  } else {
    tier.graph->search(tier.rows.codes(), code.codes.data(), ef, scratch);
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
    if (tier)
      sum += tier->rows.bytes() + tier->compact.bytes() + (tier->graph ? tier->graph->bytes() : 0);
  }
  const std::lock_guard lock(search_mutex_);
  for (const auto& scratch : scratches_) sum += scratch->seen.capacity() * sizeof(std::uint16_t);
  return sum + queries_.size() * dimension_ * sizeof(float);
}

VectorTiers::TierNumber VectorTiers::free_tier() const {
  for (TierNumber n = 0; n < kNoTier; ++n) {
    if (!tiers_[n]) return n;
  }
  SAMTALE_CHECK(false, "a tail, a frozen one and a graph leave one free");
  return kNoTier;
}

bool VectorTiers::merge_is_due() const {
  if (options_.graph_from == 0) return false;
  if (frozen_ != kNoTier) return true;
  const auto in_graph = graph_ == kNoTier ? 0 : tiers_[graph_]->live();
  const auto in_tail = tiers_[tail_]->rows.size();
  if (in_tail >= std::max(options_.graph_from, in_graph / kTailShare)) return true;
  if (graph_ == kNoTier) return false;
  const auto made_of = std::max(tiers_[graph_]->made_of, tiers_[graph_]->rows.size());
  return made_of - in_graph > made_of / kRemovedShare;
}

std::shared_ptr<VectorTiers::Work> VectorTiers::begin_work(std::optional<Segment> segment) {
  const bool merges = merge_is_due();
  auto work = std::make_shared<Work>();
  work->dimension = dimension_;
  work->options = options_;
  work->recall_target = options_.recall_target;
  if (graph_ == kNoTier) work->segment = std::move(segment);
  {
    const std::lock_guard lock(search_mutex_);
    const bool measures = queries_seen_ >= queries_seen_at_calibration_ + kCalibrateAfter;
    if (!merges && !(measures && graph_size() > 0)) return nullptr;
    for (const auto& query : queries_) work->queries.push_back({query, std::nullopt});
    queries_seen_at_calibration_ = queries_seen_;
  }
  if (!merges) {
    work->graph = tiers_[graph_];
    return work;
  }
  if (frozen_ == kNoTier) {
    const auto fresh = free_tier();
    tiers_[fresh] = std::make_shared<Tier>(dimension_);
    frozen_ = std::exchange(tail_, fresh);
  }
  for (const auto number : {graph_, frozen_}) {
    if (number == kNoTier) continue;
    const auto& tier = tiers_[number];
    work->sources[number] = tier;
    for (VectorRows::Place p = 0; p < tier->rows.size(); ++p) {
      if (tier->rows.owner(p) == kNobody) continue;
      work->origins.push_back(static_cast<Place>(number) << kTierShift | p);
    }
  }
  return work;
}

Result<> VectorTiers::run_work(Work& work, const std::stop_token& stop) {
  if (work.graph) {
    return calibrate(*work.graph, work, stop);
  }
  work.made = std::make_shared<Tier>(work.dimension);
  auto& made = *work.made;
  if (work.segment) take_segment(work);
  if (!made.graph && work.origins.size() >= work.options.graph_from) {
    SAMTALE_TRY_VOID(make_graph(work, stop));
  }
  made.rows.reserve(work.origins.size());
  for (const auto origin : work.origins) {
    made.rows.add(kNobody, work.sources[origin >> kTierShift]->rows, origin & kPlaceMask);
  }
  if (!made.graph) return {};
  made.compact.reserve(work.origins.size());
  for (VectorRows::Place p = 0; p < work.origins.size(); ++p) made.compact.add(made.rows.vector(p));
  if (work.walk.recall_target == work.options.recall_target) return {};
  if (work.queries.size() < kQueries) {
    // Its own vectors, spread over all of it, until there are real ones; they are easier to find
    // the neighbours of, so half as many may be missing.
    work.recall_target = (1 + work.options.recall_target) / 2;
    work.queries.clear();
    for (std::size_t i = 0; i < kQueries; ++i) {
      const auto place = static_cast<VectorRows::Place>(i * made.rows.size() / kQueries);
      work.queries.push_back({made.rows.vector(place), place});
    }
  }
  return calibrate(made, work, stop);
}

// Gives the segment's nodes vectors of their digests; which of equal ones does not matter.
void VectorTiers::take_segment(Work& work) {
  const auto& segment = *work.segment;
  std::unordered_multimap<std::uint64_t, Place> there;
  for (const auto origin : work.origins) {
    const auto& rows = work.sources[origin >> kTierShift]->rows;
    there.emplace(vector_digest(rows.vector(origin & kPlaceMask)), origin);
  }
  std::vector<Place> found(segment.digests.size());
  std::vector<bool> keeps(segment.digests.size());
  for (std::size_t node = 0; node < found.size(); ++node) {
    const auto at = there.find(segment.digests[node]);
    if (at == there.end()) continue;
    found[node] = at->second;
    keeps[node] = true;
    there.erase(at);
  }
  auto part = segment.graph.part(keeps);
  const auto nodes = part.order.size();
  if (nodes < work.options.graph_from || nodes < segment.digests.size() / 2) return;
  work.origins.clear();
  for (const auto node : part.order) {
    work.origins.push_back(found[node]);
    keeps[node] = false;
  }
  for (const auto& [digest, place] : there) work.rest.push_back(place);
  for (std::size_t node = 0; node < found.size(); ++node) {
    if (keeps[node]) work.rest.push_back(found[node]);  // No walk comes to it any more.
  }
  work.made->graph = std::move(part.graph);
  work.made->made_of = segment.made_of;
  work.from_segment = nodes;
  // What was measured is true of the whole of it.
  if (nodes == segment.digests.size()) work.walk = segment.settings;
}

Result<> VectorTiers::make_graph(Work& work, const std::stop_token& stop) {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  codes.reserve(work.origins.size() * work.dimension);
  scales.reserve(work.origins.size());
  for (const auto origin : work.origins) {
    const auto rows = work.sources[origin >> kTierShift]->rows.codes();
    const auto* const row = rows.row(origin & kPlaceMask);
    codes.insert(codes.end(), row, row + work.dimension);
    scales.push_back(rows.scales[origin & kPlaceMask]);
  }
  SAMTALE_TRY(auto built, Graph::build({codes, scales, work.dimension}, {}, stop));
  for (auto& place : built.order) place = work.origins[place];
  work.origins = std::move(built.order);
  work.made->graph = std::move(built.graph);
  work.made->made_of = work.origins.size();
  return {};
}

Result<> VectorTiers::calibrate(const Tier& tier, Work& work, const std::stop_token& stop) {
  constexpr auto kLimitMax = kCalibratedLimits.back();
  std::vector<std::vector<Best>> truths;
  const auto stopped = [] {
    return fail(ErrorCode::unavailable, "the measuring of a graph was stopped");
  };
  for (const auto& query : work.queries) {
    if (stop.stop_requested()) return stopped();
    truths.push_back(scan(tier.rows, query.unit, kLimitMax, query.self));
  }
  Graph::Scratch scratch;
  // What is found of the nearest `limit`, with 95 % confidence at least: all that a walk meets is
  // scored exactly afterwards, so a vector it met is not lost.
  const auto recall_at = [&](std::size_t limit, const WalkSettings& walk) {
    double sum = 0;
    double squares = 0;
    for (std::size_t q = 0; q < work.queries.size(); ++q) {
      const auto& query = work.queries[q];
      search(tier, query.unit, encode_query(query.unit), walk.is_compact, width(limit, walk.effort),
             scratch);
      const auto wanted = std::min(limit, truths[q].size());
      // Of vectors that are many times there any will do.
      const auto score_min = truths[q][wanted - 1].score;
      const auto met = std::ranges::count_if(scratch.pool, [&](const Graph::Near& near) {
        return near.place != query.self && tier.rows.dot(query.unit, near.place) >= score_min;
      });
      const auto found = std::min(static_cast<std::size_t>(met), wanted);
      const auto recall = static_cast<double>(found) / static_cast<double>(wanted);
      sum += recall;
      squares += recall * recall;
    }
    const auto count = static_cast<double>(work.queries.size());
    const auto mean = sum / count;
    const auto variance = std::max(0.0, squares / count - mean * mean);
    return mean - kConfidence * std::sqrt(variance / count);
  };
  struct Tried {
    double recall = 1;  // The least of all limits.
    double seconds = 0;
  };
  const auto attempt = [&](const WalkSettings& walk) {
    Tried tried;
    const auto begin = thread_seconds();
    for (const auto limit : kCalibratedLimits) {
      tried.recall = std::min(tried.recall, recall_at(limit, walk));
    }
    tried.seconds = thread_seconds() - begin;
    return tried;
  };
  const auto target = work.recall_target;
  Tried best;
  for (const auto effort : kEfforts) {
    if (stop.stop_requested()) return stopped();
    work.walk = {.effort = effort, .is_compact = false};
    best = attempt(work.walk);
    if (best.recall >= target) break;
  }
  // Fewer bits cost a wider view and less for each that is met: which is less depends on the data.
  const auto effort_max = work.walk.effort * kCompactEffortMax;
  for (const auto effort : kEfforts) {
    if (effort > effort_max) break;
    if (stop.stop_requested()) return stopped();
    const WalkSettings compact{.effort = effort, .is_compact = true};
    const auto tried = attempt(compact);
    if (tried.recall < std::min(best.recall, target)) continue;
    if (tried.seconds < best.seconds) {
      work.walk = compact;
      best = tried;
    }
    break;
  }
  work.walk.recall = best.recall;
  work.walk.recall_target = work.options.recall_target;
  return {};
}

VectorTiers::Ended VectorTiers::end_work(Work& work) {
  Ended ended;
  if (work.graph) {
    work.graph->walk = work.walk;
    return ended;
  }
  const auto number = free_tier();
  auto& made = *work.made;
  for (VectorRows::Place p = 0; p < work.origins.size(); ++p) {
    const auto origin = work.origins[p];
    const auto owner = tiers_[origin >> kTierShift]->rows.owner(origin & kPlaceMask);
    made.rows.set_owner(p, owner);
    if (owner == kNobody) {
      ++made.removed;  // While it was being made.
    } else {
      ended.moved.push_back({owner, static_cast<Place>(number) << kTierShift | p});
    }
  }
  auto& tail = tiers_[tail_]->rows;
  for (const auto origin : work.rest) {
    const auto& rows = tiers_[origin >> kTierShift]->rows;
    const auto owner = rows.owner(origin & kPlaceMask);
    if (owner == kNobody) continue;
    const auto place = tail.add(owner, rows, origin & kPlaceMask);
    ended.moved.push_back({owner, static_cast<Place>(tail_) << kTierShift | place});
  }
  made.walk = work.walk;
  ended.removed = made.removed;
  if (graph_ != kNoTier) tiers_[graph_] = nullptr;
  tiers_[std::exchange(frozen_, kNoTier)] = nullptr;
  graph_ = number;
  tiers_[number] = std::move(work.made);
  ++graph_version_;
  ended.from_segment = work.from_segment;
  return ended;
}

std::shared_ptr<const VectorTiers::Snapshot> VectorTiers::snapshot() const {
  if (graph_ == kNoTier || !tiers_[graph_]->graph) return nullptr;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->tier = tiers_[graph_];
  snapshot->walk = tiers_[graph_]->walk;
  const auto& rows = tiers_[graph_]->rows;
  snapshot->keeps.reserve(rows.size());
  for (VectorRows::Place p = 0; p < rows.size(); ++p) {
    snapshot->keeps.push_back(rows.owner(p) != kNobody);
  }
  return snapshot;
}

Segment VectorTiers::segment_of(const Snapshot& snapshot) {
  const auto& tier = *snapshot.tier;
  auto part = tier.graph->part(snapshot.keeps);
  Segment segment;
  segment.digests.reserve(part.order.size());
  for (const auto place : part.order) {
    segment.digests.push_back(vector_digest(tier.rows.vector(place)));
  }
  segment.settings = snapshot.walk;
  if (part.order.size() < tier.rows.size()) segment.settings.recall_target = 0;
  segment.graph = std::move(part.graph);
  segment.made_of = tier.made_of;
  return segment;
}

}  // namespace samtale
