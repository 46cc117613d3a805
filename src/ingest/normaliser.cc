#include "ingest/normaliser.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ingest/apply_events.h"
#include "ingest/received_event.h"

namespace samtale {
namespace {

// So many events of other partitions are passed before the place is saved without own events:
// what a restart has to read again.
constexpr std::size_t kSaveEvery = 50'000;

}  // namespace

Normaliser::Normaliser(AcceptLog& accepted, Store& store, Partition partition, Log& log,
                       NormaliserOptions options)
    : accepted_(accepted), store_(store), partition_(partition), log_(log), options_(options) {}

Result<std::size_t> Normaliser::step() {
  if (is_to_reread_.exchange(false)) next_.reset();
  if (!next_) {
    SAMTALE_TRY(next_, store_.log_offset(partition_));
    saved_ = *next_;
    reached_ = number(*next_);
    passed_unsaved_ = 0;
  }
  SAMTALE_TRY(const auto entries, accepted_.read(*next_, options_.batch_bytes));
  if (entries.empty()) return 0;

  std::vector<ReadEvent> own;
  std::size_t passed = 0;
  auto next = *next_;
  for (const auto& entry : entries) {
    if (own.size() == options_.batch_events) break;
    const auto head = peek_event(entry.payload);
    if (head && options_.is_left && options_.is_left(head->received_at)) break;
    ++passed;
    next = entry.next;
    if (entry.is_erased) continue;
    // A record that names no company belongs to nobody's dead letters: said, kept, passed.
    if (!head) {
      if (partition_ == Partition{0}) log_.warn("normalise.unreadable_record", head.error());
      continue;
    }
    if (store_.partition_of(head->company) != partition_) continue;
    SAMTALE_TRY(auto event, read_event({store_.log(), entry.position}, entry.payload));
    own.push_back(std::move(event));
  }

  passed_unsaved_ += passed;
  if (!own.empty() || passed_unsaved_ >= kSaveEvery) {
    auto written = store_.write(partition_, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(apply_events(writer, own, false));
      return writer.set_log_offset(saved_, next);
    });
    if (!written) {
      next_.reset();  // What is saved is asked for again: it may have changed.
      return std::unexpected(std::move(written).error());
    }
    saved_ = next;
    passed_unsaved_ = 0;
  }
  next_ = next;
  reached_ = number(next);
  return passed;
}

Result<std::size_t> Normaliser::replay(std::optional<WallTime> from, std::optional<WallTime> to) {
  std::size_t done = 0;
  const auto end = accepted_.end();
  for (auto at = accepted_.begin(); at < end;) {
    SAMTALE_TRY(const auto entries, accepted_.read(at, options_.batch_bytes));
    if (entries.empty()) break;
    std::vector<ReadEvent> own;
    for (const auto& entry : entries) {
      at = entry.next;
      if (entry.is_erased) continue;
      const auto head = peek_event(entry.payload);
      if (!head || store_.partition_of(head->company) != partition_) continue;
      if ((from && head->received_at < *from) || (to && head->received_at >= *to)) continue;
      SAMTALE_TRY(auto event, read_event({store_.log(), entry.position}, entry.payload));
      own.push_back(std::move(event));
    }
    SAMTALE_TRY_VOID(store_.write(
        partition_, [&](StoreWriter& writer) { return apply_events(writer, own, true); }));
    done += own.size();
  }
  return done;
}

}  // namespace samtale
