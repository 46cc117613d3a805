// A chunk: the unit that is embedded and found. A window of consecutive turns of one conversation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"

namespace samtale {

struct Chunk {
  std::uint32_t ordinal = 0;  // 0, 1, 2, … within the conversation.
  // Places in Conversation::turns, both included. A long turn is split: several chunks name it.
  std::uint32_t first_turn = 0;
  std::uint32_t last_turn = 0;
  std::string header;  // One line of context for the embedder: channel, date, who. Not for words.
  std::string text;    // "name: what was said" lines; UTF-8.
  std::string policy;  // Name and version of the ChunkPolicy that cut it: "turns-v1".

  friend bool operator==(const Chunk&, const Chunk&) = default;
};

// A chunk's vector and the model that made it: vectors of two models are never compared.
struct Embedding {
  std::string model;
  std::vector<float> vector;  // Unit length.
};

}  // namespace samtale
