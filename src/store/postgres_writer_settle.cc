// What one write knows of a company's rows, and how it writes those it has put off.
#include <algorithm>

#include "store/codec.h"
#include "store/postgres_vectors.h"
#include "store/postgres_writer.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Column;

// Each once.
std::vector<ConversationId> not_in(const auto& known, std::span<const ConversationId> ids) {
  std::vector<ConversationId> unknown;
  for (const auto& id : ids) {
    if (!known.contains(id)) unknown.push_back(id);
  }
  std::ranges::sort(unknown);
  unknown.erase(std::ranges::unique(unknown).begin(), unknown.end());
  return unknown;
}

constexpr auto kPutConversations =
    "INSERT INTO conversations(company, partition, id, sort_us, channel, source, external_id, "
    "revision, received_us, updated_us, turns, body, state, summary) "
    "SELECT $1, $2, w.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS w "
    "ON CONFLICT (company, id) DO UPDATE SET sort_us = EXCLUDED.sort_us, "
    "channel = EXCLUDED.channel, revision = EXCLUDED.revision, "
    "received_us = EXCLUDED.received_us, updated_us = EXCLUDED.updated_us, "
    "turns = EXCLUDED.turns, body = EXCLUDED.body, state = EXCLUDED.state, "
    "summary = EXCLUDED.summary";

constexpr auto kPutAnalyses =
    "INSERT INTO analyses AS old(company, conversation, analyzer, version, method, revision, "
    "sort_us, created_us, score, labels, result) "
    "SELECT $1, w.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS w "
    "ON CONFLICT (company, conversation, analyzer) DO UPDATE SET version = EXCLUDED.version, "
    "method = EXCLUDED.method, revision = EXCLUDED.revision, sort_us = EXCLUDED.sort_us, "
    "created_us = EXCLUDED.created_us, score = EXCLUDED.score, labels = EXCLUDED.labels, "
    "result = EXCLUDED.result WHERE old.revision <= EXCLUDED.revision "
    "RETURNING conversation, analyzer";

// Each goes to the chunk of its text: in its place, where it mostly is, else wherever that moved.
// Found first, each once: joined as it is found, each would be looked for again for each chunk of
// a company that PostgreSQL takes to be small.
constexpr auto kPutVectors =
    "WITH found AS MATERIALIZED (SELECT w.model, w.vector, w.place, o.* "
    "FROM unnest($2, $3, $4, $5, $6) WITH ORDINALITY "
    "AS w(conversation, digest, ordinal, model, vector, place) CROSS JOIN LATERAL "
    "(SELECT conversation, row, model IS NOT NULL AS had_vector FROM chunks "
    "WHERE company = $1 AND conversation = w.conversation AND digest = w.digest "
    "ORDER BY ordinal <> w.ordinal, ordinal LIMIT 1) AS o) "
    "UPDATE chunks AS c SET model = found.model, vector = found.vector, embed_error = '' FROM "
    "found "
    "WHERE c.company = $1 AND c.conversation = ANY($2) AND c.conversation = found.conversation "
    "AND c.row = found.row "
    "RETURNING found.conversation, found.had_vector, found.row, found.place";

}  // namespace

Result<> PostgresWriter::know_events(CompanyId id, std::span<const std::string> digests) {
  auto& known = of(id).events;
  auto unknown = Column::blobs();
  bool is_any = false;
  for (const auto& digest : digests) {
    if (!known.try_emplace(digest).second) continue;
    unknown.add(Bytes{digest});
    is_any = true;
  }
  if (!is_any) return {};
  SAMTALE_TRY_VOID(transaction_.act_for(id));
  SAMTALE_TRY(
      const auto rows,
      transaction_.query(
          "SELECT e.key, e.body_hash, e.log, e.position FROM unnest($2) AS w(key) CROSS JOIN "
          "LATERAL (SELECT * FROM events "
          "WHERE company = $1 AND key = w.key OFFSET 0) AS e",
          id, unknown));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    known[std::string(rows.bytes(i, 0))] =
        KnownEvent{.body_hash = std::string(rows.bytes(i, 1)),
                   .place = {.log = static_cast<LogId>(rows.integer(i, 2)),
                             .position = static_cast<LogPosition>(rows.integer(i, 3))}};
  }
  return {};
}

