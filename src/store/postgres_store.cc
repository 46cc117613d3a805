#include "store/postgres_store.h"

#include <algorithm>

#include "base/bytes.h"
#include "store/codec.h"
#include "store/cursor.h"
#include "store/feed.h"
#include "store/postgres_rows.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Row;
using postgres::Scope;

// As read_summary takes them.
constexpr std::string_view kSummaryColumns = "summary, turns, revision, received_us, updated_us";

Result<ConversationSummary> read_summary(const Row& row) {
  ConversationSummary summary;
  SAMTALE_TRY(summary.head, unpack_conversation(row.bytes(0)));
  summary.turns = static_cast<std::size_t>(row.integer(1));
  summary.revision = row.integer(2);
  summary.received_at = from_us(row.integer(3));
  summary.updated_at = from_us(row.integer(4));
  return summary;
}

// PostgreSQL chooses the index: it knows the values, for no statement is prepared.
std::string list_sql(const ConversationQuery& query) {
  std::string sql = "SELECT " + std::string(kSummaryColumns) +
                    ", sort_us FROM conversations "
                    "WHERE company = $1 AND (sort_us, id) < ($2, $3) AND sort_us >= $4";
  sql += query.channel.empty() ? " AND $6 = ''::bytea" : " AND channel = $6";
  sql += query.source.empty() ? " AND $7 = ''::bytea" : " AND source = $7";
  sql += query.external_id.empty() ? " AND $8 = ''::bytea" : " AND external_id = $8";
  // The few of an external id are sorted: for their order's sake it would walk all by time.
  return sql + (query.external_id.empty() ? " ORDER BY sort_us DESC, id DESC LIMIT $5"
                                          : " ORDER BY sort_us + 0 DESC, id DESC LIMIT $5");
}

Result<StoredChunk> read_chunk(const Row& row, ConversationId conversation) {
  StoredChunk stored;
  stored.conversation = conversation;
  stored.chunk.ordinal = static_cast<std::uint32_t>(row.integer(0));
  stored.chunk.first_turn = static_cast<std::uint32_t>(row.integer(1));
  stored.chunk.last_turn = static_cast<std::uint32_t>(row.integer(2));
  stored.chunk.header = row.bytes(3);
  SAMTALE_TRY(stored.chunk.text, unpack(row.bytes(4)));
  stored.chunk.policy = row.bytes(5);
  stored.embed_error = row.bytes(6);
  if (!row.is_null(7)) {
    SAMTALE_TRY(auto vector, vector_from_bytes(row.bytes(8)));
    stored.embedding = Embedding{.model = std::string(row.bytes(7)), .vector = std::move(vector)};
  }
  return stored;
}

Scope all_of(Partition partition) { return {.partition = static_cast<std::int64_t>(partition)}; }

}  // namespace

Partition PostgresStore::partition_of(CompanyId company) const {
  return samtale::partition_of(company, options_.partitions);
}

std::string PostgresStore::secret(std::string_view purpose) const {
  return hmac_sha256(key_, purpose);
}

Result<std::vector<std::optional<StoredConversation>>> PostgresStore::find_conversations(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company}, kPgFindConversations, company, column_of(ids)));
  SAMTALE_TRY(const auto found, read_conversations(rows));
  return in_order_of(ids, found);
}

Result<std::vector<std::optional<ConversationSummary>>> PostgresStore::find_summaries(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(
      const auto rows,
      database_->read(
          {.company = company},
          "SELECT " + std::string(kSummaryColumns) +
              ", c.id FROM unnest($2) AS w(id) CROSS JOIN LATERAL (SELECT * FROM conversations "
              "WHERE company = $1 AND id = w.id OFFSET 0) AS c",
          company, column_of(ids)));
  std::unordered_map<ConversationId, std::optional<ConversationSummary>> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto id, read_id(rows.bytes(i, 5)));
    SAMTALE_TRY(found[id], read_summary({rows, i}));
  }
  return in_order_of(ids, found);
}

