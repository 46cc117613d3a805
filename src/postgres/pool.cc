#include "postgres/pool.h"

#include <utility>

namespace samtale::postgres {

Lease::~Lease() {
  if (connection_ != nullptr) pool_->give_back(std::move(connection_), opened_);
}

bool Pool::is_fresh(const Idle& idle) const {
  return idle.connection->is_quiet() && clock_.now() - idle.opened < options_.lifetime;
}

bool Pool::wait_for_a_free_one(std::unique_lock<std::mutex>& lock) {
  const auto is_free = [this] { return stats_.leased < options_.connections_max; };
  if (is_free()) return true;
  ++stats_.waits;
  const auto begin = clock_.now();
  const bool found = one_is_free_.wait_for(lock, options_.acquire_timeout, is_free);
  stats_.waited += clock_.now() - begin;
  if (!found) ++stats_.refused;
  return found;
}

Result<Lease> Pool::acquire() {
  std::vector<Idle> stale;  // Closed after the lock: it may write to the network.
  {
    std::unique_lock lock(idle_mutex_);
    if (!wait_for_a_free_one(lock)) {
      return fail(ErrorCode::unavailable,
                  "all " + std::to_string(options_.connections_max) +
                      " connections to PostgreSQL are in use; raise store.connections_max, or see "
                      "what its statements wait for");
    }
    ++stats_.leased;
    while (!idle_.empty()) {
      auto last = std::move(idle_.back());
      idle_.pop_back();
      if (is_fresh(last)) return Lease(*this, std::move(last.connection), last.opened);
      stale.push_back(std::move(last));
    }
  }
  stale.clear();
  const auto now = clock_.now();
  auto opened = open(now + options_.acquire_timeout);
  if (!opened) {
    give_back(nullptr, now);
    return std::unexpected(std::move(opened).error());
  }
  {
    const std::lock_guard lock(idle_mutex_);
    ++stats_.opened;
  }
  return Lease(*this, *std::move(opened), now);
}

Result<std::unique_ptr<Connection>> Pool::open(Instant deadline) const {
  SAMTALE_TRY(auto connection, Connection::open(options_.address, clock_, deadline));
  if (options_.names_statements) SAMTALE_TRY_VOID(connection->name_statements(deadline));
  return connection;
}

void Pool::give_back(std::unique_ptr<Connection> connection, Instant opened) {
  std::vector<Idle> stale;
  {
    const std::lock_guard lock(idle_mutex_);
    --stats_.leased;
    // The others are sessions with the same server: they would read there what is old by now.
    if (connection != nullptr && connection->only_reads()) idle_.swap(stale);
    if (connection != nullptr && connection->is_quiet()) {
      idle_.push_back({std::move(connection), opened});
    }
  }
  one_is_free_.notify_one();
}

PoolStats Pool::stats() const {
  const std::lock_guard lock(idle_mutex_);
  auto stats = stats_;
  stats.idle = idle_.size();
  return stats;
}

}  // namespace samtale::postgres
