#include "text/chunker.h"

#include <algorithm>
#include <utility>

#include "text/code_points.h"
#include "text/splitter.h"
#include "text/token_counter.h"

namespace samtale {
namespace {

const ChunkPolicy kPolicies[] = {ChunkPolicy{}};

constexpr std::size_t kTokensMin = 8;        // Below it a label leaves no room for words.
constexpr std::size_t kLabelBytesMax = 256;  // A name; longer ones are a mistake of a sender.
constexpr std::size_t kHeaderRolesMax = 4;
constexpr std::size_t kHeaderFieldBytesMax = 64;   // Channel, a role: as sent, so of any length.
constexpr std::size_t kHeaderTitleBytesMax = 160;  // A subject line; longer ones are whole mails.

// A line of a chunk: a turn, or a piece of one.
struct Line {
  std::uint32_t turn = 0;
  bool is_whole = true;
  std::size_t tokens = 0;
  std::string_view label;  // Who said it; with ": " if not empty.
  std::string_view text;
};

// Lines[begin] to lines[end - 1].
struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// On one line, of about `bytes` at most.
std::string one_line(std::string_view text, std::size_t bytes) {
  text = trimmed(text);
  std::string line(text.substr(0, whole_code_points(text, bytes)));
  std::ranges::replace_if(
      line, [](char c) { return c >= 0 && c < ' '; }, ' ');
  return line;
}

// "name: ", taking at most a quarter of the window, so that a name cannot crowd out what was said.
std::string label_of(const Turn& turn, std::size_t tokens_max) {
  auto who = one_line(turn.name, kLabelBytesMax);
  if (who.empty()) who = one_line(turn.role, kLabelBytesMax);
  if (who.empty()) return {};
  if (estimate_tokens(who) <= tokens_max / 4) return who + ": ";
  std::string label;
  split_text(who, tokens_max / 4, [&label](std::string_view piece) {
    if (label.empty()) label = piece;
  });
  return label + ": ";
}

std::vector<Line> lines_of(const Conversation& conversation, const std::vector<std::string>& labels,
                           std::size_t tokens_max) {
  std::vector<Line> lines;
  for (std::size_t i = 0; i < conversation.turns.size(); ++i) {
    const auto text = trimmed(conversation.turns[i].text);
    if (text.empty()) continue;
    Line line{.turn = static_cast<std::uint32_t>(i), .label = labels[i], .text = text};
    const auto label_tokens = estimate_tokens(line.label);
    line.tokens = label_tokens + estimate_tokens(text);
    if (line.tokens <= tokens_max) {
      lines.push_back(line);
      continue;
    }
    line.is_whole = false;
    const auto room = tokens_max - std::min(label_tokens, tokens_max - 1);
    split_text(text, room, [&](std::string_view piece) {
      line.text = piece;
      line.tokens = label_tokens + estimate_tokens(piece);
      lines.push_back(line);
    });
  }
  return lines;
}

// Where the window after one that ends at `end` begins: some whole turns before, if they are short
// and leave room for the line that comes next.
std::size_t overlap_begin(const std::vector<Line>& lines, Window window,
                          const ChunkPolicy& policy) {
  if (window.end == lines.size()) return window.end;
  std::size_t tokens = 0;
  auto begin = window.end;
  // One line of the window at least is not repeated, so that each window goes further.
  while (begin > window.begin + 1 && window.end - begin < policy.overlap_turns) {
    const auto& line = lines[begin - 1];
    tokens += line.tokens;
    if (!line.is_whole || tokens > policy.overlap_tokens_max ||
        tokens + lines[window.end].tokens > policy.tokens_max) {
      break;
    }
    --begin;
  }
  return begin;
}

std::vector<Window> windows_of(const std::vector<Line>& lines, const ChunkPolicy& policy) {
  std::vector<Window> windows;
  Window window;
  while (window.end < lines.size()) {
    std::size_t tokens = 0;
    for (auto i = window.begin; i < window.end; ++i) tokens += lines[i].tokens;
    do {
      tokens += lines[window.end++].tokens;
    } while (window.end < lines.size() && tokens + lines[window.end].tokens <= policy.tokens_max);
    windows.push_back(window);
    window.begin = overlap_begin(lines, window, policy);
  }
  return windows;
}

std::string roles_of(const Conversation& conversation) {
  std::vector<std::string> roles;
  for (const auto& turn : conversation.turns) {
    auto role = one_line(turn.role, kHeaderFieldBytesMax);
    if (role.empty() || std::ranges::find(roles, role) != roles.end()) continue;
    if (roles.size() == kHeaderRolesMax) {
      roles.emplace_back("others");
      break;
    }
    roles.push_back(std::move(role));
  }
  std::string who;
  for (std::size_t i = 0; i < roles.size(); ++i) {
    if (i > 0) who += i + 1 == roles.size() ? " and " : ", ";
    who += roles[i];
  }
  return who;
}

// "email, 2026-09-14, customer and agent, Where is my parcel?"
std::string header_of(const Conversation& conversation) {
  std::string header;
  const auto add = [&header](std::string_view field) {
    if (!header.empty() && !field.empty()) header += ", ";
    header += field;
  };
  add(one_line(conversation.channel, kHeaderFieldBytesMax));
  if (conversation.started_at) {
    constexpr std::size_t kDate = std::string_view("2026-09-14").size();
    add(format_time(*conversation.started_at).substr(0, kDate));
  }
  add(roles_of(conversation));
  add(one_line(conversation.title, kHeaderTitleBytesMax));
  return header;
}

std::string text_of(const std::vector<Line>& lines, Window window) {
  std::string text;
  for (auto i = window.begin; i < window.end; ++i) {
    text += lines[i].label;
    text += lines[i].text;
    text += '\n';
  }
  return text;
}

}  // namespace

std::vector<Chunk> cut(const Conversation& conversation, const ChunkPolicy& policy) {
  auto grown = policy;
  grown.tokens_max = std::max(policy.tokens_max, kTokensMin);
  grown.chunks_max = std::max<std::size_t>(policy.chunks_max, 1);
  std::vector<std::string> labels;
  for (const auto& turn : conversation.turns) labels.push_back(label_of(turn, grown.tokens_max));

  auto lines = lines_of(conversation, labels, grown.tokens_max);
  auto windows = windows_of(lines, grown);
  while (windows.size() > grown.chunks_max) {
    // In proportion, and an eighth more, as windows are seldom full.
    grown.tokens_max = grown.tokens_max * windows.size() / grown.chunks_max * 9 / 8;
    lines = lines_of(conversation, labels, grown.tokens_max);
    windows = windows_of(lines, grown);
  }

  const auto header = windows.empty() ? std::string() : header_of(conversation);
  std::vector<Chunk> chunks;
  chunks.reserve(windows.size());
  for (const auto window : windows) {
    chunks.push_back({.ordinal = static_cast<std::uint32_t>(chunks.size()),
                      .first_turn = lines[window.begin].turn,
                      .last_turn = lines[window.end - 1].turn,
                      .header = header,
                      .text = text_of(lines, window),
                      .policy = policy.name});
  }
  return chunks;
}

const ChunkPolicy* find_chunk_policy(std::string_view name) {
  const auto* found = std::ranges::find(kPolicies, name, &ChunkPolicy::name);
  return found == std::end(kPolicies) ? nullptr : found;
}

}  // namespace samtale
