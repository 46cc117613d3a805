#include "store/schema.h"

#include <array>

#include "queue/sqlite_queue.h"

namespace samtale {
namespace {

// Large rows lie in the order they came (a plain rowid table), so that a batch touches few pages;
// the keys, company first, are in indexes of small rows.
constexpr sqlite::Migration kStoreSchema1 = R"sql(
CREATE TABLE meta(name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE conversations(
  row INTEGER PRIMARY KEY,
  company INTEGER NOT NULL,
  id BLOB NOT NULL,
  sort_us INTEGER NOT NULL,
  channel TEXT NOT NULL,
  source TEXT NOT NULL,
  external_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  received_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  turns INTEGER NOT NULL,
  body BLOB NOT NULL,
  state BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversations_by_id ON conversations(company, id);
CREATE INDEX conversations_by_time ON conversations(company, sort_us, id);
CREATE INDEX conversations_by_channel ON conversations(company, channel, sort_us, id);
CREATE INDEX conversations_by_source ON conversations(company, source, sort_us, id);
CREATE INDEX conversations_by_external_id ON conversations(company, external_id);

CREATE TABLE chunks(
  row INTEGER PRIMARY KEY,
  company INTEGER NOT NULL,
  conversation BLOB NOT NULL,
  ordinal INTEGER NOT NULL,
  first_turn INTEGER NOT NULL,
  last_turn INTEGER NOT NULL,
  digest BLOB NOT NULL,
  embed_error TEXT NOT NULL,
  policy TEXT NOT NULL,
  header TEXT NOT NULL,
  text BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_conversation ON chunks(company, conversation, ordinal);

CREATE TABLE vectors(
  chunk INTEGER PRIMARY KEY,
  company INTEGER NOT NULL,
  model TEXT NOT NULL,
  vector BLOB NOT NULL
) STRICT;

CREATE TABLE events(
  company INTEGER NOT NULL,
  key BLOB NOT NULL,
  conversation BLOB NOT NULL,
  position INTEGER NOT NULL,
  received_us INTEGER NOT NULL,
  body_hash BLOB NOT NULL,
  PRIMARY KEY(company, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_conversation ON events(company, conversation, position);

CREATE TABLE tombstones(
  company INTEGER NOT NULL,
  conversation BLOB NOT NULL,
  PRIMARY KEY(company, conversation)
) STRICT, WITHOUT ROWID;

CREATE TABLE changes(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  company INTEGER NOT NULL,
  conversation BLOB NOT NULL
) STRICT;

CREATE TABLE company_counts(
  company INTEGER PRIMARY KEY,
  conversations INTEGER NOT NULL,
  turns INTEGER NOT NULL,
  chunks INTEGER NOT NULL,
  chunks_with_vector INTEGER NOT NULL,
  events INTEGER NOT NULL
) STRICT;
)sql";

// Searches and lists show a summary; reading a long conversation for it costs a hundred times that.
constexpr sqlite::Migration kStoreSchema2 = R"sql(
ALTER TABLE conversations ADD COLUMN summary BLOB NOT NULL DEFAULT x'';
)sql";

// Labels lie twice: by label, newest first, to find conversations; by time, to count them.
constexpr sqlite::Migration kStoreSchema3 = R"sql(
CREATE TABLE analyses(
  row INTEGER PRIMARY KEY,
  company INTEGER NOT NULL,
  conversation BLOB NOT NULL,
  analyzer TEXT NOT NULL,
  version INTEGER NOT NULL,
  method TEXT NOT NULL,
  revision INTEGER NOT NULL,
  sort_us INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  score REAL,
  labels TEXT NOT NULL,
  result BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX analyses_by_conversation ON analyses(company, conversation, analyzer);
CREATE INDEX analyses_by_time ON analyses(company, analyzer, sort_us, conversation);

CREATE TABLE analysis_labels(
  company INTEGER NOT NULL,
  analyzer TEXT NOT NULL,
  label TEXT NOT NULL,
  sort_us INTEGER NOT NULL,
  conversation BLOB NOT NULL,
  score REAL,
  PRIMARY KEY(company, analyzer, label, sort_us, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX analysis_labels_by_time ON analysis_labels(company, analyzer, sort_us, label, score);
CREATE INDEX analysis_labels_by_conversation ON analysis_labels(company, conversation, analyzer);
)sql";

// What language models answered and cost, and what people said of it. Rows with a document lie in
// the order they came, as above; the spends of a company's days lie together.
constexpr sqlite::Migration kStoreSchema4 = R"sql(
CREATE TABLE lm_results(
  company INTEGER NOT NULL,
  key BLOB NOT NULL,
  conversation BLOB NOT NULL,
  created_us INTEGER NOT NULL,
  result BLOB NOT NULL,
  PRIMARY KEY(company, key)
) STRICT;
CREATE INDEX lm_results_by_conversation ON lm_results(company, conversation, key);

CREATE TABLE lm_spend(
  company INTEGER NOT NULL,
  day TEXT NOT NULL,
  analyzer TEXT NOT NULL,
  spent_tokens INTEGER NOT NULL,
  spent_micro_usd INTEGER NOT NULL,
  held_tokens INTEGER NOT NULL,
  held_micro_usd INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  PRIMARY KEY(company, day, analyzer)
) STRICT, WITHOUT ROWID;

CREATE TABLE overrides(
  company INTEGER NOT NULL,
  conversation BLOB NOT NULL,
  analyzer TEXT NOT NULL,
  made_by TEXT NOT NULL,
  made_us INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  note BLOB NOT NULL,
  result BLOB NOT NULL,
  PRIMARY KEY(company, conversation, analyzer)
) STRICT;

CREATE TABLE campaigns(
  company INTEGER NOT NULL,
  id TEXT NOT NULL,
  state TEXT NOT NULL,
  cursor TEXT NOT NULL,
  total INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  filter BLOB NOT NULL,
  estimate BLOB NOT NULL,
  PRIMARY KEY(company, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaigns_running ON campaigns(company, id) WHERE state = 'running';

CREATE TABLE lm_batches(
  company INTEGER NOT NULL,
  name TEXT NOT NULL,
  id TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  wanted_by_us INTEGER NOT NULL,
  requests BLOB NOT NULL,
  PRIMARY KEY(company, name)
) STRICT;
)sql";

constexpr sqlite::Migration kRegistrySchema1 = R"sql(
CREATE TABLE companies(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  weight REAL NOT NULL,
  events_per_second_max INTEGER NOT NULL,
  conversations_max INTEGER NOT NULL,
  created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE keys(
  id TEXT NOT NULL PRIMARY KEY,
  company INTEGER NOT NULL,
  secret_hash BLOB NOT NULL,
  label TEXT NOT NULL,
  rights INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER,
  revoked_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints(
  id TEXT NOT NULL PRIMARY KEY,
  company INTEGER NOT NULL,
  preset TEXT NOT NULL,
  source TEXT NOT NULL,
  idle_timeout_us INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  revoked_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint_secrets(
  endpoint TEXT NOT NULL,
  place INTEGER NOT NULL,
  secret TEXT NOT NULL,
  expires_us INTEGER,
  PRIMARY KEY(endpoint, place)
) STRICT, WITHOUT ROWID;
)sql";

constexpr sqlite::Migration kRegistrySchema2 = R"sql(
CREATE TABLE analyzers(
  company INTEGER NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  is_deleted INTEGER NOT NULL,
  definition TEXT NOT NULL,
  PRIMARY KEY(company, name, version)
) STRICT;

CREATE TABLE subscriptions(
  company INTEGER NOT NULL,
  id TEXT NOT NULL,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  revoked_us INTEGER,
  paused_why TEXT NOT NULL,
  failing_since_us INTEGER,
  PRIMARY KEY(company, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription_secrets(
  company INTEGER NOT NULL,
  subscription TEXT NOT NULL,
  place INTEGER NOT NULL,
  secret TEXT NOT NULL,
  expires_us INTEGER,
  PRIMARY KEY(company, subscription, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE lm_settings(
  company INTEGER PRIMARY KEY,
  settings TEXT NOT NULL
) STRICT;
)sql";

constexpr std::array kRegistrySchema = {kRegistrySchema1, kRegistrySchema2};

}  // namespace

std::span<const sqlite::Migration> partition_schema() {
  static const std::array kPartitionSchema = {kQueueSchema1, kStoreSchema1, kStoreSchema2,
                                              kStoreSchema3, kStoreSchema4};
  return kPartitionSchema;
}

std::span<const sqlite::Migration> registry_schema() { return kRegistrySchema; }

}  // namespace samtale
