// Goal: nothing costs money that nobody agreed to, and a back-fill goes on whoever watches it.
#include <csignal>

#include "cli/testing/cli_test.h"

namespace samtale {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A server with one back-fill, which comes on by two of its six conversations each time one looks.
// Of others it sees that they are none of its.
class AnalysesCliTest : public CliTest {
 protected:
  AnalysesCliTest() {
    answer_ = [this](const http::Request& request) { return answer_backfill(request); };
  }

  http::Response answer_backfill(const http::Request& request) {
    http::Response response;
    if (request.body.find("estimate_only") != std::string::npos) {
      response.body = R"({"estimate":)" + estimate_ + "}";
      return response;
    }
    if (request.method == "GET") {
      if (on_look_) on_look_();
      asked_ = std::min(asked_ + 2, 6);
    }
    const bool is_done = asked_ == 6;
    const auto state = state_.empty() ? (is_done ? "done" : "running") : state_;
    response.status = request.method == "GET" ? 200 : 201;
    response.body = R"({"id":"bf_1","state":")" + state + R"(","total":6,"seen":)" +
                    std::to_string(2 * asked_) + R"(,"asked":)" + std::to_string(asked_) +
                    R"(,"waiting":0})";
    return response;
  }
  int backfill(std::vector<std::string> words = {}) {
    words.insert(words.begin(), {"analyze", "--backfill", "--company", "acme"});
    return run_words(words);
  }
  // Paths and bodies of what changes something or costs something.
  [[nodiscard]] std::vector<std::string> posts() const {
    std::vector<std::string> posts;
    for (const auto& request : requests_) {
      if (request.method != "GET") posts.push_back(request.target + " " + request.body);
    }
    return posts;
  }

