// The chunks and vectors of a conversation.
#include <map>

#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_writer.h"

namespace samtale {

using postgres::Bytes;

struct PostgresWriter::ChunkRow {
  std::int64_t row = 0;
  std::uint32_t ordinal = 0;
  std::uint32_t first_turn = 0;
  std::uint32_t last_turn = 0;
  bool has_vector = false;
  std::string digest;
};

std::vector<PostgresWriter::ChunkRow> PostgresWriter::read_chunk_rows(const postgres::Rows& rows) {
  std::vector<ChunkRow> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    found.push_back({.row = row.integer(0),
                     .ordinal = static_cast<std::uint32_t>(row.integer(1)),
                     .first_turn = static_cast<std::uint32_t>(row.integer(2)),
                     .last_turn = static_cast<std::uint32_t>(row.integer(3)),
                     .has_vector = row.integer(4) != 0,
                     .digest = std::string(row.bytes(5))});
  }
  return found;
}

Result<> PostgresWriter::put_chunks(CompanyId company, ConversationId conversation,
                                    std::span<const Chunk> chunks) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY_VOID(transaction_.ahead(kPgIsDeleted, company, blob(conversation)));
  SAMTALE_TRY(const auto answers,
              transaction_.query_with(
                  1,
                  "SELECT row, ordinal, first_turn, last_turn, model IS NOT NULL, digest "
                  "FROM chunks WHERE company = $1 AND conversation = $2 ORDER BY ordinal",
                  company, blob(conversation)));
  if (!answers[0].empty()) return {};
  const auto old = read_chunk_rows(answers[1]);
  // In their order, so that of equal ones the first stays the first.
  std::multimap<std::string_view, const ChunkRow*> unused;
  for (const auto& row : old) unused.emplace(row.digest, &row);
  for (const auto& chunk : chunks) {
    const auto digest = chunk_digest(chunk);
    const auto same = unused.find(digest);
    if (same == unused.end()) {
      SAMTALE_TRY_VOID(insert_chunk(company, conversation, chunk, digest));
    } else {
      SAMTALE_TRY_VOID(move_chunk(company, conversation, *same->second, chunk));
      unused.erase(same);
    }
  }
  for (const auto& [digest, row] : unused) {
    SAMTALE_TRY_VOID(erase_chunk(company, conversation, *row));
  }
  add_change(company, conversation);
  return {};
}

Result<> PostgresWriter::insert_chunk(CompanyId company, ConversationId conversation,
                                      const Chunk& chunk, std::string_view digest) {
  ++counts_[company].chunks;
  return transaction_.later(
      "INSERT INTO chunks(company, conversation, row, ordinal, first_turn, last_turn, digest, "
      "embed_error, policy, header, text) "
      "VALUES($1, $2, nextval('chunk_rows'), $3, $4, $5, $6, '', $7, $8, $9)",
      company, blob(conversation), chunk.ordinal, chunk.first_turn, chunk.last_turn, Bytes{digest},
      Bytes{chunk.policy}, Bytes{chunk.header}, Bytes{pack(chunk.text)});
}

Result<> PostgresWriter::move_chunk(CompanyId company, ConversationId conversation,
                                    const ChunkRow& row, const Chunk& chunk) {
  if (row.ordinal == chunk.ordinal && row.first_turn == chunk.first_turn &&
      row.last_turn == chunk.last_turn) {
    return {};
  }
  return transaction_.later(
      "UPDATE chunks SET ordinal = $4, first_turn = $5, last_turn = $6 "
      "WHERE company = $1 AND conversation = $2 AND row = $3",
      company, blob(conversation), row.row, chunk.ordinal, chunk.first_turn, chunk.last_turn);
}

Result<> PostgresWriter::erase_chunk(CompanyId company, ConversationId conversation,
                                     const ChunkRow& row) {
  auto& counts = counts_[company];
  --counts.chunks;
  if (row.has_vector) --counts.chunks_with_vector;
  return transaction_.later(
      "DELETE FROM chunks WHERE company = $1 AND conversation = $2 AND row = $3", company,
      blob(conversation), row.row);
}

// By its text: in its place, where it mostly is, else wherever it moved.
Result<std::optional<PostgresWriter::ChunkRow>> PostgresWriter::find_chunk(
    CompanyId company, ConversationId conversation, const Chunk& chunk) {
  const auto digest = chunk_digest(chunk);
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT row, model IS NOT NULL FROM chunks WHERE company = $1 "
                                 "AND conversation = $2 AND digest = $3 "
                                 "ORDER BY ordinal <> $4, ordinal LIMIT 1",
                                 company, blob(conversation), Bytes{digest}, chunk.ordinal));
  if (rows.empty()) return std::optional<ChunkRow>();
  return ChunkRow{
      .row = rows.integer(0, 0), .has_vector = rows.integer(0, 1) != 0, .digest = digest};
}

Result<> PostgresWriter::put_embedding(CompanyId company, ConversationId conversation,
                                       const Chunk& chunk, const Embedding& embedding) {
  SAMTALE_TRY(const auto row, find_chunk(company, conversation, chunk));
  if (!row) return {};
  if (!row->has_vector) ++counts_[company].chunks_with_vector;
  add_change(company, conversation);
  return transaction_.later(
      "UPDATE chunks SET model = $4, vector = $5, embed_error = '' "
      "WHERE company = $1 AND conversation = $2 AND row = $3",
      company, blob(conversation), row->row, Bytes{embedding.model},
      Bytes{vector_bytes(embedding.vector)});
}

Result<> PostgresWriter::put_embed_error(CompanyId company, ConversationId conversation,
                                         const Chunk& chunk, std::string_view why) {
  SAMTALE_TRY(const auto row, find_chunk(company, conversation, chunk));
  if (!row) return {};
  add_change(company, conversation);
  return transaction_.later(
      "UPDATE chunks SET embed_error = $4 "
      "WHERE company = $1 AND conversation = $2 AND row = $3",
      company, blob(conversation), row->row, Bytes{why});
}

}  // namespace samtale
