// Rooms: accept
// How near the accept log comes to what the disk can do.
//
// Method: rounds in turn of (a) the log with N appends under way, each answered one followed by
// the next, and (b) the floor: the same number of bytes as one of the log's mean groups written to
// a preallocated file with one fdatasync, in a loop. Medians over the rounds, because the disk's
// fdatasync has two speeds and other users.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "accept/accept_log.h"
#include "base/bounded_queue.h"

namespace samtale {
namespace {

constexpr auto kRound = std::chrono::milliseconds(1000);
constexpr std::uint64_t kFloorFileBytes = std::uint64_t{64} << 20;

struct Settings {
  double seconds = 10;
  std::size_t bytes = 2048;
  std::size_t outstanding = 64;
  std::int64_t wait_us = 5000;
  std::string folder = ".";
};

// Passes everything on, and times each sync of a file.
class TimedFile final : public File {
 public:
  TimedFile(std::unique_ptr<File> file, std::vector<double>& sync_ms, std::mutex& mutex)
      : file_(std::move(file)), sync_ms_(sync_ms), sync_ms_mutex_(mutex) {}
  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
    return file_->read_at(offset, size);
  }
  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    return file_->write_at(offset, bytes);
  }
  Result<> sync() override {
    const auto started = SystemClock().now();
    auto result = file_->sync();
    const std::chrono::duration<double, std::milli> took = SystemClock().now() - started;
    const std::lock_guard lock(sync_ms_mutex_);
    sync_ms_.push_back(took.count());
    return result;
  }
  Result<> truncate(std::uint64_t size) override { return file_->truncate(size); }
  Result<std::uint64_t> size() const override { return file_->size(); }

 private:
  const std::unique_ptr<File> file_;
  std::vector<double>& sync_ms_;
  std::mutex& sync_ms_mutex_;
};

class TimedFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    SAMTALE_TRY(auto file, files_->open(path, create));
    // Filling the next segment is not on the path of an append.
    if (path.ends_with(".tmp")) return file;
    return std::unique_ptr<File>(
        std::make_unique<TimedFile>(std::move(file), sync_ms, sync_ms_mutex));
  }
  Result<std::vector<std::string>> list(const std::string& folder) const override {
    return files_->list(folder);
  }
  Result<> make_folder(const std::string& path) override { return files_->make_folder(path); }
  Result<> rename(const std::string& from, const std::string& to) override {
    return files_->rename(from, to);
  }
  Result<> remove(const std::string& path) override { return files_->remove(path); }
  Result<> sync_folder(const std::string& path) override { return files_->sync_folder(path); }
  Result<std::unique_ptr<Scratch>> map_scratch(const std::string& folder, std::size_t size,
                                               bool at_random) override {
    return files_->map_scratch(folder, size, at_random);
  }

  std::vector<double> sync_ms;

 private:
  const std::unique_ptr<Files> files_ = make_system_files();
  std::mutex sync_ms_mutex;
};

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

double per_second(std::uint64_t count, Instant started) {
  const std::chrono::duration<double> took = SystemClock().now() - started;
  return static_cast<double>(count) / took.count();
}

// Keeps `outstanding` appends under way. Callers are another thread, as in a server: what is
// answered is sent again from there, some moments later.
class Load {
 public:
  Load(AcceptLog& log, std::size_t bytes, std::size_t outstanding)
      : log_(log), payload_(bytes, 'x'), outstanding_(outstanding), answered_(outstanding) {}

  double run() {
    const auto started = SystemClock().now();
    const auto before = log_.stats().appended;
    std::jthread caller([this](const std::stop_token& stop) {
      for (std::size_t i = 0; i < outstanding_; ++i) send();
      while (answered_.pop(stop) && !stop.stop_requested()) send();
    });
    std::this_thread::sleep_for(kRound);
    const auto rate = per_second(log_.stats().appended - before, started);
    caller.request_stop();
    caller.join();
    while (under_way_ > 0) std::this_thread::yield();
    while (answered_.size() > 0) static_cast<void>(answered_.pop(caller.get_stop_token()));
    return rate;
  }

