#include "store/sqlite_writer.h"

#include "base/check.h"
#include "store/codec.h"
#include "store/feed.h"
#include "store/rows.h"

namespace samtale {

using sqlite::Blob;

SqliteWriter::SqliteWriter(sqlite::Transaction& transaction, SqliteQueue& queue,
                           Partition partition, std::size_t partitions)
    : connection_(transaction.connection()),
      queue_(queue, partition, transaction),
      partition_(partition),
      partitions_(partitions) {}

void SqliteWriter::check_company(CompanyId company) const {
  SAMTALE_CHECK(partition_of(company, partitions_) == partition_,
                "a transaction writes only companies of its partition");
}

void SqliteWriter::add_change(CompanyId company, ConversationId conversation) {
  // Once a transaction: nobody can see the steps between.
  if (changed_.emplace(company, conversation).second) changes_.emplace_back(company, conversation);
}

Result<std::optional<StoredConversation>> SqliteWriter::find_conversation(CompanyId company,
                                                                          ConversationId id) {
  check_company(company);
  return read_conversation(connection_, company, id);
}

Result<EventState> SqliteWriter::put_event(CompanyId company, const StoredEvent& event,
                                           WallTime received_at) {
  check_company(company);
  const auto key = event_key_digest(event.key);
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT INTO events(company, key, conversation, position, received_us, body_hash) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
      company, Blob{key}, blob(event.conversation), number(event.place.position),
      to_us(received_at), Blob{event.body_hash}));
  if (connection_.changes() == 1) {
    ++counts_[company].events;
    return EventState::fresh;
  }
  SAMTALE_TRY(auto row,
              connection_.prepare("SELECT body_hash, position FROM events WHERE company = "
                                  "?1 AND key = ?2"));
  SAMTALE_TRY_VOID(row.bind(company, Blob{key}));
  SAMTALE_TRY(const bool found, row.step());
  if (found && row.bytes(0) == event.body_hash) {
    const auto position = static_cast<LogPosition>(row.integer(1));
    return position == event.place.position ? EventState::applied : EventState::repeated;
  }
  return fail(ErrorCode::conflict, "event '" + event.key +
                                       "' has been received before with another body; a new "
                                       "event needs an id of its own");
}

Result<bool> SqliteWriter::is_deleted(CompanyId company, ConversationId id) {
  check_company(company);
  SAMTALE_TRY(
      const auto found,
      connection_.integer("SELECT 1 FROM tombstones WHERE company = ?1 AND conversation = ?2",
                          company, blob(id)));
  return found.has_value();
}

Result<std::optional<SqliteWriter::Row>> SqliteWriter::find_row(CompanyId company,
                                                                ConversationId id) {
  SAMTALE_TRY(auto found, connection_.prepare(
                              "SELECT row, revision, turns, sort_us, channel FROM conversations "
                              "INDEXED BY conversations_by_id WHERE company = ?1 AND id = ?2"));
  SAMTALE_TRY_VOID(found.bind(company, blob(id)));
  SAMTALE_TRY(const bool is_there, found.step());
  if (!is_there) return std::optional<Row>();
  return Row{.row = found.integer(0),
             .revision = found.integer(1),
             .turns = found.integer(2),
             .sort_us = found.integer(3),
             .channel = std::string(found.bytes(4))};
}

Result<> SqliteWriter::put_conversation(CompanyId company, const StoredConversation& conversation) {
  const auto id = conversation.conversation.id;
  SAMTALE_TRY(const bool deleted, is_deleted(company, id));
  if (deleted) return {};
  SAMTALE_TRY(const auto old, find_row(company, id));
  auto& counts = counts_[company];
  counts.turns += static_cast<std::int64_t>(conversation.conversation.turns.size());
  add_change(company, id);
  if (!old) {
    ++counts.conversations;
    return insert_conversation(company, conversation);
  }
  counts.turns -= old->turns;
  return update_conversation(conversation, *old);
}

Result<> SqliteWriter::insert_conversation(CompanyId company, const StoredConversation& stored) {
  const auto& conversation = stored.conversation;
  return connection_.run(
      "INSERT INTO conversations(company, id, sort_us, channel, source, external_id, revision, "
      "received_us, updated_us, turns, body, state, summary) "
      "VALUES(?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?11, ?12)",
      company, blob(conversation.id), sort_us(conversation, stored.received_at),
      conversation.channel, conversation.source, conversation.external_id,
      to_us(stored.received_at), to_us(stored.updated_at), conversation.turns.size(),
      Blob{pack(conversation)}, Blob{pack(stored.state)}, Blob{pack(head_of(conversation))});
}

