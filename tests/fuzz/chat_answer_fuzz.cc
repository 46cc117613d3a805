// Rooms: lm
//
// Whatever a language model's server answers, as one body and as a stream of events: either an
// answer, or a failure that says nothing of it. A stream says the same however it is cut; the first
// byte of the input says where.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "lm/chat_answer.h"
#include "lm/chat_stream.h"

namespace {

constexpr std::size_t kBytesMax = 4096;

void check(const std::expected<samtale::ChatAnswer, samtale::ChatFailure>& answer) {
  if (!answer) {
    const auto& message = answer.error().error.message;
    SAMTALE_CHECK(samtale::is_utf8(message) && message.size() < 300, "an error stays short");
    return;
  }
  const auto& usage = answer->usage;
  SAMTALE_CHECK(usage.input >= 0 && usage.output >= 0, "nothing is counted below nothing");
  SAMTALE_CHECK(usage.cached_input >= 0 && usage.cached_input <= usage.input, "cached is a part");
  SAMTALE_CHECK(samtale::is_utf8(answer->text) && samtale::is_utf8(answer->model), "UTF-8");
  SAMTALE_CHECK(answer->text.size() <= kBytesMax, "no longer than may be");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto cut = body.empty() ? 0 : data[0] % body.size();

  check(samtale::read_chat_answer(body, 5, kBytesMax));
  check(std::unexpected(samtale::read_refusal(500, body)));

  samtale::ChatStreamReader whole(kBytesMax, 5);
  samtale::ChatStreamReader pieces(kBytesMax, 5);
  const bool goes_on = whole.take(body);
  const bool pieces_go_on = pieces.take(body.substr(0, cut)) && pieces.take(body.substr(cut));
  SAMTALE_CHECK(goes_on == pieces_go_on, "a cut changes nothing");
  const auto answer = whole.finish();
  const auto same = pieces.finish();
  check(answer);
  SAMTALE_CHECK(answer.has_value() == same.has_value(), "a cut changes nothing");
  SAMTALE_CHECK(!answer || answer->text == same->text, "a cut changes nothing");
  return 0;
}
