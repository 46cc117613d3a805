#include "accept/accept_log.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "accept/group_pacer.h"
#include "accept/segment_table.h"
#include "base/bytes.h"

namespace samtale {
namespace {

// Bounds the buffer of a group; one record alone may be larger.
constexpr std::uint64_t kGroupBytesMax = std::uint64_t{4} << 20;
constexpr std::size_t kReadBytesMin = std::size_t{16} << 10;
constexpr std::size_t kReadBytesMax = std::size_t{1} << 20;
constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

struct Waiting {
  std::string payload;
  std::uint32_t crc = 0;
  AcceptLog::Done done;
};

// A group from the moment it is written until it is answered.
struct Flight {
  std::vector<Waiting> group;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::unique_ptr<File> writer;
  std::optional<Result<>> outcome;  // Of the write if it failed, else of the sync.
};

class SegmentedLog final : public AcceptLog {
 public:
  SegmentedLog(Files& files, const std::string& folder, AcceptLogOptions options,
               const Clock& clock, Log& log, RecoveredLog recovered)
      : options_(options),
        clock_(clock),
        log_(log),
        sequence_(recovered.sequence),
        is_full_(recovered.is_full),
        written_end_(recovered.end),
        table_(files, folder, options, clock, log, std::move(recovered)),
        pacer_(options.group_records_max, options.group_wait_max, kSyncsMax) {}

  ~SegmentedLog() override;

  // A log without a segment gets its first. Before anything else is called.
  Result<> begin_first_segment() {
    SAMTALE_TRY_VOID(table_.ensure_next({}));
    table_.rotate();
    written_end_ = table_.end();
    return {};
  }

  void append(std::string payload, Done done) override;
  std::size_t step() override;
  void run(const std::stop_token& stop) override;
  Result<std::vector<LogEntry>> read(LogPosition from, std::size_t bytes_max) const override;
  LogPosition begin() const override { return LogPosition{table_.begin()}; }
  LogPosition end() const override { return LogPosition{table_.end()}; }
  LogPosition before_end(std::uint64_t bytes) const override;
  Result<> erase(LogPosition position) override;
  Result<> trim(LogPosition before) override { return table_.trim(number(before)); }
  std::optional<Error> failure() const override;
  AcceptLogStats stats() const override;

 private:
  // Keeps groups from being written as long as it lives.
  class Alone;

  // False once there is nothing to commit and `stop` was requested.
  bool wait_for_group(const std::stop_token& stop);
  // Commits groups, taking turns with the other threads that do, until `stop`.
  void commit(const std::stop_token& stop);
  // Writes the next group. Null if none is waiting or it was refused; unless it may wait, also if
  // that cannot be done before others have been answered. Then finish() must follow.
  Flight* begin_group(bool may_wait);
  std::vector<Waiting> next_group(bool may_wait);
  // Those that go into one write at `room` bytes; none if the first is larger than that.
  std::vector<Waiting> take_group(std::uint64_t room);
  Flight* write_group(std::vector<Waiting> group);
  // Syncs it, and answers all that are next in order. Returns how many records became durable.
  std::size_t finish(Flight& flight);
  std::size_t answer(Flight& flight);
  Result<> end_segment();
  void refuse(std::vector<Waiting> group, const Error& error);
  void stop_taking(const Error& cause);
  bool has_waiting() const;
  // The entries of one segment from `position` on, which is moved past them.
  Result<> read_segment(const SegmentTable::Place& place, std::size_t bytes_max,
                        std::uint64_t& position, std::vector<LogEntry>& out) const;

  const AcceptLogOptions options_;
  const Clock& clock_;
  Log& log_;

  std::mutex turn_mutex_;  // Held while a group is gathered and written; guards the next ones.
  std::uint64_t sequence_;
  bool is_full_;  // The active segment has its end mark.
  std::uint64_t written_end_;
  std::string buffer_;

  SegmentTable table_;

  std::mutex answer_mutex_;  // Held while groups are answered, in their order.
  bool is_broken_ = false;   // Guarded by it: one was refused, and so are those after it.

