// The chunks and vectors of a conversation.
#include <map>

#include "store/codec.h"
#include "store/rows.h"
#include "store/sqlite_writer.h"

namespace samtale {

using sqlite::Blob;

struct SqliteWriter::ChunkRow {
  std::int64_t row = 0;
  std::uint32_t ordinal = 0;
  std::uint32_t first_turn = 0;
  std::uint32_t last_turn = 0;
  bool has_vector = false;
  bool has_error = false;
  std::string digest;
};

Result<std::vector<SqliteWriter::ChunkRow>> SqliteWriter::chunk_rows(CompanyId company,
                                                                     ConversationId conversation) {
  SAMTALE_TRY(auto rows, connection_.prepare(
                             "SELECT c.row, c.ordinal, c.first_turn, c.last_turn, "
                             "v.chunk IS NOT NULL, c.embed_error <> '', c.digest "
                             "FROM chunks AS c INDEXED BY chunks_by_conversation "
                             "LEFT JOIN vectors AS v ON v.chunk = c.row "
                             "WHERE c.company = ?1 AND c.conversation = ?2 ORDER BY c.ordinal"));
  SAMTALE_TRY_VOID(rows.bind(company, blob(conversation)));
  std::vector<ChunkRow> found;
  while (true) {
    SAMTALE_TRY(const bool more, rows.step());
    if (!more) return found;
    found.push_back({.row = rows.integer(0),
                     .ordinal = static_cast<std::uint32_t>(rows.integer(1)),
                     .first_turn = static_cast<std::uint32_t>(rows.integer(2)),
                     .last_turn = static_cast<std::uint32_t>(rows.integer(3)),
                     .has_vector = rows.integer(4) != 0,
                     .has_error = rows.integer(5) != 0,
                     .digest = std::string(rows.bytes(6))});
  }
}

Result<> SqliteWriter::put_chunks(CompanyId company, ConversationId conversation,
                                  std::span<const Chunk> chunks) {
  SAMTALE_TRY(const bool deleted, is_deleted(company, conversation));
  if (deleted) return {};
  SAMTALE_TRY(const auto old, chunk_rows(company, conversation));
  // In their order, so that of equal ones the first stays the first.
  std::multimap<std::string_view, const ChunkRow*> unused;
  for (const auto& row : old) unused.emplace(row.digest, &row);
  for (const auto& chunk : chunks) {
    const auto digest = chunk_digest(chunk);
    const auto same = unused.find(digest);
    if (same == unused.end()) {
      SAMTALE_TRY_VOID(insert_chunk(company, conversation, chunk, digest));
    } else {
      SAMTALE_TRY_VOID(move_chunk(*same->second, chunk));
      unused.erase(same);
    }
  }
  for (const auto& [digest, row] : unused) SAMTALE_TRY_VOID(erase_chunk(company, *row));
  add_change(company, conversation);
  return {};
}

Result<> SqliteWriter::insert_chunk(CompanyId company, ConversationId conversation,
                                    const Chunk& chunk, std::string_view digest) {
  ++counts_[company].chunks;
  return connection_.run(
      "INSERT INTO chunks(company, conversation, ordinal, first_turn, last_turn, digest, "
      "embed_error, policy, header, text) VALUES(?1, ?2, ?3, ?4, ?5, ?6, '', ?7, ?8, ?9)",
      company, blob(conversation), chunk.ordinal, chunk.first_turn, chunk.last_turn, Blob{digest},
      chunk.policy, chunk.header, Blob{pack(chunk.text)});
}

Result<> SqliteWriter::move_chunk(const ChunkRow& row, const Chunk& chunk) {
  if (row.ordinal == chunk.ordinal && row.first_turn == chunk.first_turn &&
      row.last_turn == chunk.last_turn) {
    return {};
  }
  return connection_.run(
      "UPDATE chunks SET ordinal = ?2, first_turn = ?3, last_turn = ?4 WHERE row = ?1", row.row,
      chunk.ordinal, chunk.first_turn, chunk.last_turn);
}

Result<> SqliteWriter::erase_chunk(CompanyId company, const ChunkRow& row) {
  auto& counts = counts_[company];
  --counts.chunks;
  if (row.has_vector) {
    --counts.chunks_with_vector;
    SAMTALE_TRY_VOID(connection_.run("DELETE FROM vectors WHERE chunk = ?1", row.row));
  }
  return connection_.run("DELETE FROM chunks WHERE row = ?1", row.row);
}

// By its text: in its place, where it mostly is, else wherever it moved.
Result<std::optional<SqliteWriter::ChunkRow>> SqliteWriter::find_chunk(CompanyId company,
                                                                       ConversationId conversation,
                                                                       const Chunk& chunk) {
#define SAMTALE_FIND_CHUNK                                  \
  "SELECT c.row, v.chunk IS NOT NULL, c.embed_error <> '' " \
  "FROM chunks AS c INDEXED BY chunks_by_conversation "     \
  "LEFT JOIN vectors AS v ON v.chunk = c.row "              \
  "WHERE c.company = ?1 AND c.conversation = ?2 AND c.digest = ?3 AND "
  const auto digest = chunk_digest(chunk);
  for (const auto* sql : {SAMTALE_FIND_CHUNK "c.ordinal = ?4",
                          SAMTALE_FIND_CHUNK "c.ordinal <> ?4 ORDER BY c.ordinal"}) {
    SAMTALE_TRY(auto row, connection_.prepare(sql));
    SAMTALE_TRY_VOID(row.bind(company, blob(conversation), Blob{digest}, chunk.ordinal));
    SAMTALE_TRY(const bool found, row.step());
    if (!found) continue;
    return ChunkRow{.row = row.integer(0),
                    .has_vector = row.integer(1) != 0,
                    .has_error = row.integer(2) != 0,
                    .digest = digest};
  }
#undef SAMTALE_FIND_CHUNK
  return std::optional<ChunkRow>();
}

Result<> SqliteWriter::put_embedding(CompanyId company, ConversationId conversation,
                                     const Chunk& chunk, const Embedding& embedding) {
  check_company(company);
  SAMTALE_TRY(const auto row, find_chunk(company, conversation, chunk));
  if (!row) return {};
  if (!row->has_vector) ++counts_[company].chunks_with_vector;
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT OR REPLACE INTO vectors(chunk, company, model, vector) VALUES(?1, ?2, ?3, ?4)",
      row->row, company, embedding.model, Blob{vector_bytes(embedding.vector)}));
  if (row->has_error) {
    SAMTALE_TRY_VOID(
        connection_.run("UPDATE chunks SET embed_error = '' WHERE row = ?1", row->row));
  }
  add_change(company, conversation);
  return {};
}

Result<> SqliteWriter::put_embed_error(CompanyId company, ConversationId conversation,
                                       const Chunk& chunk, std::string_view why) {
  check_company(company);
  SAMTALE_TRY(const auto row, find_chunk(company, conversation, chunk));
  if (!row) return {};
  SAMTALE_TRY_VOID(
      connection_.run("UPDATE chunks SET embed_error = ?2 WHERE row = ?1", row->row, why));
  add_change(company, conversation);
  return {};
}

}  // namespace samtale
