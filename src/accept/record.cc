#include "accept/record.h"

#include <bit>
#include <cstring>

#include "base/bytes.h"

namespace samtale {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::string_view kSegmentMagic = "SAMTALOG";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kRecordMagic = 0x43455253;  // "SREC"
constexpr std::uint32_t kErasedFlag = 1;
constexpr std::uint32_t kSegmentEndFlag = 2;
constexpr std::size_t kSegmentCrcOffset = kSegmentHeaderBytes - 4;
constexpr std::size_t kRecordCrcOffset = kRecordHeaderBytes - 4;

template <class Number>
void put(Number number, std::string& out) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

template <class Number>
Number get(std::string_view bytes, std::size_t offset) {
  Number number{};
  std::memcpy(&number, bytes.substr(offset, sizeof number).data(), sizeof number);
  return number;
}

std::uint32_t record_crc(std::string_view fields, std::uint32_t salt, std::uint64_t position) {
  char place[sizeof position];
  std::memcpy(place, &position, sizeof position);
  return crc32c(fields, crc32c({place, sizeof place}, salt));
}

}  // namespace

void append(const SegmentHeader& header, std::string& out) {
  const auto start = out.size();
  out.append(kSegmentMagic);
  put(kVersion, out);
  put(header.salt, out);
  put(header.base, out);
  put(header.bytes, out);
  out.resize(start + kSegmentCrcOffset, '\0');
  put(crc32c(std::string_view(out).substr(start)), out);
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) {
    return fail(ErrorCode::corrupt, "accept log segment " + path +
                                        ": does not begin as a segment; restore it from a backup");
  }
  const auto version = get<std::uint32_t>(bytes, 8);
  if (version > kVersion) {
    return fail(ErrorCode::corrupt, "accept log segment " + path + ": has format version " +
                                        std::to_string(version) + ", this program knows up to " +
                                        std::to_string(kVersion) + "; run a newer program");
  }
  if (get<std::uint32_t>(bytes, kSegmentCrcOffset) != crc32c(bytes.substr(0, kSegmentCrcOffset))) {
    return fail(ErrorCode::corrupt,
                "accept log segment " + path + ": header is damaged; restore it from a backup");
  }
  return SegmentHeader{.base = get<std::uint64_t>(bytes, 16),
                       .bytes = get<std::uint64_t>(bytes, 24),
                       .salt = get<std::uint32_t>(bytes, 12)};
}

void append(const RecordHeader& header, std::uint32_t salt, std::uint64_t position,
            std::string& out) {
  const auto start = out.size();
  put(kRecordMagic, out);
  put((header.is_erased ? kErasedFlag : 0) | (header.is_segment_end ? kSegmentEndFlag : 0), out);
  put(header.payload_bytes, out);
  put(header.payload_crc, out);
  put(header.sequence, out);
  put(header.group_index, out);
  put(record_crc(std::string_view(out).substr(start), salt, position), out);
}

std::optional<RecordHeader> decode_record_header(std::string_view bytes, std::uint32_t salt,
                                                 std::uint64_t position) {
  if (bytes.size() < kRecordHeaderBytes || get<std::uint32_t>(bytes, 0) != kRecordMagic ||
      get<std::uint32_t>(bytes, kRecordCrcOffset) !=
          record_crc(bytes.substr(0, kRecordCrcOffset), salt, position)) {
    return std::nullopt;
  }
  const auto flags = get<std::uint32_t>(bytes, 4);
  return RecordHeader{.is_erased = (flags & kErasedFlag) != 0,
                      .is_segment_end = (flags & kSegmentEndFlag) != 0,
                      .payload_bytes = get<std::uint32_t>(bytes, 8),
                      .payload_crc = get<std::uint32_t>(bytes, 12),
                      .sequence = get<std::uint64_t>(bytes, 16),
                      .group_index = get<std::uint32_t>(bytes, 24)};
}

bool is_blank(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace samtale
