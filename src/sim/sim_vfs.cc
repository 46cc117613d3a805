#include "sim/sim_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "base/check.h"

namespace samtale {
namespace {

// What all connections to one file share, as the kernel would hold it for them.
struct SharedFile {
  int readers = 0;  // Connections at SHARED or above.
  const void* reserved_by = nullptr;
  const void* pending_by = nullptr;
  std::vector<std::unique_ptr<char[]>> regions;  // The WAL's shared memory.
  std::array<int, SQLITE_SHM_NLOCK> shm_readers{};
  std::array<const void*, SQLITE_SHM_NLOCK> shm_writers{};
};

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

int status_of(const Error& error, int otherwise) {
  return error.message.ends_with("No space left on device") ? SQLITE_FULL : otherwise;
}

}  // namespace

struct SimVfs::State {
  State(std::string vfs_name, SimFiles& vfs_files, SimRandom& vfs_random, SimClock& vfs_clock)
      : name(std::move(vfs_name)), files(vfs_files), random(vfs_random), clock(vfs_clock) {}

  const std::string name;
  SimFiles& files;
  SimRandom& random;
  SimClock& clock;
  sqlite3_vfs vfs{};
  std::uint64_t unnamed = 0;
  std::mutex shared_mutex;
  std::map<std::string, std::weak_ptr<SharedFile>> shared;  // Guarded by shared_mutex.
};

namespace {

// One open file of SQLite's. The locks of its SharedFile are guarded by shared_mutex.
struct OpenFile {
  std::unique_ptr<File> file;
  std::string path;
  std::shared_ptr<SharedFile> shared;
  SimFiles* files = nullptr;
  std::mutex* shared_mutex = nullptr;
  bool delete_on_close = false;
  bool sync_folder = false;  // With the next sync: its name may not be durable yet.
  int lock = SQLITE_LOCK_NONE;
  unsigned shm_shared = 0;  // Bit masks of the WAL locks held.
  unsigned shm_exclusive = 0;
};

// What SQLite allocates for us; it begins with what SQLite knows.
struct Handle {
  sqlite3_file base;
  OpenFile* open;
};

OpenFile& of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file)->open; }

int read(sqlite3_file* handle, void* out, int size, sqlite3_int64 offset) {
  const auto bytes =
      of(handle).file->read_at(static_cast<std::uint64_t>(offset), static_cast<std::size_t>(size));
  if (!bytes) return SQLITE_IOERR_READ;
  std::memcpy(out, bytes->data(), bytes->size());
  if (bytes->size() == static_cast<std::size_t>(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + bytes->size(), 0,
              static_cast<std::size_t>(size) - bytes->size());
  return SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* handle, const void* bytes, int size, sqlite3_int64 offset) {
  const auto written =
      of(handle).file->write_at(static_cast<std::uint64_t>(offset),
                                {static_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  return written ? SQLITE_OK : status_of(written.error(), SQLITE_IOERR_WRITE);
}

int truncate(sqlite3_file* handle, sqlite3_int64 size) {
  const auto done = of(handle).file->truncate(static_cast<std::uint64_t>(size));
  return done ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int sync(sqlite3_file* handle, int) {
  auto& open = of(handle);
  if (!open.file->sync()) return SQLITE_IOERR_FSYNC;
  if (open.sync_folder) {
    if (!open.files->sync_folder(folder_of(open.path))) return SQLITE_IOERR_DIR_FSYNC;
    open.sync_folder = false;
  }
  return SQLITE_OK;
}

int file_size(sqlite3_file* handle, sqlite3_int64* out) {
  const auto size = of(handle).file->size();
  if (!size) return SQLITE_IOERR_FSTAT;
  *out = static_cast<sqlite3_int64>(*size);
  return SQLITE_OK;
}

// SQLite climbs none -> shared -> reserved -> (pending) -> exclusive.
int lock(sqlite3_file* handle, int level) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  auto& shared = *open.shared;
  if (level <= open.lock) return SQLITE_OK;
  if (level == SQLITE_LOCK_SHARED) {
    if (shared.pending_by != nullptr) return SQLITE_BUSY;
    ++shared.readers;
    open.lock = level;
    return SQLITE_OK;
  }
  if (shared.reserved_by != nullptr && shared.reserved_by != &open) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_RESERVED) {
    shared.reserved_by = &open;
    open.lock = level;
    return SQLITE_OK;
  }
  if (shared.pending_by != nullptr && shared.pending_by != &open) return SQLITE_BUSY;
  shared.pending_by = &open;  // Keeps new readers out, also if we must wait for the old ones.
  open.lock = SQLITE_LOCK_PENDING;
  if (shared.readers > 1) return SQLITE_BUSY;
  open.lock = SQLITE_LOCK_EXCLUSIVE;
  return SQLITE_OK;
}

int unlock(sqlite3_file* handle, int level) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  auto& shared = *open.shared;
  if (shared.reserved_by == &open) shared.reserved_by = nullptr;
  if (shared.pending_by == &open) shared.pending_by = nullptr;
  if (level == SQLITE_LOCK_NONE && open.lock > SQLITE_LOCK_NONE) --shared.readers;
  open.lock = std::min(open.lock, level);
  return SQLITE_OK;
}

int is_reserved(sqlite3_file* handle, int* out) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  *out = open.shared->reserved_by != nullptr || open.shared->pending_by != nullptr ? 1 : 0;
  return SQLITE_OK;
}

