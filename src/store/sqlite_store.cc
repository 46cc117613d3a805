#include "store/sqlite_store.h"
#include "base/bytes.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "store/codec.h"
#include "store/cursor.h"
#include "store/feed.h"
#include "store/rows.h"
#include "store/sqlite_writer.h"

namespace samtale {
namespace {

using sqlite::Blob;
using sqlite::Durability;
using sqlite::Statement;

// How long a checkpoint waits for readers: reads are short, but a full disk queue can hold them.
constexpr Duration kScrubPatience = std::chrono::seconds(5);
constexpr Duration kHousekeepPatience = std::chrono::milliseconds(100);

// As read_summary takes them. Rows written before there was a summary have it in their body.
constexpr std::string_view kSummaryColumns =
    "iif(length(summary) = 0, body, summary), turns, revision, received_us, updated_us";

Result<ConversationSummary> read_summary(const Statement& row) {
  ConversationSummary summary;
  SAMTALE_TRY(auto stored, unpack_conversation(row.bytes(0)));
  summary.head = head_of(stored);
  summary.turns = static_cast<std::size_t>(row.integer(1));
  summary.revision = row.integer(2);
  summary.received_at = from_us(row.integer(3));
  summary.updated_at = from_us(row.integer(4));
  return summary;
}

// The index that finds the page without reading past it. A channel together with a source walks the
// source's conversations; an external id has one conversation a source.
std::string list_sql(const ConversationQuery& query) {
  std::string index = "conversations_by_time";
  if (!query.channel.empty()) index = "conversations_by_channel";
  if (!query.source.empty()) index = "conversations_by_source";
  if (!query.external_id.empty()) index = "conversations_by_external_id";
  std::string sql = "SELECT " + std::string(kSummaryColumns) +
                    ", sort_us FROM conversations INDEXED BY " + index +
                    " WHERE company = ?1 AND (sort_us, id) < (?2, ?3) AND sort_us >= ?4";
  sql += query.channel.empty() ? " AND ?6 = ''" : " AND channel = ?6";
  sql += query.source.empty() ? " AND ?7 = ''" : " AND source = ?7";
  sql += query.external_id.empty() ? " AND ?8 = ''" : " AND external_id = ?8";
  return sql + " ORDER BY sort_us DESC, id DESC LIMIT ?5";
}

Result<StoredChunk> read_chunk(const Statement& row, ConversationId conversation) {
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

// The table of AUTOINCREMENT: it also remembers changes that have been forgotten.
Result<std::uint64_t> read_last_change(sqlite::Connection& connection) {
  SAMTALE_TRY(const auto last,
              connection.integer("SELECT seq FROM sqlite_sequence WHERE name = 'changes'"));
  return static_cast<std::uint64_t>(last.value_or(0));
}

}  // namespace

sqlite::Database& SqliteStore::file(Partition partition) const {
  const auto place = static_cast<std::size_t>(partition);
  SAMTALE_CHECK(place < files_.size(), "partitions come from partition_of");
  return *files_[place];
}

Result<sqlite::Snapshot> SqliteStore::snapshot_of(CompanyId company) const {
  return file(partition_of(company)).snapshot();
}

Partition SqliteStore::partition_of(CompanyId company) const {
  return samtale::partition_of(company, files_.size());
}

std::string SqliteStore::secret(std::string_view purpose) const {
  return hmac_sha256(key_, purpose);
}

Result<std::vector<std::optional<StoredConversation>>> SqliteStore::find_conversations(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::optional<StoredConversation>> found;
  for (const auto& id : ids) {
    SAMTALE_TRY(auto one, read_conversation(snapshot.connection(), company, id));
    found.push_back(std::move(one));
  }
  return found;
}

Result<std::vector<std::optional<ConversationSummary>>> SqliteStore::find_summaries(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::optional<ConversationSummary>> found(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SAMTALE_TRY(auto row,
                snapshot.connection().prepare("SELECT " + std::string(kSummaryColumns) +
                                              " FROM conversations INDEXED BY conversations_by_id "
                                              "WHERE company = ?1 AND id = ?2"));
    SAMTALE_TRY_VOID(row.bind(company, blob(ids[i])));
    SAMTALE_TRY(const bool is_there, row.step());
    if (!is_there) continue;
    SAMTALE_TRY(found[i], read_summary(row));
  }
  return found;
}

Result<ConversationPage> SqliteStore::list_conversations(CompanyId company,
                                                         const ConversationQuery& query) const {
  const auto limit = std::clamp<std::size_t>(query.limit, 1, kPageMax);
  SAMTALE_TRY(const auto start, page_start(key_, company, query.cursor, query.to));
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(list_sql(query)));
  const auto from_or_ever = query.from ? to_us(*query.from) : INT64_MIN;
  SAMTALE_TRY_VOID(rows.bind(company, start.before_us, Blob{start.before_id}, from_or_ever,
                             limit + 1, query.channel, query.source, query.external_id));
  ConversationPage page;
  std::int64_t last_us = 0;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return page;
    if (page.conversations.size() == limit) break;
    SAMTALE_TRY(auto summary, read_summary(rows));
    page.conversations.push_back(std::move(summary));
    last_us = rows.integer(5);
  }
  page.next_cursor = write_cursor(key_, company, {last_us, page.conversations.back().head.id});
  return page;
}

