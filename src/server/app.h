// App: the whole of Samtale on one machine, wired bottom up and taken down top down.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "accept/accept_log.h"
#include "analyze/backfill.h"
#include "analyze/batch_worker.h"
#include "analyze/catalog.h"
#include "analyze/worker.h"
#include "api/api.h"
#include "base/result.h"
#include "cache/shared_cache.h"
#include "cluster/node.h"
#include "cluster/router.h"
#include "config/config.h"
#include "embed/embedder.h"
#include "http/server.h"
#include "index/segment_folder.h"
#include "ingest/normaliser.h"
#include "ingest/receiver.h"
#include "ingest/workers.h"
#include "metrics/metrics.h"
#include "notify/subscriptions.h"
#include "notify/webhook_sender.h"
#include "notify/worker.h"
#include "relay/rabbit_replicator.h"
#include "relay/replicated_events.h"
#include "search/hydration.h"
#include "search/index_budget.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "search/near_cache.h"
#include "search/query_vectors.h"
#include "search/search.h"
#include "server/conversation_counts.h"
#include "server/database_watch.h"
#include "server/jwt_source.h"
#include "server/language_model.h"
#include "server/slicing.h"
#include "server/stores.h"
#include "sqlite/data_folder.h"
#include "store/registry.h"
#include "store/store.h"
#include "sys/bell.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/http_client.h"
#include "sys/log.h"
#include "sys/random.h"
#include "tenants/tenants.h"

namespace samtale {

// The embedder that the configuration names, and what keeps it going.
struct MadeEmbedder {
  std::unique_ptr<Embedder> embedder;
  // Runs on a thread of its own until told to stop; empty if there is nothing to watch.
  std::function<void(const std::stop_token&)> watch;
  std::function<bool()> is_ready;
};
// Errors: invalid_argument, unavailable.
[[nodiscard]] Result<MadeEmbedder> make_embedder(const Config& config, HttpClient& http_client,
                                                 Clock& clock, Random& random, Log& log);

// Threads: open, start and stop from one thread.
class App {
 public:
  // Opens everything below the data folder (made if it is missing), recovers what a crash left.
  // Errors name the thing and the remedy: folder in use, wrong owner, damaged file, newer version.
  [[nodiscard]] static Result<std::unique_ptr<App>> open(const Config& config, Log& log);
  ~App();  // Stops.
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  [[nodiscard]] const std::vector<http::Route>& routes() const { return routes_; }

  // Loads the index and starts the workers: from here on, accepted events take effect.
  Result<> start();
  // Once the API answers at this URL.
  void announce(const std::string& url);
  // Refuses readiness, so that whoever balances load sends no more; goes on answering.
  void end_readiness();
  // Refuses readiness, ends the workers between two pieces of work, commits what was accepted.
  void stop();

  // After each HTTP exchange: counts it and writes the access log.
  void observe(const http::Exchange& exchange);
  // Told by the server that serves `routes`, for the metrics.
  void watch(const http::Server& server) { server_ = &server; }

 private:
  App(const Config& config, Log& log, DataFolder folder);

  Result<> build();
  void make_routes();
  void export_metrics();
  void export_cache_metrics();
  void export_broker_metrics();
  void export_replication_metrics();
  void export_database_metrics();
  Result<> build_analyses();
  Result<> build_search();
  Result<> build_node();
  [[nodiscard]] bool does(Role role) const { return roles_.has(role); }
  // A place is a slice of a partition, among all of them.
  [[nodiscard]] std::size_t slices() const { return config_.cluster.slices; }
  [[nodiscard]] std::size_t home_of(CompanyId company) const;
  [[nodiscard]] bool holds(std::size_t place) const { return !node_ || node_->holds(place); }
  [[nodiscard]] bool may_be_asked(std::size_t place) const;
  [[nodiscard]] bool leads() const { return !node_ || node_->leads(); }
  // As ApiParts::open_index, of the index in this place; and as ApiParts::wait_applied.
  [[nodiscard]] Result<std::shared_ptr<const CompanyIndex>> open_index(std::size_t place,
                                                                       CompanyId company,
                                                                       IndexFollower::Part part);
  [[nodiscard]] std::uint64_t wait_applied(std::size_t place, std::uint64_t sequence);
  template <typename Wait>
  void wait_where_may(const Wait& wait);
  // Nothing where nothing of the company is here. Errors: unavailable: not yet open.
  [[nodiscard]] Result<std::shared_ptr<const WordStatistics>> words_of(CompanyId company);
  // As ApiParts::elsewhere.
  [[nodiscard]] Result<HttpAnswer> ask_elsewhere(const Caller& caller,
                                                 const http::Request& request);
  Result<> join();
  void end_leases_of_the_dead();
  void watch_database();
  Result<> load_index();
  Result<> sweep_shares();
  Result<std::size_t> maintain(const std::stop_token& stop);
  void hear(const PartitionNews& news);
  Result<std::size_t> follow(std::size_t place);
  Result<> build_indexes();
  [[nodiscard]] Result<std::unique_ptr<SegmentFolder>> open_segments(const std::string& folder);
  [[nodiscard]] std::unique_ptr<IndexSet> make_indexes(SegmentFolder* segments);
  void start_following(std::size_t place, const WorkerOptions& options);
  void start_maintaining(const WorkerOptions& options);
  [[nodiscard]] IndexSize index_size() const;
  [[nodiscard]] bool is_left_to_others(WallTime received_at) const;
  Result<> start_indexing();
  void start_worker(std::string name, Step step, WorkerOptions options);
  [[nodiscard]] WorkerOptions told_by(Bell& bell) const;
  void start_notifying(const WorkerOptions& options);
  Result<> start_analyses(const WorkerOptions& options);
  [[nodiscard]] std::string not_ready() const;
  Result<> housekeep();
  void set_weights();
  Result<> refresh_records();
  Result<std::size_t> replay(std::optional<WallTime> from, std::optional<WallTime> to);

