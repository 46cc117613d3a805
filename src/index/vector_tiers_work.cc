#include <algorithm>
#include <array>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "index/vector_tiers.h"
#include "index/walk_calibration.h"

namespace samtale {
namespace {

// Growing costs a copy of the graph and its codes, about as much as it takes to put in a few
// hundredths of as many vectors; to scan that many takes a small part of what a walk takes.
constexpr std::size_t kGrowthShare = 128;
// A new graph costs the building of all of it, so each waits for half as many vectors again at
// once, or until a quarter of it is dead.
constexpr std::size_t kTailShare = 2;
constexpr std::size_t kRemovedShare = 4;

// How long an exact search takes is measured when there are so many, as vectors and as numbers, and
// again with a quarter more: what was measured holds for about as many.
constexpr std::size_t kMeasuredFrom = 4'096;
constexpr std::size_t kMeasuredNumbers = std::size_t{1} << 21;
constexpr std::size_t kMeasuredShare = 4;

// Measuring takes a second or two: it is done again after so many times as many searches as could
// have been made instead.
constexpr double kCalibrationShare = 16;

std::vector<float> mean_of(const VectorRows& rows, std::size_t dimension) {
  std::vector<double> sums(dimension);
  for (VectorRows::Place p = 0; p < rows.size(); ++p) {
    const auto vector = rows.vector(p);
    for (std::size_t i = 0; i < dimension; ++i) sums[i] += vector[i];
  }
  const auto count = static_cast<double>(rows.size());
  std::vector<float> mean(dimension);
  std::ranges::transform(sums, mean.begin(),
                         [&](double sum) { return static_cast<float>(sum / count); });
  return mean;
}

}  // namespace

struct VectorTiers::Work {
  // A merge: of these, in the order of `origins`, into `made`. Else `graph` grows by `more`, or is
  // measured anew.
  std::array<std::shared_ptr<const Tier>, kNoTier> sources;
  std::vector<Place> origins;
  std::shared_ptr<Tier> made;
  std::shared_ptr<Tier> graph;
  std::shared_ptr<const Tier> more;

  // Of the graph that is a source, so many rows are among the origins; it may have grown since.
  TierNumber source_graph = kNoTier;
  std::size_t taken = 0;
  std::uint64_t renewals = 0;  // Asked for by then.

  // Where the graph may come from. What its file does not have goes to the tail: `rest`.
  std::optional<Segment> segment;
  std::vector<Place> rest;
  std::size_t from_segment = 0;

