// Goal:   searches whose vectors PostgreSQL compares answer as others do.
#include "search/search_conformance.h"
#include "sim/memory_log.h"
#include "store/postgres_vectors.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

class PgvectorBackend final : public SearchBackend {
 public:
  static std::unique_ptr<SearchBackend> make() { return std::make_unique<PgvectorBackend>(); }

  Store& store() override { return harness_.store(); }
  std::unique_ptr<IndexSet> make_indexes(const Embedder& embedder,
                                         std::function<void(CompanyId)> on_removed) override {
    vectors_ = PostgresVectors::open(harness_.store().database(),
                                     {.model = embedder.model_id(),
                                      .dimension = embedder.dimension(),
                                      .partitions = harness_.store().partitions()},
                                     log_)
                   .value();
    return std::make_unique<IndexSet>(embedder.model_id(), embedder.dimension(), IndexOptions(),
                                      *vectors_, std::move(on_removed));
  }

 private:
  MemoryLog log_;
  PgvectorHarness<1> harness_;
  std::unique_ptr<PostgresVectors> vectors_;
};

INSTANTIATE_TEST_SUITE_P(Pgvector, SearchConformance, testing::Values(PgvectorBackend::make));

}  // namespace
}  // namespace samtale
