// Chunker: cuts a conversation into windows of turns, the units that are embedded and found.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "model/chunk.h"
#include "model/conversation.h"

namespace samtale {

// Has a name and a version because a company's chunks are cut anew when its policy changes.
struct ChunkPolicy {
  std::string name = "turns-v1";
  std::size_t tokens_max = 256;         // Of a chunk's text, by estimate_tokens; at least 8.
  std::size_t overlap_turns = 1;        // Turns repeated at the start of the next window …
  std::size_t overlap_tokens_max = 40;  // … if they are not longer than this.
  std::size_t chunks_max = 4096;        // Of one conversation; the windows grow to keep within it.
};

// Shapes: every turn with text is in at least one chunk; chunks are in order; a turn longer than
// the window is cut at sentences, a sentence longer than it at words, a word longer than it
// between grapheme clusters, a cluster longer than it (a thousand accents) between code points:
// never inside one. Equal input gives equal chunks. Private turns are kept (the company searches
// its own notes). Bytes that are not UTF-8 come out as they went in.
[[nodiscard]] std::vector<Chunk> cut(const Conversation& conversation, const ChunkPolicy& policy);

// What a multilingual SentencePiece model makes of it, roughly: for limits, not for billing.
[[nodiscard]] std::size_t estimate_tokens(std::string_view text);

// Looks a policy up by name; empty if there is none such.
[[nodiscard]] const ChunkPolicy* find_chunk_policy(std::string_view name);

}  // namespace samtale