Result<> PostgresWriter::know_deleted(CompanyId id, std::span<const ConversationId> ids) {
  auto& known = of(id).deleted;
  const auto unknown = not_in(known, ids);
  if (unknown.empty()) return {};
  SAMTALE_TRY_VOID(transaction_.act_for(id));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgDeleted, id, column_of(unknown)));
  for (const auto& conversation : unknown) known[conversation] = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(i, 0)));
    known[conversation] = true;
  }
  return {};
}

Result<> PostgresWriter::know_heads(CompanyId id, std::span<const ConversationId> ids) {
  auto& known = of(id).heads;
  const auto unknown = not_in(known, ids);
  if (unknown.empty()) return {};
  SAMTALE_TRY_VOID(transaction_.act_for(id));
  SAMTALE_TRY(const auto rows,
              transaction_.query("SELECT c.id, c.turns, c.sort_us FROM unnest($2) AS w(id) "
                                 "CROSS JOIN LATERAL (SELECT * FROM conversations "
                                 "WHERE company = $1 AND id = w.id OFFSET 0) AS c",
                                 id, column_of(unknown)));
  for (const auto& conversation : unknown) known[conversation] = std::nullopt;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(i, 0)));
    known[conversation] = Head{.turns = rows.integer(i, 1), .sort_us = rows.integer(i, 2)};
  }
  return {};
}

Result<> PostgresWriter::know_conversations(CompanyId id, std::span<const ConversationId> ids) {
  auto& known = of(id).conversations;
  const auto unknown = not_in(known, ids);
  if (unknown.empty()) return {};
  SAMTALE_TRY_VOID(transaction_.act_for(id));
  SAMTALE_TRY(const auto rows, transaction_.query(kPgFindConversations, id, column_of(unknown)));
  SAMTALE_TRY(auto found, read_conversations(rows));
  for (const auto& conversation : unknown) known[conversation] = std::move(found[conversation]);
  return {};
}

Result<> PostgresWriter::settle(CompanyId id, Company& company) {
  if (company.pending == Pending::nothing) return {};
  SAMTALE_TRY_VOID(transaction_.act_for(id));
  switch (std::exchange(company.pending, Pending::nothing)) {
    case Pending::nothing:
      break;
    case Pending::conversations:
      SAMTALE_TRY_VOID(settle_events(id, company));
      SAMTALE_TRY_VOID(settle_conversations(id, company));
      break;
    case Pending::chunks:
      SAMTALE_TRY_VOID(settle_chunks(id, company));
      break;
    case Pending::vectors:
      SAMTALE_TRY_VOID(settle_vectors(id, company));
      break;
    case Pending::analyses:
      SAMTALE_TRY_VOID(settle_analyses(id, company));
  }
  company.pending_bytes = 0;
  return {};
}

Result<> PostgresWriter::settle_events(CompanyId id, Company& company) {
  if (company.new_events.empty()) return {};
  auto digests = Column::blobs();
  auto conversations = Column::blobs();
  auto logs = Column::numbers();
  auto positions = Column::numbers();
  auto times_us = Column::numbers();
  auto hashes = Column::blobs();
  for (const auto& [digest, event, received_at] : std::exchange(company.new_events, {})) {
    digests.add(Bytes{digest});
    conversations.add(blob(event.conversation));
    logs.add(event.place.log);
    positions.add(event.place.position);
    times_us.add(to_us(received_at));
    hashes.add(Bytes{event.body_hash});
  }
  return transaction_.later(
      "INSERT INTO events(company, key, conversation, log, position, received_us, body_hash) "
      "SELECT $1, w.* FROM unnest($2, $3, $4, $5, $6, $7) AS w",
      id, digests, conversations, logs, positions, times_us, hashes);
}

