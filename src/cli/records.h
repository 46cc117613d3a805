// Records: the JSON values of a file, one at a time, however they are written and compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samtale::cli {

// Bytes of a file, decompressed (zstd and gzip are known by their first bytes).
// Memory: two buffers of 64 KiB and what the decompressor needs, at most 128 MiB of window.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Empty at the end. Errors: invalid_argument (damaged, cut short), unavailable (disk).
  [[nodiscard]] virtual Result<std::string> next() = 0;
  // Of the file, as it lies on disk: for progress.
  [[nodiscard]] virtual std::uint64_t bytes_taken() const = 0;
};
[[nodiscard]] std::unique_ptr<ByteSource> decompressed(std::istream& file);

struct Record {
  std::string text;          // One line: no line end is in it.
  std::size_t line = 0;      // Where it begins, from 1.
  bool is_too_long = false;  // Then `text` is only its beginning.
};

// Cuts bytes into records: lines if the first line is a whole JSON value, else the values of an
// array or values that follow each other, over as many lines as they like.
// Memory: one record of at most `record_bytes_max` and one piece of input.
class RecordReader {
 public:
  RecordReader(ByteSource& source, std::size_t record_bytes_max)
      : source_(source), record_bytes_max_(record_bytes_max) {}

  // Empty at the end. Whether a record is JSON at all is for its reader to say.
  [[nodiscard]] Result<std::optional<Record>> next();

 private:
  enum class Layout : unsigned char { unknown, lines, values };

  [[nodiscard]] Result<bool> fill();
  [[nodiscard]] Result<> detect();
  [[nodiscard]] Result<std::optional<Record>> next_line();
  [[nodiscard]] Result<std::optional<Record>> next_value();
  [[nodiscard]] Result<bool> skip_between_values();
  void take(Record& record, char c);

  ByteSource& source_;
  const std::size_t record_bytes_max_;
  Layout layout_ = Layout::unknown;
  std::string buffer_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  bool is_ended_ = false;
  bool is_in_array_ = false;
};

}  // namespace samtale::cli
