#include "postgres/pool.h"

#include <utility>

namespace samtale::postgres {

Lease::~Lease() {
  if (connection_ != nullptr) pool_->give_back(std::move(connection_), opened_);
}

bool Pool::is_fresh(const Idle& idle) const {
  return idle.connection->is_quiet() && clock_.now() - idle.opened < options_.lifetime;
}

Result<Lease> Pool::acquire() {
  std::vector<Idle> stale;  // Closed after the lock: it may write to the network.
  {
    std::unique_lock lock(idle_mutex_);
    if (!one_is_free_.wait_for(lock, options_.acquire_timeout,
                               [this] { return leased_ < options_.connections_max; })) {
      return fail(ErrorCode::unavailable,
                  "all " + std::to_string(options_.connections_max) +
                      " connections to PostgreSQL are in use; raise store.connections_max, or see "
                      "what its statements wait for");
    }
    ++leased_;
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
    --leased_;
    // The others are sessions with the same server: they would read there what is old by now.
    if (connection != nullptr && connection->only_reads()) idle_.swap(stale);
    if (connection != nullptr && connection->is_quiet()) {
      idle_.push_back({std::move(connection), opened});
    }
  }
  one_is_free_.notify_one();
}

std::size_t Pool::connections() const {
  const std::lock_guard lock(idle_mutex_);
  return leased_ + idle_.size();
}

}  // namespace samtale::postgres
