#include "store/postgres_vectors.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "queue/postgres_queue.h"
#include "store/codec.h"
#include "store/postgres_rows.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Column;
using postgres::Scope;
using postgres::Transaction;

constexpr std::size_t kHalfDimensionMax = 4000;  // That pgvector's HNSW takes.
constexpr std::size_t kEffortMin = 1;            // Of hnsw.ef_search.
constexpr std::size_t kEffortMax = 1000;
constexpr std::size_t kScanTuplesMin = 20'000;  // Of hnsw.max_scan_tuples: its default.
constexpr std::size_t kFilledTold = 10'000;
// A graph of few vectors is there by then; of one that takes longer only the beginning is seen.
constexpr Duration kGraphWait = std::chrono::seconds(5);

// In bytea's text form.
std::string literal(std::string_view bytes) { return "'\\x" + hex(bytes) + "'::bytea"; }

// The chunks of some conversations whose vectors searches do not know.
constexpr auto kMissing =
    "FROM unnest($3) AS w(conversation) CROSS JOIN LATERAL (SELECT conversation, row, vector "
    "FROM chunks WHERE company = $1 AND conversation = w.conversation AND model = $2 OFFSET 0) AS "
    "c "
    "LEFT JOIN LATERAL (SELECT true AS is_known FROM embeddings WHERE company = $1 "
    "AND conversation = c.conversation AND row = c.row AND model = $2 OFFSET 0) AS e ON true "
    "WHERE is_known IS NULL";

// The place of a chunk may have changed since its vector was stored.
std::string with_ordinals(const std::string& nearest) {
  return "SELECT n.conversation, c.ordinal, n.score FROM (" + nearest +
         ") AS n CROSS JOIN LATERAL (SELECT ordinal FROM chunks WHERE company = $1 "
         "AND conversation = n.conversation AND row = n.row OFFSET 0) AS c";
}

Result<std::vector<FoundVector>> read_found(const postgres::Rows& rows) {
  std::vector<FoundVector> found;
  found.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto conversation, read_id(rows.bytes(i, 0)));
    found.push_back({.conversation = conversation,
                     .ordinal = static_cast<std::uint32_t>(rows.integer(i, 1)),
                     .score = static_cast<float>(rows.real(i, 2))});
  }
  std::ranges::stable_sort(found, std::greater(), &FoundVector::score);
  return found;
}

}  // namespace

Result<Pgvector> find_pgvector(postgres::Database& database) {
  SAMTALE_TRY(const auto rows,
              database.read({},
                            "SELECT quote_ident(n.nspname), e.extversion, "
                            "string_to_array(regexp_replace(e.extversion, '[^0-9.].*', ''), "
                            "'.')::int[] >= '{0,8}' FROM pg_extension AS e "
                            "JOIN pg_namespace AS n ON n.oid = e.extnamespace "
                            "WHERE e.extname = 'vector'"));
  const std::string needed = "search.backend = pgvector needs PostgreSQL's extension \"vector\" ";
  if (rows.empty()) {
    return fail(ErrorCode::invalid_argument,
                needed +
                    "(pgvector 0.8 or later), which the database does not have; install pgvector "
                    "on the database's machine, then run there as one who may: CREATE EXTENSION "
                    "vector");
  }
  if (rows.integer(0, 2) == 0) {
    return fail(ErrorCode::invalid_argument,
                needed + "0.8.0 or later, for iterative scans; the database has " +
                    std::string(rows.bytes(0, 1)) +
                    "; install a newer pgvector, then run as one who may: ALTER EXTENSION vector "
                    "UPDATE");
  }
  return Pgvector{.schema = std::string(rows.bytes(0, 0))};
}

// Inline as long as a row fits a page, and then beside it: a scan that follows each vector to
// another table takes several times as long.
Result<> add_embedding_column(postgres::Database& database, const Pgvector& pgvector) {
  const auto found = find_embedding_column(database);
  if (found || found.error().code != ErrorCode::unavailable) return found;
  return database.patiently(
      {}, [](int) {},
      [&](Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(transaction.later(
            "ALTER TABLE embeddings ADD COLUMN IF NOT EXISTS embedding " + pgvector.type()));
        return transaction.later("ALTER TABLE embeddings ALTER embedding SET STORAGE MAIN");
      });
}

Result<> find_embedding_column(postgres::Database& database) {
  SAMTALE_TRY(const auto rows,
              database.read({},
                            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('embeddings') "
                            "AND attname = 'embedding' AND NOT attisdropped"));
  if (!rows.empty()) return {};
  return fail(ErrorCode::unavailable,
              "schema '" + database.schema() +
                  "' has no column for pgvector's vectors; as a user who may change it run "
                  "`samtale migrate` with search.backend = pgvector");
}

