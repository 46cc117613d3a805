// A slow disk for the ingest benchmark: preloaded into a program (LD_PRELOAD), it stretches each of
// its fdatasync and fsync calls to SLOW_SYNC_MS milliseconds. Calls at the same time do not wait
// for each other unless SLOW_SYNC_MERGES is set: then, as on a disk that flushes everything at
// once, one call that finds another under way waits for its end and for a flush after it, which all
// that wait share.
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

std::chrono::milliseconds sync_time() {
  const char* const text = std::getenv("SLOW_SYNC_MS");
  return std::chrono::milliseconds(text != nullptr ? std::atoi(text) : 0);
}

class Flushes {
 public:
  void wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    const auto wanted = begun_ + 1;
    while (ended_ < wanted) {
      if (begun_ > ended_) {
        changed_.wait(lock);
        continue;
      }
      const auto mine = ++begun_;
      lock.unlock();
      std::this_thread::sleep_for(time);
      lock.lock();
      ended_ = mine;
      changed_.notify_all();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
};

int stretched(const char* name, int fd) {
  static Flushes flushes;
  const auto started = Clock::now();
  const int result = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name))(fd);
  if (std::getenv("SLOW_SYNC_MERGES") != nullptr) {
    flushes.wait(sync_time());
  } else {
    std::this_thread::sleep_until(started + sync_time());
  }
  return result;
}

}  // namespace

extern "C" int fdatasync(int fd) { return stretched("fdatasync", fd); }
extern "C" int fsync(int fd) { return stretched("fsync", fd); }
