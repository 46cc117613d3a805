#include "store/postgres_partitions.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "queue/postgres_queue.h"
#include "store/store.h"

namespace samtale {
namespace {

using postgres::Durability;
using postgres::Transaction;

constexpr const char* kTables[] = {"conversations", "chunks",          "events",     "tombstones",
                                   "analyses",      "analysis_labels", "lm_results", "embeddings"};

// A batch of copying holds its partition's row, so that writers wait for it: it grows and shrinks
// to take about so long.
constexpr Duration kBatchTime = std::chrono::milliseconds(100);
constexpr std::int64_t kBatchRowsMin = 16;
constexpr std::int64_t kBatchRowsMax = 4096;

struct KeyColumn {
  std::string name;
  std::string type;
};

std::string text(std::int64_t value) { return std::to_string(value); }

// One table, one company, one way. The steps in their order.
class TableMove {
 public:
  TableMove(postgres::Database& database, Clock& clock, const char* table, CompanyId company,
            bool to_its_own)
      : database_(database),
        clock_(clock),
        table_(table),
        company_(text(number(company))),
        company_id_(company),
        to_its_own_(to_its_own),
        shared_(table_ + "_shared"),
        own_(table_ + "_of_" + company_),
        excluded_("not_of_" + company_) {}

  Result<> look();
  [[nodiscard]] bool is_done() const { return has_own_ == to_its_own_; }
  Result<> prepare();
  Result<std::int64_t> copy();
  Result<> make_ready();
  Result<Duration> exchange();
  Result<> clear_away();

 private:
  // In a transaction of its own, which gives way to others.
  Result<> change(const std::function<Result<>(Transaction&)>& work) {
    return database_.patiently(
        {}, [](int) {}, work);
  }
  Result<> drop_leftovers(Transaction& transaction);
  Result<> drop_graphs(Transaction& transaction, const std::string& name);
  Result<> make_table(Transaction& transaction, const std::string& name, const std::string& check);
  [[nodiscard]] std::string mirror_function() const;
  [[nodiscard]] std::string in_hash() const {
    return "satisfies_hash_partition(" + text(shared_oid_) + "::oid, " + text(modulus_) + ", " +
           text(remainder_) + ", company)";
  }
  [[nodiscard]] std::string leaf(std::int64_t remainder) const {
    return table_ + "_" + text(remainder);
  }
  [[nodiscard]] std::string key_names() const;
  Result<std::int64_t> copy_company(CompanyId company, std::size_t partitions);
  [[nodiscard]] std::string batch_sql(const std::string& target, bool is_first) const;

  postgres::Database& database_;
  Clock& clock_;
  const std::string table_;
  const std::string company_;
  const CompanyId company_id_;
  const bool to_its_own_;
  const std::string shared_;
  const std::string own_;
  const std::string excluded_;  // The constraint that no row is the company's.

