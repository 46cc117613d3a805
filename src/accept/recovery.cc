#include "accept/recovery.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

namespace samtale {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

struct Scan {
  std::uint64_t end = 0;                  // After the last valid record.
  std::optional<std::uint64_t> sequence;  // Of the record that would come next, if known.
  std::deque<std::uint64_t> last_groups;  // Where the last kSyncsMax groups begin.
  bool is_full = false;
};

// What lies after the last valid record.
struct Rest {
  std::uint64_t written_end = 0;  // After the last byte that is not zero; 0 if there is none.
  // A valid header in it was written when all before it was durable.
  bool is_after_durable = false;
};

// `sequence` is that of the record at `position`, if known.
Result<Rest> survey(const Segment& segment, std::uint64_t position,
                    std::optional<std::uint64_t> sequence) {
  Rest rest;
  std::size_t later_groups = 0;
  auto group = sequence;
  while (position < segment.end()) {
    SAMTALE_TRY(
        const auto block,
        segment.read(position, std::min<std::uint64_t>(kBlockBytes, segment.end() - position)));
    if (block.empty()) return segment.damaged(position, "the file ends here");
    const std::string_view bytes = block;
    if (const auto last = bytes.find_last_not_of('\0'); last != std::string_view::npos) {
      rest.written_end = position + last + 1;
      for (std::size_t at = 0; at <= last; at += kRecordAlignment) {
        const auto header =
            decode_record_header(bytes.substr(at), segment.header.salt, position + at);
        if (!header || !sequence) continue;
        const auto begins = header->sequence - header->group_index;
        if (begins > *group) {
          group = begins;
          ++later_groups;
        }
        rest.is_after_durable |=
            later_groups >= kSyncsMax ||
            (header->sequence > *sequence && (header->is_segment_end || header->is_erased));
      }
    }
    position += block.size();
  }
  return rest;
}

// Whether power lost while its group was being written can have left the record at `found` so: some
// sector of it never written, or up to some byte only. The ground was zero before. Anything else is
// damage to bytes that may have been acknowledged.
Result<bool> is_torn(const Segment& segment, const RecordReader::Found& found,
                     std::uint64_t written_end) {
  const auto sector_end = [](std::uint64_t position, std::uint64_t base) {
    return base + ((position - base) / kSectorBytes + 1) * kSectorBytes;
  };
  const auto begin = found.position;
  const auto base = segment.header.base;
  const bool has_header = found.next > begin;
  const auto end = has_header ? begin + kRecordHeaderBytes + found.header.payload_bytes
                              : std::min(sector_end(begin, base), segment.end());
  if (end > segment.end()) return false;
  SAMTALE_TRY(const auto bytes, segment.read(begin, end - begin));
  if (!has_header) {
    const auto header = std::string_view(bytes).substr(0, kRecordHeaderBytes);
    return header.ends_with('\0') && is_blank(std::string_view(bytes).substr(header.size()));
  }
  for (auto at = begin; at < end;) {
    const auto stop = std::min(sector_end(at, base), end);
    if (bytes[static_cast<std::size_t>(stop - begin - 1)] == '\0') return true;
    at = stop;
  }
  return written_end < end;
}

// Makes the ground after the last valid record blank, or says that more than a crash happened.
Result<> cut_tail(Segment& segment, const RecordReader::Found& found,
                  std::optional<std::uint64_t> sequence, Log& log) {
  SAMTALE_TRY(const auto rest, survey(segment, found.position, sequence));
  if (rest.written_end == 0) return {};
  if (rest.is_after_durable) {
    return segment.damaged(found.position, "a record is damaged, and later ones are not");
  }
  SAMTALE_TRY(const bool torn, is_torn(segment, found, rest.written_end));
  if (!torn) return segment.damaged(found.position, "the last record is damaged, not torn");
  log.warn("accept.tail_cut", {{"segment", segment.path},
                               {"offset", std::to_string(found.position - segment.header.base)},
                               {"bytes", std::to_string(rest.written_end - found.position)}});
  // First whatever a dead process wrote to these pages: a sector that is on its way while zeros are
  // written to it could land as neither.
  SAMTALE_TRY_VOID(segment.file->sync());
  return segment.blank(found.position, rest.written_end);
}

Result<Scan> scan(Segment& segment, std::optional<std::uint64_t> sequence, Log& log) {
  Scan result{.end = segment.begin(), .sequence = sequence, .last_groups = {}, .is_full = false};
  RecordReader reader(segment, segment.begin(), segment.end(), kBlockBytes);
  for (;;) {
    SAMTALE_TRY(const auto found, reader.next());
    if (found.kind != RecordReader::Kind::record) {
      if (found.position + kRecordHeaderBytes > segment.end()) {
        return segment.damaged(found.position, "has no room for its end");
      }
      // The caller can only have trimmed up to a record, so the oldest segment begins with one.
      if (!result.sequence) return segment.damaged(found.position, "its first record is missing");
      SAMTALE_TRY_VOID(cut_tail(segment, found, result.sequence, log));
      return result;
    }
    if (result.sequence && found.header.sequence != *result.sequence) {
      return segment.damaged(found.position, "has record " + std::to_string(found.header.sequence) +
                                                 " where " + std::to_string(*result.sequence) +
                                                 " belongs");
    }
    if (found.header.group_index == 0) {
      result.last_groups.push_back(found.position);
      if (result.last_groups.size() > kSyncsMax) result.last_groups.pop_front();
    }
    result.end = found.next;
    result.sequence = found.header.sequence + 1;
    result.is_full = found.header.is_segment_end;
    if (result.is_full) return result;
  }
}

// Only the last groups can have been written by a dead process and not synced, or be clean in the
// system's memory after a sync that failed. Writing them again makes them dirty, and durable.
Result<> make_durable(Segment& segment, const Scan& scan) {
  if (scan.last_groups.empty()) return {};
  const auto begin = scan.last_groups.front();
  SAMTALE_TRY(const auto bytes, segment.read(begin, scan.end - begin));
  SAMTALE_TRY_VOID(segment.write(begin, bytes));
  return segment.file->sync();
}

Result<SegmentsByBase> open_segments(Files& files, const std::string& folder) {
  SegmentsByBase segments;
  SAMTALE_TRY(const auto names, files.list(folder));
  for (const auto& name : names) {
    if (name == kUnfinishedName) SAMTALE_TRY_VOID(files.remove(folder + "/" + name));
    if (!is_segment_name(name)) continue;
    SAMTALE_TRY(auto segment, open_segment(files, folder, name));
    if (!segments.empty() && segments.rbegin()->second->end() != segment->header.base) {
      return segment->damaged(segment->header.base,
                              "the segment before it, which would begin at position " +
                                  std::to_string(segments.rbegin()->second->end()) +
                                  ", is missing");
    }
    segments.emplace(segment->header.base, std::move(segment));
  }
  return segments;
}

}  // namespace