 private:
  void send() {
    ++under_way_;
    log_.append(payload_, [this](const Result<LogPosition>& position) {
      if (position) static_cast<void>(answered_.try_push(0));
      --under_way_;
    });
  }

  AcceptLog& log_;
  const std::string payload_;
  const std::size_t outstanding_;
  BoundedQueue<int> answered_;
  std::atomic<std::size_t> under_way_ = 0;
};

double floor_per_second(File& file, std::size_t records, std::size_t record) {
  const std::string group(records * record, 'x');
  const auto started = SystemClock().now();
  std::uint64_t written = 0;
  for (std::uint64_t at = 0; SystemClock().now() - started < kRound; written += records) {
    if (at + group.size() > kFloorFileBytes) at = 0;
    if (!file.write_at(at, group) || !file.sync()) std::exit(1);
    at += group.size();
  }
  return per_second(written, started);
}

Result<> measure(const Settings& settings, const std::string& folder) {
  TimedFiles files;
  SystemClock clock;
  const auto lines = make_stderr_log({});
  SAMTALE_TRY(const auto log,
              open_accept_log(files, folder + "/log",
                              {.group_wait_max = std::chrono::microseconds(settings.wait_us)},
                              clock, *lines));
  const auto system = make_system_files();
  SAMTALE_TRY(const auto floor_file, system->open(folder + "/floor", true));
  SAMTALE_TRY_VOID(floor_file->write_at(0, std::string(kFloorFileBytes, '\0')));
  SAMTALE_TRY_VOID(floor_file->sync());

  std::jthread committer([&](const std::stop_token& stop) { log->run(stop); });
  Load load(*log, settings.bytes, settings.outstanding);
  load.run();  // Warm up.
  std::vector<double> log_rates;
  std::vector<double> floor_rates;
  std::vector<double> ratios;
  const auto first = log->stats();
  files.sync_ms.clear();
  const auto rounds = std::max(1, static_cast<int>(settings.seconds / 2));
  for (int round = 0; round < rounds; ++round) {
    const auto before = log->stats();
    log_rates.push_back(load.run());
    const auto after = log->stats();
    const auto group =
        std::max<std::uint64_t>(1, (after.appended - before.appended) /
                                       std::max<std::uint64_t>(1, after.commits - before.commits));
    floor_rates.push_back(floor_per_second(*floor_file, group, settings.bytes + 32));
    ratios.push_back(log_rates.back() / floor_rates.back());
    SAMTALE_TRY_VOID(log->trim(log->end()));
  }
  committer.request_stop();
  committer.join();
  const auto last = log->stats();
  std::printf(
      "{\"outstanding\":%zu,\"bytes\":%zu,\"ceiling_per_s\":%.0f,\"log_per_s\":%.0f,"
      "\"ratio\":%.3f,\"sync_ms_p50\":%.3f,\"sync_ms_p99\":%.3f,\"group_mean\":%.1f}\n",
      settings.outstanding, settings.bytes, quantile(floor_rates, 0.5), quantile(log_rates, 0.5),
      quantile(ratios, 0.5), quantile(files.sync_ms, 0.5), quantile(files.sync_ms, 0.99),
      static_cast<double>(last.appended - first.appended) /
          static_cast<double>(last.commits - first.commits));
  return {};
}

}  // namespace
}  // namespace samtale

int main(int argc, char** argv) {
  samtale::Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--seconds") settings.seconds = std::atof(argv[i + 1]);
    if (name == "--bytes") settings.bytes = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--outstanding") settings.outstanding = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--wait-us") settings.wait_us = std::atoll(argv[i + 1]);
    if (name == "--folder") settings.folder = argv[i + 1];
  }
  auto folder = settings.folder + "/accept-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("mkdtemp");
    return 1;
  }
  const auto measured = samtale::measure(settings, folder);
  std::filesystem::remove_all(folder);
  if (!measured) std::fprintf(stderr, "accept_bench: %s\n", measured.error().message.c_str());
  return measured ? 0 : 1;
}
