#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::SizeIs;

class UsageRoutesTest : public ApiTest {
 protected:
  void spend(CompanyId company, const std::string& analyzer, const std::string& day, Spend spent,
             Spend held = {}) {
    const SpendChange change{
        .analyzer = analyzer, .day = day, .spent = spent, .held = held, .requests = 1};
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
      return writer.add_spend(company, {&change, 1});
    }));
  }
  [[nodiscard]] std::string day(int ago = 0) const {
    return format_time(clock.wall_now() - std::chrono::hours(24) * ago).substr(0, 10);
  }
  // A budget of the answer, by the analyzer (empty: the company's) and period.
  [[nodiscard]] static json::Value budget(const http::Response& answer, std::string_view analyzer,
                                          std::string_view period) {
    const json::Value name = analyzer.empty() ? json::Value() : json::Value(analyzer);
    const auto body = body_of(answer);
    for (const auto& one : *body.find("budgets")->as_array()) {
      if (*one.find("analyzer") == name && *one.find("period") == json::Value(period)) return one;
    }
    return {};
  }
  [[nodiscard]] http::Response usage(const std::string& query = "") {
    return ask("GET", "/v1/analyses/usage" + query, key);
  }

  const std::string key = make_key(acme);
};

TEST_F(UsageRoutesTest, shows_what_each_day_and_analyzer_cost) {
  spend(acme, "intent", day(), {.tokens = 1'200, .micro_usd = 2'500});
  spend(acme, "intent", day(), {.tokens = 300, .micro_usd = 500});
  spend(acme, "summary", day(), {.tokens = 50, .micro_usd = 0});
  spend(globex, "intent", day(), {.tokens = 9'999, .micro_usd = 9'999});

  const auto answer = usage();

  ASSERT_EQ(answer.status, 200) << answer.body;
  const auto body = body_of(answer);
  ASSERT_THAT(*body.find("days")->as_array(), SizeIs(2));
  EXPECT_EQ(body.find("days")->as_array()->front(), json::Value(json::Object{{"day", day()},
                                                                             {"analyzer", "intent"},
                                                                             {"tokens", 1'500},
                                                                             {"usd", 0.003},
                                                                             {"requests", 2}}));
}

TEST_F(UsageRoutesTest, is_of_the_month_unless_days_are_named) {
  spend(acme, "intent", "2020-02-28", {.tokens = 7, .micro_usd = 0});
  spend(acme, "intent", "2020-03-01", {.tokens = 7, .micro_usd = 0});

  const auto month = usage();
  const auto february = usage("?from=2020-02-01&to=2020-02-29");

  EXPECT_EQ(text_at(month, "/from"), day().substr(0, 8) + "01");
  EXPECT_THAT(*body_of(month).find("days")->as_array(), SizeIs(0));
  EXPECT_THAT(*body_of(february).find("days")->as_array(), SizeIs(1));
  EXPECT_EQ(text_at(february, "/to"), "2020-02-29");
}

TEST_F(UsageRoutesTest, refuses_days_that_are_none) {
  for (const auto* query : {"?from=yesterday", "?to=2020-02-30", "?from=2020-1-1",
                            "?from=2020-03-02&to=2020-03-01", "?from=2020-01-01&to=2022-01-01"}) {
    expect_error(usage(query), 422, ErrorCode::invalid_argument);
  }
}

TEST_F(UsageRoutesTest, a_budget_is_spent_once_what_is_held_reaches_it_too) {
  ASSERT_EQ(ask("PUT", "/v1/analyses/settings", key,
                R"({"budget":{"tokens_per_day":1000,"usd_per_day":5}})")
                .status,
            200);
  spend(acme, "intent", day(), {.tokens = 600, .micro_usd = 0});
  EXPECT_EQ(*budget(usage(), "", "day").find("is_spent"), json::Value(false));

  spend(acme, "summary", day(), {}, {.tokens = 400, .micro_usd = 0});

  const auto today = budget(usage(), "", "day");
  EXPECT_EQ(*today.find("limit_tokens"), json::Value(1'000));
  EXPECT_EQ(*today.find("limit_usd"), json::Value(5.0));
  EXPECT_EQ(*today.find("spent_tokens"), json::Value(600));
  EXPECT_EQ(*today.find("held_tokens"), json::Value(400));
  EXPECT_EQ(*today.find("is_spent"), json::Value(true));
  const auto month = budget(usage(), "", "month");
  EXPECT_EQ(month.find("limit_tokens"), nullptr);
  EXPECT_EQ(*month.find("is_spent"), json::Value(false));
}

TEST_F(UsageRoutesTest, says_to_each_company_why_its_analyses_wait) {
  budget_refusals[acme] = {"it is spent"};

  EXPECT_EQ(*body_of(usage()).find("stopped"), json::Value(json::Array{"it is spent"}));
  EXPECT_EQ(*body_of(ask("GET", "/v1/analyses/usage", make_key(globex))).find("stopped"),
            json::Value(json::Array{}));
}

TEST_F(UsageRoutesTest, an_analyzer_with_a_budget_has_its_own) {
  ASSERT_EQ(ask("PUT", "/v1/analyzers/intent", key, R"({"budget":{"usd_per_month":0.01}})").status,
            200);
  spend(acme, "intent", day(), {.tokens = 10, .micro_usd = 10'000});
  spend(acme, "summary", day(), {.tokens = 10, .micro_usd = 10'000});

  const auto answer = usage();

  const auto month = budget(answer, "intent", "month");
  EXPECT_EQ(*month.find("spent_usd"), json::Value(0.01));
  EXPECT_EQ(*month.find("is_spent"), json::Value(true));
  EXPECT_TRUE(budget(answer, "intent", "day").is_null());
  EXPECT_TRUE(budget(answer, "summary", "month").is_null());
  EXPECT_EQ(*budget(answer, "", "month").find("spent_usd"), json::Value(0.02));
}

}  // namespace
}  // namespace samtale