int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }  // As os_unix.c says.
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int shm_map(sqlite3_file* handle, int region, int size, int extend, void volatile** out) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  auto& regions = open.shared->regions;
  const auto index = static_cast<std::size_t>(region);
  *out = nullptr;
  if (index >= regions.size() && extend == 0) return SQLITE_OK;
  while (regions.size() <= index) {
    regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  }
  *out = regions[index].get();
  return SQLITE_OK;
}

int shm_lock(sqlite3_file* handle, int first, int count, int flags) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  auto& shared = *open.shared;
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  const bool unlocks = (flags & SQLITE_SHM_UNLOCK) != 0;
  auto& held = exclusive ? open.shm_exclusive : open.shm_shared;
  const auto end = static_cast<std::size_t>(first + count);
  for (auto i = static_cast<std::size_t>(first); i < end && !unlocks; ++i) {
    if ((held & (1U << i)) != 0) continue;
    const bool is_read_elsewhere = shared.shm_readers[i] > ((open.shm_shared >> i) & 1U ? 1 : 0);
    if (shared.shm_writers[i] != nullptr || (exclusive && is_read_elsewhere)) return SQLITE_BUSY;
  }
  for (auto i = static_cast<std::size_t>(first); i < end; ++i) {
    const bool is_held = (held & (1U << i)) != 0;
    if (is_held != unlocks) continue;
    held ^= 1U << i;
    if (exclusive) {
      shared.shm_writers[i] = unlocks ? nullptr : &open;
    } else {
      shared.shm_readers[i] += unlocks ? -1 : 1;
    }
  }
  return SQLITE_OK;
}

// A lock taken and released is a barrier too, as in os_unix.c.
void shm_barrier(sqlite3_file* handle) { const std::lock_guard guard(*of(handle).shared_mutex); }

// The regions go with the last connection; until then others may use them.
int shm_unmap(sqlite3_file* handle, int deletes) {
  auto& open = of(handle);
  const std::lock_guard guard(*open.shared_mutex);
  if (deletes != 0 && open.shared->readers <= 1) open.shared->regions.clear();
  return SQLITE_OK;
}

