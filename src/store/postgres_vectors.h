// PostgresVectors: vectors compared by PostgreSQL itself, with its extension pgvector.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "postgres/database.h"
#include "store/vector_search.h"
#include "sys/log.h"

namespace samtale {

// The extension, as it is installed in the database.
struct Pgvector {
  std::string schema;  // Quoted, as SQL takes it.

  [[nodiscard]] std::string type() const { return schema + ".vector"; }
};

// Errors: invalid_argument, with the remedy, if it is missing or older than 0.8.0.
[[nodiscard]] Result<Pgvector> find_pgvector(postgres::Database& database);

// The column of table `embeddings` that has the vectors: adds it if it is missing, or only looks
// for it (unavailable, with the remedy).
Result<> add_embedding_column(postgres::Database& database, const Pgvector& pgvector);
Result<> find_embedding_column(postgres::Database& database);
// The first as SQL for psql. May be run any number of times.
[[nodiscard]] std::string embedding_column_sql(const std::string& schema);

// As pgvector reads it; gives back the same bits.
[[nodiscard]] std::string pgvector_text(std::span<const float> vector);
// $1: company, $2 to $5: conversations, rows, models and texts of vectors.
[[nodiscard]] std::string put_embeddings_sql(const std::string& vector_type);

struct PostgresVectorsOptions {
  std::string model;
  std::size_t dimension = 0;
  std::size_t partitions = 4;  // The store's.
};

// `embeddings` has each chunk's vector once more, written in the transaction that stores it. A
// company's are compared one by one, found by the primary key; a large one has an index of its own
// (HNSW, of halves of the numbers' bytes), so that no company waits for another's, and what it
// finds is scored anew by the whole numbers. Units: halfvec, and so a graph, has 4,000 dimensions
// at the most; with more there is none.
class PostgresVectors final : public VectorSearch {
 public:
  // The database of a PostgresStore with pgvector. Both must outlive it. Errors: as find_pgvector.
  [[nodiscard]] static Result<std::unique_ptr<PostgresVectors>> open(
      postgres::Database& database, const PostgresVectorsOptions& options, Log& log);

  [[nodiscard]] Result<std::vector<FoundVector>> scan(
      CompanyId company, const VectorQuestion& question,
      const std::vector<ConversationId>* only) const override;
  [[nodiscard]] Result<std::vector<FoundVector>> walk(CompanyId company,
                                                      const VectorQuestion& question,
                                                      std::size_t effort) const override;
  // Logs how far it is, each 10,000 vectors.
  Result<> fill(CompanyId company, std::span<const ConversationId> conversations) override;
  // Where the user does not own the table, the log says once a company what its owner should run.
  [[nodiscard]] Result<bool> make_graph(CompanyId company) override;

 private:
  PostgresVectors(postgres::Database& database, PostgresVectorsOptions options, Pgvector pgvector,
                  Log& log)
      : database_(database),
        options_(std::move(options)),
        pgvector_(std::move(pgvector)),
        log_(log) {}

  [[nodiscard]] std::string graph_name(CompanyId company) const;
  [[nodiscard]] std::string graph_condition(CompanyId company) const;
  [[nodiscard]] std::string half() const;  // pgvector's type of half-precision vectors.
  [[nodiscard]] std::string inner_product() const;
  Result<> begin_graph(CompanyId company);

  postgres::Database& database_;
  const PostgresVectorsOptions options_;
  const Pgvector pgvector_;
  Log& log_;
  std::atomic<std::size_t> filled_ = 0;
  std::mutex told_mutex_;
  std::set<CompanyId> told_;  // Whose owner has been told to make a graph; guarded by told_mutex_.
};

}  // namespace samtale
