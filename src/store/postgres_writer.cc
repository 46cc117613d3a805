#include "store/postgres_writer.h"

#include <algorithm>

#include "base/check.h"
#include "store/codec.h"
#include "store/feed.h"
#include "store/postgres_history.h"
#include "store/postgres_rows.h"

namespace samtale {

using postgres::Bytes;

namespace {

// So much is put off of a company, at most.
constexpr std::size_t kPendingBytesMax = std::size_t{8} << 20;

}  // namespace

Result<> PostgresWriter::start() {
  SAMTALE_TRY(
      const auto row,
      transaction_.query("SELECT last_change, writes, " + std::string(PostgresHistory::kTimeline) +
                             " FROM partitions WHERE partition = $1 FOR UPDATE",
                         partition_));
  if (row.empty()) return fail(ErrorCode::corrupt, "the store has no such partition");
  last_change_ = row.integer(0, 0);
  number_ = row.integer(0, 1) + 1;
  timeline_ = row.integer(0, 2);
  return {};
}

PostgresWriter::Company& PostgresWriter::of(CompanyId id) {
  SAMTALE_CHECK(partition_of(id, partitions_) == partition_,
                "a transaction writes only companies of its partition");
  return companies_[id];
}

Result<> PostgresWriter::act_for(CompanyId id) {
  SAMTALE_TRY_VOID(settle(id, of(id)));
  return transaction_.act_for(id);
}

Result<PostgresWriter::Company*> PostgresWriter::gather(CompanyId id, Pending kind,
                                                        std::size_t bytes) {
  auto& company = of(id);
  if (company.pending != kind || company.pending_bytes > kPendingBytesMax) {
    SAMTALE_TRY_VOID(settle(id, company));
  }
  company.pending = kind;
  company.pending_bytes += bytes;
  return &company;
}

void PostgresWriter::add_change(CompanyId company, ConversationId conversation) {
  // Once a transaction: nobody can see the steps between.
  if (changed_.emplace(company, conversation).second) changes_.emplace_back(company, conversation);
}

Result<> PostgresWriter::expect(CompanyId company, std::span<const std::string> event_keys,
                                std::span<const ConversationId> conversations) {
  std::vector<std::string> digests;
  for (const auto& key : event_keys) digests.push_back(event_key_digest(key));
  SAMTALE_TRY_VOID(know_events(company, digests));
  SAMTALE_TRY_VOID(know_deleted(company, conversations));
  return know_conversations(company, conversations);
}

Result<std::optional<StoredConversation>> PostgresWriter::find_conversation(CompanyId company,
                                                                            ConversationId id) {
  SAMTALE_TRY_VOID(know_conversations(company, {&id, 1}));
  return of(company).conversations.at(id);
}

Result<EventState> PostgresWriter::put_event(CompanyId company, const StoredEvent& event,
                                             WallTime received_at) {
  const auto digest = event_key_digest(event.key);
  SAMTALE_TRY_VOID(know_events(company, {&digest, 1}));
  SAMTALE_TRY(auto* rows, gather(company, Pending::conversations, event.body_hash.size()));
  auto& known = rows->events.at(digest);
  if (!known) {
    known = KnownEvent{.body_hash = event.body_hash, .place = event.place};
    rows->new_events.push_back({digest, event, received_at});
    ++rows->counts.events;
    return EventState::fresh;
  }
  if (known->body_hash == event.body_hash) {
    return known->place == event.place ? EventState::applied : EventState::repeated;
  }
  return fail(ErrorCode::conflict, "event '" + event.key +
                                       "' has been received before with another body; a new "
                                       "event needs an id of its own");
}

Result<bool> PostgresWriter::is_deleted(CompanyId company, ConversationId id) {
  SAMTALE_TRY_VOID(know_deleted(company, {&id, 1}));
  return of(company).deleted.at(id);
}

Result<std::optional<PostgresWriter::Head>> PostgresWriter::find_head(CompanyId company,
                                                                      ConversationId id) {
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY_VOID(know_heads(company, {&id, 1}));
  return of(company).heads.at(id);
}

Result<> PostgresWriter::put_conversation(CompanyId company,
                                          const StoredConversation& conversation) {
  const auto id = conversation.conversation.id;
  SAMTALE_TRY(const bool is_gone, is_deleted(company, id));
  if (is_gone) return {};
  SAMTALE_TRY_VOID(know_conversations(company, {&id, 1}));
  SAMTALE_TRY(auto* rows, gather(company, Pending::conversations, 2 * conversation.state.size()));
  auto& known = rows->conversations.at(id);
  const auto turns = static_cast<std::int64_t>(conversation.conversation.turns.size());
  rows->counts.conversations += known ? 0 : 1;
  rows->counts.turns +=
      turns - (known ? static_cast<std::int64_t>(known->conversation.turns.size()) : 0);
  const auto revision = known ? known->revision + 1 : 1;
  known = conversation;
  known->revision = revision;
  rows->heads[id] =
      Head{.turns = turns, .sort_us = sort_us(conversation.conversation, conversation.received_at)};
  rows->new_conversations.insert(id);
  add_change(company, id);
  return {};
}

Result<std::vector<EventPlace>> PostgresWriter::erase_conversation(CompanyId company,
                                                                   ConversationId id) {
  SAMTALE_TRY(const auto old, find_head(company, id));
  if (old) {
    SAMTALE_TRY_VOID(transaction_.later("DELETE FROM conversations WHERE company = $1 AND id = $2",
                                        company, blob(id)));
    --of(company).counts.conversations;
    of(company).counts.turns -= old->turns;
  }
  SAMTALE_TRY_VOID(put_chunks(company, id, {}));
  SAMTALE_TRY_VOID(act_for(company));
  SAMTALE_TRY_VOID(erase_analyses(company, id));
  SAMTALE_TRY_VOID(erase_lm(company, id));
  SAMTALE_TRY_VOID(transaction_.later(
      "INSERT INTO tombstones(company, conversation) VALUES($1, $2) ON CONFLICT DO NOTHING",
      company, blob(id)));
  SAMTALE_TRY_VOID(queue_.erase_key(company, text(id)));
  of(company).deleted[id] = true;
  of(company).heads[id] = std::nullopt;
  of(company).conversations[id] = std::nullopt;
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

// Of jobs the queue gathers what is new, beside what is gathered here.
Result<> PostgresWriter::enqueue(const NewJob& job) { return queue_.enqueue(job); }

Result<> PostgresWriter::finish(std::span<const Job> jobs) { return queue_.finish(jobs); }

Result<> PostgresWriter::add_dead_letter(const NewJob& job, std::string_view cause) {
  SAMTALE_TRY_VOID(act_for(job.company));
  return queue_.add_dead_letter(job, cause);
}

Result<bool> PostgresWriter::has_dead_letter(CompanyId company, std::string_view kind,
                                             std::string_view key) {
  SAMTALE_TRY_VOID(act_for(company));
  return queue_.has_dead_letter(company, kind, key);
}

Result<> PostgresWriter::set_log_offset(LogPosition before, LogPosition next) {
  SAMTALE_TRY(const auto kept, log_offset(log_));
  SAMTALE_TRY_VOID(check_log_offset(kept, before));
  log_offset_ = next;
  return {};
}

Result<LogPosition> PostgresWriter::log_offset(LogId log) {
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT next FROM log_offsets WHERE partition = $1 AND log = $2",
                                 partition_, log));
  return static_cast<LogPosition>(rows.empty() ? 0 : rows.integer(0, 0));
}

