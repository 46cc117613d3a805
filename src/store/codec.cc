#include "store/codec.h"

#include <zstd.h>

#include <bit>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"

namespace samtale {
namespace {

static_assert(std::endian::native == std::endian::little, "vectors are stored as they lie");

constexpr std::size_t kPackFrom = 256;  // Below, a frame's own bytes eat the gain.
constexpr std::size_t kUnpackedMax = std::size_t{256} << 20;
constexpr int kLevel = 1;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

std::unexpected<Error> damaged(const std::string& what) {
  return fail(ErrorCode::corrupt, what + "; restore the file from a backup");
}

}  // namespace

std::string pack(std::string_view bytes) {
  // Made once a thread: making one costs more than compressing a conversation.
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  if (bytes.size() > kPackFrom && context != nullptr) {
    std::string packed(1 + ZSTD_compressBound(bytes.size()), '\1');
    const auto size = ZSTD_compressCCtx(context.get(), packed.data() + 1, packed.size() - 1,
                                        bytes.data(), bytes.size(), kLevel);
    if (ZSTD_isError(size) == 0 && size < bytes.size()) {
      packed.resize(1 + size);
      return packed;
    }
  }
  std::string plain(1, '\0');
  plain += bytes;
  return plain;
}

Result<std::string> unpack(std::string_view packed) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  if (context == nullptr) return fail(ErrorCode::unavailable, "no memory to decompress a column");
  if (packed.empty()) return damaged("a packed column is empty");
  const auto body = packed.substr(1);
  if (packed[0] == '\0') return std::string(body);
  if (packed[0] != '\1') return damaged("a column is packed in an unknown way");
  const auto size = ZSTD_getFrameContentSize(body.data(), body.size());
  if (size > kUnpackedMax) return damaged("a packed column has no sensible size");
  std::string bytes(size, '\0');
  const auto got =
      ZSTD_decompressDCtx(context.get(), bytes.data(), bytes.size(), body.data(), body.size());
  if (ZSTD_isError(got) != 0 || got != size) return damaged("a packed column cannot be unpacked");
  return bytes;
}

std::string pack(const Conversation& conversation) {
  return pack(json::dump(to_json(conversation)));
}

Conversation head_of(const Conversation& conversation) {
  return {.id = conversation.id,
          .source = conversation.source,
          .external_id = conversation.external_id,
          .channel = conversation.channel,
          .language = conversation.language,
          .title = conversation.title,
          .status = conversation.status,
          .end_reason = conversation.end_reason,
          .started_at = conversation.started_at,
          .ended_at = conversation.ended_at,
          .parties = conversation.parties,
          .turns = {},
          .tags = conversation.tags,
          .metadata = conversation.metadata,
          .vendor_analysis = {},
          .extra = {}};
}

Result<Conversation> unpack_conversation(std::string_view packed) {
  SAMTALE_TRY(const auto text, unpack(packed));
  auto value = json::parse(text, {.bytes_max = kUnpackedMax, .members_max = kUnpackedMax});
  if (!value) return damaged("a stored conversation: " + value.error().message);
  return conversation_from_json(*value);
}

std::int64_t sort_us(const Conversation& conversation, WallTime received_at) {
  return to_us(conversation.started_at.value_or(received_at));
}

Result<ConversationId> read_id(std::string_view bytes) {
  const auto id = conversation_id_from_bytes(bytes);
  if (!id) {
    return fail(ErrorCode::corrupt,
                "a stored conversation id has another length than 16; restore from a backup");
  }
  return *id;
}

std::string write_labels(std::span<const std::string> labels) {
  return json::dump(json::Array(labels.begin(), labels.end()));
}

Result<std::vector<std::string>> read_labels(std::string_view text) {
  std::vector<std::string> labels;
  SAMTALE_TRY(const auto value, json::parse(text));
  if (const auto* list = value.as_array()) {
    for (const auto& label : *list) {
      if (const auto* one = label.as_string()) labels.push_back(*one);
    }
  }
  return labels;
}

std::string_view vector_bytes(std::span<const float> vector) {
  return {reinterpret_cast<const char*>(vector.data()), vector.size_bytes()};
}

Result<std::vector<float>> vector_from_bytes(std::string_view bytes) {
  if (bytes.size() % sizeof(float) != 0) return damaged("a stored vector has a part of a number");
  std::vector<float> vector(bytes.size() / sizeof(float));
  std::memcpy(vector.data(), bytes.data(), bytes.size());
  return vector;
}

std::string chunk_digest(const Chunk& chunk) {
  std::string all;
  all.reserve(chunk.header.size() + chunk.text.size() + chunk.policy.size() + 24);
  for (const auto* part : {&chunk.header, &chunk.text, &chunk.policy}) {
    const std::uint64_t size = part->size();
    all.append(reinterpret_cast<const char*>(&size), sizeof size);
    all += *part;
  }
  return std::string(view(sha256(all)).substr(0, 16));
}

std::string event_key_digest(std::string_view key) {
  return std::string(view(sha256(key)).substr(0, 16));
}

}  // namespace samtale
