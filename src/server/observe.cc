// What the App tells about itself: metrics and the access log.
#include <algorithm>

#include "server/app.h"

namespace samtale {
namespace {

double seconds(Duration length) { return std::chrono::duration<double>(length).count(); }

using Read = std::function<double(const QueueStats&)>;

std::vector<Sample> by_kind(const Queue& queue, const Read& read) {
  std::vector<Sample> samples;
  const auto stats = queue.stats(std::nullopt);
  if (!stats) return samples;
  for (const auto& kind : *stats) samples.push_back({{{"kind", kind.kind}}, read(kind)});
  return samples;
}

}  // namespace

void App::observe(const http::Exchange& exchange) {
  ++requests_;
  {
    const std::lock_guard lock(series_mutex_);
    // Routes live as long as the server, so their place in memory names them.
    auto& series = series_[{exchange.route.data(), exchange.status}];
    if (series.answers == nullptr) {
      // Only what the route table knows becomes a label.
      const std::string route = exchange.route.empty() ? "none" : std::string(exchange.route);
      series.answers =
          &metrics_->counter("samtale_http_requests_total", "Answers, by route and status.",
                             {{"route", route}, {"status", std::to_string(exchange.status)}});
      series.took = &metrics_->histogram("samtale_http_request_seconds",
                                         "From the head of the request to the end of the answer.",
                                         {{"route", route}});
    }
    series.answers->add();
    series.took->observe(seconds(exchange.took));
  }
  // An accepted event is in the accept log and in the counters; a line for each would be a third
  // record of it.
  if (exchange.status == 202) return;
  log_.write(exchange.status >= 500 ? LogLevel::warn : LogLevel::info, "http.request",
             {{"method", std::string(exchange.method)},
              {"path", std::string(exchange.path)},
              {"status", std::to_string(exchange.status)},
              {"ms", std::to_string(seconds(exchange.took) * 1e3)},
              {"in", std::to_string(exchange.request_bytes)},
              {"out", std::to_string(exchange.response_bytes)},
              {"peer", std::string(exchange.peer)},
              {"request_id", std::string(exchange.request_id)}});
}

void App::export_cache_metrics() {
  const auto of_caches = [this](const char* name, const char* help, auto member) {
    metrics_->gauge(name, help, [this, member] {
      const auto sample = [member](const char* cache, const CacheStats& stats) {
        return Sample{{{"cache", cache}}, static_cast<double>(stats.*member)};
      };
      return std::vector<Sample>{sample("query_vectors", query_vectors_->stats()),
                                 sample("searches", near_cache_->stats().cache),
                                 sample("shown", hydration_->stats())};
    });
  };
  of_caches("samtale_cache_hits", "Answers from a cache since the start.", &CacheStats::hits);
  of_caches("samtale_cache_misses", "What had to be made since the start.", &CacheStats::misses);
  of_caches("samtale_cache_joined", "Of them, waited for while another request made the same.",
            &CacheStats::joined);
  of_caches("samtale_cache_evictions", "Values that had to leave since the start.",
            &CacheStats::evictions);
  of_caches("samtale_cache_values", "Values kept.", &CacheStats::values);
  of_caches("samtale_cache_bytes", "Memory that they take.", &CacheStats::bytes);
  of_caches("samtale_cache_bytes_max", "Memory that they may take.", &CacheStats::bytes_max);
  metrics_->gauge("samtale_cache_renewed",
                  "Hits of searches that were brought up to date since the start.", [this] {
                    const auto renewed = near_cache_->stats().renewed;
                    return std::vector<Sample>{{{}, static_cast<double>(renewed)}};
                  });
  metrics_->gauge("samtale_shared_cache_calls",
                  "What the shared cache was asked since the start, by what came of it.", [this] {
                    const auto stats = shared_cache_ ? shared_cache_->stats() : SharedCacheStats();
                    const auto sample = [](const char* outcome, std::uint64_t count) {
                      return Sample{{{"outcome", outcome}}, static_cast<double>(count)};
                    };
                    return std::vector<Sample>{
                        sample("hit", stats.hits), sample("miss", stats.misses),
                        sample("error", stats.errors), sample("skipped", stats.skipped),
                        sample("refused", stats.refused)};
                  });
}

void App::export_broker_metrics() {
  const auto* queue = stores_.broker_queue.get();
  const auto count = [&](const char* name, const char* help, auto member) {
    metrics_->gauge(name, help, [queue, member] {
      return std::vector<Sample>{{{}, static_cast<double>(queue->broker_stats().*member)}};
    });
  };
  using Stats = RabbitQueueStats;
  count("samtale_broker_published", "Messages sent to the broker since the start.",
        &Stats::published);
  count("samtale_broker_confirmed", "Of them, those that it has on disk.", &Stats::confirmed);
  count("samtale_broker_delivered", "Messages got from the broker since the start.",
        &Stats::delivered);
  count("samtale_broker_redelivered", "Of them, those that somebody may have had before.",
        &Stats::redelivered);
  count("samtale_broker_stale", "Of them, those about jobs that were handed out by another way.",
        &Stats::stale);
  count("samtale_broker_parked", "Of them, those that could not be read.", &Stats::parked);
  count("samtale_broker_buried", "Jobs given up because their message was handed out too often.",
        &Stats::buried);
  metrics_->gauge("samtale_broker_up",
                  "1 while jobs of the kind come through the broker, 0 while without it.", [queue] {
                    std::vector<Sample> samples;
                    const auto stats = queue->broker_stats();
                    for (const auto& [kind, is_up] : stats.is_up) {
                      samples.push_back({{{"kind", kind}}, is_up ? 1.0 : 0.0});
                    }
                    return samples;
                  });
}

void App::export_database_metrics() {
  const auto gauge = [this](const char* name, const char* help, auto read) {
    metrics_->gauge(name, help, [this, read] {
      return std::vector<Sample>{{{}, static_cast<double>(read(*database_watch_))}};
    });
  };
  gauge("samtale_store_failovers", "How often another database has taken over since the start.",
        [](const DatabaseWatch& it) { return it.failovers(); });
  gauge("samtale_store_lost_writes",
        "Writes of this server that a database that took over has not got.",
        [](const DatabaseWatch& it) { return it.lost_writes(); });
  gauge("samtale_store_durable",
        "0 where the database's settings let a loss of power lose what it has confirmed.",
        [](const DatabaseWatch& it) { return it.is_durable() ? 1 : 0; });
  metrics_->gauge("samtale_index_lag",
                  "Changes of the store that the index here furthest behind has not applied yet.",
                  [this] {
                    std::uint64_t most = 0;
                    for (const auto& it : followers_) most = std::max(most, it->lag());
                    return std::vector<Sample>{{{}, static_cast<double>(most)}};
                  });
  metrics_->gauge("samtale_store_connections", "Connections to the database, of the pool.", [this] {
    const auto pool = stores_.pool_stats();
    return std::vector<Sample>{{{{"state", "leased"}}, static_cast<double>(pool.leased)},
                               {{{"state", "idle"}}, static_cast<double>(pool.idle)}};
  });
  const auto of_pool = [this](const char* name, const char* help, auto read) {
    metrics_->gauge(name, help, [this, read] {
      return std::vector<Sample>{{{}, static_cast<double>(read(stores_.pool_stats()))}};
    });
  };
  of_pool("samtale_store_connections_opened", "Connections opened since the start.",
          [](const auto& pool) { return pool.opened; });
  of_pool("samtale_store_connection_waits", "Times that none was free at once.",
          [](const auto& pool) { return pool.waits; });
  of_pool("samtale_store_connection_wait_seconds", "What these waited, all together.",
          [](const auto& pool) { return seconds(pool.waited); });
  of_pool("samtale_store_connections_refused", "Of them, those for which none became free in time.",
          [](const auto& pool) { return pool.refused; });
}

void App::export_replication_metrics() {
  const auto count = [this](const char* name, const char* help, auto read) {
    metrics_->gauge(name, help, [read] {
      return std::vector<Sample>{{{}, static_cast<double>(read())}};
    });
  };
  if (replicator_) {
    const auto* it = replicator_.get();
    count("samtale_accept_replicated", "Events that the broker has confirmed since the start.",
          [it] { return it->stats().replicated; });
    count("samtale_accept_kept_here",
          "Events answered though this server alone had them: the broker was away, slow or full.",
          [it] { return it->stats().kept_here; });
    count("samtale_accept_replication_up", "0 while the broker is away.",
          [it] { return it->is_away() ? 0 : 1; });
  }
  const auto sum = [this](const char* name, const char* help, auto member) {
    metrics_->gauge(name, help, [this, member] {
      std::uint64_t all = 0;
      for (const auto& it : replicated_events_) all += it->stats().*member;
      return std::vector<Sample>{{{}, static_cast<double>(all)}};
    });
  };
  using Stats = ReplicatedEventsStats;
  sum("samtale_replicated_applied", "Events of any server that took effect by way of the broker.",
      &Stats::applied);
  sum("samtale_replicated_passed", "Events got from the broker that had their effect already.",
      &Stats::passed);
  sum("samtale_replicated_parked", "Events got from the broker that could not be read.",
      &Stats::parked);
}

void App::export_metrics() {
  const auto gauge = [this](const char* name, const char* help, auto read) {
    metrics_->gauge(name, help, [read] {
      return std::vector<Sample>{{{}, static_cast<double>(read())}};
    });
  };
  const auto* log = accept_log_.get();
  gauge("samtale_accepted_events", "Events made durable since the start.",
        [log] { return log->stats().appended; });
  gauge("samtale_accept_commits", "fdatasync calls for them.",
        [log] { return log->stats().commits; });
  gauge("samtale_accept_stopped", "1 after a failed write, until a restart.",
        [log] { return log->failure().has_value(); });
  gauge("samtale_accept_log_bytes", "Raw events on disk.", [log] { return log->stats().bytes; });
  gauge("samtale_accept_sync_seconds", "How long the last fdatasync took.",
        [log] { return seconds(log->stats().last_sync); });
  gauge("samtale_accept_backlog_bytes",
        "Accepted and not yet normalised, of the slowest partition.", [this] {
          const auto end = number(accept_log_->end());
          auto reached = end;
          // Before that they are still being made.
          if (is_loaded_) {
            for (const auto& it : normalisers_) {
              reached = std::min(reached, number(it->reached().value_or(LogPosition{end})));
            }
          }
          return end - reached;
        });

  const auto& queue = *queue_;
  const auto depth = [&](const char* name, const char* help, Read read) {
    metrics_->gauge(name, help, [&queue, read = std::move(read)] { return by_kind(queue, read); });
  };
  depth("samtale_queue_ready", "Jobs that could be taken.",
        [](const QueueStats& kind) { return static_cast<double>(kind.ready); });
  depth("samtale_queue_delayed", "Jobs waiting for their time.",
        [](const QueueStats& kind) { return static_cast<double>(kind.delayed); });
  depth("samtale_queue_leased", "Jobs being worked on.",
        [](const QueueStats& kind) { return static_cast<double>(kind.leased); });
  depth("samtale_queue_dead", "Dead letters.",
        [](const QueueStats& kind) { return static_cast<double>(kind.dead); });
  depth("samtale_queue_oldest_age_seconds", "Age of the oldest ready job.",
        [](const QueueStats& kind) { return seconds(kind.oldest_age); });
  depth("samtale_queue_failed_attempts", "Attempts that failed since the start.",
        [](const QueueStats& kind) { return static_cast<double>(kind.attempts); });

  cold_searches_ = &metrics_->histogram(
      "samtale_index_open_seconds",
      "Waits of searches whose company's index was not open, whether it then was or not.", {});
  gauge("samtale_index_companies", "Companies whose whole index is open.",
        [this] { return indexes_->companies(); });
  gauge("samtale_index_conversations", "Conversations in indexes.",
        [this] { return index_size().conversations; });
  gauge("samtale_index_chunks", "Chunks in indexes.", [this] { return index_size().chunks; });
  gauge("samtale_index_vectors", "Chunks with a vector.", [this] { return index_size().vectors; });
  gauge("samtale_index_graph_vectors", "Of them, in the graph of a large company.",
        [this] { return index_size().graph_vectors; });
  gauge("samtale_index_recall", "Share of the nearest that searches by a graph find; the lowest.",
        [this] { return index_size().recall; });
  gauge("samtale_index_bytes", "Memory held by the indexes.",
        [this] { return index_size().bytes; });
  gauge("samtale_index_bytes_max", "Memory that the indexes may hold; 0: no limit.",
        [this] { return index_budget_->bytes_max(); });
  gauge("samtale_index_evictions", "Indexes that had to leave memory since the start.",
        [this] { return index_budget_->evictions(); });
  gauge("samtale_index_mapped_bytes",
        "Vectors in files, whose pages the system may take back from memory.",
        [this] { return index_size().mapped_bytes; });
  const auto of_segments = [&](const char* name, const char* help, auto member) {
    gauge(name, help, [this, member] { return segments_->stats().*member; });
  };
  using Segments = SegmentFolder::Stats;
  of_segments("samtale_index_segments_loaded",
              "Graphs taken from their file since the start, not made.", &Segments::loaded);
  of_segments("samtale_index_segments_refused",
              "Files of graphs that were damaged, another's, newer or outdated.",
              &Segments::refused);
  of_segments("samtale_index_segments_written", "Files of graphs written.", &Segments::written);
  of_segments("samtale_index_segments_failed",
              "Files of graphs that could not be written or removed.", &Segments::failed);

  export_cache_metrics();
  if (database_watch_) export_database_metrics();
  if (stores_.broker_queue) {
    export_broker_metrics();
    export_replication_metrics();
  }

  gauge("samtale_index_partitions", "Slices of the store's partitions whose index is loaded here.",
        [this] {
          return std::ranges::count_if(followers_, [](const auto& it) { return it->is_loaded(); });
        });
  gauge("samtale_searches_sent_on", "Requests that another server was asked, for its index.",
        [this] { return router_.stats().sent; });
  gauge("samtale_searches_sent_again", "Of them, those that another had not answered.",
        [this] { return router_.stats().sent_again; });
  gauge("samtale_searches_hedged", "Sent to a second server beside a first that was late.",
        [this] { return router_.stats().hedges; });
  gauge("samtale_searches_hedges_won", "Of them, those whose answer was taken.",
        [this] { return router_.stats().hedges_won; });
  gauge("samtale_searches_hedges_held", "Late, but not hedged: one in twenty had been.",
        [this] { return router_.stats().hedges_held; });
  gauge("samtale_searches_sent_nowhere", "Requests that no server had the index for.",
        [this] { return router_.stats().refused; });

  const auto of_server = [&](const char* name, const char* help, auto member) {
    gauge(name, help, [this, member] {
      const auto* server = server_.load();
      return server == nullptr ? std::uint64_t{0} : server->stats().*member;
    });
  };
  of_server("samtale_http_connections", "Open connections.", &http::ServerStats::connections);
  of_server("samtale_http_in_flight", "Requests being answered.", &http::ServerStats::in_flight);
  of_server("samtale_http_queued", "Requests waiting for a handler.", &http::ServerStats::queued);
  of_server("samtale_http_refused_full", "Requests refused because a queue was full.",
            &http::ServerStats::refused_full);
}

}  // namespace samtale