  std::mutex flights_mutex_;  // Guards the next ones, and the writers of the active segment.
  std::condition_variable flights_changed_;
  std::deque<Flight> flights_;  // In the order of the log.
  std::size_t begun_ = 0;       // Those, and one that is being gathered.
  std::size_t erasing_ = 0;     // Erasures that wait for begun_ to be 0, or run.
  bool is_held_up_ = false;     // A group waits for their end.

  mutable std::mutex waiting_mutex_;  // Guards the rest.
  std::condition_variable_any enough_;
  std::deque<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;  // Also of the groups that are being written.
  std::size_t taken_ = 0;            // Records in those groups.
  std::size_t wake_at_ = kNever;     // So many waiting wake the committing thread.
  std::optional<Error> failure_;
  AcceptLogStats stats_;
  GroupPacer pacer_;
};

class SegmentedLog::Alone {
 public:
  explicit Alone(SegmentedLog& log) : log_(log) {
    std::unique_lock lock(log_.flights_mutex_);
    // A group that an erasure kept waiting goes before the next one.
    log_.flights_changed_.wait(lock, [this] { return !log_.is_held_up_; });
    ++log_.erasing_;
    log_.flights_changed_.wait(lock, [this] { return log_.begun_ == 0; });
  }
  ~Alone() {
    const std::lock_guard lock(log_.flights_mutex_);
    --log_.erasing_;
    log_.flights_changed_.notify_all();
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  SegmentedLog& log_;
};

SegmentedLog::~SegmentedLog() {
  while (has_waiting()) {
    refuse(take_group(std::numeric_limits<std::uint64_t>::max()),
           {ErrorCode::unavailable, "the accept log is closed"});
  }
}

void SegmentedLog::append(std::string payload, Done done) {
  const auto bytes = record_bytes(payload.size());
  if (payload.size() > options_.record_bytes_max) {
    done(fail(ErrorCode::invalid_argument,
              "event of " + std::to_string(payload.size()) + " bytes: at most " +
                  std::to_string(options_.record_bytes_max) + " are taken; send less at once"));
    return;
  }
  const auto crc = crc32c(payload);
  std::optional<Error> refusal;
  bool wakes = false;
  {
    const std::lock_guard lock(waiting_mutex_);
    if (failure_) {
      refusal = failure_;
    } else if (waiting_bytes_ + bytes > options_.pending_bytes_max) {
      refusal = Error{ErrorCode::resource_exhausted,
                      "accept log: " + std::to_string(waiting_bytes_) +
                          " bytes wait for the disk, the limit is " +
                          std::to_string(options_.pending_bytes_max) + "; slow down"};
    } else {
      waiting_bytes_ += bytes;
      waiting_.push_back({std::move(payload), crc, std::move(done)});
      wakes = waiting_.size() == wake_at_;
    }
  }
  if (wakes) enough_.notify_one();
  if (refusal) done(std::unexpected(*std::move(refusal)));
}

std::size_t SegmentedLog::step() {
  auto* const flight = begin_group(false);
  const auto durable = flight != nullptr ? finish(*flight) : 0;
  // What it failed on is logged there, and answered to the group that needs the segment.
  if (table_.wants_next()) static_cast<void>(table_.ensure_next({}));
  return durable;
}

void SegmentedLog::run(const std::stop_token& stop) {
  const std::jthread ahead([this](const std::stop_token& end) { table_.keep_next_ready(end); });
  std::vector<std::jthread> others;
  while (others.size() + 1 < kSyncsMax) others.emplace_back([this, &stop] { commit(stop); });
  commit(stop);
}

void SegmentedLog::commit(const std::stop_token& stop) {
  for (;;) {
    Flight* flight = nullptr;
    {
      const std::lock_guard turn(turn_mutex_);
      if (!wait_for_group(stop)) return;
      flight = begin_group(true);
    }
    if (flight != nullptr) finish(*flight);
  }
}

bool SegmentedLog::wait_for_group(const std::stop_token& stop) {
  std::unique_lock lock(waiting_mutex_);
  wake_at_ = 1;
  enough_.wait(lock, stop, [this] { return !waiting_.empty(); });
  if (waiting_.size() < pacer_.target() && !stop.stop_requested()) {
    wake_at_ = pacer_.target();
    enough_.wait_for(lock, stop, pacer_.patience(), [this] { return waiting_.size() >= wake_at_; });
  }
  wake_at_ = kNever;
  return !waiting_.empty() || !stop.stop_requested();
}

std::vector<Waiting> SegmentedLog::take_group(std::uint64_t room) {
  std::vector<Waiting> group;
  const std::lock_guard lock(waiting_mutex_);
  std::uint64_t bytes = 0;
  while (!waiting_.empty() && group.size() < options_.group_records_max) {
    bytes += record_bytes(waiting_.front().payload.size());
    if (bytes > room || (bytes > kGroupBytesMax && !group.empty())) break;
    group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  taken_ += group.size();
  return group;
}

Flight* SegmentedLog::begin_group(bool may_wait) {
  {
    std::unique_lock lock(flights_mutex_);
    const auto may_begin = [this] {
      const bool is_being_gathered = begun_ > flights_.size();
      return erasing_ == 0 && !is_being_gathered && !table_.active().writers.empty();
    };
    if (!may_wait && !may_begin()) return nullptr;
    is_held_up_ = true;
    flights_changed_.wait(lock, may_begin);
    is_held_up_ = false;
    ++begun_;
  }
  auto group = next_group(may_wait);
  if (!group.empty()) return write_group(std::move(group));
  const std::lock_guard lock(flights_mutex_);
  --begun_;
  flights_changed_.notify_all();
  return nullptr;
}

std::vector<Waiting> SegmentedLog::next_group(bool may_wait) {
  // The end mark must always fit.
  const auto room = [this] {
    return is_full_ ? 0 : table_.active().end() - written_end_ - kRecordHeaderBytes;
  };
  auto group = take_group(room());
  while (group.empty() && has_waiting()) {
    {
      // The end mark says that all before it is durable.
      std::unique_lock lock(flights_mutex_);
      const auto is_last = [this] { return flights_.empty(); };
      if (!may_wait && !is_last()) return group;
      flights_changed_.wait(lock, is_last);
    }
    if (const auto ended = end_segment(); !ended) {
      refuse(take_group(std::numeric_limits<std::uint64_t>::max()), ended.error());
      return group;
    }
    group = take_group(room());
  }
  return group;
}

Flight* SegmentedLog::write_group(std::vector<Waiting> group) {
  buffer_.clear();
  auto& segment = table_.active();
  std::uint32_t index = 0;
  for (const auto& one : group) {
    const RecordHeader header{.payload_bytes = static_cast<std::uint32_t>(one.payload.size()),
                              .payload_crc = one.crc,
                              .sequence = sequence_ + index,
                              .group_index = index};
    const auto start = buffer_.size();
    samtale::append(header, segment.header.salt, written_end_ + start, buffer_);
    buffer_.append(one.payload);
    buffer_.resize(start + record_bytes(one.payload.size()), '\0');
    ++index;
  }
  Flight flight{.group = std::move(group),
                .begin = written_end_,
                .end = written_end_ + buffer_.size(),
                .writer = nullptr,
                .outcome = {}};
  {
    const std::lock_guard lock(flights_mutex_);
    flight.writer = std::move(segment.writers.back());
    segment.writers.pop_back();
  }
  auto written = [&]() -> Result<> {
    if (auto failed = failure()) return std::unexpected(*std::move(failed));
    return flight.writer->write_at(flight.begin - segment.header.base, buffer_);
  }();
  if (!written) flight.outcome = std::move(written);
  sequence_ += index;
  written_end_ = flight.end;
  const std::lock_guard lock(flights_mutex_);
  return &flights_.emplace_back(std::move(flight));
}

std::size_t SegmentedLog::finish(Flight& flight) {
  const auto started = clock_.now();
  auto outcome = flight.outcome ? *std::move(flight.outcome) : flight.writer->sync();
  if (!outcome) stop_taking(outcome.error());
  {
    const std::lock_guard lock(waiting_mutex_);
    stats_.last_sync = clock_.now() - started;
  }
  std::size_t durable = 0;
  const std::lock_guard in_order(answer_mutex_);
  std::unique_lock lock(flights_mutex_);
  // None before it is answered, so the segment it was written to is the active one.
  table_.active().writers.push_back(std::move(flight.writer));
  flight.outcome = std::move(outcome);
  while (!flights_.empty() && !flights_.front().writer) {
    auto& first = flights_.front();
    lock.unlock();
    durable += answer(first);
    lock.lock();
    flights_.pop_front();
    --begun_;
  }
  flights_changed_.notify_all();
  return durable;
}

std::size_t SegmentedLog::answer(Flight& flight) {
  is_broken_ = is_broken_ || !*flight.outcome;
  if (is_broken_) {
    refuse(std::move(flight.group), *failure());
    return 0;
  }
  table_.set_end(flight.end);
  {
    const std::lock_guard lock(waiting_mutex_);
    waiting_bytes_ -= flight.end - flight.begin;
    taken_ -= flight.group.size();
    stats_.appended += flight.group.size();
    ++stats_.commits;
    pacer_.note(flight.group.size(), waiting_.size() + taken_, stats_.last_sync);
  }
  auto position = flight.begin;
  for (auto& one : flight.group) {
    one.done(LogPosition{position});
    position += record_bytes(one.payload.size());
  }
  if (options_.bell != nullptr) options_.bell->ring();
  return flight.group.size();
}

Result<> SegmentedLog::end_segment() {
  SAMTALE_TRY_VOID(table_.ensure_next({}));
  auto& segment = table_.active();
  if (!is_full_) {
    if (auto failed = failure()) return std::unexpected(*std::move(failed));
    std::string mark;
    samtale::append({.is_segment_end = true, .sequence = sequence_}, segment.header.salt,
                    written_end_, mark);
    auto marked = segment.write(written_end_, mark);
    if (marked) marked = segment.file->sync();
    if (!marked) {
      stop_taking(marked.error());
      return std::unexpected(*failure());
    }
    ++sequence_;
  }
  {
    const std::lock_guard lock(flights_mutex_);
    segment.writers.clear();
    table_.rotate();
  }
  written_end_ = table_.end();
  is_full_ = false;
  return {};
}

void SegmentedLog::refuse(std::vector<Waiting> group, const Error& error) {
  {
    const std::lock_guard lock(waiting_mutex_);
    for (const auto& one : group) waiting_bytes_ -= record_bytes(one.payload.size());
    taken_ -= group.size();
  }
  for (auto& one : group) one.done(std::unexpected(error));
}

void SegmentedLog::stop_taking(const Error& cause) {
  const std::lock_guard lock(waiting_mutex_);
  if (failure_) return;
  failure_ =
      Error{ErrorCode::unavailable, "the accept log takes no more events after a failed write (" +
                                        cause.message + "); see to the disk, then restart"};
  log_.error("accept.stopped", {{"error", cause.message}});
}

std::optional<Error> SegmentedLog::failure() const {
  const std::lock_guard lock(waiting_mutex_);
  return failure_;
}

bool SegmentedLog::has_waiting() const {
  const std::lock_guard lock(waiting_mutex_);
  return !waiting_.empty();
}

// Only the begin of a segment is known to be that of a record.
LogPosition SegmentedLog::before_end(std::uint64_t bytes) const {
  const auto end = table_.end();
  return LogPosition{table_.find(end - std::min(end, bytes)).segment->begin()};
}

Result<std::vector<LogEntry>> SegmentedLog::read(LogPosition from, std::size_t bytes_max) const {
  std::vector<LogEntry> out;
  auto position = std::max(number(from), table_.begin());
  const auto end = table_.end();
  if (position > end) {
    return fail(ErrorCode::corrupt, "accept log: position " + std::to_string(position) +
                                        " is past its end " + std::to_string(end) +
                                        "; the log and who reads it are not of one backup");
  }
  std::size_t bytes = 0;
  while (position < end && (out.empty() || bytes < bytes_max)) {
    const auto place = table_.find(position);
    const auto before = out.size();
    position = std::max(position, place.segment->begin());
    if (auto done = read_segment(place, bytes_max - bytes, position, out); !done) {
      if (!out.empty()) break;  // The next call begins with the damage, and says so.
      return std::unexpected(std::move(done).error());
    }
    for (auto i = before; i < out.size(); ++i) bytes += out[i].payload.size();
  }
  return out;
}

Result<> SegmentedLog::read_segment(const SegmentTable::Place& place, std::size_t bytes_max,
                                    std::uint64_t& position, std::vector<LogEntry>& out) const {
  auto& segment = *place.segment;
  RecordReader reader(segment, position, place.end,
                      std::clamp(bytes_max, kReadBytesMin, kReadBytesMax));
  for (std::size_t bytes = 0; position < place.end && (out.empty() || bytes < bytes_max);) {
    SAMTALE_TRY(auto found, reader.next());
    // It may be in the middle of being erased: look again when it is not.
    RecordReader again(segment, position, place.end, kReadBytesMin);
    if (found.kind != RecordReader::Kind::record) {
      const std::lock_guard lock(segment.erase_mutex);
      SAMTALE_TRY(found, again.next());
    }
    if (found.kind != RecordReader::Kind::record) {
      return segment.damaged(position, "no whole record begins here");
    }
    if (found.header.is_segment_end) {
      position = segment.end();
      return {};
    }
    out.push_back({LogPosition{position}, LogPosition{found.next}, found.header.is_erased,
                   std::string(found.payload)});
    bytes += found.payload.size();
    position = found.next;
    reader.skip_to(position);
  }
  return {};
}

Result<> SegmentedLog::erase(LogPosition position) {
  const auto at = number(position);
  if (at < table_.begin()) return {};
  const auto place = table_.find(at);
  auto& segment = *place.segment;
  const std::lock_guard lock(segment.erase_mutex);
  // Not while a group is on its way to the disk: a page that changes meanwhile can land torn, and
  // this record has been answered.
  const Alone alone(*this);
  if (auto failed = failure()) return std::unexpected(*std::move(failed));
  std::optional<RecordHeader> header;
  if (at >= segment.begin() && at < place.end) {
    SAMTALE_TRY(const auto bytes, segment.read(at, kRecordHeaderBytes));
    header = decode_record_header(bytes, segment.header.salt, at);
  }
  if (!header || header->is_segment_end) {
    return fail(ErrorCode::invalid_argument,
                "accept log: no record begins at position " + std::to_string(at));
  }
  header->is_erased = true;
  header->payload_crc = 0;
  std::string bytes;
  samtale::append(*header, segment.header.salt, at, bytes);
  // First the flag: a crash must not leave a payload that fails its checksum.
  const auto erased = [&]() -> Result<> {
    SAMTALE_TRY_VOID(segment.write(at, bytes));
    SAMTALE_TRY_VOID(segment.file->sync());
    const auto begin = at + kRecordHeaderBytes;
    return segment.blank(begin, at + record_bytes(header->payload_bytes));
  }();
  if (!erased) stop_taking(erased.error());
  return erased;
}

AcceptLogStats SegmentedLog::stats() const {
  AcceptLogStats stats;
  {
    const std::lock_guard lock(waiting_mutex_);
    stats = stats_;
  }
  table_.count(stats);
  return stats;
}

std::string parent_of(const std::string& folder) {
  const auto slash = folder.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : folder.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<AcceptLog>> open_accept_log(Files& files, std::string folder,
                                                   AcceptLogOptions options, const Clock& clock,
                                                   Log& log) {
  // Whole sectors, so that a segment never shares one.
  options.segment_bytes = (options.segment_bytes + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  constexpr std::size_t kRecordBytesLimit = std::size_t{1} << 30;
  const auto segment_min =
      kSegmentHeaderBytes + record_bytes(options.record_bytes_max) + kRecordHeaderBytes;
  if (options.segment_bytes < segment_min || options.group_records_max == 0 ||
      options.record_bytes_max > kRecordBytesLimit) {
    return fail(ErrorCode::invalid_argument,
                "accept log: record_bytes_max may be up to " + std::to_string(kRecordBytesLimit) +
                    ", segment_bytes must be at least " + std::to_string(segment_min) +
                    " to take such a record, and group_records_max at least 1");
  }
  SAMTALE_TRY_VOID(files.make_folder(folder));
  SAMTALE_TRY_VOID(files.sync_folder(parent_of(folder)));
  SAMTALE_TRY(auto recovered, recover_log(files, folder, log));
  const bool is_new = recovered.segments.empty();
  auto opened =
      std::make_unique<SegmentedLog>(files, folder, options, clock, log, std::move(recovered));
  if (is_new) SAMTALE_TRY_VOID(opened->begin_first_segment());
  return std::unique_ptr<AcceptLog>(std::move(opened));
}

}  // namespace samtale
