#include "server/app.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <iterator>
#include <set>

#include "sim/memory_log.h"

namespace samtale {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::MatchesRegex;
using testing::Not;
using std::chrono_literals::operator""ms;

class AppTest : public testing::Test {
 protected:
  AppTest() {
    std::string name = testing::TempDir() + "/app-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    config.data_dir = folder_ + "/data";
    config.store.partitions = 1;
    config.accept.segment_bytes = std::size_t{1} << 20;
  }
  ~AppTest() override {
    app.reset();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    auto opened = App::open(config, log);
    ASSERT_TRUE(opened) << opened.error().message;
    app = std::move(*opened);
  }
  // As the operator of this machine, for acme.
  http::Response ask(const std::string& method, const std::string& target,
                     const std::string& body = "") {
    http::Request request;
    request.method = method;
    request.target = target;
    request.body = body;
    request.headers = {{"x-samtale-company", "acme"}};
    request.is_local = true;
    request.peer = "local";
    return http::dispatch(app->routes(), std::move(request));
  }
  std::string metrics() { return ask("GET", "/metrics").body; }
  // Lines of the metrics that begin so.
  std::vector<std::string> series(std::string_view prefix) {
    std::vector<std::string> found;
    std::istringstream text(metrics());
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with(prefix)) found.push_back(line);
    }
    return found;
  }

  Config config;
  MemoryLog log;
  std::unique_ptr<App> app;

 private:
  std::string folder_;
};

TEST_F(AppTest, readiness_says_why_from_the_start_to_the_end) {
  open();
  const auto loading = ask("GET", "/readyz");
  ASSERT_TRUE(app->start());
  const auto ready = ask("GET", "/readyz");
  app->end_readiness();
  const auto stopping = ask("GET", "/readyz");

  EXPECT_EQ(loading.status, 503);
  EXPECT_THAT(loading.body, HasSubstr("loading the index"));
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(stopping.status, 503);
  EXPECT_THAT(stopping.body, HasSubstr("stopping"));
}

TEST_F(AppTest, makes_its_data_folder_closed_to_others) {
  open();

  const auto mode = std::filesystem::status(config.data_dir).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_all);
}

TEST_F(AppTest, a_folder_in_use_is_a_conflict) {
  open();

  const auto second = App::open(config, log);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_THAT(second.error().message, HasSubstr(config.data_dir));
}

TEST_F(AppTest, another_number_of_partitions_than_the_folder_has_is_refused) {
  open();
  app.reset();
  config.store.partitions = 2;

  EXPECT_FALSE(App::open(config, log));
}

TEST_F(AppTest, what_was_accepted_is_there_after_a_restart) {
  open();
  ASSERT_TRUE(app->start());
  ASSERT_EQ(ask("POST", "/v1/companies", R"({"name":"acme"})").status, 201);
  ASSERT_EQ(ask("POST", "/v1/conversations", R"({"id":"a","turns":[{"text":"hi"}]})").status, 202);
  app.reset();

  open();
  const auto replayed = ask("POST", "/v1/replay", "{}");

  EXPECT_EQ(replayed.body, R"({"replayed":1})");
  EXPECT_THAT(ask("GET", "/v1/conversations").body, HasSubstr(R"("external_id":"a")"));
}

TEST_F(AppTest, an_event_id_used_again_is_a_conflict_after_a_restart_too) {
  const auto deliver = [this](const std::string& body) {
    http::Request request;
    request.method = "POST";
    request.target = "/v1/conversations";
    request.headers = {{"x-samtale-company", "acme"}, {"idempotency-key", "k"}};
    request.body = body;
    request.is_local = true;
    return http::dispatch(app->routes(), std::move(request)).status;
  };
  open();
  ASSERT_TRUE(app->start());
  ASSERT_EQ(ask("POST", "/v1/companies", R"({"name":"acme"})").status, 201);
  ASSERT_EQ(deliver(R"({"id":"a"})"), 202);
  app.reset();
  open();
  ASSERT_TRUE(app->start());

  EXPECT_EQ(deliver(R"({"id":"a"})"), 200);
  EXPECT_EQ(deliver(R"({"id":"b"})"), 409);
}

TEST_F(AppTest, the_key_of_a_company_reaches_the_api_of_that_company) {
  open();
  ASSERT_EQ(ask("POST", "/v1/companies", R"({"name":"acme"})").status, 201);
  const auto made = *json::parse(ask("POST", "/v1/keys", R"({"scopes":["read"]})").body);

  http::Request request;
  request.method = "GET";
  request.target = "/v1/status";
  request.headers = {{"authorization", "Bearer " + *made.find("key")->as_string()}};
  request.peer = "192.0.2.1:5000";
  const auto answer = http::dispatch(app->routes(), std::move(request));

  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("company":"acme")"));
}

TEST_F(AppTest, every_metric_has_a_name_and_a_help_by_the_rules) {
  open();

  std::set<std::string> explained;
  std::set<std::string> names;
  for (const auto& line : series("# HELP ")) {
    std::istringstream words(line.substr(7));
    std::string name;
    std::string help;
    words >> name;
    std::getline(words, help);
    EXPECT_THAT(help, MatchesRegex(" .+\\.")) << name;
    explained.insert(name);
  }
  for (const auto& line : series("# TYPE ")) names.insert(line.substr(7, line.find(' ', 7) - 7));

  EXPECT_EQ(explained, names);
  EXPECT_THAT(names, Each(MatchesRegex("samtale_[a-z]+(_[a-z]+)*")));
  EXPECT_THAT(names, IsSupersetOf({"samtale_accepted_events", "samtale_accept_backlog_bytes",
                                   "samtale_queue_dead", "samtale_queue_oldest_age_seconds",
                                   "samtale_index_chunks", "samtale_http_refused_full"}));
}

