// The bytes of a segment: its header, and the header of each record.
//
// Source: docs/formats/accept-log-v1.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samtale {

inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 32;
// Records begin at multiples of the header's size, so that no header straddles a sector.
inline constexpr std::size_t kRecordAlignment = 32;
inline constexpr std::size_t kSectorBytes = 512;

struct SegmentHeader {
  std::uint64_t base = 0;   // The global offset of the file's first byte.
  std::uint64_t bytes = 0;  // Of the whole file.
  std::uint32_t salt = 0;   // Part of each record header's checksum: payloads cannot forge one.
};

struct RecordHeader {
  bool is_erased = false;
  bool is_segment_end = false;  // The mark after a full segment's last record: no payload.
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;  // 0 if erased: a checksum would tell what the payload was.
  std::uint64_t sequence = 0;     // One more than the record before, across segments.
  std::uint32_t group_index = 0;  // 0 for the first of those written with one sync.
};

// A record with its header and padding.
[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint64_t payload_bytes) {
  return kRecordHeaderBytes +
         (payload_bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

void append(const SegmentHeader& header, std::string& out);
// Errors: corrupt (`path` is named).
[[nodiscard]] Result<SegmentHeader> decode_segment_header(std::string_view bytes,
                                                          const std::string& path);

// `position` is where the record lies in the log: its bytes are valid nowhere else.
void append(const RecordHeader& header, std::uint32_t salt, std::uint64_t position,
            std::string& out);
// Of the first kRecordHeaderBytes of `bytes`; empty if they are no valid header.
[[nodiscard]] std::optional<RecordHeader> decode_record_header(std::string_view bytes,
                                                               std::uint32_t salt,
                                                               std::uint64_t position);

[[nodiscard]] bool is_blank(std::string_view bytes);  // All zero.

}  // namespace samtale
