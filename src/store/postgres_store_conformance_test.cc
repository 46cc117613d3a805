#include "store/store_batch_conformance.h"
#include "store/store_lm_conformance.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreConformance, PostgresHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreBatchConformance, PostgresHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(PostgresStoreTest, StoreLmConformance, PostgresHarnesses);

}  // namespace
}  // namespace samtale
