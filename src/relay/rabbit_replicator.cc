#include "relay/rabbit_replicator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "relay/event_message.h"

namespace samtale {
namespace {

constexpr std::size_t kWindowEvents = 512;

}  // namespace

RabbitReplicator::RabbitReplicator(LogId log, const RabbitTopology& topology, const Clock& clock,
                                   Random& random, Log& lines, const ReplicatorOptions& options)
    : log_(log),
      topology_(topology),
      options_(options),
      session_("accepted events", {}, topology.event_lanes(), clock, random, lines,
               options.session) {}

void RabbitReplicator::replicate(CompanyId company, LogPosition at, std::string payload,
                                 Done done) {
  if (payload.size() <= options_.event_bytes_max) {
    Waiting waiting{
        .lane = topology_.event_lane(company),
        .message = encode(EventMessage{.place = {.log = log_, .position = at}, .payload = payload}),
        .done = std::move(done)};
    const std::unique_lock lock(waiting_mutex_);
    if (is_running_ && waiting_bytes_ + waiting.message.size() <= options_.waiting_bytes_max) {
      waiting_bytes_ += waiting.message.size();
      waiting_.push_back(std::move(waiting));
      has_work_.notify_one();
      return;
    }
    done = std::move(waiting.done);
  }
  ++kept_here_;
  done(false);
}

void RabbitReplicator::run(const std::stop_token& stop) {
  while (true) {
    auto window = next_window(stop);
    if (window.empty()) return;
    const bool is_replicated = publish(window);
    (is_replicated ? replicated_ : kept_here_) += window.size();
    for (auto& waiting : window) waiting.done(is_replicated);
  }
}

// Empty: it is to stop, and nothing waits.
std::vector<RabbitReplicator::Waiting> RabbitReplicator::next_window(const std::stop_token& stop) {
  std::unique_lock lock(waiting_mutex_);
  has_work_.wait(lock, stop, [this] { return !waiting_.empty(); });
  is_running_ = !waiting_.empty();
  const auto count = std::min(waiting_.size(), kWindowEvents);
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<Waiting> window(std::make_move_iterator(waiting_.begin()),
                              std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  for (const auto& one : window) waiting_bytes_ -= one.message.size();
  return window;
}

bool RabbitReplicator::publish(std::vector<Waiting>& window) {
  auto* const connection = session_.connection(0);
  if (connection == nullptr) return false;
  std::vector<amqp::Message> messages;
  for (auto& one : window) {
    messages.push_back({.queue = one.lane, .body = std::move(one.message)});
  }
  const auto published = connection->publish(messages, session_.deadline());
  if (published) {
    session_.worked();
  } else {
    session_.failed(published.error());
  }
  return published.has_value();
}

}  // namespace samtale