Result<ConversationPage> PostgresStore::list_conversations(CompanyId company,
                                                           const ConversationQuery& query) const {
  const auto limit = std::clamp<std::size_t>(query.limit, 1, kPageMax);
  SAMTALE_TRY(const auto start, page_start(key_, company, query.cursor, query.to));
  const auto from_or_ever = query.from ? to_us(*query.from) : INT64_MIN;
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company}, list_sql(query), company, start.before_us,
                              Bytes{start.before_id}, from_or_ever, limit + 1, Bytes{query.channel},
                              Bytes{query.source}, Bytes{query.external_id}));
  ConversationPage page;
  for (std::size_t i = 0; i < std::min(rows.size(), limit); ++i) {
    SAMTALE_TRY(auto summary, read_summary({rows, i}));
    page.conversations.push_back(std::move(summary));
  }
  if (rows.size() > limit) {
    page.next_cursor = write_cursor(
        key_, company, {rows.integer(limit - 1, 5), page.conversations.back().head.id});
  }
  return page;
}

Result<std::vector<std::vector<StoredChunk>>> PostgresStore::chunks_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(
      const auto rows,
      database_->read({.company = company},
                      "SELECT c.ordinal, c.first_turn, c.last_turn, c.header, c.text, "
                      "c.policy, c.embed_error, c.model, c.vector, c.conversation "
                      "FROM unnest($2) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM chunks "
                      "WHERE company = $1 AND conversation = w.conversation OFFSET 0) AS c",
                      company, column_of(ids)));
  std::unordered_map<ConversationId, std::vector<StoredChunk>> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto id, read_id(rows.bytes(i, 9)));
    SAMTALE_TRY(auto chunk, read_chunk({rows, i}, id));
    found[id].push_back(std::move(chunk));
  }
  for (auto& [id, chunks] : found) {
    std::ranges::sort(chunks, {}, [](const StoredChunk& stored) { return stored.chunk.ordinal; });
  }
  return in_order_of(ids, found);
}

Result<std::vector<std::optional<StoredChunk>>> PostgresStore::find_chunks(
    CompanyId company, std::span<const ChunkPlace> places) const {
  auto conversations = postgres::Column::blobs();
  auto ordinals = postgres::Column::numbers();
  for (const auto& place : places) {
    conversations.add(blob(place.conversation));
    ordinals.add(place.ordinal);
  }
  SAMTALE_TRY(
      const auto rows,
      database_->read(
          {.company = company},
          "SELECT c.ordinal, c.first_turn, c.last_turn, c.header, c.text, "
          "c.policy, c.embed_error, NULL, NULL, wanted.place "
          "FROM unnest($2, $3) WITH ORDINALITY "
          "AS wanted(conversation, ordinal, place) CROSS JOIN LATERAL (SELECT * FROM chunks "
          "WHERE company = $1 AND conversation = wanted.conversation "
          "AND ordinal = wanted.ordinal OFFSET 0) AS c",
          company, conversations, ordinals));
  std::vector<std::optional<StoredChunk>> found(places.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto place = static_cast<std::size_t>(rows.integer(i, 9) - 1);
    SAMTALE_TRY(found[place], read_chunk({rows, i}, places[place].conversation));
  }
  return found;
}

Result<std::optional<StoredEvent>> PostgresStore::find_event(CompanyId company,
                                                             std::string_view key) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company},
                              "SELECT conversation, log, position, body_hash FROM events "
                              "WHERE company = $1 AND key = $2",
                              company, Bytes{event_key_digest(key)}));
  if (rows.empty()) return std::optional<StoredEvent>();
  StoredEvent event;
  event.key = key;
  SAMTALE_TRY(event.conversation, read_id(rows.bytes(0, 0)));
  event.place = {.log = static_cast<LogId>(rows.integer(0, 1)),
                 .position = static_cast<LogPosition>(rows.integer(0, 2))};
  event.body_hash = rows.bytes(0, 3);
  return event;
}

Result<CompanyStats> PostgresStore::company_stats(CompanyId company) const {
  SAMTALE_TRY(const auto rows,
              database_->read({.company = company},
                              "SELECT conversations, turns, chunks, chunks - chunks_with_vector, "
                              "events FROM company_counts WHERE company = $1",
                              company));
  if (rows.empty()) return CompanyStats();
  return CompanyStats{.conversations = rows.integer(0, 0),
                      .turns = rows.integer(0, 1),
                      .chunks = rows.integer(0, 2),
                      .chunks_without_vector = rows.integer(0, 3),
                      .events = rows.integer(0, 4)};
}

