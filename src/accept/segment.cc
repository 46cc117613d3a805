#include "accept/segment.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::uint64_t kSliceBytes = std::uint64_t{4} << 20;
constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kNameDigits = 16;

std::string segment_name(std::uint64_t base) {
  char digits[kNameDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(base));
  return digits + std::string(kSuffix);
}

Result<> fill(Segment& segment, const std::stop_token& stop) {
  std::string bytes;
  append(segment.header, bytes);
  SAMTALE_TRY_VOID(segment.write(segment.header.base, bytes));
  return segment.blank(segment.begin(), segment.end(), stop);
}

}  // namespace

Result<std::string> Segment::read(std::uint64_t position, std::uint64_t size) const {
  return file->read_at(position - header.base, static_cast<std::size_t>(size));
}

Result<> Segment::write(std::uint64_t position, std::string_view bytes) {
  return file->write_at(position - header.base, bytes);
}

Result<> Segment::blank(std::uint64_t begin, std::uint64_t end, const std::stop_token& stop) {
  const std::string zeros(static_cast<std::size_t>(std::min(end - begin, kSliceBytes)), '\0');
  for (auto at = begin; at < end; at += zeros.size()) {
    if (stop.stop_requested()) return fail(ErrorCode::unavailable, path + ": stopped");
    const auto left = static_cast<std::size_t>(end - at);
    SAMTALE_TRY_VOID(write(at, std::string_view(zeros).substr(0, left)));
    SAMTALE_TRY_VOID(file->sync());
  }
  return {};
}

std::unexpected<Error> Segment::damaged(std::uint64_t position, std::string_view how) const {
  return fail(ErrorCode::corrupt, "accept log segment " + path + ", offset " +
                                      std::to_string(position - header.base) + " (position " +
                                      std::to_string(position) + "): " + std::string(how) +
                                      "; restore the segment from a backup");
}

Result<> open_writers(Files& files, Segment& segment) {
  while (segment.writers.size() < kSyncsMax) {
    SAMTALE_TRY(auto writer, files.open(segment.path, false));
    segment.writers.push_back(std::move(writer));
  }
  return {};
}

Result<std::shared_ptr<Segment>> make_segment(Files& files, const std::string& folder,
                                              const SegmentHeader& header,
                                              const std::stop_token& stop) {
  const auto unfinished = folder + "/" + std::string(kUnfinishedName);
  auto segment = std::make_shared<Segment>();
  segment->path = folder + "/" + segment_name(header.base);
  segment->header = header;
  auto made = [&]() -> Result<> {
    SAMTALE_TRY_VOID(files.remove(unfinished));
    SAMTALE_TRY(segment->file, files.open(unfinished, true));
    SAMTALE_TRY_VOID(fill(*segment, stop));
    SAMTALE_TRY_VOID(files.rename(unfinished, segment->path));
    // Opened anew so that its errors name the file as an operator finds it.
    SAMTALE_TRY(segment->file, files.open(segment->path, false));
    SAMTALE_TRY_VOID(open_writers(files, *segment));
    return files.sync_folder(folder);
  }();
  if (made) return segment;
  // The first error is the one to report; what cannot be removed now is at the next opening.
  static_cast<void>(files.remove(unfinished));
  static_cast<void>(files.remove(segment->path));
  return std::unexpected(std::move(made).error().during("make accept log segment"));
}

Result<std::shared_ptr<Segment>> open_segment(Files& files, const std::string& folder,
                                              const std::string& name) {
  auto segment = std::make_shared<Segment>();
  segment->path = folder + "/" + name;
  SAMTALE_TRY(segment->file, files.open(segment->path, false));
  SAMTALE_TRY(const auto bytes, segment->file->read_at(0, kSegmentHeaderBytes));
  SAMTALE_TRY(segment->header, decode_segment_header(bytes, segment->path));
  const auto& header = segment->header;
  if (name != segment_name(header.base)) {
    return segment->damaged(header.base, "belongs to a file named " + segment_name(header.base));
  }
  if (header.base % kSectorBytes != 0 || header.bytes % kSectorBytes != 0 || header.bytes == 0 ||
      header.base > std::numeric_limits<std::uint64_t>::max() - header.bytes) {
    return segment->damaged(header.base, "its header makes no sense");
  }
  SAMTALE_TRY(const auto size, segment->file->size());
  if (size != header.bytes) {
    return segment->damaged(header.base, "the file has " + std::to_string(size) + " of its " +
                                             std::to_string(header.bytes) + " bytes");
  }
  return segment;
}

bool is_segment_name(std::string_view name) {
  return name.size() == kNameDigits + kSuffix.size() && name.ends_with(kSuffix) &&
         name.substr(0, kNameDigits).find_first_not_of("0123456789abcdef") ==
             std::string_view::npos;
}

RecordReader::RecordReader(const Segment& segment, std::uint64_t position, std::uint64_t limit,
                           std::size_t block_bytes)
    : segment_(segment), position_(position), limit_(limit), block_bytes_(block_bytes) {}

Result<std::string_view> RecordReader::bytes_at(std::uint64_t position, std::uint64_t size) {
  size = std::min(size, limit_ - position);
  if (position < block_position_ || position + size > block_position_ + block_.size()) {
    const auto wanted = std::min(std::max<std::uint64_t>(size, block_bytes_), limit_ - position);
    SAMTALE_TRY(block_, segment_.read(position, wanted));
    block_position_ = position;
  }
  return std::string_view(block_).substr(static_cast<std::size_t>(position - block_position_),
                                         static_cast<std::size_t>(size));
}

Result<RecordReader::Found> RecordReader::next() {
  Found found{
      .kind = Kind::blank, .header = {}, .position = position_, .next = position_, .payload = {}};
  if (position_ + kRecordHeaderBytes > limit_) return found;
  SAMTALE_TRY(const auto head, bytes_at(position_, kRecordHeaderBytes));
  if (is_blank(head)) return found;
  found.kind = Kind::damaged;
  const auto header = decode_record_header(head, segment_.header.salt, position_);
  if (!header) return found;
  found.header = *header;
  found.next = position_ + record_bytes(header->payload_bytes);
  if (found.next > limit_) return found;
  if (!header->is_erased) {
    SAMTALE_TRY(const auto whole,
                bytes_at(position_, kRecordHeaderBytes + std::uint64_t{header->payload_bytes}));
    found.payload = whole.substr(std::min(whole.size(), kRecordHeaderBytes));
    if (found.payload.size() != header->payload_bytes ||
        crc32c(found.payload) != header->payload_crc) {
      return found;
    }
  }
  found.kind = Kind::record;
  position_ = found.next;
  return found;
}

}  // namespace samtale
