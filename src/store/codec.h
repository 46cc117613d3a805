// How the store's columns hold documents and vectors (docs/formats/sqlite-v1.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/chunk.h"
#include "model/conversation.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

// A byte that says how (0 plain, 1 zstd), then the bytes. Short or incompressible ones stay plain.
// Threads: any; each keeps a compressor of its own (about 1 MB).
[[nodiscard]] std::string pack(std::string_view bytes);
[[nodiscard]] Result<std::string> unpack(std::string_view packed);  // Errors: corrupt.

[[nodiscard]] std::string pack(const Conversation& conversation);
// What a summary shows of it (ConversationSummary::head).
[[nodiscard]] Conversation head_of(const Conversation& conversation);
[[nodiscard]] Result<Conversation> unpack_conversation(std::string_view packed);

// Where lists have it: by when it started, or else by when it came.
[[nodiscard]] std::int64_t sort_us(const Conversation& conversation, WallTime received_at);

[[nodiscard]] Result<ConversationId> read_id(std::string_view bytes);  // Errors: corrupt.

// Labels of an analysis, as a JSON array.
[[nodiscard]] std::string write_labels(std::span<const std::string> labels);
[[nodiscard]] Result<std::vector<std::string>> read_labels(std::string_view json);

// Little-endian 32-bit floats.
[[nodiscard]] std::string_view vector_bytes(std::span<const float> vector);
[[nodiscard]] Result<std::vector<float>> vector_from_bytes(std::string_view bytes);

// 16 bytes over what an embedding is made from: header, text and policy, each with its length.
[[nodiscard]] std::string chunk_digest(const Chunk& chunk);

// 16 bytes that stand for an event's key. A provider's key may hold an address or a name, and what
// is kept after an erasure may not.
[[nodiscard]] std::string event_key_digest(std::string_view key);

}  // namespace samtale