  std::string estimate_ =
      R"({"conversations":6,"analyses":24,"input_tokens":125000,"output_tokens":4800,"usd":1.239})";
  std::string state_;  // If not empty, whatever was done.
  std::function<void()> on_look_;
  int asked_ = 0;
};

TEST_F(AnalysesCliTest, an_estimate_is_shown_and_starts_nothing) {
  const int status = backfill({"--estimate", "--analyzer", "intent", "--channel", "chat"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_EQ(out_.str(),
            "6 conversations, 24 analyses by a language model: at most 125.0 thousand tokens in "
            "and 4800 out, $1.24\n");
  EXPECT_THAT(posts(), ElementsAre("/v1/backfills "
                                   R"({"analyzers":["intent"],"channel":"chat",)"
                                   R"("estimate_only":true})"));
}

TEST_F(AnalysesCliTest, what_costs_is_not_started_where_nobody_can_be_asked) {
  const int refused = backfill();
  EXPECT_EQ(refused, 2);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("$1.24"), HasSubstr("give --yes")));
  EXPECT_EQ(posts().size(), 1U);

  const int told = backfill({"--yes"});

  EXPECT_EQ(told, 0) << err_.str();
  EXPECT_EQ(posts().back(), "/v1/backfills {}");
}

TEST_F(AnalysesCliTest, what_costs_nothing_needs_nobody) {
  estimate_ = R"({"conversations":6,"analyses":0,"input_tokens":0,"output_tokens":0,"usd":0})";

  EXPECT_EQ(backfill(), 0) << err_.str();

  EXPECT_EQ(posts().back(), "/v1/backfills {}");
}

TEST_F(AnalysesCliTest, tokens_of_a_model_without_a_price_cost_too) {
  estimate_ = R"({"conversations":6,"analyses":24,"input_tokens":9,"output_tokens":9,"usd":0})";

  EXPECT_EQ(backfill(), 2);

  EXPECT_EQ(posts().size(), 1U);
  EXPECT_THAT(err_.str(), HasSubstr("lm.input_usd"));
}

TEST_F(AnalysesCliTest, on_a_terminal_one_is_asked_with_the_price) {
  hooks_.err_is_terminal = true;
  in_.str("n\n");
  EXPECT_EQ(backfill(), 1);
  EXPECT_THAT(err_.str(), AllOf(HasSubstr("$1.24"), HasSubstr("[y/N]")));
  EXPECT_EQ(posts().size(), 1U);

  in_.clear();
  in_.str("y\n");
  EXPECT_EQ(backfill(), 0);

  EXPECT_EQ(posts().back(), "/v1/backfills {}");
}

TEST_F(AnalysesCliTest, it_is_watched_until_it_is_done) {
  hooks_.err_is_terminal = true;

  const int status = backfill({"--yes"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_EQ(requests_.back().target, "/v1/backfills/bf_1");
  EXPECT_EQ(clock_.sleeps, 3);
  EXPECT_THAT(err_.str(),
              AllOf(HasSubstr("[##########....................] 33 %"), HasSubstr("100 %")));
  EXPECT_EQ(out_.str(), "back-fill bf_1 is done: 6 conversations were asked for\n");
}

TEST_F(AnalysesCliTest, interrupted_it_goes_on_and_says_how_to_find_it) {
  on_look_ = [this] {
    if (asked_ == 2) (void)std::raise(SIGINT);
  };

  const int status = backfill({"--yes"});

  EXPECT_EQ(status, 1);
  EXPECT_EQ(asked_, 4);
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("goes on"), HasSubstr("samtale backfill show bf_1"),
                                HasSubstr("samtale backfill cancel bf_1")));
  EXPECT_THAT(posts(), Not(testing::Contains(HasSubstr("cancel"))));
}

TEST_F(AnalysesCliTest, one_that_somebody_paused_says_how_to_go_on) {
  on_look_ = [this] { state_ = "paused"; };

  EXPECT_EQ(backfill({"--yes"}), 1);

  EXPECT_THAT(out_.str(), HasSubstr("samtale backfill resume bf_1"));
}

TEST_F(AnalysesCliTest, it_can_be_left_to_itself) {
  const int status = backfill({"--yes", "--no-wait", "--json"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_EQ(clock_.sleeps, 0);
  EXPECT_EQ(*json::parse(out_.str())->find("state"), json::Value("running"));
}

TEST_F(AnalysesCliTest, nothing_to_do_is_said_and_not_started) {
  estimate_ = R"({"conversations":0,"analyses":0,"usd":0})";

  EXPECT_EQ(backfill({"--yes"}), 1);

  EXPECT_EQ(posts().size(), 1U);
  EXPECT_THAT(err_.str(), HasSubstr("no conversation"));
}

TEST_F(AnalysesCliTest, one_conversation_is_asked_for_by_the_id_of_its_source) {
  answer_ = [](const http::Request& request) {
    http::Response response;
    response.body = request.method == "GET" ? R"({"conversations":[{"id":"cnv_7"}]})"
                                            : R"({"queued":["intent","quality"]})";
    return response;
  };

  const int status = run_words(
      {"analyze", "order 1", "--analyzer", "intent", "--analyzer", "quality", "--company", "acme"});

  EXPECT_EQ(status, 0) << err_.str();
  EXPECT_THAT(posts(), ElementsAre("/v1/conversations/cnv_7/analyses "
                                   R"({"analyzers":["intent","quality"]})"));
  EXPECT_THAT(out_.str(), HasSubstr("asked for intent, quality"));
}

TEST_F(AnalysesCliTest, one_or_all_must_be_said) {
  EXPECT_EQ(run_words({"analyze", "--company", "acme"}), 2);
  EXPECT_EQ(run_words({"analyze", "cnv_1", "--backfill", "--company", "acme"}), 2);
  EXPECT_EQ(run_words({"analyze", "cnv_1", "--from", "2026-01-01", "--company", "acme"}), 2);

  EXPECT_THAT(requests_, IsEmpty());
}

TEST_F(AnalysesCliTest, a_backfill_is_paused_resumed_and_cancelled_by_its_id) {
  for (const std::string action : {"pause", "resume", "cancel"}) {
    EXPECT_EQ(run_words({"backfill", action, "bf_1", "--company", "acme"}), 0) << err_.str();
    EXPECT_EQ(posts().back(), "/v1/backfills/bf_1/" + action + " {}");
  }
  EXPECT_THAT(out_.str(), HasSubstr("asked     0 of 6 conversations; 0 were looked at\n"));
}

TEST_F(AnalysesCliTest, an_analyzer_is_put_under_the_name_in_its_file) {
  say(200, R"({"name":"intent","version":3})");
  const auto path = write("intent.json", R"({"name":"intent","taxonomy":["cancel order"]})");
  in_.str(R"({"name":"../keys","kind":"topics"})");

  EXPECT_EQ(run_words({"analyzer", "put", path, "--company", "acme"}), 0) << err_.str();
  EXPECT_EQ(run_words({"analyzer", "put", "-", "--company", "acme"}), 0) << err_.str();

  EXPECT_EQ(requests_[0].method, "PUT");
  EXPECT_THAT(posts(),
              ElementsAre(R"(/v1/analyzers/intent {"name":"intent","taxonomy":["cancel order"]})",
                          R"(/v1/analyzers/..%2Fkeys {"name":"../keys","kind":"topics"})"));
  EXPECT_THAT(out_.str(), HasSubstr("analyzer intent is at version 3; over history: "
                                    "samtale analyze --backfill --analyzer intent\n"));
}

TEST_F(AnalysesCliTest, a_definition_that_is_none_is_refused_here) {
  EXPECT_EQ(run_words({"analyzer", "put", write("a", "{"), "--company", "acme"}), 1);
  EXPECT_EQ(run_words({"analyzer", "put", write("b", "{}"), "--company", "acme"}), 1);
  EXPECT_EQ(run_words({"analyzer", "put", write("c", "[1]"), "--company", "acme"}), 1);
  EXPECT_EQ(run_words({"analyzer", "put", "/nowhere/x.json", "--company", "acme"}), 1);

  EXPECT_THAT(requests_, IsEmpty());
  EXPECT_THAT(err_.str(), HasSubstr("\"name\" is missing"));
}

TEST_F(AnalysesCliTest, a_shown_analyzer_can_be_put_again) {
  say(200, R"({"name":"intent","kind":"intent","version":2,"shipped":false,"by":"lm",
               "versions":[{"name":"intent"}]})");

  EXPECT_EQ(run_words({"analyzer", "show", "intent", "--company", "acme"}), 0);

  EXPECT_EQ(out_.str(), "{\n  \"name\": \"intent\",\n  \"kind\": \"intent\"\n}\n");
}

TEST_F(AnalysesCliTest, analyzers_are_listed_with_what_makes_them) {
  say(200, R"({"analyzers":[{"name":"intent","kind":"intent","version":1,"by":null,
               "trigger":{"on":"ended"},"priority":"normal","active":true}]})");

  EXPECT_EQ(run_words({"analyzer", "list", "--company", "acme"}), 0);

  EXPECT_EQ(out_.str(),
            "NAME    KIND    VERSION  BY  WHEN   PRIORITY  ACTIVE\n"
            "intent  intent  1        -   ended  normal    true\n");
}

