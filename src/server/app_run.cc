// What runs: the index that is loaded and followed, the workers of each role, and their end.
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <utility>

#include "server/app.h"
#include "server/options.h"
#include "sys/thread_priority.h"
#include "text/chunker.h"

namespace samtale {
namespace {

// Of those who are told that there is something to do: what comes meanwhile is done together.
constexpr Duration kBetweenLooks = std::chrono::milliseconds(2);

// Rings after each step that has found something to do: it may have made work for others.
Step ring_after(Step step, Bell& bell) {
  return [step = std::move(step), &bell] {
    auto done = step();
    if (done && *done > 0) bell.ring();
    return done;
  };
}

}  // namespace

void App::start_worker(std::string name, Step step, WorkerOptions options) {
  workers_.emplace_back(
      [this, name = std::move(name), step = std::move(step), options](const std::stop_token& stop) {
        become_background_thread();
        run_worker(name, step, options, clock_, log_, stop);
      });
}

// Options of a worker that finds something to do only after the bell was rung, but for what has to
// wait for its time.
WorkerOptions App::told_by(Bell& bell) const {
  auto options = worker_options(config_);
  options.bell = &bell;
  // What a broker has for us, it does not tell.
  if (stores_.broker_queue) options.look_every = options.idle_pause;
  options.idle_pause = kBetweenLooks;
  return options;
}

Result<> App::start() {
  committer_ = std::jthread([this](const std::stop_token& stop) {
    become_prompt_thread();
    accept_log_->run(stop);
  });
  if (replicator_) {
    replicating_ = std::jthread([this](const std::stop_token& stop) {
      become_prompt_thread();
      replicator_->run(stop);
    });
  }
  if (embedder_.watch) embedder_watch_ = std::jthread(embedder_.watch);

  SAMTALE_TRY_VOID(load_index());
  const auto options = worker_options(config_);
  NormaliserOptions normalising;
  if (replicator_) normalising.is_left = [this](WallTime at) { return is_left_to_others(at); };
  for (std::uint32_t i = 0; i < store_->partitions(); ++i) {
    normalisers_.push_back(
        std::make_unique<Normaliser>(*accept_log_, *store_, Partition{i}, log_, normalising));
    start_worker("normalise",
                 ring_after([it = normalisers_.back().get()] { return it->step(); }, chunk_bell_),
                 told_by(accepted_bell_));
  }
  for (std::size_t i = 0; i < followers_.size() && does(Role::searcher); ++i) {
    start_following(i, options);
  }
  if (does(Role::indexer)) SAMTALE_TRY_VOID(start_indexing());
  auto slow = options;
  slow.idle_pause = std::chrono::milliseconds(200);
  if (does(Role::analyst)) start_notifying(slow);
  if (does(Role::analyst) || does(Role::keeper)) SAMTALE_TRY_VOID(start_analyses(slow));
  auto& queue = *queue_;
  if (does(Role::keeper)) {
    idle_worker_ = std::make_unique<IdleWorker>(queue, *store_, random_, slow);
    start_worker(
        "idle", [it = idle_worker_.get()] { return it->step(); }, slow);
  }
  erase_worker_ = std::make_unique<EraseWorker>(queue, *store_, *accept_log_, random_, slow);
  start_worker(
      "erase", [it = erase_worker_.get()] { return it->step(); }, slow);
  if (database_watch_) watch_database();
  if (conversation_counts_) {
    start_worker(
        "counts", [it = conversation_counts_.get()] { return it->step(); }, slow);
  }
  auto upkeep = slow;
  upkeep.idle_pause = std::chrono::seconds(1);
  start_worker(
      "upkeep",
      [this]() -> Result<std::size_t> {
        const auto refreshed = refresh_records();
        SAMTALE_TRY_VOID(housekeep());
        SAMTALE_TRY_VOID(hydration_->follow());
        if (!refreshed) return std::unexpected(refreshed.error());
        return 0;
      },
      upkeep);
  if (!config_.auth.jwks_url.empty()) {
    start_worker(
        "jwks", [it = jwt_source_.get()] { return it->step(); }, upkeep);
  }
  if (does(Role::searcher)) start_maintaining(upkeep);
  if (does(Role::keeper)) {
    // Each time it comes to lead: who led before may have been of another model.
    const auto ask = [this, has_asked = false]() mutable -> Result<std::size_t> {
      if (!leads()) has_asked = false;
      if (!leads() || has_asked) return 0;
      SAMTALE_TRY(const auto asked,
                  enqueue_missing_embeddings(*store_, embedder_.embedder->model_id()));
      has_asked = true;
      if (asked > 0) {
        log_.info("embed.backfill", {{"conversations", std::to_string(asked)},
                                     {"model", embedder_.embedder->model_id()}});
      }
      return 0;
    };
    start_worker("embed_backfill", ask, upkeep);
    if (node_) end_leases_of_the_dead();
  }
  is_loaded_ = true;
  return {};
}

void App::start_following(std::size_t place, const WorkerOptions& options) {
  workers_.emplace_back([this, place, options](const std::stop_token& stop) {
    become_background_thread();
    // It rests in its step, where whoever waits for a change can wake it.
    auto at_once = options;
    at_once.idle_pause = {};
    // A shared store says that it was written to (DatabaseWatch) after a pause of its own.
    const auto shortest = database_watch_ ? Duration{} : kBetweenLooks;
    constexpr auto kLongest = std::chrono::seconds(1);
    const auto step = [&]() -> Result<std::size_t> {
      SAMTALE_TRY(const auto followed, follow(place));
      if (followed == 0) followers_[place]->rest(shortest, kLongest, stop);
      return followed;
    };
    run_worker("index", step, at_once, clock_, log_, stop);
  });
}

void App::start_maintaining(const WorkerOptions& options) {
  workers_.emplace_back([this, options](const std::stop_token& stop) {
    become_maintenance_thread();
    run_worker(
        "graph", [&] { return maintain(stop); }, options, clock_, log_, stop);
  });
}

Result<std::size_t> App::maintain(const std::stop_token& stop) {
  // Before it knows who is split it does not know whose files are here.
  for (std::size_t i = 0; i < followers_.size(); ++i) {
    if (holds(i) && !followers_[i]->is_loaded()) return 0;
  }
  const auto is_here = [this](std::size_t place, CompanyId company, IndexFollower::Part part) {
    return holds(place) && followers_[place]->is_to_have(company, part);
  };
  SAMTALE_TRY(auto maintained, indexes_->maintain(stop, [&](CompanyId company) {
    return is_here(home_of(company), company, IndexFollower::Part::whole);
  }));
  for (std::size_t i = 0; i < shares_.size(); ++i) {
    SAMTALE_TRY(const auto some, shares_[i]->maintain(stop, [&](CompanyId company) {
      return is_here(slicing_->place_of(company, i), company, IndexFollower::Part::share);
    }));
    maintained += some;
  }
  return maintained;
}

std::size_t App::home_of(CompanyId company) const {
  return slicing_ ? slicing_->home_of(company)
                  : static_cast<std::size_t>(store_->partition_of(company));
}

IndexSize App::index_size() const {
  auto size = indexes_->size();
  for (const auto& shares : shares_) size += shares->size();
  return size;
}

// Files of a time before, with more slices or other vectors.
Result<> App::sweep_shares() {
  const auto used = slices() > 1 && !vectors_ ? slices() : 0;
  for (std::size_t i = used; i < kSlicesMax; ++i) {
    SAMTALE_TRY(const auto folder, open_segments(share_folder(config_, i)));
    folder->sweep([](CompanyId) { return false; });
  }
  return {};
}

// What this node is to hold of it, and not before it knows who else is there.
Result<> App::load_index() {
  SAMTALE_TRY_VOID(sweep_shares());
  if (node_) SAMTALE_TRY_VOID(join());
  for (std::size_t i = 0; i < followers_.size(); ++i) {
    if (holds(i)) SAMTALE_TRY_VOID(followers_[i]->load());
  }
  return {};
}

// From here on others count on this node, also while it loads.
Result<> App::join() {
  SAMTALE_TRY_VOID(node_->join(clock_));
  SAMTALE_TRY_VOID(stores_.end_leases());
  // Of twenty searches under way at once, one is hedged at the most.
  constexpr int kHedgesAtOnce = 4;
  for (int i = 0; i < kHedgesAtOnce; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) {
      become_prompt_thread();
      router_.run_hedges(stop);
    });
  }
  // No background thread: who is late is taken for dead.
  workers_.emplace_back([this](const std::stop_token& stop) {
    WorkerOptions options;
    options.idle_pause = std::chrono::seconds(1);
    const auto step = [this]() -> Result<std::size_t> {
      auto stepped = node_->step();
      if (!stepped && stepped.error().code == ErrorCode::conflict && !is_stopping_) {
        // What both would accept, one of them would skip.
        log_.error("cluster.refused", {{"error", stepped.error().message}});
        ::kill(::getpid(), SIGTERM);
      }
      return stepped;
    };
    run_worker("cluster", step, options, clock_, log_, stop);
  });
  return {};
}

