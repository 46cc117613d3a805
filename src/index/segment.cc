#include "index/segment.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "index/vector_tiers.h"

namespace samtale {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::string_view kMagic = "SAMTASEG";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kCosine = 1;
constexpr std::uint32_t kCompactFlag = 1;
constexpr std::uint32_t kDigests = 1;
constexpr std::uint32_t kNeighbours = 2;
constexpr std::size_t kModelOffset = 140;
constexpr std::size_t kCrcBytes = 4;
constexpr std::size_t kHeaderBytesMax = kModelOffset + SegmentHeader::kModelBytesMax + kCrcBytes;
constexpr std::uint32_t kDegreeMax = 1024;
constexpr std::uint32_t kDimensionMax = std::uint32_t{1} << 17;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

template <class Number>
void put(Number number, std::string& out) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

// Reads numbers one after the other; there are enough bytes.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  template <class Number>
  void get(Number& number) {
    std::memcpy(&number, bytes_.data(), sizeof number);
    bytes_.remove_prefix(sizeof number);
  }
  template <class Number>
  Number get() {
    Number number{};
    get(number);
    return number;
  }

 private:
  std::string_view bytes_;
};

template <class Number>
std::string_view as_bytes(std::span<const Number> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

std::unexpected<Error> bad(std::string what) { return fail(ErrorCode::corrupt, std::move(what)); }

struct Section {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};
// Both follow the header, without gaps.
struct Layout {
  std::uint64_t header_bytes;
  Section digests;
  Section neighbours;

  explicit Layout(const SegmentHeader& header)
      : header_bytes(kModelOffset + header.owner.model.size() + kCrcBytes),
        digests{.offset = header_bytes, .bytes = header.nodes * sizeof(std::uint64_t)},
        neighbours{.offset = digests.offset + digests.bytes,
                   .bytes = header.nodes * header.degree * sizeof(std::uint32_t)} {}
  [[nodiscard]] std::uint64_t file_bytes() const { return neighbours.offset + neighbours.bytes; }
};

std::string encode(const SegmentHeader& header) {
  const Layout layout(header);
  std::string out(kMagic);
  put(kVersion, out);
  put(static_cast<std::uint32_t>(layout.header_bytes), out);
  put(number(header.owner.company), out);
  put(to_us(header.written_at), out);
  put(static_cast<std::uint32_t>(header.owner.dimension), out);
  put(kCosine, out);
  put(header.nodes, out);
  put(header.made_of, out);
  put(header.degree, out);
  put(header.entries, out);
  put(header.settings.is_compact ? kCompactFlag : 0, out);
  put(header.settings.effort, out);
  put(header.settings.recall, out);
  put(header.settings.recall_target, out);
  const auto put_section = [&out](std::uint32_t kind, std::uint32_t crc, const Section& section) {
    put(kind, out);
    put(crc, out);
    put(section.offset, out);
    put(section.bytes, out);
  };
  put_section(kDigests, header.digests_crc, layout.digests);
  put_section(kNeighbours, header.neighbours_crc, layout.neighbours);
  put(static_cast<std::uint32_t>(header.owner.model.size()), out);
  out.append(header.owner.model);
  put(crc32c(out), out);
  return out;
}

Result<> check_frame(std::string_view bytes) {
  if (bytes.size() < kModelOffset + kCrcBytes) return bad("ends within its header");
  if (!bytes.starts_with(kMagic)) return bad("does not begin as a segment");
  Cursor cursor(bytes.substr(kMagic.size()));
  const auto version = cursor.get<std::uint32_t>();
  if (version > kVersion) {
    return bad("has format version " + std::to_string(version) + ", this program knows up to " +
               std::to_string(kVersion));
  }
  const auto header_bytes = cursor.get<std::uint32_t>();
  if (version != kVersion || header_bytes < kModelOffset + kCrcBytes ||
      header_bytes > bytes.size()) {
    return bad("has a damaged header");
  }
  const auto crc_offset = header_bytes - kCrcBytes;
  if (Cursor(bytes.substr(crc_offset)).get<std::uint32_t>() !=
      crc32c(bytes.substr(0, crc_offset))) {
    return bad("has a damaged header");
  }
  return {};
}

bool is_within(double number, double least, double most) {
  return number >= least && number <= most;  // Neither for NaN.
}

bool is_sound(const SegmentHeader& header) {
  const auto& settings = header.settings;
  return header.owner.dimension >= 1 && header.owner.dimension <= kDimensionMax &&
         header.nodes >= 1 && header.nodes <= VectorTiers::kVectorsMax && header.degree >= 1 &&
         header.degree <= kDegreeMax && header.entries >= 1 && header.entries <= header.nodes &&
         header.made_of >= header.nodes && header.made_of <= VectorTiers::kVectorsMax &&
         is_within(settings.effort, 0.01, WalkSettings::kEffortMax) &&
         is_within(settings.recall, -1, 1) && is_within(settings.recall_target, 0, 1);
}

// `take` gets the bytes of the section, a piece at a time.
template <class Take>
Result<> read_section(const File& file, const Section& section, std::uint32_t crc,
                      std::string_view what, const Take& take) {
  std::uint32_t sum = 0;
  for (std::uint64_t done = 0; done < section.bytes;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, section.bytes - done));
    SAMTALE_TRY(const auto piece, file.read_at(section.offset + done, size));
    if (piece.size() != size) return bad("ends within its " + std::string(what));
    sum = crc32c(piece, sum);
    take(piece, done);
    done += size;
  }
  if (sum != crc) return bad("has damaged " + std::string(what));
  return {};
}

}  // namespace