Result<std::vector<std::vector<StoredChunk>>> SqliteStore::chunks_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::vector<StoredChunk>> found(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                               "SELECT c.ordinal, c.first_turn, c.last_turn, c.header, c.text, "
                               "c.policy, c.embed_error, v.model, v.vector "
                               "FROM chunks AS c INDEXED BY chunks_by_conversation "
                               "LEFT JOIN vectors AS v ON v.chunk = c.row "
                               "WHERE c.company = ?1 AND c.conversation = ?2 ORDER BY c.ordinal"));
    SAMTALE_TRY_VOID(rows.bind(company, blob(ids[i])));
    while (true) {
      SAMTALE_TRY(const bool more, rows.step());
      if (!more) break;
      SAMTALE_TRY(auto chunk, read_chunk(rows, ids[i]));
      found[i].push_back(std::move(chunk));
    }
  }
  return found;
}

Result<std::vector<std::optional<StoredChunk>>> SqliteStore::find_chunks(
    CompanyId company, std::span<const ChunkPlace> places) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::optional<StoredChunk>> found(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto& [conversation, ordinal] = places[i];
    SAMTALE_TRY(auto row, snapshot.connection().prepare(
                              "SELECT ordinal, first_turn, last_turn, header, text, policy, "
                              "embed_error, NULL FROM chunks INDEXED BY chunks_by_conversation "
                              "WHERE company = ?1 AND conversation = ?2 AND ordinal = ?3"));
    SAMTALE_TRY_VOID(row.bind(company, blob(conversation), std::int64_t{ordinal}));
    SAMTALE_TRY(const bool is_there, row.step());
    if (!is_there) continue;
    SAMTALE_TRY(found[i], read_chunk(row, conversation));
  }
  return found;
}

Result<std::optional<StoredEvent>> SqliteStore::find_event(CompanyId company,
                                                           std::string_view key) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto row,
              snapshot.connection().prepare("SELECT conversation, position, body_hash FROM events "
                                            "WHERE company = ?1 AND key = ?2"));
  SAMTALE_TRY_VOID(row.bind(company, Blob{event_key_digest(key)}));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return std::optional<StoredEvent>();
  StoredEvent event;
  event.key = key;
  SAMTALE_TRY(event.conversation, read_id(row.bytes(0)));
  event.place.position = static_cast<LogPosition>(row.integer(1));
  event.body_hash = row.bytes(2);
  return event;
}

