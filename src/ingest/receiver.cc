#include "ingest/receiver.h"

#include <cstring>

#include "base/bytes.h"

namespace samtale {
namespace {

// 64 bits of SHA-256: two different events of one company meet once in 10^19.
std::uint64_t hash(std::string_view bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, sha256(bytes).data(), sizeof value);
  return value;
}

}  // namespace

Receiver::Recent Receiver::identify(const ReceivedEvent& event) {
  return {hash(std::to_string(number(event.company)) + "\n" + event.key), hash(event.body)};
}

Receiver::Receiver(AcceptLog& log, Replicator* replicator, ReceiverOptions options)
    : log_(log), replicator_(replicator), options_(options) {}

Result<> Receiver::recall() {
  constexpr std::size_t kReadBytes = std::size_t{4} << 20;
  for (auto from = log_.before_end(options_.recall_bytes);;) {
    SAMTALE_TRY(const auto entries, log_.read(from, kReadBytes));
    if (entries.empty()) return {};
    for (const auto& entry : entries) {
      // What this binary cannot read is for the workers to report.
      const auto event = decode_received_event(entry.payload);
      if (event) remember(identify(*event));
    }
    from = entries.back().next;
  }
}

void Receiver::receive(ReceivedEvent event, Done done) {
  auto recent = identify(event);
  auto event_id = public_event_id(event.company, event.key);
  {
    std::unique_lock lock(recent_mutex_);
    const auto found = by_key_.find(recent.key_hash);
    if (found != by_key_.end()) {
      const auto known = *found->second;
      lock.unlock();
      if (known.body_hash == recent.body_hash) {
        return done(Accepted{std::move(event_id), true, known.is_replicated});
      }
      return done(fail(ErrorCode::conflict,
                       "an event with this id was received with another body; ids may not be "
                       "used again"));
    }
  }
  auto payload = encode(event);
  auto copy = replicator_ == nullptr ? std::string() : payload;
  log_.append(std::move(payload), [this, recent, company = event.company, copy = std::move(copy),
                                   event_id = std::move(event_id),
                                   done = std::move(done)](Result<LogPosition> at) mutable {
    if (!at) return done(std::unexpected(std::move(at).error()));
    auto answer = [this, recent, event_id = std::move(event_id),
                   done = std::move(done)](bool is_replicated) mutable {
      recent.is_replicated = is_replicated;
      remember(recent);
      done(Accepted{std::move(event_id), false, is_replicated});
    };
    if (replicator_ == nullptr) return answer(false);
    replicator_->replicate(company, *at, std::move(copy), std::move(answer));
  });
}

void Receiver::remember(const Recent& recent) {
  const std::lock_guard lock(recent_mutex_);
  if (by_key_.contains(recent.key_hash)) return;
  recent_.push_front(recent);
  by_key_.emplace(recent.key_hash, recent_.begin());
  if (recent_.size() > options_.recent_max) {
    by_key_.erase(recent_.back().key_hash);
    recent_.pop_back();
  }
}

}  // namespace samtale
