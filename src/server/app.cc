#include "server/app.h"

#include <algorithm>
#include <utility>

#include "server/options.h"
#include "server/stores.h"
#include "sys/memory.h"
#include "version.h"

namespace samtale {
namespace {

Result<DataFolder> open_folder(const std::string& path, Files& files) {
  auto folder = DataFolder::open(path);
  if (folder || folder.error().code != ErrorCode::not_found) return folder;
  SAMTALE_TRY_VOID(files.make_folder(path));
  return DataFolder::open(path);
}

}  // namespace

Result<std::unique_ptr<App>> App::open(const Config& config, Log& log) {
  const auto files = make_system_files();
  SAMTALE_TRY(auto folder, open_folder(config.data_dir, *files));
  std::unique_ptr<App> app(new App(config, log, std::move(folder)));
  SAMTALE_TRY_VOID(app->build());
  return app;
}

App::App(const Config& config, Log& log, DataFolder folder)
    : config_(config),
      log_(log),
      folder_(std::move(folder)),
      files_(make_system_files()),
      http_client_(make_http_client()),
      metrics_(make_metrics()),
      outside_client_(make_http_client({.may_connect = public_or(private_networks(config))})) {}

App::~App() { stop(); }

Result<> App::build() {
  const auto& data = folder_.path();
  const auto has_written = [this](Partition partition) {
    hear({.partition = partition, .last_change = IndexFollower::kFurther});
  };
  SAMTALE_TRY(stores_, open_stores(config_, data, has_written, *files_, clock_, random_, log_));
  store_ = stores_.store.get();
  registry_ = stores_.registry.get();
  queue_ = stores_.broker_queue ? stores_.broker_queue.get() : &store_->queue();
  SAMTALE_TRY_VOID(build_node());
  if (node_) conversation_counts_ = std::make_unique<ConversationCounts>(*store_);
  if (stores_.look_back) {
    const auto reread = [this] {
      for (const auto& normaliser : normalisers_) normaliser->reread();
    };
    database_watch_ = std::make_unique<DatabaseWatch>(
        DatabaseWatchParts{.look_back = stores_.look_back,
                           .unsafe_settings = stores_.unsafe_settings,
                           .has_news = [this](const PartitionNews& news) { hear(news); },
                           .has_failed_over = reread},
        clock_, log_);
  }
  auto tenant = tenant_options(config_);
  if (node_) tenant.pass_key = store_->secret("passes between nodes");
  tenants_ = std::make_unique<Tenants>(*registry_, clock_, random_, std::move(tenant));
  SAMTALE_TRY_VOID(tenants_->load());
  jwt_source_ = std::make_unique<JwtSource>(config_.auth, *http_client_, clock_, *tenants_);
  SAMTALE_TRY_VOID(jwt_source_->open());

  auto accepting = accept_log_options(config_);
  accepting.bell = &accepted_bell_;
  SAMTALE_TRY(accept_log_, open_accept_log(*files_, data + "/accepted", accepting, clock_, log_));
  if (config_.accept.ack == "replicated") {
    auto options = ReplicatorOptions{};
    options.session.address = stores_.broker.address;
    replicator_ = std::make_unique<RabbitReplicator>(store_->log(), *stores_.topology, clock_,
                                                     random_, log_, options);
  }
  receiver_ = std::make_unique<Receiver>(*accept_log_, replicator_.get());
  SAMTALE_TRY_VOID(receiver_->recall());

  // Two: while one waits for the store, the other reads.
  for (int i = 0; stores_.topology && does(Role::indexer) && i < 2; ++i) {
    replicated_events_.push_back(std::make_unique<ReplicatedEvents>(
        *store_, *stores_.topology, clock_, random_, log_, stores_.broker));
  }

  set_weights();

  subscriptions_ =
      std::make_unique<Subscriptions>(*registry_, clock_, random_, subscription_options(config_));
  SAMTALE_TRY_VOID(subscriptions_->load());
  webhook_sender_ = std::make_unique<WebhookSender>(*outside_client_, clock_, random_,
                                                    webhook_sender_options(config_));
  SAMTALE_TRY_VOID(build_analyses());
  SAMTALE_TRY(embedder_, make_embedder(config_, *http_client_, clock_, random_, log_));
  SAMTALE_TRY_VOID(build_search());
  export_metrics();
  make_routes();
  return {};
}

Result<> App::build_search() {
  auto& embedder = *embedder_.embedder;
  SAMTALE_TRY(segments_, open_segments(segment_folder(config_)));
  SAMTALE_TRY(auto shared, shared_cache_options(config_));
  if (shared) {
    shared_cache_ = std::make_unique<SharedCache>(clock_, random_, log_, *std::move(shared));
  }
  query_vectors_ = std::make_unique<QueryVectors>(embedder, config_.cache.query_vectors_bytes,
                                                  shared_cache_.get());
  near_cache_ = std::make_unique<NearCache>(embedder.model_id(), searches_bytes(config_));
  hydration_ = std::make_unique<Hydration>(*store_, config_.cache.shown_bytes);
  if (stores_.open_vector_search) {
    SAMTALE_TRY(vectors_, stores_.open_vector_search(embedder.model_id(), embedder.dimension()));
    segments_->sweep([](CompanyId) { return false; });  // Of the time before.
  }
  SAMTALE_TRY_VOID(build_indexes());
  auto options = search_options(config_);
  options.cursor_key = store_->secret("cursors of searches");
  searcher_ = std::make_unique<Searcher>(*indexes_, *hydration_, *query_vectors_, *near_cache_,
                                         clock_, std::move(options));
  return {};
}

Result<std::unique_ptr<SegmentFolder>> App::open_segments(const std::string& folder) {
  const auto& embedder = *embedder_.embedder;
  return SegmentFolder::open(*files_, folder, embedder.model_id(), embedder.dimension(), clock_,
                             log_);
}

std::unique_ptr<IndexSet> App::make_indexes(SegmentFolder* segments) {
  const auto& embedder = *embedder_.embedder;
  const auto forget = [this](CompanyId company) { near_cache_->forget(company); };
  if (vectors_) {
    return std::make_unique<IndexSet>(embedder.model_id(), embedder.dimension(),
                                      index_options(config_), *vectors_, forget,
                                      index_budget_.get());
  }
  return std::make_unique<IndexSet>(embedder.model_id(), embedder.dimension(),
                                    index_options(config_), segments, forget, index_budget_.get());
}

// Of the companies that are whole, and of each slice of those that are not; and what follows the
// store into them.
Result<> App::build_indexes() {
  index_budget_ = std::make_unique<IndexBudget>(index_bytes(config_, memory_limit()));
  indexes_ = make_indexes(segments_.get());
  if (slices() > 1) {
    for (std::size_t i = 0; i < slices(); ++i) {
      SAMTALE_TRY(auto folder, open_segments(share_folder(config_, i)));
      shares_.push_back(make_indexes(folder.get()));
      share_segments_.push_back(std::move(folder));
    }
    slicing_ = std::make_unique<Slicing>(Slicing::Parts{
        .store = *store_,
        .tenants = *tenants_,
        .router = router_,
        .followers = followers_,
        .shares = shares_,
        .open =
            [this](std::size_t place, CompanyId company) {
              return open_index(place, company, IndexFollower::Part::share);
            },
        .wait_applied = [this](std::size_t place,
                               std::uint64_t sequence) { return wait_applied(place, sequence); },
        .timeout = config_.http.request_timeout / 3});
    slicing_->refresh(0);
  }
  for (std::size_t place = 0; place < store_->partitions() * slices(); ++place) {
    FollowedSlice slice;
    if (slicing_) {
      slice = {.number = place % slices(),
               .of = slices(),
               .shares = shares_[place % slices()].get(),
               .layout = [this] { return slicing_->layout(); }};
    }
    followers_.push_back(std::make_unique<IndexFollower>(
        *store_, static_cast<Partition>(place / slices()), *indexes_, std::move(slice)));
  }
  return {};
}

Result<> App::build_node() {
  SAMTALE_TRY(roles_, node_roles(config_));
  if (!stores_.members) return {};
  if (store_->partitions() * slices() > kSlicesMax) {
    return fail(ErrorCode::invalid_argument,
                "cluster.slices: the store's " + std::to_string(store_->partitions()) +
                    " partitions times this must be at most " + std::to_string(kSlicesMax));
  }
  const auto loaded = [this] {
    Node::Loaded here{.ready = 0, .layout = slicing_ ? slicing_->layout()->last : 0};
    here.requests = requests_;
    for (std::size_t i = 0; i < followers_.size(); ++i) {
      here.lag = std::max(here.lag, followers_[i]->lag());
      if (!may_be_asked(i)) continue;
      here.ready |= Slices{1} << i;
      here.layout = std::min(here.layout, followers_[i]->layout());
    }
    return here;
  };
  node_ = std::make_unique<Node>(*stores_.members, router_, clock_, log_,
                                 NodeOptions{.name = stores_.node,
                                             .place = stores_.place,
                                             .roles = roles_,
                                             .partitions = store_->partitions(),
                                             .slices = slices(),
                                             .replicas = config_.cluster.replicas},
                                 loaded);
  return {};
}

void App::set_weights() {
  for (const auto& company : tenants_->companies()) {
    queue_->set_weight(company.id, company.weight);
  }
}

// What other processes have changed.
Result<> App::refresh_records() {
  SAMTALE_TRY(const bool has_changed, tenants_->refresh());
  if (has_changed) set_weights();
  if (slicing_) slicing_->refresh(node_->settled());
  SAMTALE_TRY_VOID(subscriptions_->refresh());
  return catalog_->refresh();
}

Result<> App::build_analyses() {
  catalog_ = std::make_unique<AnalyzerCatalog>(*registry_, clock_, analysis_settings(config_));
  SAMTALE_TRY_VOID(catalog_->load());
  if (!config_.lm.url.empty()) {
    SAMTALE_TRY(language_models_, LanguageModels::make(config_, *http_client_, *store_, *catalog_,
                                                       *metrics_, clock_, random_, log_));
  }
  BackfillOptions options;
  options.prices = token_prices(config_.lm);
  backfills_ = std::make_unique<Backfills>(
      *store_, *queue_, *catalog_, language_models_ ? &language_models_->analyst() : nullptr,
      clock_, random_, options);
  return {};
}

void App::make_routes() {
  ApiParts parts{.tenants = *tenants_,
                 .receiver = *receiver_,
                 .store = *store_,
                 .queue = *queue_,
                 .searcher = *searcher_,
                 .indexes = *indexes_,
                 .analyzers = *catalog_,
                 .backfills = *backfills_,
                 .subscriptions = *subscriptions_,
                 .webhook_sender = *webhook_sender_,
                 .metrics = *metrics_,
                 .clock = clock_,
                 .random = random_,
                 .log = log_,
                 .not_ready = [this] { return not_ready(); },
                 .embedder_ready = embedder_.is_ready,
                 .budget_refusals =
                     [this](CompanyId company) {
                       return language_models_ ? language_models_->budget().refusals(company)
                                               : std::vector<std::string>();
                     },
                 .has_language_model = language_models_ != nullptr,
                 .replay = [this](std::optional<WallTime> from,
                                  std::optional<WallTime> to) { return replay(from, to); },
                 .forget =
                     [this](CompanyId company) {
                       if (language_models_) language_models_->scheduler().forget(company);
                     }};
  parts.wait_applied = [this](CompanyId company, std::uint64_t sequence) {
    return wait_applied(home_of(company), sequence);
  };
  parts.open_index = [this](CompanyId company) {
    return open_index(home_of(company), company, IndexFollower::Part::whole);
  };
  parts.slices = slicing_.get();
  if (node_) {
    parts.elsewhere = [this](const Caller& caller, const http::Request& request) {
      return ask_elsewhere(caller, request);
    };
    parts.conversations = [this](CompanyId company) { return conversation_counts_->of(company); };
    parts.members = [this] { return stores_.members->alive(); };
  }
  auto options = api_options(config_);
  options.version = kVersion;
  options.assets = dashboard_assets();
  routes_ = make_api_routes(std::move(parts), std::move(options));
}

std::string App::not_ready() const {
  if (is_stopping_) return "stopping";
  if (accept_log_->failure()) {
    return "the accept log takes no more events after a failed write; see the server's log, then "
           "restart";
  }
  // Once: later, others answer for what has to be loaded anew, and events are accepted anyway.
  if (!is_loaded_) return "loading the index";
  for (std::size_t i = 0; i < followers_.size() && !was_ready_; ++i) {
    if (holds(i) && !may_be_asked(i)) return "opening indexes, which others have open";
  }
  was_ready_ = true;
  return {};
}

}  // namespace samtale