  const Config config_;
  Log& log_;
  const DataFolder folder_;
  SystemClock clock_;
  SystemRandom random_;
  const std::unique_ptr<Files> files_;
  const std::unique_ptr<HttpClient> http_client_;
  const std::unique_ptr<Metrics> metrics_;
  // Rung for the workers that wait for accepted events and for jobs.
  Bell accepted_bell_;
  Bell chunk_bell_;
  Bell embed_bell_;
  Stores stores_;
  Store* store_ = nullptr;        // Of stores_, as …
  Registry* registry_ = nullptr;  // … this.
  Queue* queue_ = nullptr;        // The store's, or the broker's before it.
  Roles roles_;
  Router router_{*http_client_, random_, clock_};
  std::unique_ptr<Node> node_;  // Null: nobody shares the store.
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<JwtSource> jwt_source_;
  std::unique_ptr<ConversationCounts> conversation_counts_;  // Null: the store is at hand, …
  std::unique_ptr<DatabaseWatch> database_watch_;            // … and as this.
  std::unique_ptr<AcceptLog> accept_log_;
  std::unique_ptr<AnalyzerCatalog> catalog_;
  std::unique_ptr<LanguageModels> language_models_;  // Null: analyses are extractive.
  std::unique_ptr<Backfills> backfills_;
  // Connects to public addresses only, and to networks that the operator has named.
  const std::unique_ptr<HttpClient> outside_client_;
  std::unique_ptr<Subscriptions> subscriptions_;
  std::unique_ptr<WebhookSender> webhook_sender_;
  std::unique_ptr<NotifyWorker> notify_worker_;
  std::unique_ptr<DeliverWorker> deliver_worker_;
  std::unique_ptr<RabbitReplicator>
      replicator_;  // Null: an event lies here until it has its effect.
  std::unique_ptr<Receiver> receiver_;
  MadeEmbedder embedder_;
  std::unique_ptr<SegmentFolder> segments_;
  std::vector<std::unique_ptr<SegmentFolder>> share_segments_;  // As shares_.
  std::unique_ptr<SharedCache> shared_cache_;                   // Null: there is none.
  std::unique_ptr<QueryVectors> query_vectors_;
  std::unique_ptr<NearCache> near_cache_;
  std::unique_ptr<Hydration> hydration_;
  std::unique_ptr<VectorSearch> vectors_;  // Null: the indexes hold them.
  std::unique_ptr<IndexBudget> index_budget_;
  std::unique_ptr<IndexSet> indexes_;
  std::vector<std::unique_ptr<IndexSet>> shares_;  // Of each slice; empty if there is but one.
  std::unique_ptr<Searcher> searcher_;
  std::vector<std::unique_ptr<Normaliser>> normalisers_;
  std::vector<std::unique_ptr<ReplicatedEvents>> replicated_events_;
  std::vector<std::unique_ptr<IndexFollower>> followers_;  // By place.
  std::unique_ptr<Slicing> slicing_;                       // Null: every index is whole.
  std::vector<std::unique_ptr<ChunkWorker>> chunk_workers_;
  std::vector<std::unique_ptr<EmbedWorker>> embed_workers_;
  std::unique_ptr<AnalyzeWorker> analyze_worker_;
  std::vector<std::unique_ptr<LmWorker>> lm_workers_;
  std::unique_ptr<BatchWorker> batch_worker_;  // Null: no Batch API.
  std::unique_ptr<IdleWorker> idle_worker_;
  std::unique_ptr<EraseWorker> erase_worker_;
  std::vector<http::Route> routes_;
  struct Series {
    Counter* answers = nullptr;
    Histogram* took = nullptr;
  };
  std::mutex series_mutex_;
  std::map<std::pair<const char*, int>, Series> series_;  // Guarded by series_mutex_.
  std::atomic<std::uint64_t> requests_ = 0;               // Answered.
  std::atomic<const http::Server*> server_ = nullptr;
  std::atomic<bool> is_loaded_ = false;
  mutable std::atomic<bool> was_ready_ = false;
  std::atomic<bool> is_stopping_ = false;
  std::atomic<std::size_t> searches_waiting_ = 0;  // In open_index() and wait_applied().
  Histogram* cold_searches_ = nullptr;
  std::jthread committer_;
  std::jthread replicating_;
  std::jthread embedder_watch_;
  std::vector<std::jthread> workers_;
};

// The dashboard's files, embedded in the binary.
[[nodiscard]] std::vector<Asset> dashboard_assets();

}  // namespace samtale
