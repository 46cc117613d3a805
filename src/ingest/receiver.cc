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

Receiver::Receiver(AcceptLog& log, ReceiverOptions options) : log_(log), options_(options) {}

void Receiver::receive(ReceivedEvent event, Done done) {
  const auto key_hash = hash(std::to_string(number(event.company)) + "\n" + event.key);
  const auto body_hash = hash(event.body);
  auto event_id = public_event_id(event.company, event.key);
  {
    std::unique_lock lock(recent_mutex_);
    const auto found = by_key_.find(key_hash);
    if (found != by_key_.end()) {
      const bool is_same = found->second->body_hash == body_hash;
      lock.unlock();
      if (is_same) return done(Accepted{std::move(event_id), true});
      return done(fail(ErrorCode::conflict,
                       "an event with this id was received with another body; ids may not be "
                       "used again"));
    }
  }
  log_.append(encode(event), [this, key_hash, body_hash, event_id = std::move(event_id),
                              done = std::move(done)](Result<LogPosition> position) mutable {
    if (!position) return done(std::unexpected(std::move(position).error()));
    remember(key_hash, body_hash);
    done(Accepted{std::move(event_id), false});
  });
}

void Receiver::remember(std::uint64_t key_hash, std::uint64_t body_hash) {
  const std::lock_guard lock(recent_mutex_);
  if (by_key_.contains(key_hash)) return;
  recent_.push_front({key_hash, body_hash});
  by_key_.emplace(key_hash, recent_.begin());
  if (recent_.size() > options_.recent_max) {
    by_key_.erase(recent_.back().key_hash);
    recent_.pop_back();
  }
}

}  // namespace samtale