// Source and external id never change: the conversation's id is made from them.
Result<> PostgresWriter::settle_conversations(CompanyId id, Company& company) {
  if (company.new_conversations.empty()) return {};
  auto sorts_us = Column::numbers();
  auto channels = Column::blobs();
  auto sources = Column::blobs();
  auto external_ids = Column::blobs();
  auto revisions = Column::numbers();
  auto received_us = Column::numbers();
  auto updated_us = Column::numbers();
  auto turns = Column::numbers();
  auto bodies = Column::blobs();
  auto states = Column::blobs();
  auto summaries = Column::blobs();
  auto ids = Column::blobs();
  for (const auto& conversation_id : std::exchange(company.new_conversations, {})) {
    const auto& stored = *company.conversations.at(conversation_id);
    const auto& conversation = stored.conversation;
    ids.add(blob(conversation_id));
    sorts_us.add(sort_us(conversation, stored.received_at));
    channels.add(Bytes{conversation.channel});
    sources.add(Bytes{conversation.source});
    external_ids.add(Bytes{conversation.external_id});
    revisions.add(stored.revision);
    received_us.add(to_us(stored.received_at));
    updated_us.add(to_us(stored.updated_at));
    turns.add(conversation.turns.size());
    bodies.add(Bytes{pack(conversation)});
    states.add(Bytes{pack(stored.state)});
    summaries.add(Bytes{pack(head_of(conversation))});
  }
  return transaction_.later(kPutConversations, id, partition_, ids, sorts_us, channels, sources,
                            external_ids, revisions, received_us, updated_us, turns, bodies, states,
                            summaries);
}

Result<> PostgresWriter::settle_vectors(CompanyId id, Company& company) {
  auto conversations = Column::blobs();
  auto digests = Column::blobs();
  auto ordinals = Column::numbers();
  auto models = Column::blobs();
  auto vectors = Column::blobs();
  std::vector<Embedding> embeddings;
  for (const auto& [place, embedding] : std::exchange(company.new_vectors, {})) {
    const auto& [conversation, digest, ordinal] = place;
    conversations.add(blob(conversation));
    digests.add(Bytes{digest});
    ordinals.add(ordinal);
    models.add(Bytes{embedding.model});
    vectors.add(Bytes{vector_bytes(embedding.vector)});
    embeddings.push_back(embedding);
  }
  SAMTALE_TRY(const auto rows, transaction_.query(kPutVectors, id, conversations, digests, ordinals,
                                                  models, vectors));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(i, 0)));
    if (rows.integer(i, 1) == 0) ++company.counts.chunks_with_vector;
    add_change(id, conversation);
  }
  return put_embeddings(id, rows, embeddings);
}

// Where pgvector is not used, one that was there is outdated now: a later fill() puts it right.
Result<> PostgresWriter::put_embeddings(CompanyId company, const postgres::Rows& put,
                                        std::span<const Embedding> embeddings) {
  auto conversations = Column::blobs();
  auto numbers = Column::numbers();
  auto models = Column::blobs();
  auto vectors = Column::texts();
  bool is_any = false;
  for (std::size_t i = 0; i < put.size(); ++i) {
    const bool had_vector = put.integer(i, 1) != 0;
    if (vector_type_.empty() && !had_vector) continue;
    is_any = true;
    conversations.add(Bytes{put.bytes(i, 0)});
    numbers.add(put.integer(i, 2));
    if (vector_type_.empty()) continue;
    const auto& embedding = embeddings[static_cast<std::size_t>(put.integer(i, 3) - 1)];
    models.add(Bytes{embedding.model});
    vectors.add(pgvector_text(embedding.vector));
  }
  if (!is_any) return {};
  if (vector_type_.empty()) return forget_embeddings(company, conversations, numbers);
  return transaction_.later(put_embeddings_sql(vector_type_), company, conversations, numbers,
                            models, vectors);
}

