#include "cli/records.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <istream>
#include <vector>

#include "json/json.h"

namespace samtale::cli {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

std::unexpected<Error> damaged(std::string_view format, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              "damaged " + std::string(format) + " data: " + std::string(why));
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::istream& file) : file_(file) {}

  Result<std::string> next() override {
    std::string piece(kPiece, '\0');
    file_.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (file_.bad()) return fail(ErrorCode::unavailable, "cannot be read to its end");
    piece.resize(static_cast<std::size_t>(file_.gcount()));
    taken_ += piece.size();
    return piece;
  }
  std::uint64_t bytes_taken() const override { return taken_; }

 private:
  std::istream& file_;
  std::uint64_t taken_ = 0;
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::istream& file) : file_(file) {
    is_ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;  // 16: the gzip format, not zlib's.
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  Result<std::string> next() override {
    if (!is_ready_) return damaged("gzip", "no memory to read it");
    std::string out(kPiece, '\0');
    while (true) {
      if (stream_.avail_in == 0) {
        SAMTALE_TRY(input_, file_.next());
        if (input_.empty()) {
          if (!is_between_members_) return damaged("gzip", "it is cut short");
          return std::string();
        }
        stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
        stream_.avail_in = static_cast<uInt>(input_.size());
      }
      if (is_between_members_) inflateReset(&stream_);
      is_between_members_ = false;
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = static_cast<uInt>(out.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        is_between_members_ = true;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        return damaged("gzip", stream_.msg == nullptr ? "unreadable" : stream_.msg);
      }
      out.resize(out.size() - stream_.avail_out);
      if (!out.empty()) return out;
      out.resize(kPiece);
    }
  }
  std::uint64_t bytes_taken() const override { return file_.bytes_taken(); }

 private:
  PlainSource file_;
  std::string input_;
  z_stream stream_{};
  bool is_ready_ = false;
  bool is_between_members_ = true;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::istream& file) : file_(file), context_(ZSTD_createDCtx()) {}
  ~ZstdSource() override { ZSTD_freeDCtx(context_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  Result<std::string> next() override {
    std::string out(kPiece, '\0');
    while (true) {
      if (read_ == input_.size() && !is_output_full_) {
        SAMTALE_TRY(input_, file_.next());
        read_ = 0;
        if (input_.empty()) {
          if (!is_between_frames_) return damaged("zstd", "it is cut short");
          return std::string();
        }
      }
      ZSTD_inBuffer in{input_.data(), input_.size(), read_};
      ZSTD_outBuffer to{out.data(), out.size(), 0};
      const auto left = ZSTD_decompressStream(context_, &to, &in);
      if (ZSTD_isError(left) != 0) return damaged("zstd", ZSTD_getErrorName(left));
      read_ = in.pos;
      is_between_frames_ = left == 0;
      is_output_full_ = to.pos == to.size;
      if (to.pos != 0) {
        out.resize(to.pos);
        return out;
      }
    }
  }
  std::uint64_t bytes_taken() const override { return file_.bytes_taken(); }

 private:
  PlainSource file_;
  ZSTD_DCtx* const context_;
  std::string input_;
  std::size_t read_ = 0;
  bool is_between_frames_ = true;
  bool is_output_full_ = false;
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

std::unique_ptr<ByteSource> decompressed(std::istream& file) {
  std::string start;
  for (int c = file.get(); c != std::istream::traits_type::eof(); c = file.get()) {
    start += static_cast<char>(c);
    if (start.size() == kZstdMagic.size()) break;
  }
  file.clear();
  for (std::size_t i = start.size(); i > 0; --i) file.putback(start[i - 1]);
  if (start.starts_with(kGzipMagic)) return std::make_unique<GzipSource>(file);
  if (start == kZstdMagic) return std::make_unique<ZstdSource>(file);
  return std::make_unique<PlainSource>(file);
}

Result<bool> RecordReader::fill() {
  if (is_ended_) return false;
  SAMTALE_TRY(auto piece, source_.next());
  is_ended_ = piece.empty();
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_ += piece;
  return !is_ended_;
}

Result<> RecordReader::detect() {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  SAMTALE_TRY(bool has_more, fill());
  if (buffer_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  while (has_more && buffer_.find('\n', at_) == std::string::npos &&
         buffer_.size() < record_bytes_max_) {
    SAMTALE_TRY(has_more, fill());
  }
  while (at_ < buffer_.size() && is_space(buffer_[at_])) line_ += buffer_[at_++] == '\n' ? 1 : 0;
  const auto rest = std::string_view(buffer_).substr(at_);
  const auto first = rest.substr(0, rest.find('\n'));
  const bool is_array = first.starts_with('[');
  layout_ = !is_array && json::parse(first, {.bytes_max = record_bytes_max_, .depth_max = 512})
                ? Layout::lines
                : Layout::values;
  // A first line that is broken, in a file of lines, is no reason to read it as one value.
  if (!is_array && !first.empty() && first.back() == '}') layout_ = Layout::lines;
  if (is_array) {
    is_in_array_ = true;
    ++at_;
  }
  return {};
}

Result<std::optional<Record>> RecordReader::next() {
  if (layout_ == Layout::unknown) SAMTALE_TRY_VOID(detect());
  return layout_ == Layout::lines ? next_line() : next_value();
}

void RecordReader::take(Record& record, char c) {
  if (record.text.size() >= record_bytes_max_) {
    record.is_too_long = true;
  } else {
    record.text += c;
  }
}

Result<std::optional<Record>> RecordReader::next_line() {
  Record record;
  record.line = line_;
  while (true) {
    if (at_ == buffer_.size()) {
      SAMTALE_TRY(const bool has_more, fill());
      if (!has_more) break;
    }
    const char c = buffer_[at_++];
    if (c != '\n') {
      if (c != '\r') take(record, c);
      continue;
    }
    ++line_;
    if (!std::ranges::all_of(record.text, is_space)) return std::optional(std::move(record));
    record.text.clear();
    record.line = line_;
  }
  if (std::ranges::all_of(record.text, is_space)) return std::optional<Record>();
  return std::optional(std::move(record));
}

// False at the end.
Result<bool> RecordReader::skip_between_values() {
  while (true) {
    if (at_ == buffer_.size()) {
      SAMTALE_TRY(const bool has_more, fill());
      if (!has_more) return false;
    }
    const char c = buffer_[at_];
    const bool is_separator = is_space(c) || (is_in_array_ && (c == ',' || c == ']'));
    if (!is_separator) return true;
    if (c == '\n') ++line_;
    ++at_;
  }
}

Result<std::optional<Record>> RecordReader::next_value() {
  SAMTALE_TRY(const bool has_value, skip_between_values());
  if (!has_value) return std::optional<Record>();
  Record record;
  record.line = line_;
  std::size_t depth = 0;
  bool is_in_string = false;
  bool is_escaped = false;
  while (true) {
    if (at_ == buffer_.size()) {
      SAMTALE_TRY(const bool has_more, fill());
      if (!has_more) return std::optional(std::move(record));
    }
    const char c = buffer_[at_];
    if (depth == 0 && !is_in_string && !record.text.empty() &&
        (is_space(c) || c == ',' || c == ']')) {
      return std::optional(std::move(record));  // The end of a bare word or number.
    }
    ++at_;
    if (c == '\n') ++line_;
    take(record, c == '\n' || c == '\r' ? ' ' : c);  // Inside a string it is an error anyway.
    if (is_in_string) {
      if (!is_escaped && c == '"') is_in_string = false;
      is_escaped = !is_escaped && c == '\\';
      continue;
    }
    if (c == '"') is_in_string = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth != 0 && --depth == 0) {
      return std::optional(std::move(record));
    }
  }
}

}  // namespace samtale::cli
