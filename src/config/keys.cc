#include "config/keys.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ranges>

namespace samtale {
namespace {

constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;
constexpr double kTiB = 1024 * kGiB;
constexpr double kMinute = 60'000;  // Milliseconds.
constexpr double kHour = 60 * kMinute;

// clang-format off
#define AT(type, member) +[](Config& c) -> type& { return c.member; }
using Text = std::string;
using Size = std::size_t;
using Texts = std::vector<std::string>;

// What is told of a server that has language models.
#define LM_KEYS(section, url_help) \
  {#section ".url", AT(Text, section.url), url_help, 0, 0, Meaning::url}, \
  {#section ".model", AT(Text, section.model), "The model's name there, where an analyzer names none."}, \
  {#section ".api_key_file", AT(Text, section.api_key_file), "File with the server's API key. Empty: none is sent.", 0, 0, Meaning::secret_file}, \
  {#section ".structured", AT(Text, section.structured), "How the schema of an answer is told: as structured outputs, as JSON without a schema, or in words alone.", 0, 0, Meaning::plain, "json_schema|json_object|none"}, \
  {#section ".max_tokens_field", AT(Text, section.max_tokens_field), "What the server calls the most tokens of an answer.", 0, 0, Meaning::plain, "max_tokens|max_completion_tokens"}, \
  {#section ".stream", AT(bool, section.stream), "Read answers as they are written: a server that hangs is noticed sooner."}, \
  {#section ".send_temperature", AT(bool, section.send_temperature), "Send \"temperature\": 0; some models refuse it."}, \
  {#section ".requests_per_minute", AT(Size, section.requests_per_minute), "What the account may send. 0: learnt from the server's headers.", 0, 1e9}, \
  {#section ".tokens_per_minute", AT(Size, section.tokens_per_minute), "The same, of tokens in and out.", 0, 1e12}, \
  {#section ".concurrency_max", AT(Size, section.concurrency_max), "Requests under way at once, at the most; how many is found by how the server answers.", 1, 1000}, \
  {#section ".input_usd", AT(double, section.input_usd), "Dollars a million tokens of input.", 0, 1e6}, \
  {#section ".cached_input_usd", AT(double, section.cached_input_usd), "Of input that the server had in its prompt cache.", 0, 1e6}, \
  {#section ".output_usd", AT(double, section.output_usd), "Of output.", 0, 1e6}

const Key kKeys[] = {
  {"data_dir", AT(Text, data_dir), "The folder that holds everything Samtale stores. Made with mode 0700 if it is missing."},

  {"http.address", AT(Text, http.address), "The address to listen on. 0.0.0.0 for every IPv4 address; put TLS or a proxy with TLS in front.", 0, 0, Meaning::ip_address},
  {"http.port", AT(std::uint16_t, http.port), "The port to listen on. 0 lets the system choose; --ready-file tells which.", 0, 65535},
  {"http.tls_certificate", AT(Text, http.tls_certificate), "PEM file with the certificate and its chain. Set both this and http.tls_key, or neither.", 0, 0, Meaning::file},
  {"http.tls_key", AT(Text, http.tls_key), "PEM file with the private key.", 0, 0, Meaning::secret_file},
  {"http.io_threads", AT(Size, http.io_threads), "Threads that read and write sockets.", 1, 64},
  {"http.handler_threads", AT(Size, http.handler_threads), "Threads that answer requests.", 1, 256},
  {"http.handler_queue_max", AT(Size, http.handler_queue_max), "Requests that may wait for a handler thread; more get 503 with Retry-After.", 1, 1e6},
  {"http.connections_max", AT(Size, http.connections_max), "Connections open at once; more are refused.", 1, 1e6},
  {"http.header_bytes_max", AT(Size, http.header_bytes_max), "Longest request head.", 1 * kKiB, 1 * kMiB, Meaning::bytes},
  {"http.body_bytes_max", AT(Size, http.body_bytes_max), "Longest request body, after decompression; more gets 413.", 1 * kKiB, 1 * kGiB, Meaning::bytes},
  {"http.stream_bytes_max", AT(Size, http.stream_bytes_max), "Longest NDJSON stream of one request.", 1 * kKiB, 1 * kTiB, Meaning::bytes},
  {"http.header_timeout_ms", AT(Duration, http.header_timeout), "From the first byte of a request to the end of its head.", 100, kHour},
  {"http.body_timeout_ms", AT(Duration, http.body_timeout), "For the body to arrive.", 100, kHour},
  {"http.request_timeout_ms", AT(Duration, http.request_timeout), "For an answer to be made; then 503.", 100, kHour},
  {"http.idle_timeout_ms", AT(Duration, http.idle_timeout), "Between two requests of a connection. Longer than that of a proxy in front.", 100, 24 * kHour},
  {"http.metrics", AT(Text, http.metrics), "Who may read /metrics: this machine, or anybody.", 0, 0, Meaning::plain, "local|open"},
  {"http.public_url", AT(Text, http.public_url), "What webhook URLs begin with, as the providers reach it. Empty: made from address and port.", 0, 0, Meaning::url},

  {"store.kind", AT(Text, store.kind), "Where conversations, jobs and keys are kept: in files of the data folder, or in PostgreSQL (15 or later), which several servers may share.", 0, 0, Meaning::plain, "sqlite|postgres"},
  {"store.partitions", AT(Size, store.partitions), "Parts of the store that are written side by side: its files, or rows that writers wait for. Fixed when the store is made.", 1, 64},
  {"store.url", AT(Text, store.url), "The database of kind postgres, without a password: postgresql://user@host:5432/database. A pooler in transaction mode may be in between.", 0, 0},
  {"store.password_file", AT(Text, store.password_file), "File with the password. Empty: none is sent.", 0, 0, Meaning::secret_file},
  {"store.schema", AT(Text, store.schema), "The schema that holds everything. Made if the user may."},
  {"store.hash_partitions", AT(Size, store.hash_partitions), "PostgreSQL's partitions of each large table. Fixed when the store is made.", 1, 256},
  {"store.migrate", AT(bool, store.migrate), "A server brings the tables in PostgreSQL up to date as it starts. false: it starts only if they are; see samtale migrate."},
  {"store.connections_max", AT(Size, store.connections_max), "Connections of this server to the database, at the most.", 2, 1000},
  {"store.named_statements", AT(bool, store.named_statements), "Statements are prepared once a connection, which takes PostgreSQL half the time. Not behind a pooler, which is found out, nor with search.backend pgvector."},
  {"store.statement_timeout_ms", AT(Duration, store.statement_timeout), "For an answer of the database.", 100, kHour},
  {"store.changes_kept_ms", AT(Duration, store.changes_kept), "How long it is remembered what has changed; a server that was away longer loads its index anew.", 1000, 24 * kHour},

  {"cluster.roles", AT(Text, cluster.roles), "What this server does of the work of those that share a store in PostgreSQL: all, or some of gateway, indexer, searcher, analyst, keeper. Each answers the API."},
  {"cluster.url", AT(Text, cluster.url), "Where the others reach this server. Empty: made from address and port.", 0, 0, Meaning::url},
  {"cluster.slices", AT(Size, cluster.slices), "Into how many slices the index of a partition is divided: the most searchers that one company's can be split over (samtale company split). The same on all servers; store.partitions times this is at most 64.", 1, 64},
  {"cluster.replicas", AT(Size, cluster.replicas), "Searchers that hold the same index, so that one may go.", 1, 64},

  {"auth.jwks_url", AT(Text, auth.jwks_url), "Where an identity provider has the public keys of its tokens (JWK Set), such as https://PROJECT.supabase.co/auth/v1/.well-known/jwks.json. Asked every ten minutes, and when a token names a new key. Who has a valid token may search and read. Empty: none.", 0, 0, Meaning::url},
  {"auth.jwks_file", AT(Text, auth.jwks_file), "The same, in a file. Empty: none.", 0, 0, Meaning::file},
  {"auth.jwt_secret_file", AT(Text, auth.jwt_secret_file), "File with the secret of tokens signed with HS256, 32 bytes or more. Empty: none.", 0, 0, Meaning::secret_file},
  {"auth.jwt_issuer", AT(Text, auth.jwt_issuer), "What a token's \"iss\" must be. Empty: anything."},
  {"auth.jwt_audience", AT(Text, auth.jwt_audience), "What a token's \"aud\" must be or have. Empty: anything."},
  {"auth.jwt_company_claim", AT(Text, auth.jwt_company_claim), "Where a token has the company's name: company_id, or app_metadata.company for a member of a member."},

  {"accept.segment_bytes", AT(Size, accept.segment_bytes), "Size of one file of the accept log.", 1 * kMiB, 4 * kGiB, Meaning::bytes},
  {"accept.group_records_max", AT(Size, accept.group_records_max), "Events that share one flush to disk.", 1, 65536},
  {"accept.group_wait_ms_max", AT(Duration, accept.group_wait_max), "How long an event may wait for others to share its flush.", 0, 1000},
  {"accept.archive_bytes_max", AT(Size, accept.archive_bytes_max), "Raw events kept for replay; the oldest go first, never before they are indexed.", 64 * kMiB, 1024 * kTiB, Meaning::bytes},

  {"accept.ack", AT(Text, accept.ack), "When an event is answered: once it is on this server's disk, or once the broker has confirmed that it is on a majority of its disks, too. While that is away, or takes over two seconds, answers say \"ack\": \"local\".", 0, 0, Meaning::plain, "local|replicated"},
  {"queue.kind", AT(Text, queue.kind), "How jobs get to the servers that share a store of kind postgres: from the store itself, or through RabbitMQ (3.10 or later), before which the store stays the record. `samtale topology check --fix` makes the queues there.", 0, 0, Meaning::plain, "store|rabbitmq"},
  {"queue.url", AT(Text, queue.url), "The broker of kind rabbitmq, without a password: amqp://user@host:5672/vhost."},
  {"queue.password_file", AT(Text, queue.password_file), "File with the password. Empty: the broker's default one is sent.", 0, 0, Meaning::secret_file},
  {"queue.window", AT(Size, queue.window), "Jobs of a kind that wait in the broker beyond what workers ask for. More is faster, and a company waits for those of others that lie there.", 0, 10000},
  {"queue.jobs_max_per_company", AT(Size, queue.jobs_max_per_company), "Jobs of one company that may wait; its events beyond that get 429.", 1, 1e9},
  {"queue.lease_ms", AT(Duration, queue.lease), "How long a worker may take for what it has taken, unless it says that it still works. What a server had in hand that was killed, or stands still, others begin with after that; in a cluster, once it has been missing for half a minute. Analyses by a language model have 15 minutes, deliveries 10.", 5000, kHour},
  {"queue.retry_attempts", AT(Size, queue.retry_attempts), "Times a job is tried before it becomes a dead letter.", 1, 100},
  {"queue.retry_base_ms", AT(Duration, queue.retry_base), "Longest pause before the second attempt; doubles with each.", 1, kHour},
  {"queue.retry_longest_ms", AT(Duration, queue.retry_longest), "Longest pause between two attempts.", 1, 24 * kHour},

  {"chunk.policy", AT(Text, chunk.policy), "How conversations are cut into the pieces that are found.", 0, 0, Meaning::plain, "turns-v1"},

  {"embed.kind", AT(Text, embed.kind), "Where vectors come from: the built-in lexical embedder, an OpenAI-compatible server, or such a server that Samtale starts and watches.", 0, 0, Meaning::plain, "builtin|openai|managed"},
  {"embed.url", AT(Text, embed.url), "The server of kind openai: https://api.openai.com/v1.", 0, 0, Meaning::url},
  {"embed.model", AT(Text, embed.model), "The model's name there."},
  {"embed.api_key_file", AT(Text, embed.api_key_file), "File with the server's API key. Empty: none is sent.", 0, 0, Meaning::secret_file},
  {"embed.dimension", AT(Size, embed.dimension), "Numbers in a vector of that model. 0 for kind builtin.", 0, 8192},
  {"embed.batch_max", AT(Size, embed.batch_max), "Texts in one request.", 1, 2048},
  {"embed.timeout_ms", AT(Duration, embed.timeout), "For one request.", 100, kHour},
  {"embed.query_prefix", AT(Text, embed.query_prefix), "Put before a query: \"query: \" for E5 models."},
  {"embed.passage_prefix", AT(Text, embed.passage_prefix), "Put before a stored text: \"passage: \" for E5 models."},
  {"embed.input_type", AT(bool, embed.input_type), "Send \"input_type\": \"query\" or \"passage\", for servers that put the prefix themselves."},
  {"embed.command", AT(Texts, embed.command), "For kind managed: the program and its arguments. {port} is replaced by a free port."},

  LM_KEYS(lm, "An OpenAI-compatible server for analyses: https://api.openai.com/v1. Empty: analyses are extractive, and nothing leaves the machine."),

  LM_KEYS(lm_fallback, "A second server, asked while the first cannot be. Empty: none."),

  {"analyze.workers", AT(Size, analyze.workers), "Conversations that a language model reads at once.", 1, 256},
  {"analyze.critical_workers", AT(Size, analyze.critical_workers), "As many more, for critical analyzers only.", 1, 64},
  {"analyze.bulk_workers", AT(Size, analyze.bulk_workers), "As many more, for what is bulk only: back-fills and analyzers of that priority.", 1, 256},
  {"analyze.request_timeout_ms", AT(Duration, analyze.request_timeout), "For one request to a language model.", 100, kHour},
  {"analyze.segment_tokens", AT(Size, analyze.segment_tokens), "A conversation that goes on is read in segments of so many tokens, each once.", 200, 100000},
  {"analyze.whole_tokens_max", AT(Size, analyze.whole_tokens_max), "The longest conversation that is sent whole when it has ended.", 500, 1e6},
  {"analyze.batch", AT(bool, analyze.batch), "Hand in what can wait (history, bulk analyzers) to the Batch API of lm.url, which is slower and cheaper."},
  {"analyze.batch_window_ms", AT(Duration, analyze.batch_window), "Analyses with less time than this are not handed in; a batch that takes longer is cancelled and asked one by one.", 1000, 7 * 24 * kHour},
  {"analyze.batch_poll_ms", AT(Duration, analyze.batch_poll), "How often batches are made and looked after.", 100, kHour},
  {"analyze.batch_price", AT(double, analyze.batch_price), "What a batch costs, as a part of lm.*_usd.", 0, 1},
  {"analyze.mask_pii", AT(bool, analyze.mask_pii), "Mask personal data before anything is sent to a language model, unless the company's settings say otherwise."},
  {"analyze.tokens_per_day", AT(Size, analyze.tokens_per_day), "Tokens a company may spend a day (UTC), whatever its own settings say. 0: no limit.", 0, 1e12},
  {"analyze.tokens_per_month", AT(Size, analyze.tokens_per_month), "The same, a month.", 0, 1e12},
  {"analyze.usd_per_day", AT(double, analyze.usd_per_day), "Dollars a company may spend a day (UTC). 0: no limit.", 0, 1e6},
  {"analyze.usd_per_month", AT(double, analyze.usd_per_month), "The same, a month.", 0, 1e6},

  {"search.backend", AT(Text, search.backend), "What compares vectors: the server, in its own memory, or PostgreSQL by its extension pgvector (0.8 or later), where store.kind is postgres.", 0, 0, Meaning::plain, "native|pgvector"},
  {"search.hybrid_weight", AT(double, search.hybrid_weight), "Share of meaning in a hybrid search: 0 is words alone, 1 is meaning alone.", 0, 1},
  {"search.candidates", AT(Size, search.candidates), "Chunks taken from each side before they are joined.", 10, 10000},
  {"search.exact_within_ms", AT(Duration, search.exact_within), "A company of so many vectors that to compare all of them takes a core longer, as measured on this machine (some 50,000 of 384 numbers take 1 ms), is searched by a graph, faster and not quite exactly. 0: never.", 0, 10000},
  {"search.graph_from", AT(Size, search.graph_from), "With so many vectors, and not before, a company is searched by a graph, whatever exact_within_ms says; one that the server itself has made is kept until there are half as many. 0: as that says; where search.backend is pgvector, 50000.", 0, 1e9},
  {"search.recall_target", AT(double, search.recall_target), "Share of the nearest that a search by a graph finds; how wide it looks is measured.", 0.5, 0.999},
  {"search.memory_share", AT(double, search.memory_share), "Share of the memory that this server may use (the machine's, or its control group's limit) which companies' indexes may hold. Those searched or changed least recently then leave it, and are read again from the store when they are searched. Vectors in files do not count. 0: no limit.", 0, 1},

  {"cache.query_vectors_bytes", AT(Size, cache.query_vectors_bytes), "Memory for the vectors of queries, so that the embedding server is asked once for each. 0: none are kept.", 0, 1 * kTiB, Meaning::bytes},
  {"cache.searches_bytes", AT(Size, cache.searches_bytes), "Memory for what searches by meaning have found, which is brought up to date instead of searched again. 0: nothing is kept.", 0, 1 * kTiB, Meaning::bytes},
  {"cache.shown_bytes", AT(Size, cache.shown_bytes), "Memory for what searches show of conversations (who, when, the words around a hit), which is shown again while the change feed tells of no change. 0: the store is asked each time.", 0, 1 * kTiB, Meaning::bytes},
  {"cache.redis_url", AT(Text, cache.redis_url), "A Redis (6.2 or later) or Valkey in which all nodes keep the vectors of queries and divide the limits of a language model's account: redis://[user@]host[:port][/database] or unix:///path[?db=n]. Empty: none."},
  {"cache.redis_password_file", AT(Text, cache.redis_password_file), "File with its password. Empty: none is sent.", 0, 0, Meaning::secret_file},

  {"notify.threads", AT(Size, notify.threads), "Threads that send webhooks to subscribers.", 1, 64},
  {"notify.timeout_ms", AT(Duration, notify.timeout), "For one delivery.", 100, kMinute},
  {"notify.retry_schedule", AT(Texts, notify.retry_schedule), "Pauses before the second and each further attempt, such as 5s, 30m or 2h; then the delivery is a dead letter.", 0, 0, Meaning::length_of_time},
  {"notify.allow_http", AT(bool, notify.allow_http), "Let subscriptions name http:// URLs: for tests and networks of one's own."},
  {"notify.ports", AT(Texts, notify.ports), "Ports that a subscription's URL may name beside 443.", 0, 0, Meaning::port},
  {"notify.allow_private", AT(Texts, notify.allow_private), "Networks that are not public and may be sent to all the same, such as 10.1.0.0/16. Any company can then have requests sent into them.", 0, 0, Meaning::network},

  {"limits.events_per_second", AT(double, limits.events_per_second), "Of one company, unless its record says otherwise; more get 429.", 0.01, 1e9},
  {"limits.burst_seconds", AT(double, limits.burst_seconds), "How far ahead of its rate a company may be.", 0.1, 3600},
  {"limits.failures_max", AT(Size, limits.failures_max), "Bad credentials from one address and minute, before it gets 429.", 1, 1e6},
  {"limits.keys_max", AT(Size, limits.keys_max), "Active API keys of one company.", 1, 1e6},
  {"limits.endpoints_max", AT(Size, limits.endpoints_max), "Active webhook endpoints of one company.", 1, 1e6},
  {"limits.subscriptions_max", AT(Size, limits.subscriptions_max), "Subscriptions to events of one company.", 1, 1000},

  {"log.level", AT(Text, log.level), "The least that is written to standard error.", 0, 0, Meaning::plain, "debug|info|warn|error"},
  {"log.format", AT(Text, log.format), "Lines for people, or one JSON object a line.", 0, 0, Meaning::plain, "text|json"},
};
#undef AT
#undef LM_KEYS
// clang-format on

// Levenshtein's distance, two rows.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto changed = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Key> all_keys() { return kKeys; }

const Key* find_key(std::string_view name) {
  const auto* const found = std::ranges::find(kKeys, name, &Key::name);
  return found == std::end(kKeys) ? nullptr : found;
}

std::string environment_name(std::string_view key) {
  std::string name = "SAMTALE_";
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> names) {
  constexpr std::size_t kLongest = 64;  // Nobody mistypes more; keeps the cost bounded.
  std::string_view best;
  auto best_distance = std::max<std::size_t>(2, std::min(name.size(), kLongest) / 3) + 1;
  if (name.size() > kLongest) return best;
  for (const auto& candidate : names) {
    const auto d = distance(name, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

std::string hint_for_unknown(std::string_view name) {
  const auto as_file = std::string(name) + "_file";
  if (find_key(as_file) != nullptr) {
    return "; secrets are only read from files: set " + as_file + " to the path of one";
  }
  std::vector<std::string_view> names;
  for (const auto& key : kKeys) {
    // The same word in another section is a likelier slip than any misspelling.
    const auto last = key.name.substr(key.name.rfind('.') + 1);
    if (last == name.substr(name.rfind('.') + 1)) {
      return "; did you mean " + std::string(key.name) + "?";
    }
    names.push_back(key.name);
  }
  const auto near = nearest(name, names);
  if (near.empty()) return "; `samtale config show` lists every key";
  return "; did you mean " + std::string(near) + "?";
}

}  // namespace samtale
