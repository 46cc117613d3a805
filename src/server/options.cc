#include "server/options.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "ingest/jobs.h"
#include "notify/delivery_job.h"
#include "queue/conversation_job.h"

namespace samtale {
namespace {

// More than an event has beside its body, and a segment beside its records.
constexpr std::size_t kRecordHeadBytes = std::size_t{64} << 10;
constexpr std::size_t kRecordBytesLimit = std::size_t{1} << 30;  // The accept log's own.

std::string public_url(const Config& config) {
  const auto& http = config.http;
  if (!http.public_url.empty()) {
    // "https://host/" and "https://host" are the same; paths are appended with their own slash.
    return http.public_url.substr(0, http.public_url.find_last_not_of('/') + 1);
  }
  if (http.port == 0) return {};  // Known only later; answers then go by the Host header.
  return server_url(config, http.port);
}

// The first line of the file; the configuration has checked that nobody else can read it.
Result<std::string> read_key(std::string_view key_name, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path);
  std::string key;
  if (!std::getline(file, key)) {
    return fail(ErrorCode::invalid_argument,
                std::string(key_name) + ": " + path + " has no first line");
  }
  return key;
}

}  // namespace

LogOptions log_options(const Config& config) {
  const auto& level = config.log.level;
  LogOptions options;
  options.json = config.log.format == "json";
  options.level = level == "debug"   ? LogLevel::debug
                  : level == "warn"  ? LogLevel::warn
                  : level == "error" ? LogLevel::error
                                     : LogLevel::info;
  return options;
}

http::ServerOptions server_options(const Config& config) {
  http::ServerOptions options;
  const auto& http = config.http;
  options.address = http.address;
  options.port = http.port;
  options.local_socket = local_socket(config);
  if (!http.tls_certificate.empty()) {
    options.tls = http::TlsOptions{http.tls_certificate, http.tls_key};
  }
  options.io_threads = http.io_threads;
  options.handler_threads = http.handler_threads;
  options.handler_queue_max = http.handler_queue_max;
  options.connections_max = http.connections_max;
  options.header_bytes_max = http.header_bytes_max;
  options.body_bytes_max = http.body_bytes_max;
  options.stream_bytes_max = http.stream_bytes_max;
  options.header_timeout = http.header_timeout;
  options.body_timeout = http.body_timeout;
  options.request_timeout = http.request_timeout;
  options.idle_timeout = http.idle_timeout;
  return options;
}

ApiOptions api_options(const Config& config) {
  ApiOptions options;
  options.public_url = public_url(config);
  options.metrics_open = config.http.metrics == "open";
  return options;
}

namespace {

std::optional<JwtRules> jwt_rules(const AuthConfig& auth) {
  if (auth.jwks_url.empty() && auth.jwks_file.empty() && auth.jwt_secret_file.empty()) {
    return std::nullopt;
  }
  JwtRules rules;
  rules.issuer = auth.jwt_issuer;
  rules.audience = auth.jwt_audience;
  rules.company_claim = auth.jwt_company_claim;
  return rules;
}

}  // namespace

TenantOptions tenant_options(const Config& config) {
  const auto& limits = config.limits;
  return {.events_per_second = limits.events_per_second,
          .burst_seconds = limits.burst_seconds,
          .failures_max = static_cast<int>(limits.failures_max),
          .keys_max = static_cast<int>(limits.keys_max),
          .endpoints_max = static_cast<int>(limits.endpoints_max),
          .pass_key = {},
          .jwt = jwt_rules(config.auth)};
}

AcceptLogOptions accept_log_options(const Config& config) {
  const auto& accept = config.accept;
  AcceptLogOptions options;
  options.segment_bytes = accept.segment_bytes;
  options.group_records_max = accept.group_records_max;
  options.group_wait_max = accept.group_wait_max;
  // The largest body, where a segment has room for it: a record lies in one.
  options.record_bytes_max =
      std::min({std::max(options.record_bytes_max, config.http.body_bytes_max + kRecordHeadBytes),
                accept.segment_bytes - kRecordHeadBytes, kRecordBytesLimit});
  options.pending_bytes_max = std::max(options.pending_bytes_max, 2 * options.record_bytes_max);
  // The archive, what waits to take effect, and the segment being written. Past it nothing is
  // accepted any more (503): what has not taken effect is never let go.
  options.log_bytes_max = accept.archive_bytes_max + 4 * accept.segment_bytes;
  return options;
}

SqliteStoreOptions sqlite_store_options(const Config& config) {
  SqliteStoreOptions options;
  options.folder = config.data_dir;
  options.partitions = config.store.partitions;
  options.queue.jobs_per_company_max = static_cast<std::int64_t>(config.queue.jobs_max_per_company);
  return options;
}