  bool has_own_ = false;
  std::int64_t shared_oid_ = 0;
  std::int64_t modulus_ = 0;
  std::int64_t remainder_ = 0;  // Of the shared partition that the company belongs to.
  std::vector<KeyColumn> key_;  // After the company.
  std::string owner_;
  // Named anew each time: who was cut short cannot exchange what somebody else has begun.
  std::string new_shared_;
  std::string new_own_;
  std::string old_;
  std::string mirror_;
  std::int64_t batch_rows_ = kBatchRowsMin;
};

Result<> TableMove::look() {
  SAMTALE_TRY(const auto found,
              database_.read({},
                             "SELECT $1::regclass::oid::bigint, "
                             "(SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass), "
                             "EXISTS(SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass($2)), "
                             "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint, "
                             "(SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class "
                             "WHERE oid = $1::regclass)",
                             shared_, own_));
  shared_oid_ = found.integer(0, 0);
  modulus_ = found.integer(0, 1);
  has_own_ = found.integer(0, 2) != 0;
  const auto now = text(found.integer(0, 3));
  owner_ = found.bytes(0, 4);
  new_shared_ = table_ + "_new_" + now + "_shared";
  new_own_ = table_ + "_new_" + now + "_own";
  old_ = table_ + "_old_" + now;
  mirror_ = table_ + "_mirror_" + now;
  SAMTALE_TRY(
      const auto place,
      database_.read({}, "SELECT r::bigint FROM generate_series(0, " + text(modulus_ - 1) +
                             ") AS r WHERE satisfies_hash_partition(" + text(shared_oid_) +
                             "::oid, " + text(modulus_) + ", r, " + company_ + "::bigint)"));
  if (place.size() != 1) return fail(ErrorCode::corrupt, shared_ + " has no place for the company");
  remainder_ = place.integer(0, 0);
  SAMTALE_TRY(const auto key,
              database_.read({},
                             "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) "
                             "FROM pg_index AS i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k "
                             "JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.k "
                             "WHERE i.indrelid = $1::regclass AND i.indisprimary "
                             "AND a.attname <> 'company' ORDER BY k.ordinality",
                             table_));
  for (std::size_t i = 0; i < key.size(); ++i) {
    key_.push_back({std::string(key.bytes(i, 0)), std::string(key.bytes(i, 1))});
  }
  return {};
}

Result<> TableMove::drop_leftovers(Transaction& transaction) {
  const auto drop_each = [&](const std::string& catalogue, const std::string& like,
                             const std::string& drop, const std::string& end) -> Result<> {
    SAMTALE_TRY(const auto names, transaction.query(catalogue + " LIKE $1", table_ + like));
    for (std::size_t i = 0; i < names.size(); ++i) {
      SAMTALE_TRY_VOID(transaction.later(drop + std::string(names.bytes(i, 0)) + end));
    }
    return {};
  };
  SAMTALE_TRY_VOID(drop_each(
      "SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
      "AND proname",
      R"(\_mirror\_%)", "DROP FUNCTION ", "() CASCADE"));
  const std::string tables =
      "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
      "AND relkind = 'r' AND relname";
  SAMTALE_TRY_VOID(drop_each(tables, R"(\_new\_%)", "DROP TABLE ", ""));
  SAMTALE_TRY_VOID(drop_each(tables, R"(\_old\_%)", "DROP TABLE ", ""));
  return transaction.later("DROP POLICY IF EXISTS of_move ON " + leaf(remainder_));
}

// Searches have them made again, at once; row by row it takes much longer.
Result<> TableMove::drop_graphs(Transaction& transaction, const std::string& name) {
  SAMTALE_TRY(const auto graphs,
              transaction.query("SELECT indexrelid::regclass::text FROM pg_index "
                                "WHERE indrelid = to_regclass($1) AND indpred IS NOT NULL",
                                name));
  for (std::size_t i = 0; i < graphs.size(); ++i) {
    SAMTALE_TRY_VOID(transaction.later("DROP INDEX " + std::string(graphs.bytes(i, 0))));
  }
  return {};
}

// As the partition that it is to replace. It gets a policy of its own until it is a partition.
Result<> TableMove::make_table(Transaction& transaction, const std::string& name,
                               const std::string& check) {
  SAMTALE_TRY_VOID(
      transaction.later("CREATE TABLE " + name + "(LIKE " + leaf(remainder_) + " INCLUDING ALL)"));
  SAMTALE_TRY_VOID(transaction.later("ALTER TABLE " + name + " DROP CONSTRAINT IF EXISTS " +
                                     excluded_ + ", ADD CONSTRAINT in_place CHECK (" + check +
                                     ")"));
  SAMTALE_TRY_VOID(drop_graphs(transaction, name));
  SAMTALE_TRY_VOID(transaction.later("ALTER TABLE " + name +
                                     " ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"));
  SAMTALE_TRY_VOID(transaction.later("ALTER TABLE " + name + " ALTER company SET STATISTICS 0"));
  // Who migrates later changes the table with all its partitions.
  SAMTALE_TRY_VOID(transaction.later("ALTER TABLE " + name + " OWNER TO " + owner_));
  return transaction.later(
      "CREATE POLICY of_company ON " + name +
      " USING (company = nullif(current_setting('samtale.company', true), '')::bigint)");
}

// Who writes does so in the name of a company; the function may write for who may not.
std::string TableMove::mirror_function() const {
  const auto into = [this](const std::string& target) {
    std::string same = "t.company = OLD.company";
    for (const auto& column : key_) same += " AND t." + column.name + " = OLD." + column.name;
    return "IF TG_OP <> 'INSERT' THEN DELETE FROM " + target + " AS t WHERE " + same +
           "; END IF; IF TG_OP <> 'DELETE' THEN INSERT INTO " + target +
           " VALUES (NEW.*); END IF; ";
  };
  const auto both = "IF coalesce(NEW.company, OLD.company) = " + company_ + " THEN " +
                    into(new_own_) + "ELSE " + into(new_shared_) + "END IF; ";
  return "CREATE FUNCTION " + mirror_ +
         "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$"
         "BEGIN " +
         (to_its_own_ ? both : into(new_shared_)) + "RETURN NULL; END$$";
}

Result<> TableMove::prepare() {
  return change([&](Transaction& transaction) -> Result<> {
    SAMTALE_TRY_VOID(drop_leftovers(transaction));
    SAMTALE_TRY_VOID(make_table(transaction, new_shared_, in_hash()));
    if (to_its_own_) {
      SAMTALE_TRY_VOID(transaction.later("ALTER TABLE " + new_shared_ + " ADD CONSTRAINT " +
                                         excluded_ + " CHECK (company <> " + company_ + ")"));
      SAMTALE_TRY_VOID(make_table(transaction, new_own_, "company = " + company_));
    }
    SAMTALE_TRY_VOID(transaction.later(mirror_function()));
    for (const auto& source : {leaf(remainder_), own_}) {
      if (source == own_ && to_its_own_) break;
      SAMTALE_TRY_VOID(
          transaction.later("CREATE TRIGGER mirror AFTER INSERT OR UPDATE OR DELETE ON " + source +
                            " FOR EACH ROW EXECUTE FUNCTION " + mirror_ + "()"));
    }
    // Which companies are there. No server reads a partition by its own name.
    return transaction.later("CREATE POLICY of_move ON " + leaf(remainder_) +
                             " FOR SELECT USING (current_setting('samtale.move', true) = 'on')");
  });
}

std::string TableMove::key_names() const {
  std::string names;
  for (const auto& column : key_) names += (names.empty() ? "" : ", ") + column.name;
  return names;
}

// What the mirror has put there is newer. The answer: how many, and the last key as a JSON array,
// which $3 is for the next.
std::string TableMove::batch_sql(const std::string& target, bool is_first) const {
  std::string after;
  std::string last;
  std::string backwards;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    const auto comma = i == 0 ? "" : ", ";
    after += comma + ("($3::text::json->>" + std::to_string(i) + ")::") + key_[i].type;
    last += comma + key_[i].name + "::text";
    backwards += comma + key_[i].name + " DESC";
  }
  const auto bound = is_first ? "$3 = ''" : "(" + key_names() + ") > (" + after + ")";
  return "WITH batch AS MATERIALIZED (SELECT * FROM " + table_ + " WHERE company = $1 AND " +
         bound + " ORDER BY " + key_names() + " LIMIT $2), put AS (INSERT INTO " + target +
         " SELECT * FROM batch ON CONFLICT DO NOTHING) SELECT (SELECT count(*) FROM batch), "
         "json_build_array(" +
         last + ")::text FROM batch ORDER BY " + backwards + " LIMIT 1";
}

Result<std::int64_t> TableMove::copy_company(CompanyId company, std::size_t partitions) {
  const auto& target = to_its_own_ && company == company_id_ ? new_own_ : new_shared_;
  std::string last;
  std::int64_t copied = 0;
  while (true) {
    const auto limit = batch_rows_;
    // What is lost in a crash of the database is lost with this process's connection.
    SAMTALE_TRY(auto transaction, database_.begin({.company = company}, Durability::process));
    SAMTALE_TRY_VOID(lock_partition(transaction, partition_of(company, partitions)));
    SAMTALE_TRY_VOID(transaction.run("SELECT"));  // Until it is our turn, nobody waits for us.
    const auto begin = clock_.now();
    SAMTALE_TRY(const auto rows,
                transaction.query(batch_sql(target, last.empty()), company, limit, last));
    SAMTALE_TRY_VOID(transaction.commit());
    const auto count = rows.empty() ? 0 : rows.integer(0, 0);
    copied += count;
    if (count < limit) return copied;
    last = rows.bytes(0, 1);
    const bool is_quick = clock_.now() - begin < kBatchTime;
    batch_rows_ = std::clamp(is_quick ? limit * 2 : limit / 2, kBatchRowsMin, kBatchRowsMax);
  }
}

// Company by company: each write is of one, and holds its partition's row, so that what is copied
// with that row in hand is nobody's work in progress.
Result<std::int64_t> TableMove::copy() {
  SAMTALE_TRY(const auto store, database_.read({}, "SELECT partitions FROM store"));
  const auto partitions = static_cast<std::size_t>(store.integer(0, 0));
  std::vector<CompanyId> companies{company_id_};
  {
    SAMTALE_TRY(auto transaction, database_.begin({}));
    SAMTALE_TRY_VOID(transaction.later("SELECT set_config('samtale.move', 'on', true)"));
    const auto from = leaf(remainder_);
    // One step along the primary key a company.
    SAMTALE_TRY(const auto rows,
                transaction.query("WITH RECURSIVE found AS (SELECT min(company) AS company FROM " +
                                  from + " UNION ALL SELECT (SELECT min(company) FROM " + from +
                                  " AS later WHERE later.company > found.company) FROM found "
                                  "WHERE company IS NOT NULL) SELECT company FROM found "
                                  "WHERE company IS NOT NULL AND company <> " +
                                  company_));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      companies.push_back(static_cast<CompanyId>(rows.integer(i, 0)));
    }
  }
  std::int64_t copied = 0;
  for (const auto company : companies) {
    SAMTALE_TRY(const auto rows, copy_company(company, partitions));
    copied += rows;
  }
  return copied;
}

