// Config: everything an operator may set. Read once in main, checked whole, then handed out in
// parts: a room sees its own options struct, never this one.
//
// Order: defaults < file < environment < flags; the later one wins, key by key.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

namespace samtale {

struct HttpConfig {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;    // 0 lets the system choose.
  std::string tls_certificate;  // PEM file, chain included; empty: no TLS. Both or none.
  std::string tls_key;          // PEM file, mode 0600.
  std::size_t io_threads = 1;
  std::size_t handler_threads = 4;
  std::size_t handler_queue_max = 1024;
  std::size_t connections_max = 4096;
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = std::size_t{16} << 20;
  std::size_t stream_bytes_max = std::size_t{4} << 30;
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(60);
  Duration request_timeout = std::chrono::seconds(30);
  Duration idle_timeout = std::chrono::seconds(75);
  std::string metrics = "local";  // "local" or "open".
  std::string public_url;         // What endpoint URLs begin with; empty: made from the address.
};

struct StoreConfig {
  std::string kind = "sqlite";  // "sqlite" or "postgres".
  std::size_t partitions = 4;   // Fixed when the store is made.
  // For "postgres":
  std::string url;            // "postgresql://user@host:5432/database"
  std::string password_file;  // Mode 0600; empty: none is sent.
  std::string schema = "samtale";
  std::size_t hash_partitions = 16;  // Fixed when the store is made.
  bool migrate = true;  // False: a server only looks whether the tables are up to date.
  std::size_t connections_max = 16;
  bool named_statements = true;
  Duration statement_timeout = std::chrono::seconds(30);
  Duration changes_kept = std::chrono::minutes(10);
};

// One of several servers that share a store of kind postgres.
struct ClusterConfig {
  // "all", or some of "gateway", "indexer", "searcher", "analyst" and "keeper", with commas.
  std::string roles = "all";
  std::string url;           // Where the others reach this one; empty: made from the address.
  std::size_t replicas = 2;  // Searchers that hold one slice's index.
  std::size_t slices = 1;    // Of each partition's index.
};

// Tokens of an identity provider, beside API keys; none of the first three: they are refused.
struct AuthConfig {
  std::string jwks_url;
  std::string jwks_file;
  std::string jwt_secret_file;  // HS256.
  std::string jwt_issuer;
  std::string jwt_audience;
  std::string jwt_company_claim = "company_id";
};

struct AcceptConfig {
  std::size_t segment_bytes = std::size_t{64} << 20;
  std::size_t group_records_max = 256;
  Duration group_wait_max = std::chrono::milliseconds(5);
  std::size_t archive_bytes_max = std::size_t{20} << 30;  // Raw events kept for replay.
  std::string ack = "local";                              // Or "replicated".
};

struct QueueConfig {
  std::string kind = "store";  // "store" or "rabbitmq".
  // For "rabbitmq":
  std::string url;            // "amqp://user@host:5672/vhost"
  std::string password_file;  // Mode 0600; empty: RabbitMQ's own "guest".
  std::size_t window = 0;     // Jobs of a kind.
  std::size_t jobs_max_per_company = 1'000'000;
  Duration lease = std::chrono::minutes(2);
  std::size_t retry_attempts = 5;
  Duration retry_base = std::chrono::seconds(1);
  Duration retry_longest = std::chrono::minutes(5);
};

struct ChunkConfig {
  std::string policy = "turns-v1";
};

struct EmbedConfig {
  std::string kind = "builtin";  // "builtin", "openai" or "managed".
  std::string url;               // Of an OpenAI-compatible server: "https://host/v1".
  std::string model;
  std::string api_key_file;   // Mode 0600; empty: no key is sent.
  std::size_t dimension = 0;  // 0: the built-in embedder's own.
  std::size_t batch_max = 32;
  Duration timeout = std::chrono::seconds(30);
  std::string query_prefix;  // "query: " for E5 models.
  std::string passage_prefix;
  bool input_type = false;           // Sends "input_type" instead of prefixes.
  std::vector<std::string> command;  // For "managed": what to start; "{port}" is replaced.
};

// An account at a provider of language models.
struct LmConfig {
  std::string url;  // Of an OpenAI-compatible server: "https://host/v1". Empty: there is none.
  std::string model;
  std::string api_key_file;                // Mode 0600; empty: no key is sent.
  std::string structured = "json_schema";  // "json_schema", "json_object" or "none".
  std::string max_tokens_field = "max_tokens";
  bool stream = false;
  bool send_temperature = true;
  std::size_t requests_per_minute = 0;  // 0: learnt from the provider.
  std::size_t tokens_per_minute = 0;
  std::size_t concurrency_max = 64;
  double input_usd = 0;  // A million tokens.
  double cached_input_usd = 0;
  double output_usd = 0;
};

struct AnalyzeConfig {
  std::size_t workers = 16;          // Conversations that a language model reads at once …
  std::size_t critical_workers = 4;  // … and as many more for critical ones …
  std::size_t bulk_workers = 16;     // … and for bulk.
  Duration request_timeout = std::chrono::seconds(120);
  std::size_t segment_tokens = 1'000;
  std::size_t whole_tokens_max = 12'000;
  // What can wait goes to the Batch API of lm.url …
  bool batch = false;
  Duration batch_window = std::chrono::hours(24);  // … which may take so long,
  Duration batch_poll = std::chrono::minutes(1);   // is looked at so often,
  double batch_price = 0.5;                        // and costs this part of lm.*_usd.
  bool mask_pii = false;                           // Unless the company's settings say otherwise.
  // Of each company at the most; 0: no limit.
  std::size_t tokens_per_day = 0;
  std::size_t tokens_per_month = 0;
  double usd_per_day = 0;
  double usd_per_month = 0;
};

struct SearchConfig {
  std::string backend = "native";  // Of vectors: "native" or "pgvector".
  double hybrid_weight = 0.5;      // Share of meaning against words, 0 to 1.
  std::size_t candidates = 200;
  Duration exact_within = std::chrono::milliseconds(1);  // Of one core; 0: however long it takes.
  std::size_t graph_from = 0;   // Vectors of one company; 0: as exact_within says.
  double recall_target = 0.95;  // Of a search by the graph.
  double memory_share = 0.5;    // Of this server's memory, for indexes; 0: no limit.
};

struct CacheConfig {
  // In memory; 0: nothing is kept.
  std::size_t query_vectors_bytes = std::size_t{16} << 20;
  std::size_t searches_bytes = std::size_t{64} << 20;
  std::size_t shown_bytes = std::size_t{64} << 20;
  std::string redis_url;            // "redis://host:6379/0" or "unix:///path"; empty: none.
  std::string redis_password_file;  // Mode 0600; empty: no password is sent.
};

// Outgoing webhooks.
struct NotifyConfig {
  std::size_t threads = 4;
  Duration timeout = std::chrono::seconds(15);
  // Lengths of time as parse_length_of_time reads them.
  std::vector<std::string> retry_schedule = {"5s",  "5m",  "30m", "2h", "5h",
                                             "10h", "14h", "20h", "24h"};
  bool allow_http = false;
  std::vector<std::string> ports;          // Beside 443.
  std::vector<std::string> allow_private;  // Networks: "10.1.0.0/16".
};

struct LimitsConfig {
  double events_per_second = 20'000;  // Per company, unless its record says otherwise.
  double burst_seconds = 2;
  std::size_t failures_max = 20;  // Bad credentials per address and minute.
  std::size_t keys_max = 100;     // Per company.
  std::size_t endpoints_max = 1'000;
  std::size_t subscriptions_max = 20;
};

struct LogConfig {
  std::string level = "info";   // "debug", "info", "warn" or "error".
  std::string format = "text";  // "text" or "json".
};

struct Config {
  std::string data_dir = "./data";
  HttpConfig http;
  StoreConfig store;
  ClusterConfig cluster;
  AuthConfig auth;
  AcceptConfig accept;
  QueueConfig queue;
  ChunkConfig chunk;
  EmbedConfig embed;
  LmConfig lm;
  LmConfig lm_fallback;  // Used while the first cannot be.
  AnalyzeConfig analyze;
  SearchConfig search;
  CacheConfig cache;
  NotifyConfig notify;
  LimitsConfig limits;
  LogConfig log;
};

// Where values come from. `environment` holds only names that begin with SAMTALE_.
struct ConfigSources {
  std::string file;  // Must exist if set. Empty: the first of kConfigFiles that exists.
  std::map<std::string, std::string> environment;
  struct Override {  // "--port 9000" is {"http.port", "9000", "--port"}.
    std::string key;
    std::string value;
    std::string flag = "--set";
  };
  std::vector<Override> overrides;
};
inline constexpr std::string_view kConfigFiles[] = {"./samtale.toml", "/etc/samtale/samtale.toml"};

struct LoadedConfig {
  Config config;
  std::string file;                                         // The one that was read; empty if none.
  std::map<std::string, std::string, std::less<>> origins;  // Key to where its value is from.
};

// Errors: invalid_argument, with every mistake on a line of its own: "FILE:LINE: KEY: what is
// wrong; remedy". Files that keys name must exist, and those with secrets be closed to others.
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSources& sources);

// The same for a text, without looking at the disk: what the fuzzer and the tests call.
[[nodiscard]] Result<LoadedConfig> parse_config(std::string_view toml, std::string_view file_name);

// The names beginning with SAMTALE_ among environ(7)'s.
[[nodiscard]] std::map<std::string, std::string> samtale_environment();

// One line of documentation a key, in the order of the struct.
struct ConfigKeyInfo {
  std::string name;           // "http.port"
  std::string environment;    // "SAMTALE_HTTP_PORT"
  std::string type;           // "integer", "bytes", "text", …
  std::string range;          // "0 to 65535", "local or open"; may be empty.
  std::string default_value;  // As it would be written in TOML.
  std::string help;
};
[[nodiscard]] std::vector<ConfigKeyInfo> config_keys();

// A value as it would be written in TOML. Empty for a key that does not exist.
[[nodiscard]] std::string config_value(const Config& config, std::string_view key);

// "250ms", "5s", "30m", "2h": a whole number, and its unit. Empty if it is none, or longer than 30
// days.
[[nodiscard]] std::optional<Duration> parse_length_of_time(std::string_view text);

// docs/configuration.md, whole.
[[nodiscard]] std::string config_documentation();

}  // namespace samtale
