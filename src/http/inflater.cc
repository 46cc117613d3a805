#include "http/inflater.h"

#include <zlib.h>

#include <algorithm>

#include "base/check.h"

namespace samtale::http {
namespace {

constexpr std::size_t kStepBytes = 32 * 1024;  // The window of deflate: no gain above.
constexpr int kGzipOnly = 16 + MAX_WBITS;      // zlib.h, inflateInit2.

}  // namespace

struct Inflater::State {
  z_stream stream{};
  bool is_complete = false;
  bool has_more = false;
};

Inflater::Inflater() : state_(std::make_unique<State>()) {
  SAMTALE_CHECK(inflateInit2(&state_->stream, kGzipOnly) == Z_OK, "zlib could not start");
}

Inflater::~Inflater() { inflateEnd(&state_->stream); }

bool Inflater::is_complete() const { return state_->is_complete; }
bool Inflater::has_more() const { return state_->has_more; }

Result<> Inflater::expand(std::string_view& input, std::string& out, std::size_t out_max) {
  auto& stream = state_->stream;
  while (out.size() < out_max && (!input.empty() || state_->has_more)) {
    if (state_->is_complete) {
      inflateReset(&stream);
      state_->is_complete = false;
    }
    const auto start = out.size();
    const auto room = std::min(kStepBytes, out_max - start);
    out.resize(start + room);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream.avail_in = static_cast<uInt>(std::min(input.size(), kStepBytes));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + start);
    stream.avail_out = static_cast<uInt>(room);
    const auto given = stream.avail_in;
    const int code = inflate(&stream, Z_NO_FLUSH);
    input.remove_prefix(given - stream.avail_in);
    out.resize(start + room - stream.avail_out);
    state_->is_complete = code == Z_STREAM_END;
    state_->has_more = code == Z_OK && stream.avail_out == 0;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
      return fail(ErrorCode::invalid_argument, "the body is not valid gzip");
    }
  }
  return {};
}

}  // namespace samtale::http