// Who comes to lead waits first until all that are there have had time to say so.
void App::end_leases_of_the_dead() {
  const auto step = [this, has_led = false,
                     known = std::vector<std::string>()]() mutable -> Result<std::size_t> {
    if (!std::exchange(has_led, leads()) || !has_led) return 0;
    auto there = node_->there();
    if (there == known) return 0;
    SAMTALE_TRY_VOID(stores_.end_leases_of(
        [&](std::string_view node) { return std::ranges::find(there, node) == there.end(); }));
    known = std::move(there);
    return 0;
  };
  WorkerOptions options;
  options.idle_pause = NodeOptions{}.lease;
  start_worker("leases", step, options);
}

void App::watch_database() {
  WorkerOptions options;
  options.idle_pause = std::chrono::milliseconds(50);
  start_worker(
      "database", [this] { return database_watch_->step(); }, options);
}

void App::hear(const PartitionNews& news) {
  // The others have no work but erasures, which may wait a second.
  const bool works = does(Role::indexer) || does(Role::analyst) || does(Role::keeper);
  if (works && news.is_of_others) {
    stores_.look_for_jobs(news.partition);
    chunk_bell_.ring();
    embed_bell_.ring();
  }
  const auto first = static_cast<std::size_t>(news.partition) * slices();
  for (std::size_t i = first; i < first + slices(); ++i) {
    followers_[i]->heard_of(news.last_change);
  }
}

