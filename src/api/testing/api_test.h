// ApiTest: the whole API over real parts in a folder of its own, asked without a network.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "analyze/worker.h"
#include "api/api.h"
#include "base/bytes.h"
#include "embed/testing/fake_embedder.h"
#include "ingest/normaliser.h"
#include "ingest/workers.h"
#include "search/index_follower.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"
#include "store/sqlite_store.h"
#include "sys/files.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Two companies, acme and globex. The accept log commits on a thread of its own, so that an answer
// can be waited for; everything else happens when the test asks for it.
class ApiTest : public testing::Test {
 protected:
  explicit ApiTest(ApiOptions options = {.version = "1.2.3", .public_url = "https://samtale.test"},
                   AcceptLogOptions log_options = small_log()) {
    std::string name = testing::TempDir() + "/api-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    registry_ = *SqliteRegistry::open({.folder = folder_, .vfs = {}});
    tenants.emplace(*registry_, clock, random, TenantOptions{.pass_key = "a key of all nodes"});
    acme = tenants->create_company({.name = "acme"})->id;
    globex = tenants->create_company({.name = "globex"})->id;
    accept_log = *open_accept_log(*files_, folder_ + "/accepted", log_options, log_clock_, log);
    receiver_.emplace(*accept_log, nullptr);
    SqliteStoreOptions store_options;
    store_options.folder = folder_;
    store_options.partitions = 1;
    store = *SqliteStore::open(store_options, clock, random);
    analyzers.emplace(*registry_, clock);
    subscriptions.emplace(*registry_, clock, random);
    backfills.emplace(*store, store->queue(), *analyzers, nullptr, clock, random);
    hydration_.emplace(*store, std::size_t{1} << 20);
    searcher_.emplace(indexes, *hydration_, query_vectors_, near_cache_, clock,
                      SearchOptions{.cursor_key = "a key of this test"});
    follower_.emplace(*store, Partition{0}, indexes);
    EXPECT_TRUE(follower_->load());
    options_ = std::move(options);
    routes = make_api_routes(parts(), options_);
    committer_ = std::jthread([this](const std::stop_token& stop) { accept_log->run(stop); });
  }
  // Without waiting for others to share a flush.
  [[nodiscard]] static AcceptLogOptions small_log() {
    return {.segment_bytes = 64 * 1024, .group_wait_max = {}, .record_bytes_max = 16 * 1024};
  }
  ~ApiTest() override {
    committer_ = {};
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] std::string make_key(CompanyId company, std::vector<Scope> scopes) {
    return tenants->create_key(company, {.label = "test", .scopes = std::move(scopes)})->key;
  }
  // With every scope.
  [[nodiscard]] std::string make_key(CompanyId company) {
    return make_key(company, {kScopes.begin(), kScopes.end()});
  }

  // From the network; `key` empty: nobody says who asks.
  http::Response ask(std::string_view method, std::string_view target, std::string_view key,
                     std::string body = "", Headers headers = {}) {
    if (!key.empty()) headers.emplace_back("authorization", "Bearer " + std::string(key));
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.peer = "192.0.2.1:5000";
    request.id = "req-1";
    request.deadline = clock.now() + std::chrono::seconds(30);
    return http::dispatch(routes, std::move(request));
  }
  // Over the local socket.
  http::Response ask_locally(std::string_view method, std::string_view target,
                             std::string body = "", Headers headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers = std::move(headers);
    request.body = std::move(body);
    request.peer = "local";
    request.id = "req-1";
    request.is_local = true;
    return http::dispatch(routes, std::move(request));
  }

  // Sends a conversation of one turn; its id.
  std::string send(std::string_view key, const std::string& external_id, const std::string& text) {
    const json::Value document =
        json::Object{{"id", external_id},
                     {"channel", "chat"},
                     {"turns", json::Array{json::Object{{"speaker", "customer"}, {"text", text}}}}};
    const auto answer = ask("POST", "/v1/conversations", key, json::dump(document));
    EXPECT_EQ(answer.status, 202) << answer.body;
    return text_at(answer, "/id");
  }

  // From here on the API has another node to ask.
  void with_another_node(std::function<Result<HttpAnswer>(const http::Request&)> answers) {
    elsewhere_ = [answers = std::move(answers)](const Caller&, const http::Request& request) {
      return answers(request);
    };
    routes = make_api_routes(parts(), options_);
  }

  // From here on indexes may lie in slices; null: they are whole.
  void with_slices(SliceHost* slices) {
    slices_ = slices;
    routes = make_api_routes(parts(), options_);
  }
  // From here on whole indexes are not here.
  void without_indexes() {
    has_indexes_ = false;
    routes = make_api_routes(parts(), options_);
  }

  // From here on the API says that there is a language model. Nothing is asked of it.
  void with_language_model() {
    has_language_model_ = true;
    routes = make_api_routes(parts(), options_);
  }

  // Lets everything accepted take effect, up to the search index.
  void settle() {
    Normaliser normaliser(*accept_log, *store, Partition{0}, log);
    ChunkWorker chunk(store->queue(), *store, *find_chunk_policy("turns-v1"), random);
    EmbedWorker embed(store->queue(), *store, embedder, clock, random);
    while (*normaliser.step() > 0) continue;
    while (*chunk.step() > 0) continue;
    while (*embed.step() > 0) continue;
    while (*follower_->step() > 0) continue;
  }

