// The chunks and vectors of a conversation.
#include <map>

#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_writer.h"

namespace samtale {

using postgres::Bytes;
using postgres::Column;

struct PostgresWriter::ChunkRow {
  std::int64_t row = 0;
  std::uint32_t ordinal = 0;
  std::uint32_t first_turn = 0;
  std::uint32_t last_turn = 0;
  bool has_vector = false;
  std::string digest;
};

namespace {

// Rows of all that were put off, to be inserted, moved or erased by one statement each.
struct Inserted {
  Column conversations = Column::blobs();
  Column ordinals = Column::numbers();
  Column first_turns = Column::numbers();
  Column last_turns = Column::numbers();
  Column digests = Column::blobs();
  Column policies = Column::blobs();
  Column headers = Column::blobs();
  Column texts = Column::blobs();
  std::int64_t count = 0;
};

struct Moved {
  Column conversations = Column::blobs();
  Column rows = Column::numbers();
  Column ordinals = Column::numbers();
  Column first_turns = Column::numbers();
  Column last_turns = Column::numbers();
  std::int64_t count = 0;
};

struct Erased {
  Column conversations = Column::blobs();
  Column rows = Column::numbers();
  std::int64_t count = 0;
  std::int64_t with_vector = 0;
};

}  // namespace

Result<> PostgresWriter::put_chunks(CompanyId company, ConversationId conversation,
                                    std::span<const Chunk> chunks) {
  std::size_t bytes = 0;
  for (const auto& chunk : chunks) bytes += chunk.text.size();
  SAMTALE_TRY(auto* rows, gather(company, Pending::chunks, bytes));
  // What the first of two replaces has lost its vectors when the second comes.
  if (rows->new_chunks.contains(conversation)) {
    SAMTALE_TRY_VOID(settle(company, *rows));
    SAMTALE_TRY(rows, gather(company, Pending::chunks, bytes));
  }
  rows->new_chunks[conversation].assign(chunks.begin(), chunks.end());
  return {};
}

Result<> PostgresWriter::settle_chunks(CompanyId id, Company& company) {
  const auto put_off = std::exchange(company.new_chunks, {});
  std::vector<ConversationId> ids;
  for (const auto& [conversation, chunks] : put_off) ids.push_back(conversation);
  SAMTALE_TRY_VOID(know_deleted(id, ids));
  std::erase_if(ids, [&](const auto& conversation) { return company.deleted.at(conversation); });
  SAMTALE_TRY(const auto old, read_chunk_rows(id, ids));

  Inserted inserted;
  Moved moved;
  Erased erased;
  for (const auto& conversation : ids) {
    const auto rows = old.equal_range(conversation);
    // In their order, so that of equal ones the first stays the first.
    std::multimap<std::string_view, const ChunkRow*> unused;
    for (auto at = rows.first; at != rows.second; ++at) {
      unused.emplace(at->second.digest, &at->second);
    }
    for (const auto& chunk : put_off.at(conversation)) {
      const auto digest = chunk_digest(chunk);
      const auto same = unused.find(digest);
      if (same == unused.end()) {
        inserted.conversations.add(blob(conversation));
        inserted.ordinals.add(chunk.ordinal);
        inserted.first_turns.add(chunk.first_turn);
        inserted.last_turns.add(chunk.last_turn);
        inserted.digests.add(Bytes{digest});
        inserted.policies.add(Bytes{chunk.policy});
        inserted.headers.add(Bytes{chunk.header});
        inserted.texts.add(Bytes{pack(chunk.text)});
        ++inserted.count;
        continue;
      }
      const auto& row = *same->second;
      if (row.ordinal != chunk.ordinal || row.first_turn != chunk.first_turn ||
          row.last_turn != chunk.last_turn) {
        moved.conversations.add(blob(conversation));
        moved.rows.add(row.row);
        moved.ordinals.add(chunk.ordinal);
        moved.first_turns.add(chunk.first_turn);
        moved.last_turns.add(chunk.last_turn);
        ++moved.count;
      }
      unused.erase(same);
    }
    for (const auto& [digest, row] : unused) {
      erased.conversations.add(blob(conversation));
      erased.rows.add(row->row);
      ++erased.count;
      erased.with_vector += row->has_vector ? 1 : 0;
    }
    add_change(id, conversation);
  }
  company.counts.chunks += inserted.count - erased.count;
  company.counts.chunks_with_vector -= erased.with_vector;

  if (erased.count != 0) {
    SAMTALE_TRY_VOID(transaction_.later(
        "DELETE FROM chunks AS c USING unnest($2, $3) AS w(conversation, row) "
        "WHERE c.company = $1 AND c.conversation = ANY($2) AND c.conversation = w.conversation "
        "AND c.row = w.row",
        id, erased.conversations, erased.rows));
    SAMTALE_TRY_VOID(forget_embeddings(id, erased.conversations, erased.rows));
  }
  if (moved.count != 0) {
    SAMTALE_TRY_VOID(transaction_.later(
        "UPDATE chunks AS c SET ordinal = w.ordinal, first_turn = w.first_turn, "
        "last_turn = w.last_turn FROM unnest($2, $3, $4, $5, $6) "
        "AS w(conversation, row, ordinal, first_turn, last_turn) "
        "WHERE c.company = $1 AND c.conversation = ANY($2) AND c.conversation = w.conversation "
        "AND c.row = w.row",
        id, moved.conversations, moved.rows, moved.ordinals, moved.first_turns, moved.last_turns));
  }
  if (inserted.count == 0) return {};
  return transaction_.later(
      "INSERT INTO chunks(company, row, embed_error, conversation, ordinal, first_turn, last_turn, "
      "digest, policy, header, text) "
      "SELECT $1, nextval('chunk_rows'), '', w.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS w",
      id, inserted.conversations, inserted.ordinals, inserted.first_turns, inserted.last_turns,
      inserted.digests, inserted.policies, inserted.headers, inserted.texts);
}

Result<std::multimap<ConversationId, PostgresWriter::ChunkRow>> PostgresWriter::read_chunk_rows(
    CompanyId company, std::span<const ConversationId> ids) {
  SAMTALE_TRY(const auto rows,
              transaction_.query(
                  "SELECT c.row, c.ordinal, c.first_turn, c.last_turn, "
                  "c.model IS NOT NULL, c.digest, c.conversation "
                  "FROM unnest($2) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM chunks "
                  "WHERE company = $1 AND conversation = w.conversation OFFSET 0) AS c "
                  "ORDER BY c.ordinal",
                  company, column_of(ids)));
  std::multimap<ConversationId, ChunkRow> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row(rows, i);
    SAMTALE_TRY(const auto conversation, read_id(row.bytes(6)));
    found.emplace(conversation, ChunkRow{.row = row.integer(0),
                                         .ordinal = static_cast<std::uint32_t>(row.integer(1)),
                                         .first_turn = static_cast<std::uint32_t>(row.integer(2)),
                                         .last_turn = static_cast<std::uint32_t>(row.integer(3)),
                                         .has_vector = row.integer(4) != 0,
                                         .digest = std::string(row.bytes(5))});
  }
  return found;
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
  SAMTALE_TRY(auto* rows, gather(company, Pending::vectors, 4 * embedding.vector.size()));
  rows->new_vectors[{conversation, chunk_digest(chunk), chunk.ordinal}] = embedding;
  return {};
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
