// Rooms: index graph sim
// Goal: no bytes in a segment crash the reading of it or make it take more memory than the file has
// bytes; what is read is a graph that can be walked.
// Method: the bytes are a file; and, so that they get past the checksums, they are also a header's
// numbers and the neighbours of a file that has the checksums of what it says.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "index/segment.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

constexpr std::size_t kModelOffset = 140;
constexpr std::size_t kDigestsCrcOffset = 92;
constexpr std::size_t kNeighboursCrcOffset = 116;

void walk(const Segment& segment) {
  const auto nodes = segment.digests.size();
  SAMTALE_CHECK(segment.graph.size() == nodes, "a digest a node");
  const std::vector<std::int8_t> codes(nodes, 1);
  const std::vector<float> scales(nodes, 1);
  const std::int16_t query = 1;
  Graph::Scratch scratch;
  std::vector<bool> keeps(nodes);
  for (std::size_t n = 0; n < nodes; ++n) keeps[n] = segment.digests[n] % 3 != 0;
  const auto part = segment.graph.part(keeps);
  SAMTALE_CHECK(part.graph.size() == part.order.size() && part.order.size() <= nodes,
                "a part is not more than the whole");
  segment.graph.search({codes, scales, 1}, {&query}, {.width = 10}, scratch);
  part.graph.search({codes, scales, 1}, {&query}, {.width = 10}, scratch);
}

void read(const std::string& bytes) {
  SimRandom random(1);
  SimFiles files(random);
  files.replace("/a.seg", bytes);
  const auto file = files.open("/a.seg", false);
  const auto header = read_segment_header(**file);
  if (!header) return;
  SAMTALE_CHECK(header->nodes * header->degree * sizeof(std::uint32_t) < bytes.size(),
                "a header does not speak of more than there is");
  if (const auto segment = read_segment(**file, *header)) walk(*segment);
}

void put(std::string& bytes, std::size_t offset, auto number) {
  std::memcpy(bytes.data() + offset, &number, sizeof number);
}

// With the offsets, lengths and checksums that go with the input's counts: its first bytes are
// those of a header from the company on, the rest are the sections.
std::string lay_out(std::string_view input) {
  constexpr std::size_t kHeadBytes = 16;
  constexpr std::size_t kNumbersEnd = 88;
  constexpr std::size_t kHeaderBytes = kModelOffset + 4;
  if (input.size() < kNumbersEnd - kHeadBytes) return {};
  std::string bytes = "SAMTASEG";
  bytes.resize(kHeaderBytes);
  put(bytes, 8, std::uint32_t{1});
  put(bytes, 12, static_cast<std::uint32_t>(kHeaderBytes));
  std::ranges::copy(input.substr(0, kNumbersEnd - kHeadBytes), bytes.begin() + kHeadBytes);
  std::uint64_t nodes = 0;
  std::uint32_t degree = 0;
  std::memcpy(&nodes, bytes.data() + 40, sizeof nodes);
  std::memcpy(&degree, bytes.data() + 56, sizeof degree);
  const auto sections = input.substr(kNumbersEnd - kHeadBytes);
  const auto digests_bytes = nodes * 8;
  put(bytes, 88, std::uint32_t{1});
  put(bytes, 96, std::uint64_t{kHeaderBytes});
  put(bytes, 104, digests_bytes);
  put(bytes, 112, std::uint32_t{2});
  put(bytes, 120, kHeaderBytes + digests_bytes);
  put(bytes, 128, nodes * degree * 4);
  const auto cut = std::min<std::uint64_t>(digests_bytes, sections.size());
  put(bytes, kDigestsCrcOffset, crc32c(sections.substr(0, cut)));
  put(bytes, kNeighboursCrcOffset, crc32c(sections.substr(cut)));
  put(bytes, kModelOffset, crc32c(std::string_view(bytes).substr(0, kModelOffset)));
  return bytes.append(sections);
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  samtale::read(std::string(input));
  samtale::read(samtale::lay_out(input));
  return 0;
}