Result<> PostgresWriter::forget_embeddings(CompanyId company, const Column& conversations,
                                           const Column& rows) {
  return transaction_.later(
      "DELETE FROM embeddings AS e USING unnest($2, $3) AS w(conversation, row) "
      "WHERE e.company = $1 AND e.conversation = ANY($2) AND e.conversation = w.conversation "
      "AND e.row = w.row",
      company, conversations, rows);
}

Result<> PostgresWriter::settle_analyses(CompanyId id, Company& company) {
  const auto analyses = std::exchange(company.new_analyses, {});
  std::vector<ConversationId> conversations;
  for (const auto& [key, analysis] : analyses) conversations.push_back(key.first);
  SAMTALE_TRY_VOID(know_heads(id, conversations));
  auto ids = Column::blobs();
  auto analyzers = Column::texts();
  auto versions = Column::numbers();
  auto methods = Column::texts();
  auto revisions = Column::numbers();
  auto sorts_us = Column::numbers();
  auto created_us = Column::numbers();
  auto scores = Column::reals();
  auto labels = Column::blobs();
  auto results = Column::blobs();
  for (const auto& [key, analysis] : analyses) {
    const auto& head = company.heads.at(key.first);
    if (!head) continue;
    ids.add(blob(key.first));
    analyzers.add(analysis.analyzer);
    versions.add(analysis.version);
    methods.add(analysis.method);
    revisions.add(analysis.revision);
    sorts_us.add(head->sort_us);
    created_us.add(to_us(analysis.created_at));
    scores.add(analysis.score);
    labels.add(Bytes{write_labels(analysis.labels)});
    results.add(Bytes{pack(analysis.result)});
  }
  SAMTALE_TRY(const auto put,
              transaction_.query(kPutAnalyses, id, ids, analyzers, versions, methods, revisions,
                                 sorts_us, created_us, scores, labels, results));

  auto put_ids = Column::blobs();
  auto put_analyzers = Column::texts();
  auto label_ids = Column::blobs();
  auto label_analyzers = Column::texts();
  auto label_sorts_us = Column::numbers();
  auto label_scores = Column::reals();
  auto label_names = Column::blobs();
  for (std::size_t i = 0; i < put.size(); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(put.bytes(i, 0)));
    const auto& analysis = analyses.at({conversation, std::string(put.bytes(i, 1))});
    put_ids.add(blob(conversation));
    put_analyzers.add(analysis.analyzer);
    auto found_by = analysis.labels;
    // A score that has no label is looked for and counted all the same.
    if (found_by.empty() && analysis.score) found_by.emplace_back();
    for (const auto& label : found_by) {
      label_ids.add(blob(conversation));
      label_analyzers.add(analysis.analyzer);
      label_sorts_us.add(company.heads.at(conversation)->sort_us);
      label_scores.add(analysis.score);
      label_names.add(Bytes{label});
    }
    add_change(id, conversation);
  }
  if (put.empty()) return {};
  SAMTALE_TRY_VOID(
      transaction_.later("DELETE FROM analysis_labels AS l USING unnest($2, $3) "
                         "AS w(conversation, analyzer) WHERE l.company = $1 "
                         "AND l.conversation = ANY($2) AND l.conversation = w.conversation "
                         "AND l.analyzer = w.analyzer",
                         id, put_ids, put_analyzers));
  return transaction_.later(
      "INSERT INTO analysis_labels(company, conversation, analyzer, sort_us, score, label) "
      "SELECT $1, w.* FROM unnest($2, $3, $4, $5, $6) AS w",
      id, label_ids, label_analyzers, label_sorts_us, label_scores, label_names);
}

}  // namespace samtale
