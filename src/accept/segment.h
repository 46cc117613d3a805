// One segment file of the log: made whole in advance, then filled record by record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "accept/record.h"
#include "base/result.h"
#include "sys/files.h"

namespace samtale {

// So many groups are written and synced at once. What may lie after a torn record, and how much an
// opening makes durable again, follows from it: docs/formats/accept-log-v1.md.
inline constexpr std::size_t kSyncsMax = 4;

// Positions are global: header.base + the offset in the file.
struct Segment {
  std::string path;
  SegmentHeader header;
  std::unique_ptr<File> file;
  // One for each sync under way, if the segment is being filled or next. Opened one by one, since
  // the system reports a failed write once to each opening of a file (Linux 4.13, errseq_t): a sync
  // beside another could take the error that belongs to that one, and leave it to look a success.
  std::vector<std::unique_ptr<File>> writers;
  std::mutex erase_mutex;  // Held while a record is being erased.

  [[nodiscard]] std::uint64_t begin() const { return header.base + kSegmentHeaderBytes; }
  [[nodiscard]] std::uint64_t end() const { return header.base + header.bytes; }

  [[nodiscard]] Result<std::string> read(std::uint64_t position, std::uint64_t size) const;
  Result<> write(std::uint64_t position, std::string_view bytes);
  // Zeros, in slices, each synced: one large sync would hold up everybody else's.
  Result<> blank(std::uint64_t begin, std::uint64_t end, const std::stop_token& stop = {});
  // A corrupt error that names the place and the remedy.
  [[nodiscard]] std::unexpected<Error> damaged(std::uint64_t position, std::string_view how) const;
};

// Errors: unavailable.
Result<> open_writers(Files& files, Segment& segment);

// Makes a segment full of zeros, with its writers; it and its name are durable on return. Leaves
// nothing on error.
// Errors: unavailable (the disk is full or failed; `stop` was requested).
[[nodiscard]] Result<std::shared_ptr<Segment>> make_segment(Files& files, const std::string& folder,
                                                            const SegmentHeader& header,
                                                            const std::stop_token& stop);

// Errors: unavailable; corrupt (header damaged, file shorter or longer than it, wrong name).
[[nodiscard]] Result<std::shared_ptr<Segment>> open_segment(Files& files, const std::string& folder,
                                                            const std::string& name);

[[nodiscard]] bool is_segment_name(std::string_view name);
// A segment being made; of no use if found after a crash.
inline constexpr std::string_view kUnfinishedName = "next.tmp";

// Reads the records of one segment one after another.
class RecordReader {
 public:
  enum class Kind : std::uint8_t { record, blank, damaged };
  struct Found {
    Kind kind = Kind::blank;
    RecordHeader header;  // If a record; if damaged, when the header is whole.
    std::uint64_t position = 0;
    std::uint64_t next = 0;    // Where the record after it begins.
    std::string_view payload;  // Until the next call; empty if erased.
  };

  // From `position` to `limit` (global); reads about `block_bytes` at once.
  RecordReader(const Segment& segment, std::uint64_t position, std::uint64_t limit,
               std::size_t block_bytes);

  // Goes on only over records; on blank or damaged ground it stays where it is.
  [[nodiscard]] Result<Found> next();
  void skip_to(std::uint64_t position) { position_ = position; }

 private:
  // The bytes there, fewer at the limit.
  Result<std::string_view> bytes_at(std::uint64_t position, std::uint64_t size);

  const Segment& segment_;
  std::uint64_t position_;
  const std::uint64_t limit_;
  const std::size_t block_bytes_;
  std::string block_;
  std::uint64_t block_position_ = 0;
};

}  // namespace samtale
