// Options: the configuration, handed out a room's part at a time. The only place that knows both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accept/accept_log.h"
#include "analyze/batch_worker.h"
#include "analyze/catalog.h"
#include "analyze/worker.h"
#include "api/api.h"
#include "base/result.h"
#include "cache/shared_cache.h"
#include "cache/shared_rate.h"
#include "cluster/member.h"
#include "config/config.h"
#include "embed/managed_embedder.h"
#include "embed/openai_embedder.h"
#include "http/server.h"
#include "index/company_index.h"
#include "ingest/workers.h"
#include "lm/gate.h"
#include "lm/openai_chat.h"
#include "notify/public_address.h"
#include "notify/subscriptions.h"
#include "notify/webhook_sender.h"
#include "notify/worker.h"
#include "queue/rabbit_queue.h"
#include "search/search.h"
#include "store/postgres_store.h"
#include "store/sqlite_store.h"
#include "sys/log.h"
#include "tenants/tenants.h"

namespace samtale {

[[nodiscard]] LogOptions log_options(const Config& config);
[[nodiscard]] http::ServerOptions server_options(const Config& config);
// Without the version and the assets.
[[nodiscard]] ApiOptions api_options(const Config& config);
[[nodiscard]] TenantOptions tenant_options(const Config& config);
[[nodiscard]] AcceptLogOptions accept_log_options(const Config& config);
[[nodiscard]] SqliteStoreOptions sqlite_store_options(const Config& config);
// Errors: invalid_argument for a role that there is not.
[[nodiscard]] Result<Roles> node_roles(const Config& config);
[[nodiscard]] Result<PostgresStoreOptions> postgres_store_options(const Config& config);
// The queues of the broker, and how they are used.
struct BrokerOptions {
  RabbitQueueOptions queue;
  std::string prefix;  // Of their names: two stores may share a broker.
  std::vector<std::string> kinds;
};
// Empty where jobs come from the store itself. Reads the file with the password. Errors:
// invalid_argument.
[[nodiscard]] Result<std::optional<BrokerOptions>> broker_options(const Config& config);
[[nodiscard]] WorkerOptions worker_options(const Config& config);
// Without the key of the cursors.
[[nodiscard]] SearchOptions search_options(const Config& config);
[[nodiscard]] IndexOptions index_options(const Config& config);
// What indexes may hold in memory; 0: no limit.
[[nodiscard]] std::size_t index_bytes(const Config& config, std::size_t memory);
// What NearCache may hold: nothing where searches cannot be brought up to date.
[[nodiscard]] std::size_t searches_bytes(const Config& config);
// Where the graphs of large companies are kept.
[[nodiscard]] std::string segment_folder(const Config& config);
// Of what a slice has of companies that are split.
[[nodiscard]] std::string share_folder(const Config& config, std::size_t slice);
// Empty without a Redis. Reads the file with its password. Errors: invalid_argument.
[[nodiscard]] Result<std::optional<SharedCacheOptions>> shared_cache_options(const Config& config);
[[nodiscard]] Result<std::optional<SharedRateOptions>> shared_rate_options(const Config& config);
// Reads the file with the server's key. Errors: invalid_argument.
[[nodiscard]] Result<OpenAiEmbedderOptions> embedding_server_options(const Config& config);
[[nodiscard]] Result<ManagedEmbedderOptions> managed_embedder_options(const Config& config);

// `section` is the configuration's name of it. Reads the file with the server's key. Errors:
// invalid_argument.
[[nodiscard]] Result<OpenAiChatOptions> chat_options(std::string_view section,
                                                     const LmConfig& config);
[[nodiscard]] GateOptions gate_options(const LmConfig& config);
[[nodiscard]] TokenPrices token_prices(const LmConfig& config);
[[nodiscard]] LmAnalystOptions analyst_options(const Config& config);
// Without the secret of the masks.
[[nodiscard]] BatchWorkerOptions batch_worker_options(const Config& config);
[[nodiscard]] LmWorkerOptions lm_worker_options(const Config& config);
[[nodiscard]] AnalysisSettings analysis_settings(const Config& config);

[[nodiscard]] SubscriptionOptions subscription_options(const Config& config);
// Networks beside the public Internet that webhooks may be sent to.
[[nodiscard]] std::vector<Network> private_networks(const Config& config);
[[nodiscard]] WebhookSenderOptions webhook_sender_options(const Config& config);
[[nodiscard]] DeliverOptions deliver_options(const Config& config);

// Where the server can be reached: "http://127.0.0.1:8080". `port` is the one it listens on.
[[nodiscard]] std::string server_url(const Config& config, std::uint16_t port);
// The socket by which the operator of this machine reaches it.
[[nodiscard]] std::string local_socket(const Config& config);

}  // namespace samtale