Result<std::size_t> App::follow(std::size_t place) {
  auto& follower = *followers_[place];
  if (holds(place)) return follower.step();
  follower.drop();
  return 0;
}

// While it is here, whoever has the index open answers sooner, if there is anybody.
bool App::may_be_asked(std::size_t place) const {
  const auto& follower = *followers_[place];
  return follower.is_loaded() && (follower.is_warm() || !router_.knows_one(place, 0));
}

// Each that waits holds a handler thread: half of them are for those that need not.
template <typename Wait>
void App::wait_where_may(const Wait& wait) {
  const auto waiting_max = std::max<std::size_t>(1, config_.http.handler_threads / 2);
  if (searches_waiting_++ < waiting_max) wait();
  --searches_waiting_;
}

Result<std::shared_ptr<const CompanyIndex>> App::open_index(std::size_t place, CompanyId company,
                                                            IndexFollower::Part part) {
  auto& follower = *followers_[place];
  auto index = follower.open(company, part, {});
  if (index) return index;
  const auto begin = clock_.now();
  // Most are open by then, so all may wait.
  constexpr auto kMoment = std::chrono::milliseconds(200);
  index = follower.open(company, part, kMoment);
  const bool is_open_elsewhere = router_.knows_one(place, 0);
  if (!index && !is_open_elsewhere) {
    // Whoever has sent a search on waits a third for it.
    wait_where_may([&] { index = follower.open(company, part, config_.http.request_timeout / 4); });
  }
  cold_searches_->observe(std::chrono::duration<double>(clock_.now() - begin).count());
  return index;
}

std::uint64_t App::wait_applied(std::size_t place, std::uint64_t sequence) {
  // Many times a follower's usual lag.
  constexpr auto kPatience = std::chrono::seconds(2);
  auto& follower = *followers_[place];
  auto applied = follower.wait_applied(sequence, {});
  if (applied >= sequence) return applied;
  wait_where_may([&] { applied = follower.wait_applied(sequence, kPatience); });
  return applied;
}

