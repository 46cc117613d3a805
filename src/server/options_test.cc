// Goal:   each key of the configuration changes the options that it names, and no others.
// Method: a table of all keys. All options are written down by name, once with the value that is
//         there anyway and once with another, and compared.
#include "server/options.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "sim/memory_log.h"
#include "sim/sim_clock.h"

namespace samtale {
namespace {

using testing::HasSubstr;

using Texts = std::map<std::string, std::string>;

std::string text(Duration length) { return std::to_string(length.count()) + " ns"; }
template <class Number>
requires std::is_arithmetic_v<Number> std::string text(Number value) {
  return std::to_string(value);
}

void add_server(const Config& config, Texts& all) {
  const auto server = server_options(config);
  all["server.address"] = server.address;
  all["server.port"] = text(server.port);
  all["server.local_socket"] = server.local_socket;
  all["server.certificate"] = server.tls ? server.tls->certificate_file : "";
  all["server.key"] = server.tls ? server.tls->key_file : "";
  all["server.io_threads"] = text(server.io_threads);
  all["server.handler_threads"] = text(server.handler_threads);
  all["server.handler_queue_max"] = text(server.handler_queue_max);
  all["server.connections_max"] = text(server.connections_max);
  all["server.header_bytes_max"] = text(server.header_bytes_max);
  all["server.body_bytes_max"] = text(server.body_bytes_max);
  all["server.stream_bytes_max"] = text(server.stream_bytes_max);
  all["server.header_timeout"] = text(server.header_timeout);
  all["server.body_timeout"] = text(server.body_timeout);
  all["server.request_timeout"] = text(server.request_timeout);
  all["server.idle_timeout"] = text(server.idle_timeout);
  const auto api = api_options(config);
  all["api.public_url"] = api.public_url;
  all["api.metrics_open"] = text(api.metrics_open);
  const auto log = log_options(config);
  all["log.level"] = text(static_cast<int>(log.level));
  all["log.json"] = text(log.json);
}

void add_storage(const Config& config, Texts& all) {
  const auto accept = accept_log_options(config);
  all["accept.segment_bytes"] = text(accept.segment_bytes);
  all["accept.group_records_max"] = text(accept.group_records_max);
  all["accept.group_wait_max"] = text(accept.group_wait_max);
  all["accept.log_bytes_max"] = text(accept.log_bytes_max);
  all["accept.record_bytes_max"] = text(accept.record_bytes_max);
  all["accept.pending_bytes_max"] = text(accept.pending_bytes_max);
  const auto store = sqlite_store_options(config);
  all["store.folder"] = store.folder;
  all["store.partitions"] = text(store.partitions);
  all["queue.jobs_per_company_max"] = text(store.queue.jobs_per_company_max);
  const auto postgres = postgres_store_options(config);
  ASSERT_TRUE(postgres);
  const auto& pool = postgres->database.pool;
  all["postgres.url"] = pool.address.url;
  all["postgres.password"] = pool.address.password;
  all["postgres.connections_max"] = text(pool.connections_max);
  all["postgres.names_statements"] = text(pool.names_statements);
  all["postgres.statement_timeout"] = text(pool.statement_timeout);
  all["postgres.schema"] = postgres->database.schema;
  all["postgres.migrate"] = text(postgres->database.migrate);
  all["postgres.partitions"] = text(postgres->partitions);
  all["postgres.hash_partitions"] = text(postgres->hash_partitions);
  all["postgres.has_pgvector"] = text(postgres->has_pgvector);
  all["postgres.changes_kept"] = text(postgres->changes_kept);
  all["postgres.jobs_per_company_max"] = text(postgres->queue.jobs_per_company_max);
  const auto broker = broker_options(config);
  ASSERT_TRUE(broker) << broker.error().message;
  all["broker.host"] = *broker ? (*broker)->queue.session.address.host : "";
  all["broker.password"] = *broker ? (*broker)->queue.session.address.password : "";
  all["broker.window"] = *broker ? text((*broker)->queue.lane.window) : "";
  all["broker.prefix"] = *broker ? (*broker)->prefix : "";
  const auto worker = worker_options(config);
  all["worker.lease"] = text(worker.lease);
  all["worker.attempts"] = text(worker.retry.attempts);
  all["worker.base"] = text(worker.retry.base);
  all["worker.longest"] = text(worker.retry.longest);
  const auto tenant = tenant_options(config);
  all["tenant.events_per_second"] = text(tenant.events_per_second);
  all["tenant.burst_seconds"] = text(tenant.burst_seconds);
  all["tenant.failures_max"] = text(tenant.failures_max);
  all["tenant.keys_max"] = text(tenant.keys_max);
  all["tenant.endpoints_max"] = text(tenant.endpoints_max);
  all["jwt.issuer"] = tenant.jwt ? tenant.jwt->issuer : "";
  all["jwt.audience"] = tenant.jwt ? tenant.jwt->audience : "";
  all["jwt.company_claim"] = tenant.jwt ? tenant.jwt->company_claim : "";
}

void add_search(const Config& config, Texts& all) {
  const auto search = search_options(config);
  all["search.vector_share"] = text(search.vector_share);
  all["search.candidates"] = text(search.candidates);
  const auto index = index_options(config);
  all["index.exact_within"] = text(index.exact_within);
  all["index.graph_from"] = text(index.graph_from);
  all["index.recall_target"] = text(index.recall_target);
  all["index.bytes"] = text(index_bytes(config, 1000));
  all["near_cache.bytes"] = text(searches_bytes(config));
  const auto shared = shared_cache_options(config);
  ASSERT_TRUE(shared);
  all["redis.host"] = *shared ? (*shared)->address.host : "";
  all["redis.password"] = *shared ? (*shared)->address.password : "";
  const auto managed = managed_embedder_options(config);
  ASSERT_TRUE(managed);
  all["managed.command"] = testing::PrintToString(managed->command);
  all["managed.log_path"] = managed->log_path;
  const auto embedder = embedding_server_options(config);
  ASSERT_TRUE(embedder);
  all["embed.url"] = embedder->url;
  all["embed.key"] = embedder->key;
  all["embed.model"] = embedder->model;
  all["embed.dimension"] = text(embedder->dimension);
  all["embed.batch_max"] = text(embedder->batch_max);
  all["embed.query_prefix"] = embedder->query_prefix;
  all["embed.passage_prefix"] = embedder->passage_prefix;
  all["embed.input_type"] = text(embedder->input_type);
}

void add_language_model(const std::string& section, const LmConfig& config, Texts& all) {
  const auto chat = chat_options(section, config);
  ASSERT_TRUE(chat);
  all[section + ".url"] = chat->url;
  all[section + ".key"] = chat->key;
  all[section + ".model"] = chat->model;
  all[section + ".structured"] = chat->structured;
  all[section + ".max_tokens_field"] = chat->max_tokens_field;
  all[section + ".stream"] = text(chat->stream);
  all[section + ".send_temperature"] = text(chat->send_temperature);
  const auto gate = gate_options(config);
  all[section + ".requests_per_minute"] = text(gate.requests_per_minute);
  all[section + ".tokens_per_minute"] = text(gate.tokens_per_minute);
  all[section + ".concurrency_start"] = text(gate.concurrency_start);
  all[section + ".concurrency_max"] = text(gate.concurrency_max);
  const auto prices = token_prices(config);
  all[section + ".input"] = text(prices.input);
  all[section + ".cached_input"] = text(prices.cached_input);
  all[section + ".output"] = text(prices.output);
}

void add_analyses(const Config& config, Texts& all) {
  add_language_model("lm", config.lm, all);
  add_language_model("lm_fallback", config.lm_fallback, all);
  const auto analyst = analyst_options(config);
  all["analyst.segment_tokens"] = text(analyst.segment_tokens);
  all["analyst.whole_tokens_max"] = text(analyst.whole_tokens_max);
  const auto lm_worker = lm_worker_options(config);
  all["lm_worker.attempts"] = text(lm_worker.worker.retry.attempts);
  all["lm_worker.base"] = text(lm_worker.worker.retry.base);
  all["lm_worker.longest"] = text(lm_worker.worker.retry.longest);
  const auto batch = batch_worker_options(config);
  all["batch.poll"] = text(batch.poll);
  all["batch.window"] = text(batch.window);
  all["batch.cancel_grace"] = text(batch.cancel_grace);
  all["batch.find_grace"] = text(batch.find_grace);
  all["settings"] = json::dump(to_json(analysis_settings(config)));
}

void add_notify(const Config& config, Texts& all) {
  const auto subscriptions = subscription_options(config);
  all["subscription.per_company_max"] = text(subscriptions.per_company_max);
  all["subscription.allow_http"] = text(subscriptions.allow_http);
  all["subscription.ports"] = testing::PrintToString(subscriptions.ports);
  sockaddr_in inside{};
  inside.sin_family = AF_INET;
  inside.sin_addr.s_addr = htonl(0x0A010203);
  all["subscription.may_connect"] =
      text(subscriptions.may_connect(reinterpret_cast<const sockaddr&>(inside)));
  all["notify.networks"] = text(private_networks(config).size());
  const auto sender = webhook_sender_options(config);
  all["webhook_sender.timeout"] = text(sender.timeout);
  all["webhook_sender.ping_timeout"] = text(sender.ping_timeout);
  const auto deliver = deliver_options(config);
  all["deliver.threads"] = text(deliver.threads);
  for (const auto pause : deliver.retry_schedule)
    all["deliver.retry_schedule"] += text(pause) + ",";
}

// Every option that the configuration reaches, by name.
Texts all_options(const Config& config) {
  Texts all;
  add_server(config, all);
  add_storage(config, all);
  add_search(config, all);
  add_analyses(config, all);
  add_notify(config, all);
  return all;
}

struct Row {
  std::string key;
  std::string value;              // In TOML.
  std::set<std::string> changes;  // The options it changes.
  Texts beside = {};              // Other keys it needs to make sense.
};

const Texts kJwt = {{"auth.jwks_url", R"("https://one.test/jwks")"}};
const Texts kPostgres = {{"store.kind", R"("postgres")"},
                         {"store.url", R"("postgresql://one.test/a")"}};
const Texts kBroker = {{"store.kind", R"("postgres")"},
                       {"store.url", R"("postgresql://one.test/a")"},
                       {"queue.kind", R"("rabbitmq")"},
                       {"queue.url", R"("amqp://one.test")"}};
const Texts kOpenAi = {{"embed.kind", R"("openai")"},
                       {"embed.url", R"("https://one.test/v1")"},
                       {"embed.model", R"("m")"},
                       {"embed.dimension", "8"}};
const Texts kTls = {{"http.tls_certificate", R"("one.pem")"}, {"http.tls_key", R"("one.key")"}};
const Texts kManaged = {{"embed.kind", R"("managed")"},
                        {"embed.model", R"("m")"},
                        {"embed.dimension", "8"},
                        {"embed.command", R"(["one", "{port}"])"}};

const Texts kLm = {{"lm.url", R"("https://one.test/v1")"}, {"lm.model", R"("m")"}};
const Texts kLmFallback = {{"lm.url", R"("https://one.test/v1")"},
                           {"lm.model", R"("m")"},
                           {"lm_fallback.url", R"("https://one.test/v1")"},
                           {"lm_fallback.model", R"("m")"}};

std::vector<Row> rows(const std::string& key_file) {
  return {
      {"data_dir",
       R"("/srv/samtale")",
       {"server.local_socket", "store.folder", "managed.log_path"}},
      {"http.address", R"("127.0.0.2")", {"server.address", "api.public_url"}},
      {"http.port", "9000", {"server.port", "api.public_url"}},
      {"http.tls_certificate", R"("two.pem")", {"server.certificate"}, kTls},
      {"http.tls_key", R"("two.key")", {"server.key"}, kTls},
      {"http.io_threads", "2", {"server.io_threads"}},
      {"http.handler_threads", "2", {"server.handler_threads"}},
      {"http.handler_queue_max", "2", {"server.handler_queue_max"}},
      {"http.connections_max", "2", {"server.connections_max"}},
      {"http.header_bytes_max", "2048", {"server.header_bytes_max"}},
      {"http.body_bytes_max", "2048", {"server.body_bytes_max"}},
      {"http.stream_bytes_max", "2048", {"server.stream_bytes_max"}},
      {"http.header_timeout_ms", "200", {"server.header_timeout"}},
      {"http.body_timeout_ms", "200", {"server.body_timeout"}},
      {"http.request_timeout_ms", "200", {"server.request_timeout"}},
      {"http.idle_timeout_ms", "200", {"server.idle_timeout"}},
      {"http.metrics", R"("open")", {"api.metrics_open"}},
      {"http.public_url", R"("https://samtale.test")", {"api.public_url"}},
      {"store.partitions", "2", {"store.partitions", "postgres.partitions"}},
      {"store.url", R"("postgresql://two.test/b")", {"postgres.url"}, kPostgres},
      {"store.password_file", '"' + key_file + '"', {"postgres.password"}},
      {"store.schema", R"("two")", {"postgres.schema"}},
      {"store.hash_partitions", "2", {"postgres.hash_partitions"}},
      {"store.migrate", "false", {"postgres.migrate"}},
      {"store.connections_max", "2", {"postgres.connections_max"}},
      {"store.named_statements", "false", {"postgres.names_statements"}},
      {"store.statement_timeout_ms", "200", {"postgres.statement_timeout"}},
      {"store.changes_kept_ms", "2000", {"postgres.changes_kept"}},
      {"accept.segment_bytes", R"("128 MiB")", {"accept.segment_bytes", "accept.log_bytes_max"}},
      {"accept.group_records_max", "2", {"accept.group_records_max"}},
      {"accept.group_wait_ms_max", "2", {"accept.group_wait_max"}},
      {"accept.archive_bytes_max", R"("64 MiB")", {"accept.log_bytes_max"}},
      {"queue.url", R"("amqp://two.test")", {"broker.host"}, kBroker},
      {"queue.password_file", '"' + key_file + '"', {"broker.password"}, kBroker},
      {"queue.window", "7", {"broker.window"}, kBroker},
      {"queue.jobs_max_per_company",
       "2",
       {"queue.jobs_per_company_max", "postgres.jobs_per_company_max"}},
      {"queue.lease_ms", "7000", {"worker.lease"}},
      {"queue.retry_attempts", "2", {"worker.attempts", "lm_worker.attempts"}},
      {"queue.retry_base_ms", "2", {"worker.base", "lm_worker.base"}},
      {"queue.retry_longest_ms", "2000", {"worker.longest", "lm_worker.longest"}},
      {"embed.url", R"("https://two.test/v1")", {"embed.url"}, kOpenAi},
      {"embed.model", R"("n")", {"embed.model"}, kOpenAi},
      {"embed.api_key_file", '"' + key_file + '"', {"embed.key"}, kOpenAi},
      {"embed.dimension", "16", {"embed.dimension"}, kOpenAi},
      {"embed.batch_max", "2", {"embed.batch_max"}, kOpenAi},
      {"embed.query_prefix", R"("query: ")", {"embed.query_prefix"}, kOpenAi},
      {"embed.passage_prefix", R"("passage: ")", {"embed.passage_prefix"}, kOpenAi},
      {"embed.input_type", "true", {"embed.input_type"}, kOpenAi},
      {"embed.command", R"(["two", "{port}"])", {"managed.command"}, kManaged},
      {"lm.url", R"("https://two.test/v1")", {"lm.url"}, kLm},
      {"lm.model", R"("n")", {"lm.model"}, kLm},
      {"lm.api_key_file", '"' + key_file + '"', {"lm.key"}, kLm},
      {"lm.structured", R"("none")", {"lm.structured"}, kLm},
      {"lm.max_tokens_field", R"("max_completion_tokens")", {"lm.max_tokens_field"}, kLm},
      {"lm.stream", "true", {"lm.stream"}, kLm},
      {"lm.send_temperature", "false", {"lm.send_temperature"}, kLm},
      {"lm.requests_per_minute", "2", {"lm.requests_per_minute"}, kLm},
      {"lm.tokens_per_minute", "2", {"lm.tokens_per_minute"}, kLm},
      {"lm.concurrency_max", "2", {"lm.concurrency_max", "lm.concurrency_start"}, kLm},
      {"lm.input_usd", "2", {"lm.input"}, kLm},
      {"lm.cached_input_usd", "2", {"lm.cached_input"}, kLm},
      {"lm.output_usd", "2", {"lm.output"}, kLm},
      {"lm_fallback.url", R"("https://two.test/v1")", {"lm_fallback.url"}, kLmFallback},
      {"lm_fallback.model", R"("n")", {"lm_fallback.model"}, kLmFallback},
      {"lm_fallback.api_key_file", '"' + key_file + '"', {"lm_fallback.key"}, kLmFallback},
      {"lm_fallback.structured", R"("none")", {"lm_fallback.structured"}, kLmFallback},
      {"lm_fallback.max_tokens_field",
       R"("max_completion_tokens")",
       {"lm_fallback.max_tokens_field"},
       kLmFallback},
      {"lm_fallback.stream", "true", {"lm_fallback.stream"}, kLmFallback},
      {"lm_fallback.send_temperature", "false", {"lm_fallback.send_temperature"}, kLmFallback},
      {"lm_fallback.requests_per_minute", "2", {"lm_fallback.requests_per_minute"}, kLmFallback},
      {"lm_fallback.tokens_per_minute", "2", {"lm_fallback.tokens_per_minute"}, kLmFallback},
      {"lm_fallback.concurrency_max",
       "2",
       {"lm_fallback.concurrency_max", "lm_fallback.concurrency_start"},
       kLmFallback},
      {"lm_fallback.input_usd", "2", {"lm_fallback.input"}, kLmFallback},
      {"lm_fallback.cached_input_usd", "2", {"lm_fallback.cached_input"}, kLmFallback},
      {"lm_fallback.output_usd", "2", {"lm_fallback.output"}, kLmFallback},
      {"analyze.segment_tokens", "500", {"analyst.segment_tokens"}},
      {"analyze.whole_tokens_max", "600", {"analyst.whole_tokens_max"}},
      {"analyze.batch_window_ms",
       "60000",
       {"batch.window", "batch.cancel_grace", "batch.find_grace"}},
      {"analyze.batch_poll_ms", "2000", {"batch.poll"}},
      {"analyze.mask_pii", "true", {"settings"}},
      {"analyze.tokens_per_day", "2", {"settings"}},
      {"analyze.tokens_per_month", "2", {"settings"}},
      {"analyze.usd_per_day", "2", {"settings"}},
      {"analyze.usd_per_month", "2", {"settings"}},
      {"auth.jwt_issuer", R"("https://two.test")", {"jwt.issuer"}, kJwt},
      {"auth.jwt_audience", R"("two")", {"jwt.audience"}, kJwt},
      {"auth.jwt_company_claim", R"("two.company")", {"jwt.company_claim"}, kJwt},
      {"search.hybrid_weight", "0.25", {"search.vector_share"}},
      {"search.candidates", "20", {"search.candidates"}},
      {"search.backend",
       R"("pgvector")",
       {"postgres.has_pgvector", "near_cache.bytes", "postgres.names_statements",
        "index.graph_from"},
       {{"store.kind", R"("postgres")"}, {"store.url", R"("postgresql://db.test/x")"}}},
      {"search.exact_within_ms", "7", {"index.exact_within"}},
      {"search.graph_from", "7", {"index.graph_from"}},
      {"search.recall_target", "0.9", {"index.recall_target"}},
      {"search.memory_share", "0.25", {"index.bytes"}},
      {"cache.searches_bytes", "7", {"near_cache.bytes"}},
      {"cache.redis_url", R"("redis://one.test")", {"redis.host"}},
      {"cache.redis_password_file",
       '"' + key_file + '"',
       {"redis.password"},
       {{"cache.redis_url", R"("redis://one.test")"}}},
      {"notify.threads", "2", {"deliver.threads"}},
      {"notify.timeout_ms", "4000", {"webhook_sender.timeout", "webhook_sender.ping_timeout"}},
      {"notify.retry_schedule", R"(["250ms", "5s"])", {"deliver.retry_schedule"}},
      {"notify.allow_http", "true", {"subscription.allow_http"}},
      {"notify.ports", R"(["8443"])", {"subscription.ports"}},
      {"notify.allow_private",
       R"(["10.1.0.0/16"])",
       {"notify.networks", "subscription.may_connect"}},
      {"limits.events_per_second", "2", {"tenant.events_per_second"}},
      {"limits.burst_seconds", "3", {"tenant.burst_seconds"}},
      {"limits.failures_max", "2", {"tenant.failures_max"}},
      {"limits.keys_max", "2", {"tenant.keys_max"}},
      {"limits.endpoints_max", "2", {"tenant.endpoints_max"}},
      {"limits.subscriptions_max", "2", {"subscription.per_company_max"}},
      {"log.level", R"("warn")", {"log.level"}},
      {"log.format", R"("json")", {"log.json"}},
  };
}

// These go to where they are used without an options struct, or have a test of their own.
const std::set<std::string> kUsedAsTheyAre = {"store.kind",
                                              "accept.ack",
                                              "queue.kind",
                                              "auth.jwks_url",
                                              "auth.jwks_file",
                                              "auth.jwt_secret_file",
                                              "cluster.roles",
                                              "cluster.url",
                                              "cluster.slices",
                                              "cluster.replicas",
                                              "embed.kind",
                                              "embed.timeout_ms",
                                              "chunk.policy",
                                              "analyze.workers",
                                              "analyze.critical_workers",
                                              "analyze.bulk_workers",
                                              "analyze.request_timeout_ms",
                                              "analyze.batch",
                                              "analyze.batch_price",
                                              "cache.query_vectors_bytes",
                                              "cache.shown_bytes"};

Config read(const Texts& values) {
  std::string toml;
  for (const auto& [key, value] : values) toml += key + " = " + value + "\n";
  const auto loaded = parse_config(toml, "test.toml");
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded ? loaded->config : Config();
}

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() {
    std::string name = testing::TempDir() + "/options-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    std::ofstream(key_file()) << "sk-test\nsecond line\n";
  }
  ~OptionsTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string key_file() const { return folder_ + "/key"; }

 private:
  std::string folder_;
};

TEST_F(OptionsTest, a_batch_costs_its_part_of_the_price) {
  const auto config =
      read({{"lm.input_usd", "4"}, {"lm.output_usd", "8"}, {"analyze.batch_price", "0.25"}});

  const auto prices = batch_worker_options(config).prices;

  EXPECT_EQ(prices.input, 1);
  EXPECT_EQ(prices.output, 2);
}

TEST_F(OptionsTest, every_key_of_the_configuration_is_in_the_table) {
  auto known = kUsedAsTheyAre;
  for (const auto& row : rows(key_file())) known.insert(row.key);
  std::set<std::string> keys;
  for (const auto& key : config_keys()) keys.insert(key.name);

  EXPECT_EQ(known, keys);
}

TEST_F(OptionsTest, a_key_changes_the_options_it_names_and_no_others) {
  for (const auto& row : rows(key_file())) {
    auto values = row.beside;
    const auto before = all_options(read(values));
    values[row.key] = row.value;
    const auto after = all_options(read(values));

    std::set<std::string> changed;
    for (const auto& [name, value] : after) {
      if (before.at(name) != value) changed.insert(name);
    }
    EXPECT_EQ(changed, row.changes) << row.key;
  }
}

TEST_F(OptionsTest, a_node_has_the_roles_that_are_listed_and_no_others) {
  const auto roles = [](const std::string& listed) {
    Config config;
    config.cluster.roles = listed;
    return node_roles(config);
  };

  EXPECT_EQ(text(roles("all").value()), "indexer,searcher,analyst,keeper");
  EXPECT_EQ(text(roles("keeper,gateway,indexer").value()), "indexer,keeper");
  EXPECT_EQ(text(roles("gateway").value()), "");
  EXPECT_THAT(roles("gateway,search").error().message, HasSubstr("got \"search\""));
  EXPECT_FALSE(roles(""));
}

TEST_F(OptionsTest, queues_of_the_broker_are_named_by_the_stores_schema) {
  EXPECT_FALSE(broker_options(Config())->has_value());
  auto values = kBroker;
  values["store.schema"] = R"("ours")";

  const auto options = broker_options(read(values))->value();

  EXPECT_EQ(options.prefix, "ours");
  EXPECT_THAT(options.kinds, testing::Contains("embed"));
}

TEST_F(OptionsTest, a_url_of_a_broker_that_is_none_is_named) {
  auto values = kBroker;
  values["queue.url"] = R"("amqp://me:secret@one.test")";

  const auto refused = broker_options(read(values));

  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("queue.url: must hold no password"));
}

TEST_F(OptionsTest, the_schedule_of_retries_is_the_recommended_one_unless_set) {
  EXPECT_EQ(deliver_options(Config()).retry_schedule, DeliverOptions().retry_schedule);
}

TEST_F(OptionsTest, levels_of_the_log_are_those_of_their_names) {
  const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::debug},
                                                  {"info", LogLevel::info},
                                                  {"warn", LogLevel::warn},
                                                  {"error", LogLevel::error}};
  for (const auto& [name, level] : levels) {
    EXPECT_EQ(log_options(read({{"log.level", '"' + name + '"'}})).level, level) << name;
  }
}

TEST_F(OptionsTest, every_size_that_the_configuration_takes_makes_an_accept_log_that_opens) {
  const auto files = make_system_files();
  SimClock clock;
  MemoryLog log;
  for (const auto* segment : {"1 MiB", "16 MiB", "64 MiB"}) {
    for (const auto* body : {"1 KiB", "16 MiB", "1 GiB"}) {
      const auto config = read({{"accept.segment_bytes", '"' + std::string(segment) + '"'},
                                {"http.body_bytes_max", '"' + std::string(body) + '"'}});
      const auto folder = key_file() + "-" + segment + body;

      const auto opened = open_accept_log(*files, folder, accept_log_options(config), clock, log);

      EXPECT_TRUE(opened) << segment << ", " << body << ": " << opened.error().message;
    }
  }
}

TEST_F(OptionsTest, the_largest_body_fits_into_the_accept_log_where_a_segment_has_room) {
  const auto config =
      read({{"accept.segment_bytes", R"("256 MiB")"}, {"http.body_bytes_max", R"("100 MiB")"}});

  const auto accept = accept_log_options(config);

  EXPECT_GT(accept.record_bytes_max, config.http.body_bytes_max);
  EXPECT_GT(accept.pending_bytes_max, accept.record_bytes_max);
}

TEST_F(OptionsTest, urls_are_ones_that_a_browser_takes) {
  const auto url = [](const Texts& values) { return api_options(read(values)).public_url; };

  EXPECT_EQ(url({}), "http://127.0.0.1:8080");
  EXPECT_EQ(url({{"http.address", R"("::1")"}}), "http://[::1]:8080");
  EXPECT_EQ(url(kTls), "https://127.0.0.1:8080");
  EXPECT_EQ(url({{"http.port", "0"}}), "") << "the port is not known yet";
  EXPECT_EQ(url({{"http.public_url", R"("https://samtale.test/in/")"}}), "https://samtale.test/in");
  EXPECT_EQ(server_url(read({{"http.address", R"("::")"}}), 81), "http://[::]:81");
}

TEST_F(OptionsTest, a_key_is_the_first_line_of_its_file) {
  auto config = read(kOpenAi);
  config.embed.api_key_file = key_file();
  EXPECT_EQ(embedding_server_options(config)->key, "sk-test");

  config.embed.api_key_file = key_file() + "-none";
  const auto missing = embedding_server_options(config);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("embed.api_key_file: " + key_file() + "-none"));
}

}  // namespace
}  // namespace samtale
