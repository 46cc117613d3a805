// VectorTiers: the vectors of an index, the many that are old in a graph, the rest scanned.
// Private to index/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "index/code_walk.h"
#include "index/company_index.h"
#include "index/segment.h"
#include "index/vector_rows.h"
#include "index/walk_plan.h"

namespace samtale {

// New vectors go to the tail, which is scanned. When it is no longer small against the graph it is
// frozen, and one thread in the background makes the graph grow by it, while searches go on over
// the graph as it was, the frozen tail and the new one. When much of the graph was removed a new
// one is made of the rest, and the old one goes on growing meanwhile: the new one takes in what it
// has missed at its end. What is removed is gone from every answer at once; its floats, which may
// lie on the disk, by clear_removed(), and its codes from memory with the next graph.
//
// Threads: none of its own; the index locks. Only run_work() works without its lock, and only who
// calls it calls end_work().
class VectorTiers {
 public:
  // Where a vector lies: the tier in the upper two bits. Another's may change when one is removed.
  using Place = std::uint32_t;
  using Owner = VectorRows::Owner;
  static constexpr Owner kNobody = std::numeric_limits<Owner>::max();
  static constexpr std::size_t kVectorsMax = std::size_t{1} << 30;

  // Who takes what a search finds.
  class Sink {
   public:
    virtual ~Sink() = default;
    [[nodiscard]] virtual bool allows(Owner owner) const = 0;
    // Scores below are of no use any more.
    [[nodiscard]] virtual float score_min() const = 0;
    virtual void offer(Owner owner, float score) = 0;
  };

  struct Moved {
    Owner owner;
    Place place;
  };

  // folder: for floats; null: none.
  VectorTiers(std::size_t dimension, const IndexOptions& options, SegmentFolder* folder);

  // Room on the disk for so many more: add() must find it.
  // Errors: unavailable if the disk is full; nothing has changed.
  [[nodiscard]] Result<> make_room(std::size_t more);
  Place add(Owner owner, std::span<const float> vector);
  [[nodiscard]] bool holds(Place place, std::span<const float> vector) const;
  // The score that `nearest` gives it.
  [[nodiscard]] float dot(std::span<const float> unit, Place place) const;
  // Tells whose vector has another place now, if one's has.
  std::optional<Moved> remove(Place place);
  // Owner o is new_owners[o] from now on.
  void renumber(std::span<const Owner> new_owners);
  void shrink();

  // Offers the `limit` nearest of those the sink allows, at least, to the sink; `share` of all are
  // about as many as it allows. False if the graph was asked: then a few may be missing.
  bool nearest(std::span<const float> unit, std::size_t limit, double share, bool must_be_exact,
               Sink& sink) const;

  [[nodiscard]] std::size_t size() const;  // Those removed left out.
  [[nodiscard]] std::size_t graph_size() const;
  [[nodiscard]] double recall() const;      // As measured last; 1 without a graph.
  [[nodiscard]] std::size_t bytes() const;  // In memory.
  [[nodiscard]] std::size_t mapped_bytes() const;

  struct Work;
  struct Ended {
    std::vector<Moved> moved;
    // Of the segment's vectors, those that the graph has; none if it was made.
    std::size_t from_segment = 0;
    std::size_t removed = 0;          // Of the graph's, meanwhile.
    bool has_grown = false;           // The graph, and nothing else is new.
    std::uint64_t graph_version = 0;  // Of a new one.
  };
  // Takes up to `most` of what was removed out of files (VectorRows::clear); false if that was all.
  // Not while run_work works.
  bool clear_removed(std::size_t most);
  // The nth of the exact searches that it is to be measured by: seconds of CPU time for each
  // vector. With the index locked for searches. None if it need not be measured now.
  static constexpr std::size_t kScansMeasured = 8;
  [[nodiscard]] std::optional<double> measured_scan(std::size_t nth) const;
  void scans_take(double seconds_a_vector);
  // What is due to be done, if anything: begin_work and end_work with the index locked for a
  // change, run_work without any lock, one at a time. Where a first graph is due, or would be
  // with twice as many vectors, that of `segment` is taken instead, if half of its vectors are
  // there; the others go to the tail.
  [[nodiscard]] std::shared_ptr<Work> begin_work(std::optional<Segment> segment = {});
  // The graph's growing, if it is due: the only work that may be done within another's `goes_on`.
  [[nodiscard]] std::shared_ptr<Work> begin_growth();
  // The graph is due to be made anew, also if that is being done by now. False if there is none.
  bool renew_graph();
  // Errors: unavailable if `goes_on` said no or the disk is full; then it is due again.
  [[nodiscard]] static Result<> run_work(Work& work, const GoesOn& goes_on);
  [[nodiscard]] Result<Ended> end_work(Work& work);

