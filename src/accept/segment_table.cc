#include "accept/segment_table.h"

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr Duration kMakeAgainAfter = std::chrono::seconds(1);

// Differs from segment to segment and is not known to who sends payloads.
std::uint32_t make_salt(const Clock& clock, std::uint64_t base) {
  const auto wall = std::to_string(to_us(clock.wall_now()));
  const auto steady = std::to_string(clock.now().time_since_epoch().count());
  return crc32c(wall + " " + steady + " " + std::to_string(base));
}

}  // namespace

SegmentTable::SegmentTable(Files& files, std::string folder, AcceptLogOptions options,
                           const Clock& clock, Log& log, RecoveredLog recovered)
    : files_(files),
      folder_(std::move(folder)),
      options_(options),
      clock_(clock),
      log_(log),
      segments_(std::move(recovered.segments)),
      next_(std::move(recovered.next)),
      end_(recovered.end) {
  if (!segments_.empty()) active_ = segments_.rbegin()->second;
}

std::uint64_t SegmentTable::begin() const {
  const std::lock_guard lock(table_mutex_);
  return segments_.begin()->second->begin();
}

std::uint64_t SegmentTable::end() const {
  const std::lock_guard lock(table_mutex_);
  return end_;
}

SegmentTable::Place SegmentTable::find(std::uint64_t position) const {
  const std::lock_guard lock(table_mutex_);
  auto after = segments_.upper_bound(position);
  if (after == segments_.begin()) ++after;
  const auto& segment = std::prev(after)->second;
  return {segment, after == segments_.end() ? end_ : segment->end()};
}

std::uint64_t SegmentTable::bytes_locked() const {
  std::uint64_t bytes = next_ ? next_->header.bytes : 0;
  for (const auto& [base, segment] : segments_) bytes += segment->header.bytes;
  return bytes;
}

void SegmentTable::count(AcceptLogStats& stats) const {
  const std::lock_guard lock(table_mutex_);
  stats.bytes = bytes_locked();
  stats.segments = segments_.size() + (next_ ? 1 : 0);
}

void SegmentTable::set_end(std::uint64_t end) {
  bool wants = false;
  {
    const std::lock_guard lock(table_mutex_);
    end_ = end;
    wants = wants_next_locked();
  }
  if (wants) half_full_.notify_one();
}

void SegmentTable::rotate() {
  const std::lock_guard lock(table_mutex_);
  active_ = std::move(next_);
  next_ = nullptr;
  segments_.emplace(active_->header.base, active_);
  end_ = active_->begin();
}

Result<> SegmentTable::ensure_next(const std::stop_token& stop) {
  const std::lock_guard folder_lock(folder_mutex_);
  if (make_failure_ && clock_.now() < make_again_at_) return std::unexpected(*make_failure_);
  SegmentHeader header{.base = 0, .bytes = options_.segment_bytes, .salt = 0};
  std::uint64_t bytes = 0;
  {
    const std::lock_guard lock(table_mutex_);
    if (next_) return {};
    if (active_) header.base = active_->end();
    bytes = bytes_locked();
  }
  header.salt = make_salt(clock_, header.base);
  auto made = [&]() -> Result<std::shared_ptr<Segment>> {
    if (options_.log_bytes_max != 0 && bytes + header.bytes > options_.log_bytes_max) {
      return fail(ErrorCode::unavailable,
                  "accept log " + folder_ + " is full: " + std::to_string(bytes) + " bytes of " +
                      std::to_string(options_.log_bytes_max) +
                      "; it shrinks as workers catch up, or raise log_bytes_max");
    }
    return make_segment(files_, folder_, header, stop);
  }();
  make_failure_.reset();
  if (!made) {
    if (!stop.stop_requested()) {
      make_failure_ = made.error();
      make_again_at_ = clock_.now() + kMakeAgainAfter;
      log_.warn("accept.no_next_segment", made.error());
    }
    return std::unexpected(std::move(made).error());
  }
  const std::lock_guard lock(table_mutex_);
  next_ = *std::move(made);
  return {};
}

bool SegmentTable::wants_next_locked() const {
  return !next_ && end_ > active_->header.base + active_->header.bytes / 2;
}

bool SegmentTable::wants_next() const {
  const std::lock_guard lock(table_mutex_);
  return wants_next_locked();
}

void SegmentTable::keep_next_ready(const std::stop_token& stop) {
  std::unique_lock lock(table_mutex_);
  while (half_full_.wait(lock, stop, [this] { return wants_next_locked(); })) {
    lock.unlock();
    const bool made = ensure_next(stop).has_value();
    lock.lock();
    if (!made) half_full_.wait_for(lock, stop, kMakeAgainAfter, [] { return false; });
    if (stop.stop_requested()) return;
  }
}

std::optional<std::uint64_t> SegmentTable::oldest_trimmable(std::uint64_t before) const {
  const std::lock_guard lock(table_mutex_);
  if (segments_.size() < 2) return std::nullopt;
  const auto oldest = segments_.begin();
  const auto& after = *std::next(oldest)->second;
  // The numbers of the records go on from the oldest one kept: there must be one.
  const bool has_record_after = end_ > after.begin();
  if (oldest->second->end() > before || !has_record_after) return std::nullopt;
  return oldest->first;
}

Result<> SegmentTable::trim(std::uint64_t before) {
  const std::lock_guard folder_lock(folder_mutex_);
  while (const auto base = oldest_trimmable(before)) {
    SAMTALE_TRY_VOID(files_.remove(find(*base).segment->path));
    // One by one: a loss of power between two must not leave a hole.
    SAMTALE_TRY_VOID(files_.sync_folder(folder_));
    make_failure_.reset();  // There is room again.
    const std::lock_guard lock(table_mutex_);
    segments_.erase(*base);
  }
  return {};
}

}  // namespace samtale