// So that the exchange reads no row: PostgreSQL believes constraints that it has checked before.
Result<> TableMove::make_ready() {
  SAMTALE_TRY_VOID(change([&](Transaction& transaction) -> Result<> {
    if (to_its_own_) SAMTALE_TRY_VOID(transaction.later("ANALYZE " + new_own_));
    return transaction.later("ANALYZE " + new_shared_);
  }));
  if (!to_its_own_) return {};
  for (std::int64_t i = 0; i < modulus_; ++i) {
    if (i == remainder_) continue;
    SAMTALE_TRY_VOID(change([&](Transaction& transaction) -> Result<> {
      SAMTALE_TRY_VOID(
          transaction.later("ALTER TABLE " + leaf(i) + " DROP CONSTRAINT IF EXISTS " + excluded_));
      return transaction.later("ALTER TABLE " + leaf(i) + " ADD CONSTRAINT " + excluded_ +
                               " CHECK (company <> " + company_ + ") NOT VALID");
    }));
    // Reads all of it, in nobody's way.
    SAMTALE_TRY_VOID(change([&](Transaction& transaction) {
      return transaction.later("ALTER TABLE " + leaf(i) + " VALIDATE CONSTRAINT " + excluded_);
    }));
  }
  return {};
}

// Everybody comes through the table, so one lock keeps all away.
Result<Duration> TableMove::exchange() {
  Instant begin{};
  const auto from = leaf(remainder_);
  SAMTALE_TRY_VOID(change([&](Transaction& transaction) -> Result<> {
    begin = clock_.now();
    SAMTALE_TRY_VOID(transaction.run("LOCK TABLE " + table_ + " IN ACCESS EXCLUSIVE MODE"));
    std::vector<std::string> statements = {"ALTER TABLE " + shared_ + " DETACH PARTITION " + from,
                                           "ALTER TABLE " + from + " RENAME TO " + old_,
                                           "ALTER TABLE " + new_shared_ + " RENAME TO " + from,
                                           "DROP POLICY of_company ON " + from};
    const auto attach_shared = "ALTER TABLE " + shared_ + " ATTACH PARTITION " + from +
                               " FOR VALUES WITH (MODULUS " + text(modulus_) + ", REMAINDER " +
                               text(remainder_) + ")";
    if (to_its_own_) {
      statements.insert(statements.end(),
                        {attach_shared, "ALTER TABLE " + new_own_ + " RENAME TO " + own_,
                         "DROP POLICY of_company ON " + own_,
                         "ALTER TABLE " + table_ + " ATTACH PARTITION " + own_ +
                             " FOR VALUES IN (" + company_ + ")",
                         "ALTER TABLE " + own_ + " DROP CONSTRAINT in_place"});
    } else {
      statements.insert(statements.end(),
                        {"ALTER TABLE " + table_ + " DETACH PARTITION " + own_,
                         "ALTER TABLE " + own_ + " RENAME TO " + old_ + "_own", attach_shared});
    }
    statements.push_back("ALTER TABLE " + from + " DROP CONSTRAINT in_place");
    for (const auto& statement : statements) SAMTALE_TRY_VOID(transaction.later(statement));
    return {};
  }));
  return clock_.now() - begin;
}

