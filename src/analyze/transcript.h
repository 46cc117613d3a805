// A conversation as a language model reads it, and the way back from what it quotes. Private to
// analyze/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/conversation.h"

namespace samtale {

// Said by somebody to somebody: no private note, nothing of a system or a tool.
[[nodiscard]] bool is_of_people(const Turn& turn);

// Text without what nobody sees, white space as single spaces: so that a turn is one line, which it
// cannot end, and nothing is hidden in it from whoever reads the conversation.
struct PlainText {
  std::string text;
  // Of each byte of `text`, where it comes from; and one more, the end.
  std::vector<std::size_t> origin;
};
[[nodiscard]] PlainText plain(std::string_view text);

struct TranscriptLine {
  std::uint32_t turn = 0;  // Place in Conversation::turns.
  std::string text;        // "[12] customer: My parcel never came"
};

// The turns of people that hold text. `mask` (if any) is applied to the text of each.
using Mask = std::function<std::string(std::string_view)>;
[[nodiscard]] std::vector<TranscriptLine> make_transcript(const Conversation& conversation,
                                                          const Mask& mask);

// Lines begin … end - 1, of about so many tokens. Every segment but the last is whole: more lines
// at the end of the conversation leave it as it is.
struct Segment {
  std::size_t begin = 0;
  std::size_t end = 0;
};
[[nodiscard]] std::vector<Segment> cut_segments(const std::vector<TranscriptLine>& lines,
                                                std::int64_t tokens);
[[nodiscard]] std::string join_lines(const std::vector<TranscriptLine>& lines, Segment segment);
[[nodiscard]] std::int64_t count_tokens(const std::vector<TranscriptLine>& lines);

// The part of the turn's text that the quote is, byte for byte; apart from white space and what
// nobody sees, the quote must be that text. Nothing if it is not in there, or is empty.
[[nodiscard]] std::optional<std::string_view> find_quote(std::string_view text,
                                                         std::string_view quote);

}  // namespace samtale
