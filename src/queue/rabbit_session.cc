#include "queue/rabbit_session.h"

#include <algorithm>
#include <utility>

#include "queue/rabbit_topology.h"

namespace samtale {

RabbitSession::RabbitSession(std::string name, std::vector<amqp::QueueSpec> queues,
                             std::vector<amqp::QueueSpec> others, const Clock& clock,
                             Random& random, Log& log, const RabbitSessionOptions& options)
    : name_(std::move(name)),
      queues_(std::move(queues)),
      others_(std::move(others)),
      clock_(clock),
      random_(random),
      log_(log),
      options_(options) {}

amqp::Connection* RabbitSession::connection(std::uint16_t prefetch) {
  const auto now = clock_.now();
  // The broker has ended a connection that has not said for so long that it lives.
  const bool is_stale = now - used_at_ > amqp::Connection::kHeartbeat;
  used_at_ = now;
  if (connection_ && !is_stale && prefetch <= prefetch_) return connection_.get();
  if (now < paused_until_) return nullptr;
  connection_.reset();
  prefetch_ = std::max(prefetch, prefetch_);
  auto opened = open(prefetch_);
  if (!opened) {
    failed(opened.error());
    return nullptr;
  }
  ++generation_;
  connection_ = *std::move(opened);
  return connection_.get();
}

Result<std::unique_ptr<amqp::Connection>> RabbitSession::open(std::uint16_t prefetch) const {
  SAMTALE_TRY(auto opened, amqp::Connection::open(options_.address, clock_, deadline(),
                                                  options_.body_bytes_max));
  for (const auto& queue : others_) SAMTALE_TRY_VOID(check_queue(*opened, queue, deadline()));
  for (const auto& queue : queues_) {
    SAMTALE_TRY_VOID(check_queue(*opened, queue, deadline()));
    SAMTALE_TRY_VOID(opened->consume(queue.name, prefetch, deadline()));
  }
  return opened;
}

void RabbitSession::failed(const Error& error) {
  connection_.reset();
  ++failures_;
  paused_until_ = clock_.now() + backoff(options_.pause, failures_, random_.fraction());
  if (is_away_.exchange(true)) return;
  const bool is_topology = error.code == ErrorCode::conflict;
  log_.write(is_topology ? LogLevel::error : LogLevel::warn,
             is_topology ? "queue.topology_wrong" : "queue.broker_away",
             {{"for", name_}, {"error", error.message}});
}

void RabbitSession::worked() {
  failures_ = 0;
  if (is_away_.exchange(false)) log_.info("queue.broker_back", {{"for", name_}});
}

}  // namespace samtale
