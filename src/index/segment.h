// Segment: the file that a company's graph is kept in from one run to the next. Private to index/.
//
// Source: docs/formats/index-segment-v1.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"
#include "model/ids.h"
#include "sys/clock.h"
#include "sys/files.h"

namespace samtale {

// What a node stands for: any vector of these very numbers. The first 8 bytes of SHA-256. Two
// vectors of one digest would cost an answer, not falsify it: scores are those of the store's
// vectors.
[[nodiscard]] std::uint64_t vector_digest(std::span<const float> vector);

// How a graph is searched, and what that finds.
struct WalkSettings {
  static constexpr float kEffortMax = 64;

  float effort = 0.1F;      // How much farther than the last of those wanted a walk looks.
  bool is_compact = false;  // Over codes of fewer than 8 bits.
  double recall = 1;
  double recall_target = 0;  // By which it was measured; 0: it was not, for this graph.
  bool is_of_use = true;     // False: none finds so much, so all is scanned. Never in a file.
};

struct SegmentOwner {
  CompanyId company{};
  std::string model;  // At most kModelBytesMax.
  std::size_t dimension = 0;
};

struct Segment {
  std::vector<std::uint64_t> digests;  // One a node.
  Graph graph;
  std::size_t made_of = 0;  // Nodes when the graph was made; since then some were left out.
  WalkSettings settings;
};

struct SegmentHeader {
  static constexpr std::size_t kModelBytesMax = 1024;

  SegmentOwner owner;
  WallTime written_at{};
  std::uint64_t nodes = 0;
  std::uint64_t made_of = 0;
  std::uint32_t degree = 0;
  std::uint32_t entries = 0;
  WalkSettings settings;
  std::uint32_t digests_crc = 0;
  std::uint32_t neighbours_crc = 0;
};

// Whole and synced when it returns.
// Errors: invalid_argument if the model's id is too long; what File says.
[[nodiscard]] Result<> write_segment(File& file, const SegmentOwner& owner, const Segment& segment,
                                     WallTime now);

// Checks everything the header says, also against the file's size, before anything is allocated.
// Errors: corrupt, with what is wrong; what File says.
[[nodiscard]] Result<SegmentHeader> read_segment_header(const File& file);
// The file that `header` was read from.
// Memory: what the segment takes, and a megabyte.
// Errors: as above.
[[nodiscard]] Result<Segment> read_segment(const File& file, const SegmentHeader& header);

}  // namespace samtale