TEST_F(AnalysesCliTest, an_analyzer_is_deleted_though_the_answer_is_empty) {
  say(204, "");

  EXPECT_EQ(run_words({"analyzer", "delete", "quality", "--company", "acme"}), 0) << err_.str();

  EXPECT_EQ(requests_.back().method, "DELETE");
  EXPECT_EQ(out_.str(), "analyzer quality deleted\n");
}

TEST_F(AnalysesCliTest, searches_go_by_what_analyzers_concluded) {
  say(200, R"({"hits":[]})");

  EXPECT_EQ(run_words({"search", "parcel", "--analysis", "order=fault=late", "--analysis",
                       "intent=ask", "--analysis", "intent=buy", "--company", "acme"}),
            0)
      << err_.str();

  EXPECT_THAT(requests_.back().body,
              HasSubstr(R"("analyses":{"intent":{"in":["ask","buy"]},"order":"fault=late"})"));
  EXPECT_EQ(run_words({"search", "parcel", "--analysis", "intent", "--company", "acme"}), 2);
}

TEST_F(AnalysesCliTest, usage_shows_costs_and_what_is_spent) {
  say(200,
      R"({"from":"2026-11-01","to":"2026-11-30",
          "days":[{"day":"2026-11-02","analyzer":"intent","tokens":1500,"usd":0.003,"requests":2}],
          "budgets":[{"analyzer":null,"period":"day","limit_usd":1,"spent_tokens":0,"spent_usd":0,
                      "is_spent":false},
                     {"analyzer":"intent","period":"month","limit_tokens":1000,"spent_tokens":1500,
                      "spent_usd":0.003,"is_spent":true}],
          "stopped":["the budget of analyzer \"intent\" is spent"]})");

  EXPECT_EQ(run_words({"usage", "--from", "2026-11-01", "--company", "acme"}), 0) << err_.str();

  EXPECT_EQ(requests_.back().target, "/v1/analyses/usage?from=2026-11-01");
  EXPECT_EQ(out_.str(),
            "2026-11-01 to 2026-11-30\n\n"
            "DAY         ANALYZER  TOKENS  COST     REQUESTS\n"
            "2026-11-02  intent    1500    $0.0030  2\n\n"
            "BUDGET OF    A      TOKENS  OF    COST     OF\n"
            "the company  day    0       -     $0.0000  $1.0000\n"
            "intent       month  1500    1000  $0.0030  -        spent\n\n"
            "stopped: the budget of analyzer \"intent\" is spent\n");
}

}  // namespace
}  // namespace samtale
