// Api: the HTTP API (docs/http-api.md) over the features: decode, ask a feature, encode.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/backfill.h"
#include "analyze/catalog.h"
#include "base/result.h"
#include "cluster/member.h"
#include "http/server.h"
#include "ingest/receiver.h"
#include "json/json.h"
#include "metrics/metrics.h"
#include "notify/subscriptions.h"
#include "notify/webhook_sender.h"
#include "queue/queue.h"
#include "search/index_set.h"
#include "search/search.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/log.h"
#include "sys/random.h"
#include "tenants/tenants.h"

namespace samtale {

// One file of the dashboard, embedded in the binary.
struct Asset {
  std::string_view path;  // "/assets/app.js"
  std::string_view content_type;
  std::string_view bytes;
};

struct ApiOptions {
  std::string version;
  std::string public_url;     // What endpoint URLs begin with: "https://samtale.example.com".
  bool metrics_open = false;  // Serve /metrics to anyone, not only to this machine.
  std::size_t batch_items_max = 10'000;
  std::vector<Asset> assets;
};

// The slices of companies' indexes, at this node and at the others.
// Threads: any method from any thread.
class SliceHost {
 public:
  virtual ~SliceHost() = default;

  // Of each partition.
  [[nodiscard]] virtual std::size_t count() const = 0;
  // Whether a search of the company is to be asked of all of them, and not of its whole index.
  [[nodiscard]] virtual bool is_split(CompanyId company) const = 0;
  // What this node has in a slice of companies that are split.
  [[nodiscard]] virtual IndexSet& shares(std::size_t slice) = 0;
  // Whether this node has it.
  [[nodiscard]] virtual bool has(CompanyId company, std::size_t slice) const = 0;
  // As ApiParts::open_index and wait_applied.
  [[nodiscard]] virtual Result<std::shared_ptr<const CompanyIndex>> open(CompanyId company,
                                                                         std::size_t slice) = 0;
  [[nodiscard]] virtual std::uint64_t wait_applied(CompanyId company, std::size_t slice,
                                                   std::uint64_t sequence) = 0;
  // Lets another node answer POST /v1/slices/{slice}, which has it.
  [[nodiscard]] virtual Result<HttpAnswer> ask(const Caller& caller, std::size_t slice,
                                               const std::string& request_id,
                                               const std::string& body) = 0;
};

// What the routes work on. All of it must outlive the Api.
struct ApiParts {
  Tenants& tenants;
  Receiver& receiver;
  Store& store;
  Queue& queue;
  const Searcher& searcher;
  IndexSet& indexes;
  AnalyzerCatalog& analyzers;
  Backfills& backfills;
  Subscriptions& subscriptions;
  const WebhookSender& webhook_sender;
  Metrics& metrics;
  const Clock& clock;
  Random& random;
  Log& log;
  // Empty when the server takes work; else why it does not.
  std::function<std::string()> not_ready;
  std::function<bool()> embedder_ready;
  // Why the company's analyses wait for another day, as people read it. May be empty.
  std::function<std::vector<std::string>(CompanyId)> budget_refusals;
  bool has_language_model = false;  // Whether analyses may be asked of one.
  // Makes received events take effect again; how many.
  std::function<Result<std::size_t>(std::optional<WallTime> from, std::optional<WallTime> to)>
      replay;
  // How many conversations the company has, as counted last, at once; nothing if it is not known
  // yet. Empty: the store is asked.
  std::function<std::optional<std::int64_t>(CompanyId)> conversations;
  // The last change of the company's partition that its index here has; 0: it is not loaded. Waits
  // for `sequence`, a bounded time.
  std::function<std::uint64_t(CompanyId, std::uint64_t sequence)> wait_applied;
  // The company's whole index, which stays open while it is held; waits a bounded time if it is
  // cold. Null: it is not here. Errors: unavailable: not yet open.
  std::function<Result<std::shared_ptr<const CompanyIndex>>(CompanyId)> open_index;
  // Lets another node answer, which has it. Empty: there is none.
  std::function<Result<HttpAnswer>(const Caller&, const http::Request&)> elsewhere;
  // Null: every index is whole.
  SliceHost* slices = nullptr;
  // The nodes that share the store. Empty: this one alone has it.
  std::function<Result<std::vector<Member>>()> members;
  // Something of the company was deleted: whoever remembers its words forgets them. May be empty.
  std::function<void(CompanyId)> forget;
};

// Every route, for the server. The Api's data lives as long as the routes.
[[nodiscard]] std::vector<http::Route> make_api_routes(ApiParts parts, ApiOptions options);

// OpenAPI 3.1 of the same table.
[[nodiscard]] json::Value openapi_document(const ApiOptions& options);

}  // namespace samtale