Result<RecoveredLog> recover_log(Files& files, const std::string& folder, Log& log) {
  RecoveredLog result;
  SAMTALE_TRY(result.segments, open_segments(files, folder));
  SAMTALE_TRY_VOID(files.sync_folder(folder));
  if (result.segments.empty()) return result;

  // The last one may have been made in advance: then the one before it is being filled.
  auto at = std::prev(result.segments.end());
  if (at != result.segments.begin()) --at;
  std::optional<std::uint64_t> sequence;
  if (at->first == 0) sequence = 1;
  for (; at != result.segments.end(); ++at) {
    auto& segment = *at->second;
    if (result.end != 0 && !result.is_full) {
      SAMTALE_TRY(const auto unbegun, scan(segment, sequence, log));
      if (!unbegun.last_groups.empty()) {
        return segment.damaged(segment.begin(), "has records, but the one before it has no end");
      }
      SAMTALE_TRY_VOID(open_writers(files, segment));
      result.next = at->second;
      result.segments.erase(at);
      break;
    }
    SAMTALE_TRY(const auto scanned, scan(segment, sequence, log));
    SAMTALE_TRY_VOID(make_durable(segment, scanned));
    result.end = scanned.end;
    result.is_full = scanned.is_full;
    sequence = scanned.sequence;
  }
  SAMTALE_TRY_VOID(open_writers(files, *result.segments.rbegin()->second));
  result.sequence = sequence.value_or(1);
  return result;
}

}  // namespace samtale
