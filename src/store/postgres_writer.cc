#include "store/postgres_writer.h"

#include <algorithm>

#include "base/check.h"
#include "store/codec.h"
#include "store/feed.h"
#include "store/postgres_rows.h"

namespace samtale {

using postgres::Bytes;

namespace {

constexpr auto kFindHead =
    "SELECT turns, sort_us FROM conversations WHERE company = $1 AND id = $2";

}  // namespace

Result<> PostgresWriter::start() {
  SAMTALE_TRY(const auto row,
              transaction_.query("SELECT last_change, writes FROM partitions WHERE partition = $1 "
                                 "FOR UPDATE",
                                 partition_));
  if (row.empty()) return fail(ErrorCode::corrupt, "the store has no such partition");
  last_change_ = row.integer(0, 0);
  number_ = row.integer(0, 1) + 1;
  return {};
}

Result<> PostgresWriter::act_for(CompanyId company) {
  SAMTALE_CHECK(partition_of(company, partitions_) == partition_,
                "a transaction writes only companies of its partition");
  return transaction_.act_for(company);
}

void PostgresWriter::add_change(CompanyId company, ConversationId conversation) {
  // Once a transaction: nobody can see the steps between.
  if (changed_.emplace(company, conversation).second) changes_.emplace_back(company, conversation);
}

Result<std::optional<StoredConversation>> PostgresWriter::find_conversation(CompanyId company,
                                                                            ConversationId id) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgFindConversation, company, blob(id)));
  return read_conversation(rows);
}

Result<bool> PostgresWriter::put_event(CompanyId company, const StoredEvent& event,
                                       WallTime received_at) {
  SAMTALE_TRY_VOID(act_for(company));
  const auto key = event_key_digest(event.key);
  SAMTALE_TRY_VOID(transaction_.ahead(
      "INSERT INTO events(company, key, conversation, log, position, received_us, body_hash) "
      "VALUES($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
      company, Bytes{key}, blob(event.conversation), event.place.log, event.place.position,
      to_us(received_at), Bytes{event.body_hash}));
  SAMTALE_TRY(
      const auto answers,
      transaction_.query_with(1, "SELECT body_hash FROM events WHERE company = $1 AND key = $2",
                              company, Bytes{key}));
  if (answers[0].affected() == 1) {
    ++counts_[company].events;
    return true;
  }
  if (!answers[1].empty() && answers[1].bytes(0, 0) == event.body_hash) return false;
  return fail(ErrorCode::conflict, "event '" + event.key +
                                       "' has been received before with another body; a new "
                                       "event needs an id of its own");
}

Result<bool> PostgresWriter::is_deleted(CompanyId company, ConversationId id) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgIsDeleted, company, blob(id)));
  return !rows.empty();
}

Result<std::optional<PostgresWriter::Head>> PostgresWriter::find_head(CompanyId company,
                                                                      ConversationId id) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY(const auto rows, transaction_.query(kFindHead, company, blob(id)));
  return read_head(rows);
}

std::optional<PostgresWriter::Head> PostgresWriter::read_head(const postgres::Rows& rows) {
  if (rows.empty()) return std::nullopt;
  return Head{.turns = rows.integer(0, 0), .sort_us = rows.integer(0, 1)};
}

Result<> PostgresWriter::put_conversation(CompanyId company,
                                          const StoredConversation& conversation) {
  const auto id = conversation.conversation.id;
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY_VOID(transaction_.ahead(kPgIsDeleted, company, blob(id)));
  SAMTALE_TRY(const auto answers, transaction_.query_with(1, kFindHead, company, blob(id)));
  if (!answers[0].empty()) return {};
  const auto old = read_head(answers[1]);
  auto& counts = counts_[company];
  counts.turns += static_cast<std::int64_t>(conversation.conversation.turns.size());
  add_change(company, id);
  if (!old) {
    ++counts.conversations;
    return insert_conversation(company, conversation);
  }
  counts.turns -= old->turns;
  return update_conversation(company, conversation);
}

Result<> PostgresWriter::insert_conversation(CompanyId company, const StoredConversation& stored) {
  const auto& conversation = stored.conversation;
  return transaction_.later(
      "INSERT INTO conversations(company, partition, id, sort_us, channel, source, external_id, "
      "revision, received_us, updated_us, turns, body, state, summary) "
      "VALUES($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $12, $13)",
      company, partition_, blob(conversation.id), sort_us(conversation, stored.received_at),
      Bytes{conversation.channel}, Bytes{conversation.source}, Bytes{conversation.external_id},
      to_us(stored.received_at), to_us(stored.updated_at), conversation.turns.size(),
      Bytes{pack(conversation)}, Bytes{pack(stored.state)}, Bytes{pack(head_of(conversation))});
}

// Source and external id never change: the conversation's id is made from them.
Result<> PostgresWriter::update_conversation(CompanyId company, const StoredConversation& stored) {
  const auto& conversation = stored.conversation;
  return transaction_.later(
      "UPDATE conversations SET revision = revision + 1, sort_us = $3, channel = $4, "
      "received_us = $5, updated_us = $6, turns = $7, body = $8, state = $9, summary = $10 "
      "WHERE company = $1 AND id = $2",
      company, blob(conversation.id), sort_us(conversation, stored.received_at),
      Bytes{conversation.channel}, to_us(stored.received_at), to_us(stored.updated_at),
      conversation.turns.size(), Bytes{pack(conversation)}, Bytes{pack(stored.state)},
      Bytes{pack(head_of(conversation))});
}