Result<Roles> node_roles(const Config& config) {
  Roles roles;
  // One word even where there is none, which is none of them.
  const auto& listed = config.cluster.roles;
  for (std::size_t at = 0; at <= listed.size();) {
    const auto end = std::min(listed.find(',', at), listed.size());
    const auto word = std::string_view(listed).substr(at, end - at);
    at = end + 1;
    if (word == "gateway") continue;  // Every node answers the API.
    if (word == "all") {
      for (const auto role : kRoles) roles.add(role);
    } else if (const auto role = parse_role(word)) {
      roles.add(*role);
    } else {
      return fail(ErrorCode::invalid_argument,
                  "cluster.roles: must be all, or some of gateway, indexer, searcher, analyst and "
                  "keeper with commas between; got \"" +
                      std::string(word) + "\"");
    }
  }
  return roles;
}

Result<PostgresStoreOptions> postgres_store_options(const Config& config) {
  const auto& store = config.store;
  PostgresStoreOptions options;
  auto& pool = options.database.pool;
  pool.address.url = store.url;
  SAMTALE_TRY(pool.address.password, read_key("store.password_file", store.password_file));
  pool.connections_max = store.connections_max;
  // A plan that is to walk pgvector's graph follows from the values.
  pool.names_statements = store.named_statements && config.search.backend != "pgvector";
  pool.statement_timeout = store.statement_timeout;
  options.database.schema = store.schema;
  options.database.migrate = store.migrate;
  options.partitions = store.partitions;
  options.hash_partitions = store.hash_partitions;
  options.changes_kept = store.changes_kept;
  options.has_pgvector = config.search.backend == "pgvector";
  options.queue.jobs_per_company_max = static_cast<std::int64_t>(config.queue.jobs_max_per_company);
  return options;
}

// Those of the pipeline. The others are one server's own (erase), or one's that leads.
Result<std::optional<BrokerOptions>> broker_options(const Config& config) {
  const auto& queue = config.queue;
  if (queue.kind != "rabbitmq") return std::nullopt;
  auto address = amqp::parse_url(queue.url);
  if (!address) return std::unexpected(std::move(address).error().during("queue.url"));
  if (!queue.password_file.empty()) {
    SAMTALE_TRY(address->password, read_key("queue.password_file", queue.password_file));
  }
  BrokerOptions options{.queue = {}, .prefix = config.store.schema, .kinds = {}};
  options.queue.session.address = *std::move(address);
  options.queue.lane.window = queue.window;
  for (const auto kind : {kChunkJob, kEmbedJob, kAnalyzeJob, kLmCriticalJob, kLmJob, kLmBulkJob,
                          kNotifyJob, kDeliverJob}) {
    options.kinds.emplace_back(kind);
  }
  return options;
}

WorkerOptions worker_options(const Config& config) {
  WorkerOptions options;
  options.lease = config.queue.lease;
  options.retry.attempts = static_cast<int>(config.queue.retry_attempts);
  options.retry.base = config.queue.retry_base;
  options.retry.longest = config.queue.retry_longest;
  return options;
}

SearchOptions search_options(const Config& config) {
  SearchOptions options;
  options.vector_share = config.search.hybrid_weight;
  options.candidates = config.search.candidates;
  return options;
}

IndexOptions index_options(const Config& config) {
  IndexOptions options;
  options.graph_from = config.search.graph_from;
  options.exact_within = config.search.exact_within;
  // What the database takes is not measured.
  constexpr std::size_t kStoredGraphFrom = 50'000;
  if (config.search.backend == "pgvector" && options.graph_from == 0 &&
      options.exact_within > Duration::zero()) {
    options.graph_from = kStoredGraphFrom;
  }
  options.recall_target = config.search.recall_target;
  return options;
}

std::size_t index_bytes(const Config& config, std::size_t memory) {
  return static_cast<std::size_t>(config.search.memory_share * static_cast<double>(memory));
}

std::size_t searches_bytes(const Config& config) {
  return config.search.backend == "pgvector" ? 0 : config.cache.searches_bytes;
}

std::string segment_folder(const Config& config) { return config.data_dir + "/index"; }

std::string share_folder(const Config& config, std::size_t slice) {
  return segment_folder(config) + "-" + std::to_string(slice);
}

Result<std::optional<SharedCacheOptions>> shared_cache_options(const Config& config) {
  const auto& cache = config.cache;
  if (cache.redis_url.empty()) return std::nullopt;
  auto address = parse_redis_url(cache.redis_url);
  if (!address) return std::unexpected(std::move(address).error().during("cache.redis_url"));
  SharedCacheOptions options{.address = *std::move(address)};
  SAMTALE_TRY(options.address.password,
              read_key("cache.redis_password_file", cache.redis_password_file));
  return options;
}

Result<std::optional<SharedRateOptions>> shared_rate_options(const Config& config) {
  SAMTALE_TRY(auto cache, shared_cache_options(config));
  if (!cache) return std::nullopt;
  return SharedRateOptions{.address = std::move(cache->address), .timeout = cache->timeout};
}

Result<OpenAiEmbedderOptions> embedding_server_options(const Config& config) {
  const auto& embed = config.embed;
  OpenAiEmbedderOptions options;
  options.url = embed.url;
  SAMTALE_TRY(options.key, read_key("embed.api_key_file", embed.api_key_file));
  options.model = embed.model;
  options.dimension = embed.dimension;
  options.batch_max = embed.batch_max;
  options.query_prefix = embed.query_prefix;
  options.passage_prefix = embed.passage_prefix;
  options.input_type = embed.input_type;
  return options;
}