Result<CompanyStats> SqliteStore::company_stats(CompanyId company) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto row, snapshot.connection().prepare(
                            "SELECT conversations, turns, chunks, chunks - chunks_with_vector, "
                            "events FROM company_counts WHERE company = ?1"));
  SAMTALE_TRY_VOID(row.bind(company));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return CompanyStats();
  return CompanyStats{.conversations = row.integer(0),
                      .turns = row.integer(1),
                      .chunks = row.integer(2),
                      .chunks_without_vector = row.integer(3),
                      .events = row.integer(4)};
}

Result<std::vector<Change>> SqliteStore::changes(Partition partition, FeedPoint after,
                                                 std::size_t limit) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(auto rows,
              snapshot.connection().prepare("SELECT sequence, company, conversation FROM changes "
                                            "WHERE sequence > ?1 ORDER BY sequence LIMIT ?2"));
  SAMTALE_TRY_VOID(rows.bind(after.sequence, limit));
  std::vector<Change> changes;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) break;
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(2)));
    changes.push_back({.sequence = static_cast<std::uint64_t>(rows.integer(0)),
                       .company = static_cast<CompanyId>(rows.integer(1)),
                       .conversation = conversation});
  }
  SAMTALE_TRY(const auto last, read_last_change(snapshot.connection()));
  SAMTALE_TRY_VOID(check_no_gap(changes, after.sequence, last));
  return changes;
}

Result<FeedPoint> SqliteStore::last_change(Partition partition) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(const auto sequence, read_last_change(snapshot.connection()));
  return FeedPoint{.sequence = sequence};
}

Result<std::vector<std::pair<CompanyId, ConversationId>>> SqliteStore::scan(
    Partition partition, std::optional<std::pair<CompanyId, ConversationId>> after,
    std::size_t limit) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                             "SELECT company, id FROM conversations INDEXED BY conversations_by_id "
                             "WHERE (company, id) > (?1, ?2) ORDER BY company, id LIMIT ?3"));
  const auto company = after ? number(after->first) : INT64_MIN;
  SAMTALE_TRY_VOID(rows.bind(company, after ? blob(after->second) : Blob{}, limit));
  std::vector<std::pair<CompanyId, ConversationId>> found;
  while (true) {
    SAMTALE_TRY(const bool more, rows.step());
    if (!more) return found;
    SAMTALE_TRY(const auto id, read_id(rows.bytes(1)));
    found.emplace_back(static_cast<CompanyId>(rows.integer(0)), id);
  }
}

Result<> SqliteStore::trim_changes(Partition partition, std::uint64_t sequence) {
  // Forgotten once more after a loss of power does no harm.
  SAMTALE_TRY(auto transaction, file(partition).begin(Durability::process));
  SAMTALE_TRY_VOID(
      transaction.connection().run("DELETE FROM changes WHERE sequence <= ?1", sequence));
  return transaction.commit_together();
}

Result<LogPosition> SqliteStore::log_offset(Partition partition) const {
  SAMTALE_TRY(const auto snapshot, file(partition).snapshot());
  SAMTALE_TRY(const auto offset,
              snapshot.connection().integer("SELECT value FROM meta WHERE name = 'log_offset'"));
  return static_cast<LogPosition>(offset.value_or(0));
}

Result<> SqliteStore::write(Partition partition,
                            const std::function<Result<>(StoreWriter&)>& work) {
  SAMTALE_TRY(auto transaction, file(partition).begin());
  SqliteWriter writer(transaction, *queue_, partition, files_.size());
  SAMTALE_TRY_VOID(work(writer));
  SAMTALE_TRY_VOID(writer.flush());
  SAMTALE_TRY_VOID(transaction.commit_together());
  writer.committed();
  if (options_.has_written) options_.has_written(partition);
  return {};
}

Result<> SqliteStore::scrub(Partition partition) {
  return file(partition).checkpoint(kScrubPatience);
}

Result<> SqliteStore::housekeep() {
  const auto longest = std::ranges::max_element(
      files_, {}, [](const auto& candidate) { return candidate->wal_bytes(); });
  if ((*longest)->wal_bytes() <= options_.housekeep_wal_bytes) return {};
  return (*longest)->checkpoint(kHousekeepPatience);
}

}  // namespace samtale