Result<> PostgresWriter::flush(std::string_view token) {
  for (auto& [id, company] : companies_) SAMTALE_TRY_VOID(settle(id, company));
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
  std::map<CompanyId, std::vector<ConversationId>> by_company;
  for (const auto& [company, conversation] : changes_) by_company[company].push_back(conversation);
  for (const auto& [company, conversations] : by_company) {
    auto sequences = postgres::Column::numbers();
    for (std::size_t i = 0; i < conversations.size(); ++i) sequences.add(++last_change_);
    SAMTALE_TRY_VOID(transaction_.act_for(company));
    SAMTALE_TRY_VOID(
        transaction_.later("INSERT INTO changes(company, partition, sequence, conversation, at_us) "
                           "SELECT $1, $2, w.sequence, w.conversation, $3 "
                           "FROM unnest($4, $5) AS w(sequence, conversation)",
                           company, partition_, now_us, sequences, column_of(conversations)));
  }
  return {};
}

Result<> PostgresWriter::flush_counts() {
  for (const auto& [id, company] : companies_) {
    const auto& counts = company.counts;
    if (counts == Counts()) continue;
    SAMTALE_TRY_VOID(transaction_.act_for(id));
    SAMTALE_TRY_VOID(transaction_.later(
        "INSERT INTO company_counts AS old(company, conversations, turns, chunks, "
        "chunks_with_vector, events) VALUES($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT (company) DO UPDATE SET conversations = old.conversations + $2, "
        "turns = old.turns + $3, chunks = old.chunks + $4, "
        "chunks_with_vector = old.chunks_with_vector + $5, events = old.events + $6",
        id, counts.conversations, counts.turns, counts.chunks, counts.chunks_with_vector,
        counts.events));
  }
  return {};
}

}  // namespace samtale