  // Lets what has ended be analysed, and the index know of it.
  void settle_analyses() {
    clock.advance(std::chrono::seconds(2));
    const auto words = [this](CompanyId company) { return open_index(company); };
    const AnalyzeParts analyze_parts{.queue = store->queue(),
                                     .store = *store,
                                     .catalog = *analyzers,
                                     .clock = clock,
                                     .random = random,
                                     .metrics = *metrics_,
                                     .wants_news = [](CompanyId) { return false; }};
    AnalyzeWorker analyze(analyze_parts, words, false);
    while (*analyze.step() > 0) continue;
    while (*follower_->step() > 0) continue;
  }

  [[nodiscard]] static json::Value body_of(const http::Response& response) {
    const auto value = json::parse(response.body);
    EXPECT_TRUE(value) << response.body;
    return value ? *value : json::Value();
  }
  [[nodiscard]] static std::string text_at(const http::Response& response,
                                           std::string_view pointer) {
    const auto body = body_of(response);
    const auto* value = body.at_pointer(pointer);
    return value != nullptr && value->as_string() != nullptr ? *value->as_string() : std::string();
  }
  [[nodiscard]] static std::int64_t number_at(const http::Response& response,
                                              std::string_view pointer) {
    const auto body = body_of(response);
    const auto* value = body.at_pointer(pointer);
    return value != nullptr && value->as_int() != nullptr ? *value->as_int() : -1;
  }
  [[nodiscard]] static std::string header_of(const http::Response& response,
                                             std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }

  // What every refusal has, whatever it refuses.
  static void expect_error(const http::Response& response, int status, ErrorCode code) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.content_type, "application/json");
    const auto body = body_of(response);
    ASSERT_NE(body.as_object(), nullptr) << response.body;
    std::vector<std::string> names;
    for (const auto& [key, value] : *body.as_object()) names.push_back(key);
    ASSERT_THAT(names, testing::UnorderedElementsAre("code", "message", "request_id", "retryable"));
    EXPECT_EQ(text_at(response, "/code"), name(code)) << response.body;
    EXPECT_NE(text_at(response, "/message"), "");
    EXPECT_EQ(text_at(response, "/request_id"), "req-1");
    EXPECT_EQ(*body.find("retryable"), json::Value(retryable(code)));
    EXPECT_EQ(header_of(response, "Retry-After").empty(), status != 429 && status != 503);
  }

  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  FakeEmbedder embedder;
  FakeHttpClient subscriber;  // Every URL that is subscribed.
  IndexSet indexes{embedder.model_id(), embedder.dimension()};
  std::string not_ready;  // What readiness says.
  bool is_embedder_ready = true;
  std::map<CompanyId, std::vector<std::string>> budget_refusals;
  std::function<void()> while_waiting;  // A search waits for a change.
  bool opens = true;                    // Cold indexes, in time.
  CompanyId acme{};
  CompanyId globex{};

  Result<std::shared_ptr<const CompanyIndex>> open_index(CompanyId company) {
    if (!has_indexes_) return nullptr;
    const auto part = IndexFollower::Part::whole;
    auto index = follower_->open(company, part, {});
    for (; !index && opens; index = follower_->open(company, part, {})) {
      EXPECT_TRUE(follower_->step());
    }
    return index;
  }

  [[nodiscard]] ApiParts parts() {
    return {.tenants = *tenants,
            .receiver = *receiver_,
            .store = *store,
            .queue = store->queue(),
            .searcher = *searcher_,
            .indexes = indexes,
            .analyzers = *analyzers,
            .backfills = *backfills,
            .subscriptions = *subscriptions,
            .webhook_sender = webhook_sender_,
            .metrics = *metrics_,
            .clock = clock,
            .random = random,
            .log = log,
            .not_ready = [this] { return not_ready; },
            .embedder_ready = [this] { return is_embedder_ready; },
            .budget_refusals = [this](CompanyId company) { return budget_refusals[company]; },
            .has_language_model = has_language_model_,
            .replay =
                [this](std::optional<WallTime> from, std::optional<WallTime> to) {
                  return Normaliser(*accept_log, *store, Partition{0}, log).replay(from, to);
                },
            .wait_applied =
                [this](CompanyId, std::uint64_t sequence) {
                  if (while_waiting && sequence > 0) while_waiting();
                  return follower_->wait_applied(sequence, {});
                },
            .open_index = [this](CompanyId company) { return open_index(company); },
            .elsewhere = elsewhere_,
            .slices = slices_};
  }

 private:
  QueryVectors query_vectors_{embedder, std::size_t{1} << 20};
  NearCache near_cache_{embedder.model_id(), std::size_t{1} << 20};
  const WebhookSender webhook_sender_{subscriber, clock, random};
  ApiOptions options_;
  bool has_language_model_ = false;
  std::function<Result<HttpAnswer>(const Caller&, const http::Request&)> elsewhere_;
  bool has_indexes_ = true;
  SliceHost* slices_ = nullptr;
  std::string folder_;
  SimClock log_clock_;  // Read by the committing thread.
  const std::unique_ptr<Files> files_ = make_system_files();
  const std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::unique_ptr<SqliteRegistry> registry_;

 protected:
  std::optional<Tenants> tenants;
  std::optional<AnalyzerCatalog> analyzers;
  std::optional<Backfills> backfills;
  std::optional<Subscriptions> subscriptions;
  std::unique_ptr<AcceptLog> accept_log;
  std::unique_ptr<SqliteStore> store;
  std::vector<http::Route> routes;

 private:
  std::optional<Receiver> receiver_;
  std::optional<Hydration> hydration_;
  std::optional<Searcher> searcher_;
  std::optional<IndexFollower> follower_;
  std::jthread committer_;
};

}  // namespace samtale