TEST_F(AppTest, metrics_count_what_was_accepted_and_name_no_company) {
  open();
  ASSERT_TRUE(app->start());
  ASSERT_EQ(ask("POST", "/v1/companies", R"({"name":"acme"})").status, 201);
  ASSERT_EQ(ask("POST", "/v1/conversations", R"({"id":"a"})").status, 202);

  const auto text = metrics();

  EXPECT_THAT(text, HasSubstr("samtale_accepted_events 1\n"));
  EXPECT_THAT(text, HasSubstr("samtale_accept_commits 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("acme")));
}

TEST_F(AppTest, a_partition_without_events_of_its_own_is_no_backlog) {
  config.store.partitions = 4;
  open();
  ASSERT_TRUE(app->start());
  ASSERT_EQ(ask("POST", "/v1/companies", R"({"name":"acme"})").status, 201);
  ASSERT_EQ(ask("POST", "/v1/conversations", R"({"id":"a"})").status, 202);

  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool has_caught_up = false;
  while (!has_caught_up && std::chrono::steady_clock::now() < deadline) {
    has_caught_up = metrics().find("samtale_accept_backlog_bytes 0\n") != std::string::npos;
  }

  EXPECT_TRUE(has_caught_up);
}

TEST_F(AppTest, answers_are_counted_by_route_and_status) {
  open();
  const http::Exchange found{.method = "GET",
                             .route = "/v1/conversations/{id}",
                             .path = "/v1/conversations/cnv_secret",
                             .status = 200,
                             .took = 20ms};
  auto refused = found;
  refused.status = 404;

  app->observe(found);
  app->observe(found);
  app->observe(refused);

  const auto text = metrics();
  EXPECT_THAT(text, HasSubstr("samtale_http_requests_total{route=\"/v1/conversations/"
                              "{id}\",status=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("samtale_http_requests_total{route=\"/v1/conversations/"
                              "{id}\",status=\"404\"} 1\n"));
  EXPECT_THAT(
      text, HasSubstr("samtale_http_request_seconds_count{route=\"/v1/conversations/{id}\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("samtale_http_request_seconds_sum{route=\"/v1/conversations/"
                              "{id}\"} 0.06"));
  EXPECT_THAT(text, Not(HasSubstr("cnv_secret")));
}

TEST_F(AppTest, paths_that_no_route_has_are_one_series_together) {
  open();

  for (int i = 0; i < 1000; ++i) {
    const auto path = "/" + std::to_string(i);
    app->observe({.method = "GET", .route = "", .path = path, .status = 404});
  }

  EXPECT_THAT(
      series("samtale_http_requests_total"),
      testing::ElementsAre("samtale_http_requests_total{route=\"none\",status=\"404\"} 1000"));
}

TEST_F(AppTest, the_access_log_has_every_answer_but_accepted_events) {
  open();

  app->observe({.method = "GET",
                .route = "/healthz",
                .path = "/healthz",
                .request_id = "req-1",
                .peer = "192.0.2.1:5000",
                .status = 200,
                .request_bytes = 10,
                .response_bytes = 20});
  app->observe({.method = "POST", .route = "/v1/conversations", .path = "/x", .status = 202});

  std::vector<std::string> lines;
  for (const auto& line : log.lines()) {
    if (line.starts_with("http.request")) lines.push_back(line);
  }
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines.front(), HasSubstr("method=GET path=/healthz status=200"));
  EXPECT_THAT(lines.front(), HasSubstr("in=10 out=20 peer=192.0.2.1:5000 request_id=req-1"));
  EXPECT_THAT(metrics(), HasSubstr("route=\"/v1/conversations\",status=\"202\"} 1"));
}

// A server that only says what it counts.
class CountingServer final : public http::Server {
 public:
  Result<> start() override { return {}; }
  [[nodiscard]] std::uint16_t port() const override { return 0; }
  bool drain(Duration) override { return true; }
  [[nodiscard]] http::ServerStats stats() const override {
    return {.connections = 3, .in_flight = 4, .queued = 5, .refused_full = 6};
  }
};

TEST_F(AppTest, metrics_tell_of_the_server_once_there_is_one) {
  open();
  EXPECT_THAT(metrics(), HasSubstr("samtale_http_connections 0\n"));
  const CountingServer server;

  app->watch(server);

  const auto text = metrics();
  EXPECT_THAT(text, HasSubstr("samtale_http_connections 3\n"));
  EXPECT_THAT(text, HasSubstr("samtale_http_in_flight 4\n"));
  EXPECT_THAT(text, HasSubstr("samtale_http_queued 5\n"));
  EXPECT_THAT(text, HasSubstr("samtale_http_refused_full 6\n"));
}

TEST_F(AppTest, the_dashboard_is_in_the_binary) {
  open();

  const auto page = ask("GET", "/");

  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.content_type, HasSubstr("text/html"));
}

}  // namespace
}  // namespace samtale