Result<ManagedEmbedderOptions> managed_embedder_options(const Config& config) {
  ManagedEmbedderOptions options;
  options.command = config.embed.command;
  SAMTALE_TRY(options.server, embedding_server_options(config));
  options.log_path = config.data_dir + "/embedder.log";
  return options;
}

Result<OpenAiChatOptions> chat_options(std::string_view section, const LmConfig& config) {
  OpenAiChatOptions options;
  options.url = config.url;
  SAMTALE_TRY(options.key, read_key(std::string(section) + ".api_key_file", config.api_key_file));
  options.model = config.model;
  options.structured = config.structured;
  options.stream = config.stream;
  options.max_tokens_field = config.max_tokens_field;
  options.send_temperature = config.send_temperature;
  return options;
}

GateOptions gate_options(const LmConfig& config) {
  GateOptions options;
  options.requests_per_minute = static_cast<std::int64_t>(config.requests_per_minute);
  options.tokens_per_minute = static_cast<std::int64_t>(config.tokens_per_minute);
  options.concurrency_max = config.concurrency_max;
  options.concurrency_start = std::min(options.concurrency_start, config.concurrency_max);
  return options;
}

TokenPrices token_prices(const LmConfig& config) {
  return {.input = config.input_usd,
          .cached_input = config.cached_input_usd,
          .output = config.output_usd};
}

LmAnalystOptions analyst_options(const Config& config) {
  LmAnalystOptions options;
  options.segment_tokens = static_cast<std::int64_t>(config.analyze.segment_tokens);
  options.whole_tokens_max = static_cast<std::int64_t>(config.analyze.whole_tokens_max);
  return options;
}

// Without its secret.
BatchWorkerOptions batch_worker_options(const Config& config) {
  const auto& analyze = config.analyze;
  BatchWorkerOptions options;
  options.retry = worker_options(config).retry;
  options.poll = analyze.batch_poll;
  options.window = analyze.batch_window;
  options.cancel_grace = std::min(options.cancel_grace, options.window / 10);
  options.find_grace = std::min(options.find_grace, options.window / 10);
  options.prices = token_prices(config.lm);
  for (auto* price :
       {&options.prices.input, &options.prices.cached_input, &options.prices.output}) {
    *price *= analyze.batch_price;
  }
  return options;
}

LmWorkerOptions lm_worker_options(const Config& config) {
  LmWorkerOptions options;
  options.worker.retry = worker_options(config).retry;
  return options;
}

AnalysisSettings analysis_settings(const Config& config) {
  constexpr double kMicro = 1e6;
  const auto& analyze = config.analyze;
  const auto tokens = [](std::size_t most) {
    return most == 0 ? std::nullopt : std::optional(static_cast<std::int64_t>(most));
  };
  const auto micro_usd = [](double usd) {
    return usd == 0 ? std::nullopt : std::optional(std::llround(usd * kMicro));
  };
  AnalysisSettings settings;
  settings.budget.tokens_per_day = tokens(analyze.tokens_per_day);
  settings.budget.tokens_per_month = tokens(analyze.tokens_per_month);
  settings.budget.micro_usd_per_day = micro_usd(analyze.usd_per_day);
  settings.budget.micro_usd_per_month = micro_usd(analyze.usd_per_month);
  settings.mask_pii = analyze.mask_pii;
  return settings;
}

std::vector<Network> private_networks(const Config& config) {
  std::vector<Network> networks;
  for (const auto& text : config.notify.allow_private) {
    if (const auto network = parse_network(text)) networks.push_back(*network);
  }
  return networks;
}

SubscriptionOptions subscription_options(const Config& config) {
  SubscriptionOptions options;
  options.per_company_max = static_cast<int>(config.limits.subscriptions_max);
  options.allow_http = config.notify.allow_http;
  for (const auto& text : config.notify.ports) {
    options.ports.push_back(static_cast<std::uint16_t>(std::stoul(text)));
  }
  options.may_connect = public_or(private_networks(config));
  return options;
}

WebhookSenderOptions webhook_sender_options(const Config& config) {
  WebhookSenderOptions options;
  options.timeout = config.notify.timeout;
  options.ping_timeout = std::min(options.ping_timeout, config.notify.timeout);
  return options;
}

DeliverOptions deliver_options(const Config& config) {
  DeliverOptions options;
  options.threads = config.notify.threads;
  options.retry_schedule.clear();
  for (const auto& text : config.notify.retry_schedule) {
    options.retry_schedule.push_back(parse_length_of_time(text).value_or(Duration{}));
  }
  return options;
}

std::string server_url(const Config& config, std::uint16_t port) {
  const std::string scheme = config.http.tls_certificate.empty() ? "http" : "https";
  const auto& address = config.http.address;
  const bool is_v6 = address.find(':') != std::string::npos;  // RFC 3986, section 3.2.2.
  const auto host = is_v6 ? "[" + address + "]" : address;
  return scheme + "://" + host + ":" + std::to_string(port);
}

std::string local_socket(const Config& config) { return config.data_dir + "/samtale.sock"; }

}  // namespace samtale