Result<std::vector<Change>> PostgresStore::changes(Partition partition, FeedPoint after,
                                                   std::size_t limit) const {
  // One statement, one moment. No change: a row all the same.
  SAMTALE_TRY(
      const auto rows,
      database_->read(all_of(partition),
                      "SELECT p.last_change, c.sequence, c.company, c.conversation, " +
                          std::string(PostgresHistory::kTimeline) +
                          " FROM partitions AS p LEFT JOIN LATERAL "
                          "(SELECT sequence, company, conversation FROM changes "
                          "WHERE partition = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) "
                          "AS c ON true WHERE p.partition = $1 ORDER BY c.sequence",
                      partition, after.sequence, limit));
  if (rows.empty()) return fail(ErrorCode::corrupt, "the store has no such partition");
  const auto epoch =
      rows.is_null(0, 4) ? after.epoch : static_cast<std::uint64_t>(rows.integer(0, 4));
  SAMTALE_TRY_VOID(history_.reads(epoch));
  if (after.epoch != 0 && epoch != after.epoch) {
    return fail(ErrorCode::not_found,
                "another database has taken over, which may lack the last changes; whoever follows "
                "must begin anew");
  }
  std::vector<Change> changes;
  for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 1); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(i, 3)));
    changes.push_back({.sequence = static_cast<std::uint64_t>(rows.integer(i, 1)),
                       .company = static_cast<CompanyId>(rows.integer(i, 2)),
                       .conversation = conversation});
  }
  SAMTALE_TRY_VOID(
      check_no_gap(changes, after.sequence, static_cast<std::uint64_t>(rows.integer(0, 0))));
  return changes;
}

Result<FeedPoint> PostgresStore::last_change(Partition partition) const {
  SAMTALE_TRY(const auto rows,
              database_->read({},
                              "SELECT last_change, " + std::string(PostgresHistory::kTimeline) +
                                  " FROM partitions WHERE partition = $1",
                              partition));
  if (rows.empty()) return fail(ErrorCode::corrupt, "the store has no such partition");
  const auto epoch = rows.is_null(0, 1) ? 0 : static_cast<std::uint64_t>(rows.integer(0, 1));
  SAMTALE_TRY_VOID(history_.reads(epoch));
  return FeedPoint{.sequence = static_cast<std::uint64_t>(rows.integer(0, 0)), .epoch = epoch};
}

Result<std::vector<std::pair<CompanyId, ConversationId>>> PostgresStore::scan(
    Partition partition, std::optional<std::pair<CompanyId, ConversationId>> after,
    std::size_t limit) const {
  const auto company = after ? number(after->first) : INT64_MIN;
  SAMTALE_TRY(const auto rows,
              database_->read(all_of(partition),
                              "SELECT company, id FROM conversations WHERE partition = $1 "
                              "AND (company, id) > ($2, $3) ORDER BY company, id LIMIT $4",
                              partition, company, after ? blob(after->second) : Bytes{}, limit));
  std::vector<std::pair<CompanyId, ConversationId>> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto id, read_id(rows.bytes(i, 1)));
    found.emplace_back(static_cast<CompanyId>(rows.integer(i, 0)), id);
  }
  return found;
}

// Forgotten once more after a crash of the server does no harm. Only of the oldest is it asked how
// old they are.
Result<> PostgresStore::trim_changes(Partition partition, std::uint64_t sequence) {
  constexpr std::size_t kMost = 100'000;
  const auto before_us =
      to_us(clock_.wall_now()) - options_.changes_kept / std::chrono::microseconds(1);
  return in_transaction(
      *database_, all_of(partition), postgres::Durability::process,
      [&](postgres::Transaction& transaction) {
        return transaction.later(
            "WITH oldest AS MATERIALIZED (SELECT company, sequence, at_us FROM changes "
            "WHERE partition = $1 AND sequence <= $2 ORDER BY sequence LIMIT $4) "
            "DELETE FROM changes AS c USING oldest AS o "
            "WHERE c.company = o.company AND c.sequence = o.sequence AND o.at_us <= $3",
            partition, sequence, before_us, kMost);
      });
}

Result<LogPosition> PostgresStore::log_offset(Partition partition) const {
  SAMTALE_TRY(const auto rows,
              database_->read({}, "SELECT next FROM log_offsets WHERE partition = $1 AND log = $2",
                              partition, log_));
  return static_cast<LogPosition>(rows.empty() ? 0 : rows.integer(0, 0));
}

// Deleted bytes leave PostgreSQL's files by its vacuum and its recycling of the log, which are its
// operator's; there is nothing to do for us.
Result<> PostgresStore::scrub(Partition) { return {}; }
Result<> PostgresStore::housekeep() { return {}; }

}  // namespace samtale