Result<> SqliteWriter::update_conversation(const StoredConversation& stored, const Row& old) {
  const auto& conversation = stored.conversation;
  SAMTALE_TRY_VOID(connection_.run(
      "UPDATE conversations SET revision = ?2, received_us = ?3, updated_us = ?4, turns = ?5, "
      "body = ?6, state = ?7, summary = ?8 WHERE row = ?1",
      old.row, old.revision + 1, to_us(stored.received_at), to_us(stored.updated_at),
      conversation.turns.size(), Blob{pack(conversation)}, Blob{pack(stored.state)},
      Blob{pack(head_of(conversation))}));
  // Apart, because naming an indexed column rewrites its indexes even where nothing changed. Source
  // and external id never change: the conversation's id is made from them.
  const auto now_us = sort_us(conversation, stored.received_at);
  if (now_us == old.sort_us && conversation.channel == old.channel) return {};
  return connection_.run("UPDATE conversations SET sort_us = ?2, channel = ?3 WHERE row = ?1",
                         old.row, now_us, conversation.channel);
}

Result<std::vector<EventPlace>> SqliteWriter::erase_conversation(CompanyId company,
                                                                 ConversationId id) {
  check_company(company);
  SAMTALE_TRY(const auto old, find_row(company, id));
  if (old) {
    SAMTALE_TRY_VOID(connection_.run("DELETE FROM conversations WHERE row = ?1", old->row));
    --counts_[company].conversations;
    counts_[company].turns -= old->turns;
  }
  SAMTALE_TRY_VOID(put_chunks(company, id, {}));
  SAMTALE_TRY_VOID(erase_analyses(company, id));
  SAMTALE_TRY_VOID(erase_lm(company, id));
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT OR IGNORE INTO tombstones(company, conversation) VALUES(?1, ?2)", company, blob(id)));
  SAMTALE_TRY_VOID(queue_.erase_key(company, text(id)));
  add_change(company, id);
  // The events' rows stay: digests and places only, so that a redelivery is still known and an
  // erasure cut short can be done again.
  std::vector<EventPlace> places;
  SAMTALE_TRY(auto rows,
              connection_.prepare("SELECT position FROM events INDEXED BY events_by_conversation "
                                  "WHERE company = ?1 AND conversation = ?2 ORDER BY position"));
  SAMTALE_TRY_VOID(rows.bind(company, blob(id)));
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return places;
    places.push_back({.position = static_cast<LogPosition>(rows.integer(0))});
  }
}

Result<> SqliteWriter::enqueue(const NewJob& job) {
  check_company(job.company);
  return queue_.enqueue(job);
}

Result<> SqliteWriter::finish(std::span<const Job> jobs) {
  for (const auto& job : jobs) check_company(job.company);
  return queue_.finish(jobs);
}

Result<> SqliteWriter::add_dead_letter(const NewJob& job, std::string_view cause) {
  check_company(job.company);
  return queue_.add_dead_letter(job, cause);
}

Result<bool> SqliteWriter::has_dead_letter(CompanyId company, std::string_view kind,
                                           std::string_view key) {
  check_company(company);
  return queue_.has_dead_letter(company, kind, key);
}

Result<> SqliteWriter::set_log_offset(LogPosition before, LogPosition next) {
  SAMTALE_TRY(const auto kept, log_offset(LogId{}));
  SAMTALE_TRY_VOID(check_log_offset(kept, before));
  return connection_.run("INSERT OR REPLACE INTO meta(name, value) VALUES('log_offset', ?1)",
                         number(next));
}

Result<LogPosition> SqliteWriter::log_offset(LogId log) {
  if (log != LogId{}) return LogPosition{};
  SAMTALE_TRY(const auto kept,
              connection_.integer("SELECT value FROM meta WHERE name = 'log_offset'"));
  return static_cast<LogPosition>(kept.value_or(0));
}

Result<> SqliteWriter::flush() {
  for (const auto& [company, conversation] : changes_) {
    SAMTALE_TRY_VOID(connection_.run("INSERT INTO changes(company, conversation) VALUES(?1, ?2)",
                                     company, blob(conversation)));
  }
  for (const auto& [company, counts] : counts_) {
    SAMTALE_TRY_VOID(connection_.run(
        "INSERT INTO company_counts(company, conversations, turns, chunks, chunks_with_vector, "
        "events) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET "
        "conversations = conversations + ?2, turns = turns + ?3, chunks = chunks + ?4, "
        "chunks_with_vector = chunks_with_vector + ?5, events = events + ?6",
        company, counts.conversations, counts.turns, counts.chunks, counts.chunks_with_vector,
        counts.events));
  }
  return {};
}

}  // namespace samtale
