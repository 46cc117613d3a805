#include "analyze/catalog.h"

#include "analyze/testing/analyze_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CatalogTest : public AnalyzeTest {
 protected:
  const Analyzer* find(const Analyzers& analyzers, std::string_view name) {
    for (const auto& one : analyzers) {
      if (one.name == name) return &one;
    }
    return nullptr;
  }
  void reopen() {
    catalog = std::make_unique<AnalyzerCatalog>(*registry, clock, defaults);
    ASSERT_TRUE(catalog->load());
  }
  AnalysisSettings defaults;
};

TEST_F(CatalogTest, has_the_shipped_ones_for_a_company_that_says_nothing) {
  const auto analyzers = catalog->of(kAcme);

  EXPECT_THAT(*analyzers, SizeIs(shipped_analyzers().size()));
  EXPECT_TRUE(find(*analyzers, "summary")->is_shipped);
}

TEST_F(CatalogTest, makes_a_version_of_each_change_and_none_of_what_says_the_same) {
  const auto first = catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["a"]})"));
  const auto same = catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["a"]})"));
  const auto second = catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["a","b"]})"));

  EXPECT_EQ(first->version, 2);  // The shipped one is 1: results tell by it what made them.
  EXPECT_EQ(same->version, 2);
  EXPECT_EQ(second->version, 3);
  reopen();
  EXPECT_THAT(find(*catalog->of(kAcme), "topics")->taxonomy, ElementsAre("a", "b"));
  EXPECT_THAT(catalog->versions(kAcme, "topics"), SizeIs(2));
  EXPECT_TRUE(find(*catalog->of(kOther), "topics")->is_shipped);
}

TEST_F(CatalogTest, sees_what_another_process_has_changed_and_goes_on_from_there) {
  AnalyzerCatalog other(*registry, clock, defaults);
  ASSERT_TRUE(other.load());
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["a"]})")));

  ASSERT_TRUE(other.refresh());
  EXPECT_THAT(find(*other.of(kAcme), "topics")->taxonomy, ElementsAre("a"));
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["b"]})")));
  EXPECT_EQ(other.put(kAcme, parsed(R"({"name":"topics","taxonomy":["c"]})"))->version, 4);
}

TEST_F(CatalogTest, goes_back_to_the_shipped_one_and_never_gives_a_version_twice) {
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"topics","taxonomy":["a"]})")));
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"mood","kind":"sentiment"})")));

  ASSERT_TRUE(catalog->remove(kAcme, "topics"));
  ASSERT_TRUE(catalog->remove(kAcme, "mood"));

  reopen();
  EXPECT_TRUE(find(*catalog->of(kAcme), "topics")->is_shipped);
  EXPECT_EQ(find(*catalog->of(kAcme), "mood"), nullptr);
  EXPECT_EQ(catalog->put(kAcme, parsed(R"({"name":"mood","kind":"sentiment"})"))->version, 2);
  reopen();
  EXPECT_NE(find(*catalog->of(kAcme), "mood"), nullptr);
  EXPECT_EQ(catalog->remove(kOther, "mood").error().code, ErrorCode::not_found);
  EXPECT_THAT(catalog->remove(kAcme, "summary").error().message, HasSubstr("inactive"));
}

TEST_F(CatalogTest, refuses_one_analyzer_too_many) {
  const auto room = AnalyzerLimits::kPerCompany - shipped_analyzers().size();
  for (std::size_t i = 0; i < room; ++i) {
    auto analyzer = parsed(R"({"name":"mood","kind":"sentiment"})");
    analyzer.name += std::to_string(i);
    ASSERT_TRUE(catalog->put(kAcme, analyzer));
  }

  EXPECT_EQ(catalog->put(kAcme, parsed(R"({"name":"x","kind":"sentiment"})")).error().code,
            ErrorCode::resource_exhausted);
  EXPECT_TRUE(catalog->put(kAcme, parsed(R"({"name":"mood1","kind":"topics"})")));
}

TEST_F(CatalogTest, takes_the_tighter_of_a_companys_budget_and_the_servers) {
  defaults.budget.tokens_per_day = 1'000;
  reopen();
  ASSERT_TRUE(catalog->put_settings(
      kAcme, *parse_settings(*json::parse(
                 R"({"budget":{"tokens_per_day":5000,"usd_per_month":1.5},"mask_pii":true})"))));
  ASSERT_TRUE(catalog->put(
      kAcme, parsed(R"({"name":"mood","kind":"sentiment","budget":{"tokens_per_month":7}})")));
  reopen();

  EXPECT_EQ(catalog->of_company(kAcme).tokens_per_day, 1'000);
  EXPECT_EQ(catalog->of_company(kAcme).micro_usd_per_month, 1'500'000);
  EXPECT_EQ(catalog->of_company(kOther).tokens_per_day, 1'000);
  EXPECT_EQ(catalog->of_company(kOther).micro_usd_per_month, std::nullopt);
  EXPECT_EQ(catalog->of_analyzer(kAcme, "mood").tokens_per_month, 7);
  EXPECT_EQ(catalog->of_analyzer(kOther, "mood").tokens_per_month, std::nullopt);
  EXPECT_TRUE(catalog->settings(kAcme).mask_pii);
  EXPECT_FALSE(catalog->settings(kOther).mask_pii);
}

TEST_F(CatalogTest, knows_whose_analyzers_have_a_schedule) {
  EXPECT_THAT(catalog->scheduled(), IsEmpty());
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"weekly","kind":"topics",
                                             "trigger":{"on":"schedule","every_s":604800}})")));

  ASSERT_THAT(catalog->scheduled(), SizeIs(1));
  EXPECT_EQ(catalog->scheduled()[0].second.name, "weekly");
}

}  // namespace
}  // namespace samtale
