#include "store/store_batch_conformance.h"
#include "store/store_lm_conformance.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreConformance, PostgresHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreBatchConformance, PostgresHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreLmConformance, PostgresHarnesses);
// What writes vectors twice writes all else as before.
INSTANTIATE_TYPED_TEST_SUITE_P(PgvectorStoreTest, StoreConformance, PgvectorHarness<1>);
INSTANTIATE_TYPED_TEST_SUITE_P(PgvectorStoreTest, StoreBatchConformance, PgvectorHarness<1>);

}  // namespace
}  // namespace samtale
