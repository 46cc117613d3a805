#include "store/sqlite_registry.h"

#include <gtest/gtest.h>

#include "sqlite/database.h"
#include "store/registry_conformance.h"
#include "store/schema.h"
#include "store/testing/sqlite_harness.h"

namespace samtale {
namespace {

class SqliteRegistryHarness {
 public:
  std::unique_ptr<SqliteRegistry> open() {
    return SqliteRegistry::open({.folder = folder_.path(), .vfs = ""}).value();
  }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(SqliteRegistryTest, RegistryConformance, SqliteRegistryHarness);

TEST(SqliteRegistryTest, brings_a_file_of_before_language_models_up) {
  SqliteRegistryHarness harness;
  {
    const auto file = sqlite::Database::open(
        {.path = harness.folder() + "/control.db", .vfs = "", .create = true},
        registry_schema().first(1));
    ASSERT_TRUE(file) << file.error().message;
    auto transaction = (*file)->begin().value();
    ASSERT_TRUE(
        transaction.connection().run("INSERT INTO companies VALUES(7, 'acme', 2.0, 0, 0, 3)"));
    ASSERT_TRUE(transaction.commit());
  }

  const auto registry = harness.open();

  EXPECT_EQ(registry->companies()->at(0).name, "acme");
  EXPECT_TRUE(registry->analyzers()->empty());
  EXPECT_TRUE(registry->put_lm_settings({.company = CompanyId{7}, .settings = "{}"}));
}

}  // namespace
}  // namespace samtale
