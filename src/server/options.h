// Options: the configuration, handed out a room's part at a time. The only place that knows both.
#pragma once

#include <cstdint>
#include <string>

#include "accept/accept_log.h"
#include "api/api.h"
#include "base/result.h"
#include "config/config.h"
#include "embed/managed_embedder.h"
#include "embed/openai_embedder.h"
#include "http/server.h"
#include "index/company_index.h"
#include "ingest/workers.h"
#include "search/search.h"
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
[[nodiscard]] SqliteStoreOptions store_options(const Config& config);
[[nodiscard]] WorkerOptions worker_options(const Config& config);
// Without the key of the cursors.
[[nodiscard]] SearchOptions search_options(const Config& config);
[[nodiscard]] IndexOptions index_options(const Config& config);
// Reads the file with the server's key. Errors: invalid_argument.
[[nodiscard]] Result<OpenAiEmbedderOptions> embedding_server_options(const Config& config);
[[nodiscard]] Result<ManagedEmbedderOptions> managed_embedder_options(const Config& config);

// Where the server can be reached: "http://127.0.0.1:8080". `port` is the one it listens on.
[[nodiscard]] std::string server_url(const Config& config, std::uint16_t port);
// The socket by which the operator of this machine reaches it.
[[nodiscard]] std::string local_socket(const Config& config);

}  // namespace samtale
