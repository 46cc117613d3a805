// One segment file of the log: made whole in advance, then filled record by record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "accept/record.h"
#include "base/result.h"
#include "sys/files.h"

namespace samtale {

// Positions are global: header.base + the offset in the file.
struct Segment {
  std::string path;
  SegmentHeader header;
  std::unique_ptr<File> file;
  // Held from a write to the end of its sync: whoever syncs meanwhile could take the error that
  // belongs to that write, and leave it to look like a success.
  std::mutex write_mutex;

  [[nodiscard]] std::uint64_t begin() const { return header.base + kSegmentHeaderBytes; }
  [[nodiscard]] std::uint64_t end() const { return header.base + header.bytes; }

  [[nodiscard]] Result<std::string> read(std::uint64_t position, std::uint64_t size) const;
  Result<> write(std::uint64_t position, std::string_view bytes);
  // Zeros, in slices, each synced: one large sync would hold up everybody else's.
  Result<> blank(std::uint64_t begin, std::uint64_t end, const std::stop_token& stop = {});
  // A corrupt error that names the place and the remedy.
  [[nodiscard]] std::unexpected<Error> damaged(std::uint64_t position, std::string_view how) const;
};

// Makes a segment full of zeros; it and its name are durable on return. Leaves nothing on error.
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