  std::size_t dimension = 0;
  IndexOptions options;
  FloatPlace floats;
  bool makes_graph = true;  // False: walks were of no use, and not many are new.
  std::vector<CalibrationQuery> queries;
  CalibrationAim aim;  // For these queries.
  // The result, for a tier that is being searched.
  WalkSettings walk;
  std::uint64_t calibrate_after = kCalibrateAfter;  // Again, queries.
  std::optional<VectorRows::Codes> codes;  // Where they belong by it; empty: where they are.
  // Of a graph that has grown.
  std::unique_ptr<Graph> grown;
  std::unique_ptr<CompactRows> compact;
};

struct VectorTiers::Snapshot {
  std::shared_ptr<const Tier> tier;
  std::vector<bool> keeps;  // By place.
  WalkSettings walk;
};

VectorTiers::TierNumber VectorTiers::free_tier() const {
  for (TierNumber n = 0; n < kNoTier; ++n) {
    if (!tiers_[n] && n != tail_) return n;
  }
  SAMTALE_CHECK(false, "a tail, a frozen one and a graph leave one free");
  return kNoTier;
}

// Those that are to go into a graph next are too many for the one that there is.
bool VectorTiers::many_are_new() const {
  const auto are_new = live(frozen_ == kNoTier ? tail_ : frozen_);
  return are_new >= std::max(graph_from_, live(graph_) / kTailShare);
}

bool VectorTiers::graph_is_due() const {
  if (many_are_new()) return true;
  if (graph_ == kNoTier) return frozen_ != kNoTier;
  if (renewals_asked_ != renewals_done_) return true;
  const auto& graph = *tiers_[graph_];
  if (graph.graph && !graph.walk.is_of_use) return true;
  const auto made_of = std::max(graph.made_of, graph.rows.size());
  return made_of - graph.live() > made_of / kRemovedShare;
}

bool VectorTiers::renew_graph() {
  if (graph_ == kNoTier) return false;
  ++renewals_asked_;
  return true;
}

std::optional<double> VectorTiers::measured_scan(std::size_t nth) const {
  if (options_.graph_from > 0 || options_.exact_within.count() == 0) return std::nullopt;
  if (graph_ != kNoTier || live(tail_) < kMeasuredFrom) return std::nullopt;
  const auto& rows = tiers_[tail_]->rows;
  if (rows.size() * dimension_ < kMeasuredNumbers) return std::nullopt;
  if (rows.size() < measured_at_ + measured_at_ / kMeasuredShare) return std::nullopt;
  const auto self = static_cast<VectorRows::Place>(nth * rows.size() / kScansMeasured);
  const auto vector = rows.vector(self);
  return time_scan(rows, {{vector.begin(), vector.end()}, self}) / static_cast<double>(rows.size());
}

void VectorTiers::scans_take(double seconds_a_vector) {
  measured_at_ = live(tail_);
  scan_seconds_ = seconds_a_vector;
  const std::chrono::duration<double> within = options_.exact_within;
  const auto most = std::min(within.count() / seconds_a_vector, static_cast<double>(kNever));
  graph_from_ = std::max(kMeasuredFrom, static_cast<std::size_t>(most));
}

void VectorTiers::freeze_tail() { frozen_ = std::exchange(tail_, free_tier()); }

// What was in it lies elsewhere.
void VectorTiers::drop_frozen() {
  tiers_[std::exchange(frozen_, kNoTier)] = nullptr;
  frozen_is_taken_ = false;
}

std::shared_ptr<VectorTiers::Work> VectorTiers::begin_growth() {
  if (graph_ == kNoTier || !tiers_[graph_]->graph || frozen_is_taken_) return nullptr;
  if (frozen_ == kNoTier) {
    const auto all = std::max(graph_from_, tiers_[graph_]->live());
    if (live(tail_) * kGrowthShare < all) return nullptr;
    freeze_tail();
  }
  frozen_is_taken_ = true;
  auto work = std::make_shared<Work>();
  work->graph = tiers_[graph_];
  work->more = tiers_[frozen_];
  // Here, since it costs less to make room than to fill it; without any the work fails at its end.
  auto& rows = work->graph->rows;
  static_cast<void>(rows.make_room(rows.size() + work->more->rows.size()));
  return work;
}

std::shared_ptr<VectorTiers::Work> VectorTiers::begin_work(std::optional<Segment> segment) {
  frozen_is_taken_ = false;  // Whoever took it has ended, well or not.
  // A company that had a graph has one until it is half as large: what is measured differs a little
  // each time, and making a graph costs far more than taking it.
  const bool takes_file = segment && graph_ == kNoTier && frozen_ == kNoTier;
  const auto graph_from = takes_file || graph_size() > 0 ? graph_from_ / 2 : graph_from_;
  const bool merges = graph_is_due() || (takes_file && live(tail_) >= graph_from);
  if (!merges) {
    if (auto growth = begin_growth()) return growth;
  }
  auto work = std::shared_ptr<Work>();
  {
    const std::lock_guard lock(search_mutex_);
    const bool measures = queries_seen_ >= queries_seen_at_calibration_ + calibrate_after_;
    if (!merges && !(measures && graph_size() > 0)) return nullptr;
    work = std::make_shared<Work>();
    for (const auto& query : queries_) work->queries.push_back({query, std::nullopt});
    queries_seen_at_calibration_ = queries_seen_;
  }
  work->dimension = dimension_;
  work->options = options_;
  work->options.graph_from = graph_from;
  work->floats = floats_;
  work->aim = {.recall_target = options_.recall_target,
               .scan_seconds = scan_seconds_ * static_cast<double>(size())};
  if (graph_ == kNoTier) work->segment = std::move(segment);
  if (!merges) {
    work->graph = tiers_[graph_];
    return work;
  }
  work->makes_graph = graph_ == kNoTier || tiers_[graph_]->walk.is_of_use || many_are_new() ||
                      renewals_asked_ != renewals_done_;
  // Few new ones go on into the graph that there is.
  if (frozen_ == kNoTier && (takes_file || many_are_new())) freeze_tail();
  frozen_is_taken_ = frozen_ != kNoTier;
  work->origins.reserve(size() - live(tail_));
  for (const auto number : {graph_, frozen_}) {
    if (number == kNoTier) continue;
    const auto& tier = tiers_[number];
    work->sources[number] = tier;
    for (VectorRows::Place p = 0; p < tier->rows.size(); ++p) {
      if (tier->rows.owner(p) == kNobody) continue;
      work->origins.push_back(static_cast<Place>(number) << kTierShift | p);
    }
  }
  work->source_graph = graph_;
  work->renewals = renewals_asked_;
  if (graph_ != kNoTier) work->taken = tiers_[graph_]->rows.size();
  return work;
}

Result<> VectorTiers::run_work(Work& work, const GoesOn& goes_on) {
  if (work.more) return grow(work, goes_on);
  if (work.graph) {
    SAMTALE_TRY_VOID(calibrate_tier(*work.graph, work, goes_on));
    work.codes = work.graph->rows.codes_for(!work.walk.is_compact);
    return {};
  }
  work.made = std::make_shared<Tier>(work.dimension, work.floats);
  auto& made = *work.made;
  if (work.segment) take_segment(work);
  // Before the work that would be lost without it.
  SAMTALE_TRY_VOID(made.rows.reserve(work.origins.size()));
  if (!made.graph && work.makes_graph && work.origins.size() >= work.options.graph_from) {
    SAMTALE_TRY_VOID(make_graph(work, goes_on));
    SAMTALE_TRY_VOID(catch_up(work, goes_on));
    SAMTALE_TRY_VOID(made.rows.reserve(work.origins.size()));
  }
  if (!made.graph) {
    made.rows.will_be_scanned();
    work.walk.is_of_use = work.makes_graph;
  }
  for (const auto origin : work.origins) {
    made.rows.add(kNobody, work.sources[origin >> kTierShift]->rows, origin & kPlaceMask);
  }
  if (!made.graph) return {};
  made.compact = std::make_unique<CompactRows>(mean_of(made.rows, work.dimension),
                                               CompactRows::bits_for(work.dimension));
  made.compact->reserve(work.origins.size());
  for (VectorRows::Place p = 0; p < work.origins.size(); ++p)
    made.compact->add(made.rows.vector(p));
  if (work.walk.recall_target != work.options.recall_target) {
    SAMTALE_TRY_VOID(calibrate_made(work, goes_on));
  }
  if (!work.walk.is_of_use) {
    made.graph.reset();
    made.compact.reset();
    made.rows.will_be_scanned();
    return {};
  }
  if (auto codes = made.rows.codes_for(!work.walk.is_compact)) made.rows.put(*std::move(codes));
  return {};
}

// All without the lock, into what nobody else sees yet.
Result<> VectorTiers::grow(Work& work, const GoesOn& goes_on) {
  auto& rows = work.graph->rows;
  auto both = rows.joined(work.more->rows);
  const CodeRows codes{both.codes, both.scales, rows.codes().dimension};
  SAMTALE_TRY(auto grown, work.graph->graph->grown(codes, goes_on));
  work.grown = std::make_unique<Graph>(std::move(grown));
  work.compact = std::make_unique<CompactRows>(*work.graph->compact);
  work.compact->reserve(codes.size());
  for (VectorRows::Place p = 0; p < work.more->rows.size(); ++p) {
    work.compact->add(work.more->rows.vector(p));
  }
  work.codes = rows.laid(std::move(both.codes));
  rows.write_ahead(work.more->rows);
  return {};
}

Result<> VectorTiers::calibrate_made(Work& work, const GoesOn& goes_on) {
  const auto& made = *work.made;
  if (work.queries.size() < kQueries) {
    // Its own vectors, spread over all of it, until there are real ones; they are easier to find
    // the neighbours of, so half as many may be missing.
    work.aim.recall_target = (1 + work.options.recall_target) / 2;
    work.queries.clear();
    for (std::size_t i = 0; i < kQueries; ++i) {
      const auto place = static_cast<VectorRows::Place>(i * made.rows.size() / kQueries);
      const auto vector = made.rows.vector(place);
      work.queries.push_back({{vector.begin(), vector.end()}, place});
    }
  }
  return calibrate_tier(made, work, goes_on);
}

Result<> VectorTiers::calibrate_tier(const Tier& tier, Work& work, const GoesOn& goes_on) {
  SAMTALE_TRY(const auto found, calibrate(tier.walked(true), work.queries, work.aim, goes_on));
  work.walk = found.walk;
  work.walk.recall_target = work.options.recall_target;
  if (work.queries.front().self) return {};  // For want of real ones, which it is to be soon.
  const auto after = kCalibrationShare * static_cast<double>(found.searches_meanwhile);
  work.calibrate_after = std::max(kCalibrateAfter, static_cast<std::uint64_t>(after));
  return {};
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
  work.made->graph = std::make_unique<Graph>(std::move(part.graph));
  work.made->made_of = segment.made_of;
  work.from_segment = nodes;
  // What was measured is true of the whole of it.
  if (nodes == segment.digests.size()) work.walk = segment.settings;
}

Result<> VectorTiers::make_graph(Work& work, const GoesOn& goes_on) {
  const auto rows = rows_of_origins(work);
  SAMTALE_TRY(auto built, Graph::build({rows.codes, rows.scales, work.dimension}, {}, goes_on));
  for (auto& place : built.order) place = work.origins[place];
  work.origins = std::move(built.order);
  work.made->graph = std::make_unique<Graph>(std::move(built.graph));
  work.made->made_of = work.origins.size();
  return {};
}

VectorRows::Joined VectorTiers::rows_of_origins(const Work& work) {
  VectorRows::Joined all;
  all.codes.reserve(work.origins.size() * work.dimension);
  all.scales.reserve(work.origins.size());
  for (const auto origin : work.origins) {
    const auto rows = work.sources[origin >> kTierShift]->rows.codes();
    const auto* const row = rows.row(origin & kPlaceMask);
    all.codes.insert(all.codes.end(), row, row + work.dimension);
    all.scales.push_back(rows.scales[origin & kPlaceMask]);
  }
  return all;
}

// What the old graph took in while the new one was made; again for as long as it helps, since it
// takes in more meanwhile. The last of them go to the tail.
Result<> VectorTiers::catch_up(Work& work, const GoesOn& goes_on) {
  if (work.source_graph == kNoTier) return {};
  const auto& old = work.sources[work.source_graph]->rows;
  auto before = std::numeric_limits<std::size_t>::max();
  for (auto late = old.size() - work.taken;
       late * kGrowthShare > work.origins.size() && late < before; late = old.size() - work.taken) {
    before = late;
    for (const auto end = old.size(); work.taken < end; ++work.taken) {
      const auto place = static_cast<Place>(work.taken);
      work.origins.push_back(static_cast<Place>(work.source_graph) << kTierShift | place);
    }
    const auto rows = rows_of_origins(work);
    SAMTALE_TRY(auto grown,
                work.made->graph->grown({rows.codes, rows.scales, work.dimension}, goes_on));
    *work.made->graph = std::move(grown);
    work.made->made_of = work.origins.size();
  }
  return {};
}

Result<VectorTiers::Ended> VectorTiers::end_growth(Work& work) {
  auto& tier = *work.graph;
  const auto& more = work.more->rows;
  const auto first = static_cast<VectorRows::Place>(tier.rows.size());
  SAMTALE_TRY_VOID(tier.rows.make_room(first + more.size()));
  tier.rows.append(more, *work.codes);
  std::swap(tier.graph, work.grown);
  std::swap(tier.compact, work.compact);
  tier.made_of += more.size();
  Ended ended{.moved = {}, .has_grown = true};
  for (VectorRows::Place p = 0; p < more.size(); ++p) {
    const auto place = static_cast<Place>(graph_) << kTierShift | (first + p);
    if (more.owner(p) == kNobody) {
      ++tier.removed;  // While it grew.
      uncleared_.push_back(place);
    } else {
      ended.moved.push_back({more.owner(p), place});
    }
  }
  drop_frozen();
  forget_dropped();
  return ended;
}

Result<VectorTiers::Ended> VectorTiers::end_work(Work& work) {
  if (work.more) return end_growth(work);
  calibrate_after_ = work.calibrate_after;
  Ended ended;
  if (work.graph) {
    work.graph->walk = work.walk;
    if (work.codes) {
      work.graph->rows.put(*std::move(work.codes));
      clear_all_removed_of(graph_);  // They were copied, too.
    }
    return ended;
  }
  if (graph_ != kNoTier) {
    const auto old = static_cast<Place>(graph_) << kTierShift;
    for (auto p = work.taken; p < tiers_[graph_]->rows.size(); ++p) {
      work.rest.push_back(old | static_cast<Place>(p));
    }
  }
  SAMTALE_TRY_VOID(make_room(work.rest.size()));
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
  for (const auto origin : work.rest) {
    const auto& rows = tiers_[origin >> kTierShift]->rows;
    const auto owner = rows.owner(origin & kPlaceMask);
    if (owner == kNobody) continue;
    const auto place = tail().rows.add(owner, rows, origin & kPlaceMask);
    ended.moved.push_back({owner, static_cast<Place>(tail_) << kTierShift | place});
  }
  made.walk = work.walk;
  ended.removed = made.removed;
  if (graph_ != kNoTier) tiers_[graph_] = nullptr;
  // One that is no source was to make the graph grow, which failed: it is due again.
  if (frozen_ != kNoTier && work.sources[frozen_]) drop_frozen();
  forget_dropped();
  graph_ = number;
  tiers_[number] = std::move(work.made);
  ++graph_version_;
  renewals_done_ = work.renewals;
  clear_all_removed_of(graph_);
  ended.graph_version = graph_version_;
  ended.from_segment = work.from_segment;
  return ended;
}

// They are gone with what they lay in.
void VectorTiers::forget_dropped() {
  std::erase_if(uncleared_, [this](Place place) { return !tiers_[place >> kTierShift]; });
}

void VectorTiers::clear_all_removed_of(TierNumber number) {
  const auto& tier = *tiers_[number];
  auto left = tier.removed;
  for (VectorRows::Place p = 0; left > 0; ++p) {
    if (tier.rows.owner(p) != kNobody) continue;
    uncleared_.push_back(static_cast<Place>(number) << kTierShift | p);
    --left;
  }
}

bool VectorTiers::clear_removed(std::size_t most) {
  for (; most > 0 && !uncleared_.empty(); --most) {
    const auto place = uncleared_.back();
    uncleared_.pop_back();
    tiers_[place >> kTierShift]->rows.clear(place & kPlaceMask);
  }
  if (!uncleared_.empty()) return true;
  uncleared_ = {};
  return false;
}

std::shared_ptr<const VectorTiers::Snapshot> VectorTiers::snapshot() const {
  if (graph_ == kNoTier || !tiers_[graph_]->graph || !tiers_[graph_]->walk.is_of_use) {
    return nullptr;
  }
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