Result<std::vector<EventPlace>> PostgresWriter::erase_conversation(CompanyId company,
                                                                   ConversationId id) {
  SAMTALE_TRY(const auto old, find_head(company, id));
  if (old) {
    SAMTALE_TRY_VOID(transaction_.later("DELETE FROM conversations WHERE company = $1 AND id = $2",
                                        company, blob(id)));
    --counts_[company].conversations;
    counts_[company].turns -= old->turns;
  }
  SAMTALE_TRY_VOID(put_chunks(company, id, {}));
  SAMTALE_TRY_VOID(erase_analyses(company, id));
  SAMTALE_TRY_VOID(erase_lm(company, id));
  SAMTALE_TRY_VOID(transaction_.later(
      "INSERT INTO tombstones(company, conversation) VALUES($1, $2) ON CONFLICT DO NOTHING",
      company, blob(id)));
  SAMTALE_TRY_VOID(queue_.erase_key(company, text(id)));
  add_change(company, id);
  // The events' rows stay: digests and places only, so that a redelivery is still known and an
  // erasure cut short can be done again.
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT log, position FROM events WHERE company = $1 AND "
                                 "conversation = $2 ORDER BY log, position",
                                 company, blob(id)));
  std::vector<EventPlace> places;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    places.push_back({.log = static_cast<LogId>(rows.integer(i, 0)),
                      .position = static_cast<LogPosition>(rows.integer(i, 1))});
  }
  return places;
}

Result<> PostgresWriter::enqueue(const NewJob& job) {
  SAMTALE_TRY_VOID(act_for(job.company));
  return queue_.enqueue(job);
}

Result<> PostgresWriter::finish(std::span<const Job> jobs) {
  for (const auto& job : jobs) SAMTALE_TRY_VOID(act_for(job.company));
  return queue_.finish(jobs);
}

Result<> PostgresWriter::add_dead_letter(const NewJob& job, std::string_view cause) {
  SAMTALE_TRY_VOID(act_for(job.company));
  return queue_.add_dead_letter(job, cause);
}

Result<> PostgresWriter::set_log_offset(LogPosition before, LogPosition next) {
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT next FROM log_offsets WHERE partition = $1 AND log = $2",
                                 partition_, log_));
  const auto kept = static_cast<LogPosition>(rows.empty() ? 0 : rows.integer(0, 0));
  SAMTALE_TRY_VOID(check_log_offset(kept, before));
  log_offset_ = next;
  return {};
}

Result<> PostgresWriter::flush(std::string_view token) {
  SAMTALE_TRY_VOID(flush_changes());
  SAMTALE_TRY_VOID(flush_counts());
  SAMTALE_TRY_VOID(queue_.flush());
  if (log_offset_) {
    SAMTALE_TRY_VOID(
        transaction_.later("INSERT INTO log_offsets(partition, log, next) VALUES($1, $2, $3) "
                           "ON CONFLICT (partition, log) DO UPDATE SET next = $3",
                           partition_, log_, *log_offset_));
  }
  SAMTALE_TRY_VOID(
      transaction_.later("UPDATE partitions SET last_change = $2, writes = $3 WHERE partition = $1",
                         partition_, last_change_, number_));
  return transaction_.later(
      "INSERT INTO writes(partition, slot, number, token) VALUES($1, $2, $3, $4) "
      "ON CONFLICT (partition, slot) DO UPDATE SET number = $3, token = $4",
      partition_, slot_of(number_), number_, Bytes{token});
}

// The partition's row has been locked since start(), so whoever sees a change has seen, or can see,
// all with a smaller sequence.
Result<> PostgresWriter::flush_changes() {
  const auto now_us = to_us(clock_.wall_now());
  std::map<CompanyId, std::vector<std::pair<std::int64_t, ConversationId>>> by_company;
  for (const auto& [company, conversation] : changes_) {
    by_company[company].emplace_back(++last_change_, conversation);
  }
  for (const auto& [company, changes] : by_company) {
    SAMTALE_TRY_VOID(act_for(company));
    for (const auto& [sequence, conversation] : changes) {
      SAMTALE_TRY_VOID(transaction_.later(
          "INSERT INTO changes(company, partition, sequence, conversation, at_us) "
          "VALUES($1, $2, $3, $4, $5)",
          company, partition_, sequence, blob(conversation), now_us));
    }
  }
  return {};
}

Result<> PostgresWriter::flush_counts() {
  for (const auto& [company, counts] : counts_) {
    SAMTALE_TRY_VOID(act_for(company));
    SAMTALE_TRY_VOID(transaction_.later(
        "INSERT INTO company_counts AS old(company, conversations, turns, chunks, "
        "chunks_with_vector, events) VALUES($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (company) DO UPDATE SET conversations = old.conversations + $2, "
        "turns = old.turns + $3, chunks = old.chunks + $4, "
        "chunks_with_vector = old.chunks_with_vector + $5, events = old.events + $6",
        company, counts.conversations, counts.turns, counts.chunks, counts.chunks_with_vector,
        counts.events));
  }
  return {};
}

}  // namespace samtale