std::uint64_t vector_digest(std::span<const float> vector) {
  return Cursor(view(sha256(as_bytes(vector)))).get<std::uint64_t>();
}

Result<> write_segment(File& file, const SegmentOwner& owner, const Segment& segment,
                       WallTime now) {
  if (owner.model.size() > SegmentHeader::kModelBytesMax) {
    return fail(ErrorCode::invalid_argument, "the model's id has " +
                                                 std::to_string(owner.model.size()) +
                                                 " bytes, a segment holds one of " +
                                                 std::to_string(SegmentHeader::kModelBytesMax));
  }
  const auto digests = as_bytes(std::span(segment.digests));
  const auto neighbours = as_bytes(segment.graph.neighbours());
  const SegmentHeader header{.owner = owner,
                             .written_at = now,
                             .nodes = segment.digests.size(),
                             .made_of = segment.made_of,
                             .degree = static_cast<std::uint32_t>(segment.graph.degree()),
                             .entries = static_cast<std::uint32_t>(segment.graph.entries()),
                             .settings = segment.settings,
                             .digests_crc = crc32c(digests),
                             .neighbours_crc = crc32c(neighbours)};
  const Layout layout(header);
  SAMTALE_TRY_VOID(file.write_at(0, encode(header)));
  SAMTALE_TRY_VOID(file.write_at(layout.digests.offset, digests));
  SAMTALE_TRY_VOID(file.write_at(layout.neighbours.offset, neighbours));
  return file.sync();
}

Result<SegmentHeader> read_segment_header(const File& file) {
  SAMTALE_TRY(const auto size, file.size());
  SAMTALE_TRY(const auto bytes, file.read_at(0, kHeaderBytesMax));
  SAMTALE_TRY_VOID(check_frame(bytes));
  SegmentHeader header;
  Cursor cursor(std::string_view(bytes).substr(kMagic.size() + sizeof kVersion));
  const auto header_bytes = cursor.get<std::uint32_t>();
  header.owner.company = CompanyId{cursor.get<std::int64_t>()};
  header.written_at = from_us(cursor.get<std::int64_t>());
  header.owner.dimension = cursor.get<std::uint32_t>();
  const auto metric = cursor.get<std::uint32_t>();
  cursor.get(header.nodes);
  cursor.get(header.made_of);
  cursor.get(header.degree);
  cursor.get(header.entries);
  const auto flags = cursor.get<std::uint32_t>();
  header.settings.is_compact = (flags & kCompactFlag) != 0;
  cursor.get(header.settings.effort);
  cursor.get(header.settings.recall);
  cursor.get(header.settings.recall_target);
  const auto get_section = [&cursor](std::uint32_t& kind, std::uint32_t& crc, Section& section) {
    cursor.get(kind);
    cursor.get(crc);
    cursor.get(section.offset);
    cursor.get(section.bytes);
  };
  std::uint32_t first_kind = 0;
  std::uint32_t second_kind = 0;
  Section digests;
  Section neighbours;
  get_section(first_kind, header.digests_crc, digests);
  get_section(second_kind, header.neighbours_crc, neighbours);
  const auto model_bytes = cursor.get<std::uint32_t>();
  if (metric != kCosine || flags > kCompactFlag || first_kind != kDigests ||
      second_kind != kNeighbours || !is_sound(header) ||
      header_bytes != kModelOffset + std::uint64_t{model_bytes} + kCrcBytes) {
    return bad("says of itself what cannot be");
  }
  header.owner.model = bytes.substr(kModelOffset, model_bytes);
  const Layout layout(header);
  const auto lies_there = [](const Section& said, const Section& is) {
    return said.offset == is.offset && said.bytes == is.bytes;
  };
  if (!lies_there(digests, layout.digests) || !lies_there(neighbours, layout.neighbours)) {
    return bad("says of itself what cannot be");
  }
  if (size != layout.file_bytes()) {
    return bad("has " + std::to_string(size) + " bytes, where its header speaks of " +
               std::to_string(layout.file_bytes()));
  }
  return header;
}

Result<Segment> read_segment(const File& file, const SegmentHeader& header) {
  const Layout layout(header);
  Segment segment;
  segment.made_of = header.made_of;
  segment.settings = header.settings;
  segment.digests.resize(header.nodes);
  SAMTALE_TRY_VOID(read_section(file, layout.digests, header.digests_crc, "digests",
                                [&](const std::string& piece, std::uint64_t at) {
                                  std::memcpy(reinterpret_cast<char*>(segment.digests.data()) + at,
                                              piece.data(), piece.size());
                                }));
  Graph::Parts parts{.degree = header.degree, .entries = header.entries, .neighbours = {}};
  parts.neighbours.resize(header.nodes * header.degree);
  SAMTALE_TRY_VOID(read_section(file, layout.neighbours, header.neighbours_crc, "neighbours",
                                [&](const std::string& piece, std::uint64_t at) {
                                  std::memcpy(reinterpret_cast<char*>(parts.neighbours.data()) + at,
                                              piece.data(), piece.size());
                                }));
  SAMTALE_TRY(segment.graph, Graph::from(std::move(parts)));
  return segment;
}

}  // namespace samtale
