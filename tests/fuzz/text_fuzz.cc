// Rooms: text
//
// Any bytes as text, as a name and as a query: nothing crashes, terms keep their limits, ranges lie
// in the text, and chunks of UTF-8 are UTF-8 and fit their window.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "text/chunker.h"
#include "text/words.h"

namespace samtale {
namespace {

void check_words(std::string_view text) {
  const auto terms = words(text);
  for (const auto& term : terms) {
    SAMTALE_CHECK(!term.empty() && term.size() <= 64, "a term is of 1 to 64 bytes");
    SAMTALE_CHECK(is_utf8(term), "a term is UTF-8, whatever the text was");
  }
  std::size_t end = 0;
  for (const auto& range : find_words(text, terms)) {
    SAMTALE_CHECK(range.begin >= end && range.begin < range.end, "ranges do not overlap");
    end = range.end;
  }
  SAMTALE_CHECK(end <= text.size(), "ranges lie in the text");
  SAMTALE_CHECK((end == 0) == terms.empty(), "words are found where they came from");
}

// The first byte is the window, the second the length of the name.
void check_chunks(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const ChunkPolicy policy{.tokens_max = 8 + static_cast<std::size_t>(bytes[0] & 63)};
  const auto name_bytes = static_cast<std::size_t>(bytes[1] & 31);
  bytes.remove_prefix(2);
  Conversation conversation;
  for (std::size_t at = 0; at < bytes.size();) {
    Turn turn;
    turn.name = bytes.substr(at, name_bytes);
    at += turn.name.size();
    const auto end = bytes.find('\0', at);
    turn.text = bytes.substr(at, end - at);
    at += turn.text.size() + 1;
    conversation.turns.push_back(std::move(turn));
  }
  for (const auto& chunk : cut(conversation, policy)) {
    if (!is_utf8(bytes)) continue;  // The names may be cut anywhere then.
    SAMTALE_CHECK(estimate_tokens(chunk.text) <= policy.tokens_max, "a chunk fits its window");
  }
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  samtale::check_words(bytes);
  samtale::check_chunks(bytes);
  return 0;
}