std::string embedding_column_sql(const std::string& schema) {
  const auto table = "ALTER TABLE " + schema + ".embeddings ";
  return "\n-- For search.backend = pgvector.\n"
         "DO $$DECLARE home text := (SELECT quote_ident(n.nspname) FROM pg_extension "
         "JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'vector'); "
         "BEGIN IF home IS NULL THEN RAISE EXCEPTION "
         "'extension vector is missing; run CREATE EXTENSION vector'; END IF; EXECUTE '" +
         table + "ADD COLUMN IF NOT EXISTS embedding ' || home || '.vector'; END$$;\n" + table +
         "ALTER embedding SET STORAGE MAIN;\n";
}

std::string pgvector_text(std::span<const float> vector) {
  std::string text(1, '[');
  char number[32];
  for (const float value : vector) {
    if (text.size() > 1) text += ',';
    const auto [end, error] = std::to_chars(number, number + sizeof number, value);
    text.append(number, end);
  }
  return text += ']';
}

std::string put_embeddings_sql(const std::string& vector_type) {
  return "INSERT INTO embeddings(company, conversation, row, model, embedding) "
         "SELECT $1, w.conversation, w.row, w.model, w.embedding::" +
         vector_type +
         " FROM unnest($2, $3, $4, $5) AS w(conversation, row, model, embedding) "
         "ON CONFLICT (company, conversation, row) "
         "DO UPDATE SET model = EXCLUDED.model, embedding = EXCLUDED.embedding";
}

Result<std::unique_ptr<PostgresVectors>> PostgresVectors::open(
    postgres::Database& database, const PostgresVectorsOptions& options, Log& log) {
  SAMTALE_TRY(auto pgvector, find_pgvector(database));
  return std::unique_ptr<PostgresVectors>(
      new PostgresVectors(database, options, std::move(pgvector), log));
}

std::string PostgresVectors::half() const {
  return pgvector_.schema + ".halfvec(" + std::to_string(options_.dimension) + ")";
}

// The smaller, the nearer.
std::string PostgresVectors::inner_product() const {
  return " OPERATOR(" + pgvector_.schema + ".<#>) ";
}

std::string PostgresVectors::graph_name(CompanyId company) const {
  return "embeddings_near_" + std::to_string(number(company)) + "_" +
         hex(view(sha256(options_.model))).substr(0, 8);
}

std::string PostgresVectors::graph_condition(CompanyId company) const {
  return "company = " + std::to_string(number(company)) + " AND model = " + literal(options_.model);
}

// No graph is in its order, by whole numbers, so that PostgreSQL cannot choose one.
Result<std::vector<FoundVector>> PostgresVectors::scan(
    CompanyId company, const VectorQuestion& question,
    const std::vector<ConversationId>* only) const {
  const auto distance = "e.embedding" + inner_product() + "$3::" + pgvector_.type();
  const std::string from =
      only == nullptr
          ? "embeddings AS e WHERE e.company = $1 AND e.model = $2"
          : "unnest($5) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM embeddings WHERE "
            "company = $1 AND conversation = w.conversation AND model = $2 OFFSET 0) AS e";
  const auto sql =
      with_ordinals("SELECT e.conversation, e.row, -(" + distance + ") AS score FROM " + from +
                    " ORDER BY " + distance + ", e.conversation, e.row LIMIT $4");
  const auto vector = pgvector_text(question.vector);
  const Scope scope{.company = company};
  SAMTALE_TRY(const auto rows, only == nullptr
                                   ? database_.read(scope, sql, company, Bytes{options_.model},
                                                    vector, question.limit)
                                   : database_.read(scope, sql, company, Bytes{options_.model},
                                                    vector, question.limit, column_of(*only)));
  return read_found(rows);
}

// The graph goes on (iterative scan) where its first candidates are too few.
Result<std::vector<FoundVector>> PostgresVectors::walk(CompanyId company,
                                                       const VectorQuestion& question,
                                                       std::size_t effort) const {
  SAMTALE_TRY(auto transaction, database_.begin({.company = company}));
  SAMTALE_TRY_VOID(
      transaction.later("SELECT set_config('hnsw.ef_search', $1, true), "
                        "set_config('hnsw.iterative_scan', 'relaxed_order', true), "
                        "set_config('hnsw.max_scan_tuples', $2, true), "
                        "set_config('hnsw.scan_mem_multiplier', '8', true)",
                        std::to_string(std::clamp(effort, kEffortMin, kEffortMax)),
                        std::to_string(std::max(kScanTuplesMin, 2 * question.limit))));
  const auto nearest = "SELECT conversation, row, -(embedding" + inner_product() +
                       "$2::" + pgvector_.type() + ") AS score FROM embeddings WHERE " +
                       graph_condition(company) + " ORDER BY embedding::" + half() +
                       inner_product() + "$2::" + half() + " LIMIT $3";
  SAMTALE_TRY(const auto rows, transaction.query(with_ordinals(nearest), company,
                                                 pgvector_text(question.vector), question.limit));
  return read_found(rows);
}