int close(sqlite3_file* handle) {
  unlock(handle, SQLITE_LOCK_NONE);
  for (int i = 0; i < SQLITE_SHM_NLOCK; ++i) {
    shm_lock(handle, i, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    shm_lock(handle, i, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
  }
  const std::unique_ptr<OpenFile> open(&of(handle));
  if (open->delete_on_close && !open->files->remove(open->path)) return SQLITE_IOERR_DELETE;
  return SQLITE_OK;
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,  // With shared memory, without memory mapping.
    .xClose = close,
    .xRead = read,
    .xWrite = write,
    .xTruncate = truncate,
    .xSync = sync,
    .xFileSize = file_size,
    .xLock = lock,
    .xUnlock = unlock,
    .xCheckReservedLock = is_reserved,
    .xFileControl = file_control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

constexpr int kJournals = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

template <class State>
State& state_of(sqlite3_vfs* vfs) {
  return *static_cast<State*>(vfs->pAppData);
}

template <class State>
int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* handle, int flags, int* out_flags) {
  auto& state = state_of<State>(vfs);
  handle->pMethods = nullptr;  // Nothing to close if this fails.
  auto open = std::make_unique<OpenFile>();
  open->path = name != nullptr ? name : "./sim-unnamed-" + std::to_string(++state.unnamed);
  open->files = &state.files;
  open->shared_mutex = &state.shared_mutex;
  open->delete_on_close = name == nullptr || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  const bool creates = (flags & SQLITE_OPEN_CREATE) != 0;
  open->sync_folder = creates && (flags & kJournals) != 0;
  auto file = state.files.open(open->path, creates || name == nullptr);
  if (!file) return SQLITE_CANTOPEN;
  open->file = *std::move(file);
  {
    const std::lock_guard guard(state.shared_mutex);
    auto& shared = state.shared[open->path];
    open->shared = shared.lock();
    if (!open->shared) shared = open->shared = std::make_shared<SharedFile>();
  }
  reinterpret_cast<Handle*>(handle)->open = open.release();
  handle->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

template <class State>
int delete_file(sqlite3_vfs* vfs, const char* name, int syncs_folder) {
  auto& files = state_of<State>(vfs).files;
  if (!files.is_down() && !files.exists(name)) return SQLITE_IOERR_DELETE_NOENT;
  if (!files.remove(name)) return SQLITE_IOERR_DELETE;
  if (syncs_folder != 0 && !files.sync_folder(folder_of(name))) return SQLITE_IOERR_DIR_FSYNC;
  return SQLITE_OK;
}

template <class State>
int access_file(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  const auto& files = state_of<State>(vfs).files;
  if (files.is_down()) return SQLITE_IOERR_ACCESS;
  // As os_unix.c: an empty file does not count as existing (a journal whose data was lost).
  *out = files.exists(name) && (flags != SQLITE_ACCESS_EXISTS || !files.contents(name).empty());
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

template <class State>
int randomness(sqlite3_vfs* vfs, int size, char* out) {
  const auto bytes = state_of<State>(vfs).random.bytes(static_cast<std::size_t>(size));
  std::memcpy(out, bytes.data(), bytes.size());
  return size;
}

template <class State>
int sleep_us(sqlite3_vfs* vfs, int length) {
  state_of<State>(vfs).clock.sleep_for(std::chrono::microseconds(length), {});
  return length;
}

template <class State>
int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* out) {
  constexpr sqlite3_int64 kUnixEpochInJulianMs = 210'866'760'000'000;
  *out = kUnixEpochInJulianMs + to_us(state_of<State>(vfs).clock.wall_now()) / 1000;
  return SQLITE_OK;
}

template <class State>
int current_time_days(sqlite3_vfs* vfs, double* out) {
  sqlite3_int64 ms = 0;
  current_time_ms<State>(vfs, &ms);
  *out = static_cast<double>(ms) / 86'400'000.0;
  return SQLITE_OK;
}

int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

SimVfs::SimVfs(std::string name, SimFiles& files, SimRandom& random, SimClock& clock)
    : state_(std::make_unique<State>(std::move(name), files, random, clock)) {
  auto& vfs = state_->vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = sizeof(Handle);
  vfs.mxPathname = 512;
  vfs.zName = state_->name.c_str();
  vfs.pAppData = state_.get();
  vfs.xOpen = open_file<State>;
  vfs.xDelete = delete_file<State>;
  vfs.xAccess = access_file<State>;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness<State>;
  vfs.xSleep = sleep_us<State>;
  vfs.xCurrentTime = current_time_days<State>;
  vfs.xCurrentTimeInt64 = current_time_ms<State>;
  vfs.xGetLastError = last_error;
  SAMTALE_CHECK(sqlite3_vfs_find(state_->name.c_str()) == nullptr, "one SimVfs a name");
  SAMTALE_CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK, "registering only links a list");
}

SimVfs::~SimVfs() { sqlite3_vfs_unregister(&state_->vfs); }

const std::string& SimVfs::name() const { return state_->name; }

}  // namespace samtale
