#include "analyze/transcript.h"

#include "analyze/unseen.h"
#include "lm/chat.h"

namespace samtale {
namespace {

constexpr std::size_t kRoleBytesMax = 40;

// What a source sends as a role may be anything: it is kept to one word's length.
std::string role_of(const Turn& turn) {
  auto role = plain(turn.role).text;
  if (role.size() <= kRoleBytesMax) return role;
  auto end = kRoleBytesMax;
  while (end > 0 && (static_cast<unsigned char>(role[end]) & 0xC0U) == 0x80U) --end;
  return role.substr(0, end);
}

}  // namespace

bool is_of_people(const Turn& turn) {
  return !turn.is_private && turn.role != "system" && turn.role != "tool";
}

PlainText plain(std::string_view text) {
  PlainText made;
  made.text.reserve(text.size());
  made.origin.reserve(text.size() + 1);
  constexpr auto kNowhere = std::string_view::npos;
  auto space = kNowhere;  // Where white space began that something may follow.
  std::size_t end = 0;    // Of the last that was taken.
  for (std::size_t at = 0; at < text.size();) {
    const auto [c, length] = first_character(text.substr(at));
    if (is_space(c)) {
      if (!made.text.empty() && space == kNowhere) space = at;
    } else if (!is_unseen(c)) {
      if (space != kNowhere) {
        made.text += ' ';
        made.origin.push_back(space);
        space = kNowhere;
      }
      const auto bytes = std::min(length, text.size() - at);
      for (std::size_t i = 0; i < bytes; ++i) made.origin.push_back(at + i);
      made.text += text.substr(at, bytes);
      end = at + bytes;
    }
    at += length;
  }
  made.origin.push_back(end);
  return made;
}

std::vector<TranscriptLine> make_transcript(const Conversation& conversation, const Mask& mask) {
  std::vector<TranscriptLine> lines;
  for (std::uint32_t at = 0; at < conversation.turns.size(); ++at) {
    const auto& turn = conversation.turns[at];
    if (!is_of_people(turn)) continue;
    auto said = plain(turn.text).text;
    if (said.empty()) continue;
    if (mask) said = mask(said);
    lines.push_back({at, "[" + std::to_string(at) + "] " + role_of(turn) + ": " + said});
  }
  return lines;
}

std::vector<Segment> cut_segments(const std::vector<TranscriptLine>& lines, std::int64_t tokens) {
  std::vector<Segment> segments;
  Segment segment;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    count += token_estimate(lines[i].text);
    segment.end = i + 1;
    if (count >= tokens) {
      segments.push_back(segment);
      segment = {i + 1, i + 1};
      count = 0;
    }
  }
  if (segment.end > segment.begin) segments.push_back(segment);
  return segments;
}

std::string join_lines(const std::vector<TranscriptLine>& lines, Segment segment) {
  std::string text;
  for (auto i = segment.begin; i < segment.end; ++i) text += lines[i].text + '\n';
  return text;
}

std::int64_t count_tokens(const std::vector<TranscriptLine>& lines) {
  std::int64_t count = 0;
  for (const auto& line : lines) count += token_estimate(line.text);
  return count;
}

std::optional<std::string_view> find_quote(std::string_view text, std::string_view quote) {
  const auto wanted = plain(quote).text;
  if (wanted.empty()) return std::nullopt;
  const auto said = plain(text);
  const auto at = said.text.find(wanted);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = said.origin[at];
  // After the last byte of the quote: not where the next one begins, or a space would be its part.
  const auto end = said.origin[at + wanted.size() - 1] + 1;
  return text.substr(begin, end - begin);
}

}  // namespace samtale
