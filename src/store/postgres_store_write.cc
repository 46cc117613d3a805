// Opening the store, and its writes: one transaction each, whose outcome is always known.
#include <stop_token>

#include "store/postgres_schema.h"
#include "store/postgres_store.h"
#include "store/postgres_vectors.h"
#include "store/postgres_writer.h"

namespace samtale {
namespace {

constexpr std::size_t kPartitionsMax = 64;
constexpr std::size_t kHashPartitionsMax = 256;
constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kTokenBytes = 16;
constexpr std::size_t kLogNameMax = 64;
// Of a write that loses races: it holds its partition's row, so it meets few.
constexpr int kAttempts = 5;
// How long a server that went away in the middle of a commit may take to come back, before the
// caller is told that nobody knows.
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr int kIdsPassedOver = 10'000;
constexpr Duration kBetweenQuestions = std::chrono::milliseconds(200);

struct Found {
  bool known = true;  // False: its place has been taken by a later write.
  std::string token;  // Empty: nothing was written under this number.
};

Result<Found> find_token(postgres::Database& database, Partition partition, std::int64_t number) {
  SAMTALE_TRY(auto transaction, database.begin({}));
  SAMTALE_TRY_VOID(lock_partition(transaction, partition));
  SAMTALE_TRY(
      const auto row,
      transaction.query("SELECT number, token FROM writes WHERE partition = $1 AND slot = $2",
                        partition, PostgresWriter::slot_of(number)));
  if (row.empty() || row.integer(0, 0) < number) return Found();
  if (row.integer(0, 0) > number) return Found{.known = false, .token = ""};
  return Found{.known = true, .token = std::string(row.bytes(0, 1))};
}

}  // namespace

Result<std::unique_ptr<PostgresStore>> PostgresStore::open(const PostgresStoreOptions& options,
                                                           Clock& clock, Random& random) {
  if (options.partitions < 1 || options.partitions > kPartitionsMax ||
      options.hash_partitions < 1 || options.hash_partitions > kHashPartitionsMax) {
    return fail(ErrorCode::invalid_argument,
                "a store has 1 to " + std::to_string(kPartitionsMax) + " partitions, and 1 to " +
                    std::to_string(kHashPartitionsMax) + " hash partitions");
  }
  std::unique_ptr<PostgresStore> store(new PostgresStore(options, clock, random));
  SAMTALE_TRY(store->database_,
              postgres::Database::open(options.database, clock,
                                       postgres_store_schema(options.hash_partitions)));
  if (options.has_pgvector) SAMTALE_TRY_VOID(store->open_pgvector());
  SAMTALE_TRY_VOID(store->read_label());
  SAMTALE_TRY_VOID(store->name_log());
  SAMTALE_TRY(store->queue_,
              PostgresQueue::open(*store->database_, options.partitions, clock, options.queue));
  SAMTALE_TRY_VOID(store->look_back());
  return store;
}

Result<> PostgresStore::open_pgvector() {
  SAMTALE_TRY(const auto pgvector, find_pgvector(*database_));
  SAMTALE_TRY_VOID(options_.database.migrate ? add_embedding_column(*database_, pgvector)
                                             : find_embedding_column(*database_));
  vector_type_ = pgvector.type();
  return {};
}

// What a lost commit had numbered is still in the hands of those who knew of it: a worker has the
// job, a log the events of the company.
Result<> PostgresStore::pass_over_ids() {
  return in_transaction(
      *database_, {}, postgres::Durability::power_loss,
      [](postgres::Transaction& transaction) -> Result<> {
        for (const auto* ids :
             {"'job_ids'", "'chunk_rows'", "pg_get_serial_sequence('companies', 'id')",
              "pg_get_serial_sequence('logs', 'log')"}) {
          SAMTALE_TRY_VOID(transaction.later(std::string("SELECT count(nextval(") + ids +
                                             ")) FROM generate_series(1, " +
                                             std::to_string(kIdsPassedOver) + ")"));
        }
        return {};
      });
}

Result<PostgresLook> PostgresStore::look_back() {
  SAMTALE_TRY(auto look, history_.look(*database_));
  if (look.stats.failovers != failovers_passed_) {
    SAMTALE_TRY_VOID(pass_over_ids());
    failovers_passed_ = look.stats.failovers;
  }
  return look;
}

// The first process labels the store; others that start with it wait for its row.
Result<> PostgresStore::read_label() {
  const auto key = random_.bytes(kKeyBytes);
  std::int64_t partitions = 0;
  SAMTALE_TRY_VOID(in_transaction(
      *database_, {}, postgres::Durability::power_loss,
      [&](postgres::Transaction& transaction) -> Result<> {
        SAMTALE_TRY(const auto made,
                    transaction.run("INSERT INTO store(one, key, partitions) VALUES(true, $1, $2) "
                                    "ON CONFLICT DO NOTHING",
                                    postgres::Bytes{key}, options_.partitions));
        if (made != 0) {
          SAMTALE_TRY_VOID(transaction.later(
              "INSERT INTO partitions(partition) SELECT generate_series(0, $1 - 1)",
              options_.partitions));
        }
        SAMTALE_TRY(const auto row, transaction.query("SELECT key, partitions FROM store"));
        key_ = row.bytes(0, 0);
        partitions = row.integer(0, 1);
        return {};
      }));
  if (partitions == static_cast<std::int64_t>(options_.partitions)) return {};
  return fail(ErrorCode::invalid_argument,
              "schema '" + database_->schema() + "' has a store of " + std::to_string(partitions) +
                  " partitions and the configuration says " + std::to_string(options_.partitions) +
                  "; the number is fixed when the store is made: configure " +
                  std::to_string(partitions));
}

// Its number is the same at each start.
Result<> PostgresStore::name_log() {
  if (options_.log.empty() || options_.log.size() > kLogNameMax) {
    return fail(ErrorCode::invalid_argument,
                "an accept log's name has 1 to " + std::to_string(kLogNameMax) + " characters");
  }
  return in_transaction(
      *database_, {}, postgres::Durability::power_loss,
      [&](postgres::Transaction& transaction) -> Result<> {
        SAMTALE_TRY_VOID(transaction.later(
            "INSERT INTO logs(name) VALUES($1) ON CONFLICT DO NOTHING", options_.log));
        SAMTALE_TRY(const auto row,
                    transaction.query("SELECT log FROM logs WHERE name = $1", options_.log));
        log_ = static_cast<LogId>(row.integer(0, 0));
        return {};
      });
}

Result<> PostgresStore::write(Partition partition,
                              const std::function<Result<>(StoreWriter&)>& work) {
  for (int attempt = 1;; ++attempt) {
    SAMTALE_TRY(auto begun, database_->begin({}));
    std::optional<postgres::Transaction> transaction(std::move(begun));
    PostgresWriter writer(*transaction, *queue_, partition, options_.partitions, log_, clock_,
                          vector_type_);
    const auto token = random_.bytes(kTokenBytes);
    auto done = writer.start();
    if (done) {
      done = history_.begins(partition, writer.write_number(), writer.timeline());
      if (!done) transaction->retire();
    }
    if (done) done = work(writer);
    if (done) done = writer.flush(token);
    if (done) done = transaction->commit();
    const bool is_unknown = !done && transaction->outcome_is_unknown();
    const bool has_lost_race = !done && transaction->has_lost_race();
    transaction.reset();  // Its connection may be the only one, and is needed to ask.
    if (is_unknown) {
      SAMTALE_TRY(const bool is_kept, has_committed(partition, writer.write_number(), token));
      if (is_kept) done = Result<>();
    }
    if (done) {
      writer.committed();
      history_.committed(partition, writer.write_number());
      return {};
    }
    if ((!is_unknown && !has_lost_race) || attempt == kAttempts) return done;
  }
}

// The partition's row tells when the other transaction has ended, for it holds it until then; its
// token, whether it was kept. A transaction's number would not do: after a crash PostgreSQL gives
// out numbers again whose transactions left no trace (docs/adr/0031-postgresql.md).
Result<bool> PostgresStore::has_committed(Partition partition, std::int64_t number,
                                          std::string_view token) const {
  std::string why;
  for (const auto until = clock_.now() + kPatience; clock_.now() < until;
       clock_.sleep_for(kBetweenQuestions, {})) {
    const auto found = find_token(*database_, partition, number);
    if (found) {
      if (!found->known) break;
      return found->token == token;
    }
    why = found.error().message;
  }
  return fail(ErrorCode::unavailable,
              "the connection was lost in a commit, and whether it was kept is not known: " +
                  (why.empty() ? "others have written much since" : why));
}

}  // namespace samtale