Result<HttpAnswer> App::ask_elsewhere(const Caller& caller, const http::Request& request) {
  if (caller.is_sent_on()) {
    return fail(ErrorCode::unavailable, "the index of this company is not on this node");
  }
  HttpCall call;
  call.method = request.method;
  call.url = request.path;
  call.headers = {{"Authorization", "Bearer " + tenants_->pass_for(caller)},
                  {"Content-Type", "application/json"},
                  {"X-Request-Id", request.id}};
  call.body = request.body;
  call.timeout = config_.http.request_timeout / 3;  // Others, before it, get a second each.
  const auto company = caller.company();
  return router_.send(home_of(company), std::move(call),
                      slicing_ ? slicing_->whole_since(company) : 0);
}

// Who gets its events from the broker has this long to be first: this node's own reading of its log
// then finds them done. While the broker is away nothing is left.
bool App::is_left_to_others(WallTime received_at) const {
  constexpr auto kHeadStart = std::chrono::seconds(2);
  const auto age = clock_.wall_now() - received_at;
  return !replicator_->is_away() && age >= Duration{} && age < kHeadStart;
}

Result<> App::start_indexing() {
  for (const auto& it : replicated_events_) {
    start_worker("replicated", ring_after([it = it.get()] { return it->step(); }, chunk_bell_),
                 worker_options(config_));
  }
  const auto* policy = find_chunk_policy(config_.chunk.policy);
  if (policy == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "chunk.policy: there is no policy \"" + config_.chunk.policy + "\"");
  }
  auto& queue = *queue_;
  const auto wants_analysis_now = [this](CompanyId company, const Conversation& conversation) {
    return wants_analysis(*catalog_, company, conversation);
  };
  // Two of each: while one waits for the disk, the other computes.
  const auto chunking = told_by(chunk_bell_);
  const auto embedding = told_by(embed_bell_);
  for (int i = 0; i < 2; ++i) {
    chunk_workers_.push_back(std::make_unique<ChunkWorker>(queue, *store_, *policy, random_,
                                                           chunking, wants_analysis_now));
    start_worker("chunk",
                 ring_after([it = chunk_workers_.back().get()] { return it->step(); }, embed_bell_),
                 chunking);
    embed_workers_.push_back(std::make_unique<EmbedWorker>(
        queue, *store_, *embedder_.embedder, clock_, random_, embedding, config_.embed.timeout));
    start_worker(
        "embed", [it = embed_workers_.back().get()] { return it->step(); }, embedding);
  }
  return {};
}

void App::start_notifying(const WorkerOptions& options) {
  auto& queue = *queue_;
  notify_worker_ =
      std::make_unique<NotifyWorker>(queue, *store_, *subscriptions_, random_, options);
  start_worker(
      "notify", [it = notify_worker_.get()] { return it->step(); }, options);
  deliver_worker_ =
      std::make_unique<DeliverWorker>(queue, *store_, *subscriptions_, *webhook_sender_, *metrics_,
                                      clock_, random_, log_, deliver_options(config_));
  for (std::size_t i = 0; i < config_.notify.threads; ++i) {
    start_worker(
        "deliver", [it = deliver_worker_.get()] { return it->step(); }, options);
  }
}