  // Another number for each graph, and each set of vectors in it.
  [[nodiscard]] std::uint64_t graph_version() const { return graph_version_; }
  struct Snapshot;
  // What is in the graph now; null without one. segment_of() needs no lock.
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  [[nodiscard]] static Segment segment_of(const Snapshot& snapshot);

 private:
  struct Tier {
    Tier(std::size_t dimension, const FloatPlace& floats) : rows(dimension, floats) {}
    [[nodiscard]] std::size_t live() const { return rows.size() - removed; }
    // With a graph.
    [[nodiscard]] WalkedRows walked(bool is_compact) const {
      return {*graph, rows, is_compact ? compact.get() : nullptr};
    }

    VectorRows rows;
    std::size_t removed = 0;  // Those of nobody. The tail has none.
    std::unique_ptr<Graph> graph;
    // Vectors when the graph was made, and by which it grew; a segment may have fewer.
    std::size_t made_of = 0;
    std::unique_ptr<CompactRows> compact;  // With a graph, as many as rows.
    WalkSettings walk;
  };
  // A place is a tier's number and a row's.
  static constexpr int kTierShift = 30;
  static constexpr std::uint32_t kPlaceMask = (std::uint32_t{1} << kTierShift) - 1;
  static constexpr std::size_t kQueries = 128;  // Remembered.
  // Queries that a graph is first measured by what was really asked after.
  static constexpr std::uint64_t kCalibrateAfter = 1024;

  using TierNumber = std::uint8_t;
  static constexpr TierNumber kNoTier = 4;
  static constexpr std::size_t kNever = kVectorsMax + 1;

  [[nodiscard]] std::size_t live(TierNumber number) const {
    return number != kNoTier && tiers_[number] ? tiers_[number]->live() : 0;
  }
  [[nodiscard]] Tier& tail();

  class OfTier;
  static void for_wanted(const Tier& tier, bool filters, const Sink& sink, const VisitRun& visit);
  static void offer_all(const Tier& tier, std::span<const float> unit, bool filters, Sink& sink);
  // False, and nothing is offered, if too few that are wanted are met: then what the filter leaves
  // lies elsewhere.
  bool offer_near(const Tier& tier, std::span<const float> unit, const WalkPlan& plan,
                  Sink& sink) const;
  static void take_segment(Work& work);
  static Result<> make_graph(Work& work, const GoesOn& goes_on);
  static Result<> catch_up(Work& work, const GoesOn& goes_on);
  static Result<> grow(Work& work, const GoesOn& goes_on);
  [[nodiscard]] Result<Ended> end_growth(Work& work);
  void freeze_tail();
  void drop_frozen();
  void forget_dropped();
  [[nodiscard]] static VectorRows::Joined rows_of_origins(const Work& work);
  void remember(std::span<const float> unit) const;
  void clear_all_removed_of(TierNumber number);  // When clear_removed() is called next.
  [[nodiscard]] TierNumber free_tier() const;
  [[nodiscard]] bool many_are_new() const;
  [[nodiscard]] bool graph_is_due() const;
  static Result<> calibrate_made(Work& work, const GoesOn& goes_on);
  static Result<> calibrate_tier(const Tier& tier, Work& work, const GoesOn& goes_on);

  const std::size_t dimension_;
  const IndexOptions options_;
  const FloatPlace floats_;
  std::size_t graph_from_;       // As options_ says or was measured; else more than there can be.
  std::size_t measured_at_ = 0;  // So many vectors.
  double scan_seconds_ = std::numeric_limits<double>::infinity();  // A vector, as measured.
  // By number; their roles change without their vectors' places. No tail is there until something
  // is added to it: of most companies nothing is.
  std::array<std::shared_ptr<Tier>, kNoTier> tiers_;
  TierNumber tail_ = 0;
  TierNumber frozen_ = kNoTier;
  bool frozen_is_taken_ = false;  // By work that is under way.
  TierNumber graph_ = kNoTier;
  std::uint64_t graph_version_ = 0;
  std::uint64_t renewals_asked_ = 0;
  std::uint64_t renewals_done_ = 0;
  // Removed from others than the tail; their floats are still there, because work may read them.
  std::vector<Place> uncleared_;

  mutable std::mutex search_mutex_;  // Guards the rest: searches share the index's lock.
  mutable std::vector<std::unique_ptr<Graph::Scratch>> scratches_;
  // The last so many queries that a graph answered, to measure by.
  mutable std::vector<std::vector<float>> queries_;
  mutable std::uint64_t queries_seen_ = 0;
  std::uint64_t queries_seen_at_calibration_ = 0;
  std::uint64_t calibrate_after_ = kCalibrateAfter;
};

}  // namespace samtale