Result<> TableMove::clear_away() {
  SAMTALE_TRY_VOID(change([&](Transaction& transaction) { return drop_leftovers(transaction); }));
  if (to_its_own_) return {};
  for (std::int64_t i = 0; i < modulus_; ++i) {
    SAMTALE_TRY_VOID(change([&](Transaction& transaction) {
      return transaction.later("ALTER TABLE " + leaf(i) + " DROP CONSTRAINT IF EXISTS " +
                               excluded_);
    }));
  }
  return {};
}

}  // namespace

Result<std::vector<PartitionMove>> PostgresPartitions::move_all(CompanyId company,
                                                                bool to_its_own) {
  std::vector<PartitionMove> moves;
  for (const auto* table : kTables) {
    TableMove move(database_, clock_, table, company, to_its_own);
    SAMTALE_TRY_VOID(move.look());
    if (move.is_done()) {
      SAMTALE_TRY_VOID(move.clear_away());
      continue;
    }
    const auto begin = clock_.now();
    tell_(std::string(table) + ": copying");
    SAMTALE_TRY_VOID(move.prepare());
    SAMTALE_TRY(const auto rows, move.copy());
    SAMTALE_TRY_VOID(move.make_ready());
    const auto copying = clock_.now() - begin;
    SAMTALE_TRY(const auto exchange, move.exchange());
    SAMTALE_TRY_VOID(move.clear_away());
    moves.push_back({.table = table, .rows = rows, .copying = copying, .exchange = exchange});
  }
  return moves;
}

Result<std::vector<PartitionMove>> PostgresPartitions::promote(CompanyId company) {
  return move_all(company, true);
}

Result<std::vector<PartitionMove>> PostgresPartitions::demote(CompanyId company) {
  return move_all(company, false);
}

}  // namespace samtale