Result<> App::start_analyses(const WorkerOptions& options) {
  AnalyzeParts parts{
      .queue = *queue_,
      .store = *store_,
      .catalog = *catalog_,
      .clock = clock_,
      .random = random_,
      .metrics = *metrics_,
      .wants_news = [this](CompanyId company) { return subscriptions_->has_active(company); }};
  auto* batches = language_models_ ? language_models_->batches() : nullptr;
  if (batches != nullptr) parts.batch_window = config_.analyze.batch_window;
  const auto words = [this](CompanyId company) { return words_of(company); };
  if (does(Role::analyst)) {
    analyze_worker_ =
        std::make_unique<AnalyzeWorker>(parts, words, language_models_ != nullptr, options);
    start_worker(
        "analyze", [it = analyze_worker_.get()] { return it->step(); }, options);
  }
  if (does(Role::keeper)) {
    const auto backfill = [this] { return leads() ? backfills_->step() : 0; };
    start_worker("backfill", backfill, options);
  }
  if (!language_models_) return {};

  start_worker(
      "budget", [this] { return language_models_->budget().step(); }, options);
  if (language_models_->has_shared_rates()) {
    auto often = options;
    often.idle_pause = std::chrono::milliseconds(100);
    const auto share = [this]() -> Result<std::size_t> {
      language_models_->share_rates();
      return 0;
    };
    start_worker("lm_rates", share, often);
  }
  auto lm_options = lm_worker_options(config_);
  lm_options.mask_secret = store_->secret("masks of personal data");
  const auto start = [&](std::string_view kind, std::size_t count, void (*become)()) {
    for (std::size_t i = 0; i < count; ++i) {
      lm_workers_.push_back(
          std::make_unique<LmWorker>(parts, language_models_->analyst(), kind, lm_options));
      workers_.emplace_back([this, kind, become, it = lm_workers_.back().get(),
                             options = lm_options.worker](const std::stop_token& stop) {
        become();
        run_worker(
            std::string(kind), [&] { return it->step(stop); }, options, clock_, log_, stop);
      });
    }
  };
  if (batches != nullptr && does(Role::keeper)) {
    auto batch_options = batch_worker_options(config_);
    batch_options.mask_secret = lm_options.mask_secret;
    batch_worker_ = std::make_unique<BatchWorker>(
        parts, language_models_->analyst(), language_models_->scheduler(),
        language_models_->budget(), *batches, batch_options);
    auto at_times = options;  // So that what comes meanwhile goes into one batch.
    at_times.idle_pause = batch_options.poll;
    workers_.emplace_back([this, at_times](const std::stop_token& stop) {
      become_background_thread();
      run_worker(
          "lm_batch", [&] { return leads() ? batch_worker_->step(stop) : 0; }, at_times, clock_,
          log_, stop);
    });
  }
  if (!does(Role::analyst)) return {};
  start(kLmCriticalJob, config_.analyze.critical_workers, become_prompt_thread);
  start(kLmJob, config_.analyze.workers, become_background_thread);
  start(kLmBulkJob, config_.analyze.bulk_workers, become_maintenance_thread);
  return {};
}

Result<std::shared_ptr<const WordStatistics>> App::words_of(CompanyId company) {
  // An analysis that has to wait longer is put back meanwhile.
  constexpr auto kPatience = std::chrono::milliseconds(200);
  SAMTALE_TRY(auto index,
              followers_[home_of(company)]->open(company, IndexFollower::Part::whole, kPatience));
  // Of one that is split a share has near enough the same words.
  for (std::size_t i = 0; !index && i < shares_.size(); ++i) {
    SAMTALE_TRY(index, followers_[slicing_->place_of(company, i)]->open(
                           company, IndexFollower::Part::share, kPatience));
  }
  return index;
}

void App::announce(const std::string& url) {
  if (node_) node_->announce(config_.cluster.url.empty() ? url : config_.cluster.url);
}

void App::end_readiness() {
  is_stopping_ = true;
  if (node_ && is_loaded_.exchange(false)) node_->leave();
}

void App::stop() {
  end_readiness();
  for (auto& worker : workers_) worker.request_stop();
  if (deliver_worker_) deliver_worker_->stop();  // Receivers may take their time.
  workers_.clear();
  deliver_worker_ = {};  // Puts back what it holds.
  embedder_watch_ = {};
  // Last, so that everything that was accepted meanwhile is committed and answered.
  committer_.request_stop();
  if (committer_.joinable()) committer_.join();
  replicating_ = {};
}

// Checkpoints, and lets the oldest raw events go: those past the archive's limit that have taken
// effect everywhere.
Result<> App::housekeep() {
  SAMTALE_TRY_VOID(store_->housekeep());
  const auto bytes = accept_log_->stats().bytes;
  if (bytes <= config_.accept.archive_bytes_max) return {};
  auto before = number(accept_log_->begin()) + (bytes - config_.accept.archive_bytes_max);
  for (std::uint32_t i = 0; i < store_->partitions(); ++i) {
    SAMTALE_TRY(const auto offset, store_->log_offset(Partition{i}));
    before = std::min(before, number(offset));
  }
  return accept_log_->trim(LogPosition{before});
}

Result<std::size_t> App::replay(std::optional<WallTime> from, std::optional<WallTime> to) {
  std::size_t replayed = 0;
  for (std::uint32_t i = 0; i < store_->partitions(); ++i) {
    Normaliser normaliser(*accept_log_, *store_, Partition{i}, log_);
    SAMTALE_TRY(const auto some, normaliser.replay(from, to));
    replayed += some;
  }
  log_.info("ingest.replayed", {{"events", std::to_string(replayed)}});
  return replayed;
}

}  // namespace samtale