// With the partition's row in hand, so that what is read is nobody's work in progress: else a
// vector could come back that was deleted meanwhile.
Result<> PostgresVectors::fill(CompanyId company, std::span<const ConversationId> conversations) {
  const auto missing = std::string(kMissing);
  const auto ids = column_of(conversations);
  const Scope scope{.company = company};
  SAMTALE_TRY(const auto any, database_.read(scope, "SELECT 1 " + missing + " LIMIT 1", company,
                                             Bytes{options_.model}, ids));
  if (any.empty()) return {};
  std::size_t count = 0;
  SAMTALE_TRY_VOID(in_transaction(
      database_, scope, postgres::Durability::process, [&](Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(lock_partition(transaction, partition_of(company, options_.partitions)));
        SAMTALE_TRY(const auto rows,
                    transaction.query("SELECT c.conversation, c.row, c.vector " + missing, company,
                                      Bytes{options_.model}, ids));
        auto found = Column::blobs();
        auto numbers = Column::numbers();
        auto models = Column::blobs();
        auto vectors = Column::texts();
        for (std::size_t i = 0; i < rows.size(); ++i) {
          SAMTALE_TRY(const auto vector, vector_from_bytes(rows.bytes(i, 2)));
          found.add(Bytes{rows.bytes(i, 0)});
          numbers.add(rows.integer(i, 1));
          models.add(Bytes{options_.model});
          vectors.add(pgvector_text(vector));
        }
        count = rows.size();
        return transaction.later(put_embeddings_sql(pgvector_.type()), company, found, numbers,
                                 models, vectors);
      }));
  const auto before = filled_.fetch_add(count);
  if (before / kFilledTold != (before + count) / kFilledTold) {
    log_.info("vectors.filled", {{"vectors", std::to_string(before + count)}});
  }
  return {};
}

Result<bool> PostgresVectors::make_graph(CompanyId company) {
  if (options_.dimension > kHalfDimensionMax) return false;
  SAMTALE_TRY(const auto graphs,
              database_.read({},
                             "SELECT c.relname::text, i.indisvalid, EXISTS (SELECT 1 FROM "
                             "pg_stat_progress_create_index AS p WHERE p.index_relid = c.oid) "
                             "FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid "
                             "WHERE c.relnamespace = current_schema()::regnamespace "
                             "AND c.relname LIKE $1",
                             "embeddings\\_near\\_" + std::to_string(number(company)) + "\\_%"));
  for (std::size_t i = 0; i < graphs.size(); ++i) {
    const auto name = std::string(graphs.bytes(i, 0));
    const bool is_ours = name == graph_name(company);
    if (is_ours && graphs.integer(i, 1) != 0) return true;
    if (graphs.integer(i, 2) != 0) return false;  // Somebody is at it.
    // Of another model, or cut short.
    SAMTALE_TRY_VOID(database_.patiently(
        {}, [](int) {},
        [&](Transaction& transaction) {
          return transaction.later("DROP INDEX IF EXISTS " + name);
        }));
  }
  SAMTALE_TRY_VOID(begin_graph(company));
  return false;  // The next call sees whether it is there.
}

// Nobody waits for it: not who writes, for it is made concurrently, which no transaction may hold;
// and not we, for the database goes on without us.
Result<> PostgresVectors::begin_graph(CompanyId company) {
  SAMTALE_TRY(const auto place,
              database_.read({.company = company},
                             "SELECT e.tableoid::regclass::text, pg_has_role(c.relowner, 'USAGE') "
                             "FROM embeddings AS e JOIN pg_class AS c ON c.oid = e.tableoid "
                             "WHERE e.company = $1 LIMIT 1",
                             company));
  if (place.empty()) return {};
  const auto sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS " + graph_name(company) + " ON " +
                   database_.schema() + "." + std::string(place.bytes(0, 0)) +
                   " USING hnsw ((embedding::" + half() + ") " + pgvector_.schema +
                   ".halfvec_ip_ops) WHERE " + graph_condition(company);
  if (place.integer(0, 1) == 0) {
    const std::lock_guard lock(told_mutex_);
    if (told_.insert(company).second) log_.warn("vectors.not_owner", {{"run_as_owner", sql}});
    return {};
  }
  SAMTALE_TRY(auto lease, database_.pool().acquire());
  SAMTALE_TRY_VOID(lease->send(sql));
  const auto made = lease->sync(database_.pool().clock().now() + kGraphWait);
  if (made || !lease->is_usable()) return {};
  return std::unexpected(Error(made.error()).during("make the graph of a large company"));
}

}  // namespace samtale
