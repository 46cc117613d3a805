#include "sim/sim_files.h"

#include <algorithm>

namespace samtale {
namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kPageBytes = 4096;

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::unexpected<Error> failed(std::string_view call, const std::string& path,
                              std::string_view cause) {
  return fail(ErrorCode::unavailable, std::string(call) + " " + path + ": " + std::string(cause));
}

std::unexpected<Error> missing(std::string_view call, const std::string& path) {
  return fail(ErrorCode::not_found, std::string(call) + " " + path + ": No such file or directory");
}

std::string_view cause_of(SimFault fault) {
  return fault == SimFault::disk_full ? "No space left on device" : "Input/output error";
}

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimFiles& files, std::string path, std::shared_ptr<SimFiles::Inode> inode)
      : files_(files),
        path_(std::move(path)),
        inode_(std::move(inode)),
        life_(files.life_),
        failures_seen_(inode_->failed_syncs) {}

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
    const std::lock_guard lock(files_.disk_mutex_);
    SAMTALE_TRY_VOID(check_alive("read"));
    if (offset >= inode_->current.size()) return std::string();
    return inode_->current.substr(offset, size);
  }

  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(files_.disk_mutex_);
    SAMTALE_TRY_VOID(check_alive("write"));
    return files_.write(path_, *inode_, offset, bytes);
  }

  Result<> sync() override {
    // A copy: it may set another.
    if (const auto act = files_.during_sync_) act(path_);
    const std::lock_guard lock(files_.disk_mutex_);
    SAMTALE_TRY_VOID(check_alive("fdatasync"));
    auto synced = files_.sync(path_, *inode_);
    if (failures_seen_ != inode_->failed_syncs) {
      failures_seen_ = inode_->failed_syncs;
      return failed("fdatasync", path_, cause_of(SimFault::io_error));
    }
    return synced;
  }

  Result<> truncate(std::uint64_t size) override {
    const std::lock_guard lock(files_.disk_mutex_);
    SAMTALE_TRY_VOID(check_alive("truncate"));
    SAMTALE_TRY_VOID(files_.begin_change("truncate", path_));
    inode_->unsynced.push_back({.is_truncate = true, .offset = size, .bytes = {}});
    SimFiles::apply(inode_->unsynced.back(), inode_->current);
    return {};
  }

  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(files_.disk_mutex_);
    SAMTALE_TRY_VOID(check_alive("stat"));
    return std::uint64_t{inode_->current.size()};
  }

 private:
  Result<> check_alive(std::string_view call) const {
    if (life_ != files_.life_) return failed(call, path_, "opened by a process that died");
    return files_.check_up(call, path_);
  }

  SimFiles& files_;
  const std::string path_;
  const std::shared_ptr<SimFiles::Inode> inode_;
  const std::uint64_t life_;
  std::uint64_t failures_seen_;
};

class SimScratch final : public Scratch {
 public:
  SimScratch(SimFiles& files, std::unique_ptr<std::byte[]> memory, std::size_t size)
      : Scratch({memory.get(), size}), files_(files), memory_(std::move(memory)) {}
  ~SimScratch() override {
    const std::lock_guard lock(files_.disk_mutex_);
    std::erase_if(files_.scratches_,
                  [this](const auto& held) { return held.data() == bytes().data(); });
  }

 private:
  SimFiles& files_;
  const std::unique_ptr<std::byte[]> memory_;
};

std::optional<SimFault> SimFiles::Countdown::tick() {
  if (left == 0 || --left > 0) return std::nullopt;
  return fault;
}

void SimFiles::apply(const Change& change, std::string& bytes) {
  if (change.is_truncate) {
    bytes.resize(change.offset, '\0');
    return;
  }
  const auto end = change.offset + change.bytes.size();
  if (bytes.size() < end) bytes.resize(end, '\0');
  std::ranges::copy(change.bytes, bytes.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void SimFiles::apply(const Change& change, std::uint64_t begin, std::uint64_t end,
                     std::string& bytes) {
  begin = std::max(begin, change.offset);
  end = std::min(end, change.offset + change.bytes.size());
  if (change.is_truncate || begin >= end) return;
  apply({.is_truncate = false,
         .offset = begin,
         .bytes = change.bytes.substr(begin - change.offset, end - begin)},
        bytes);
}

void SimFiles::apply(const NameChange& change, Names& names) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.inode;
}

bool SimFiles::has_folder(const Names& names, const std::string& path) const {
  if (path == "/" || path == ".") return true;
  const auto found = names.find(path);
  return found != names.end() && found->second == nullptr;
}

Result<> SimFiles::check_up(std::string_view call, const std::string& path) const {
  if (is_down_) return failed(call, path, "the process has died");
  return {};
}

Result<> SimFiles::begin_change(std::string_view call, const std::string& path) {
  SAMTALE_TRY_VOID(check_up(call, path));
  if (--changes_left_ == 0) {
    is_down_ = true;
    return failed(call, path, "the process dies here");
  }
  return {};
}

void SimFiles::change_names(NameChange change) {
  apply(change, names_);
  const auto folder = folder_of(change.added.empty() ? change.removed : change.added);
  unsynced_names_[folder].push_back(std::move(change));
}

std::uint64_t SimFiles::used() const {
  std::uint64_t bytes = 0;
  for (const auto& scratch : scratches_) bytes += scratch.size();
  for (const auto& [path, inode] : names_) bytes += inode ? inode->current.size() : 0;
  return bytes;
}

Result<> SimFiles::write(const std::string& path, Inode& inode, std::uint64_t offset,
                         std::string_view bytes) {
  std::optional<Error> error;
  if (auto begun = begin_change("write", path); !begun) {
    error = begun.error();
  } else if (const auto fault = write_fault_.tick()) {
    error = failed("write", path, cause_of(*fault)).error();
  } else {
    const auto end = offset + bytes.size();
    const auto growth = end > inode.current.size() ? end - inode.current.size() : 0;
    if (growth > 0 && used() + growth > capacity_) {
      error = failed("write", path, cause_of(SimFault::disk_full)).error();
    }
  }
  // A write that fails or dies may have got as far as some sector.
  const auto cut = error ? (offset + random_.below(bytes.size() + 1)) / kSectorBytes * kSectorBytes
                         : offset + bytes.size();
  const auto kept = cut > offset ? cut - offset : 0;
  if (kept > 0) {
    inode.unsynced.push_back(
        {.is_truncate = false, .offset = offset, .bytes = std::string(bytes.substr(0, kept))});
    apply(inode.unsynced.back(), inode.current);
  }
  if (error) return std::unexpected(*std::move(error));
  return {};
}

Result<> SimFiles::sync(const std::string& path, Inode& inode) {
  SAMTALE_TRY_VOID(begin_change("fdatasync", path));
  if (const auto fault = sync_fault_.tick()) {
    settle(inode);  // Some of it is on the disk; the rest never will be, and counts as clean.
    ++inode.failed_syncs;
    return failed("fdatasync", path, cause_of(*fault));
  }
  if (lies_) return {};
  for (const auto& change : inode.unsynced) apply(change, inode.durable);
  inode.unsynced.clear();
  return {};
}

void SimFiles::settle(Inode& inode) {
  enum { nothing, prefix, subset };
  const auto mode = random_.below(3);
  const auto last = mode == prefix ? random_.below(inode.unsynced.size() + 1) : 0;
  for (std::size_t i = 0; i < inode.unsynced.size() && mode != nothing; ++i) {
    const auto& change = inode.unsynced[i];
    if (mode == prefix && i > last) break;
    if (change.is_truncate) {
      if (mode == prefix || random_.one_in(2)) apply(change, inode.durable);
      continue;
    }
    const auto end = change.offset + change.bytes.size();
    // The last write of a prefix is torn: it ends at some sector.
    const auto stop =
        mode == prefix && i == last ? change.offset + random_.below(end - change.offset) : end;
    for (auto at = change.offset; at < stop;) {
      const auto sector = at / kSectorBytes * kSectorBytes;
      const auto next = std::min(end, sector + kSectorBytes);
      const bool is_torn = shares_page(inode, i, at) && random_.one_in(4);
      if (mode == prefix || random_.one_in(2)) {
        // With what was written to it before.
        for (std::size_t j = 0; j < i; ++j) apply(inode.unsynced[j], sector, next, inode.durable);
        apply(change, at, is_torn ? at + random_.below(next - at) : next, inode.durable);
      }
      at = next;
    }
  }
  inode.unsynced.clear();
}

bool SimFiles::shares_page(const Inode& inode, std::size_t index, std::uint64_t position) {
  const auto page = position / kPageBytes * kPageBytes;
  return std::any_of(inode.unsynced.begin(),
                     inode.unsynced.begin() + static_cast<std::ptrdiff_t>(index),
                     [page](const Change& before) {
                       return !before.is_truncate && before.offset < page + kPageBytes &&
                              before.offset + before.bytes.size() > page;
                     });
}

void SimFiles::drop_orphans() {
  // Sorted by path, so a folder is judged before what lies in it.
  for (auto at = durable_names_.begin(); at != durable_names_.end();) {
    at =
        has_folder(durable_names_, folder_of(at->first)) ? std::next(at) : durable_names_.erase(at);
  }
}

Result<std::unique_ptr<File>> SimFiles::open(const std::string& path, bool create) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("open", path));
  const auto found = names_.find(path);
  if (found != names_.end() && found->second == nullptr) {
    return failed("open", path, "Is a directory");
  }
  if (found == names_.end()) {
    if (!create || !has_folder(names_, folder_of(path))) return missing("open", path);
    SAMTALE_TRY_VOID(begin_change("open", path));
    change_names({.added = path, .removed = {}, .inode = std::make_shared<Inode>()});
  }
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, path, names_.at(path)));
}

Result<std::vector<std::string>> SimFiles::list(const std::string& folder) const {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("list", folder));
  if (!has_folder(names_, folder)) return missing("list", folder);
  std::vector<std::string> out;
  for (const auto& [path, inode] : names_) {
    if (folder_of(path) == folder) out.push_back(path.substr(path.rfind('/') + 1));
  }
  return out;
}

Result<> SimFiles::make_folder(const std::string& path) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("mkdir", path));
  if (has_folder(names_, path)) return {};
  if (!has_folder(names_, folder_of(path))) return missing("mkdir", path);
  SAMTALE_TRY_VOID(begin_change("mkdir", path));
  change_names({.added = path, .removed = {}, .inode = nullptr});
  return {};
}

Result<> SimFiles::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("rename", from));
  const auto found = names_.find(from);
  if (found == names_.end() || !has_folder(names_, folder_of(to))) return missing("rename", from);
  SAMTALE_TRY_VOID(begin_change("rename", from));
  change_names({.added = to, .removed = from, .inode = found->second});
  return {};
}

Result<> SimFiles::remove(const std::string& path) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("remove", path));
  if (!names_.contains(path)) return {};
  SAMTALE_TRY_VOID(begin_change("remove", path));
  change_names({.added = {}, .removed = path, .inode = nullptr});
  return {};
}

Result<> SimFiles::sync_folder(const std::string& path) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("fsync", path));
  if (!has_folder(names_, path)) return missing("open", path);
  SAMTALE_TRY_VOID(begin_change("fsync", path));
  if (lies_) return {};
  for (const auto& change : unsynced_names_[path]) apply(change, durable_names_);
  unsynced_names_.erase(path);
  return {};
}

Result<std::unique_ptr<Scratch>> SimFiles::map_scratch(const std::string& folder, std::size_t size,
                                                       bool /*at_random*/) {
  const std::lock_guard lock(disk_mutex_);
  SAMTALE_TRY_VOID(check_up("allocate", folder));
  if (!has_folder(names_, folder)) return missing("open", folder);
  if (used() + size > capacity_) {
    return failed("allocate", folder, cause_of(SimFault::disk_full));
  }
  auto memory = std::make_unique<std::byte[]>(size);
  scratches_.emplace_back(memory.get(), size);
  return std::unique_ptr<Scratch>(std::make_unique<SimScratch>(*this, std::move(memory), size));
}

void SimFiles::kill() {
  const std::lock_guard lock(disk_mutex_);
  is_down_ = true;
}

void SimFiles::crash() {
  const std::lock_guard lock(disk_mutex_);
  is_down_ = true;
  for (const auto& [folder, changes] : unsynced_names_) {
    const auto kept = random_.below(changes.size() + 1);
    for (std::size_t i = 0; i < kept; ++i) apply(changes[i], durable_names_);
  }
  unsynced_names_.clear();
  drop_orphans();
  for (const auto& [path, inode] : durable_names_) {
    if (!inode) continue;
    settle(*inode);
    inode->current = inode->durable;
  }
  names_ = durable_names_;
}

void SimFiles::start() {
  const std::lock_guard lock(disk_mutex_);
  is_down_ = false;
  ++life_;
  changes_left_ = std::numeric_limits<std::uint64_t>::max();
  write_fault_ = {};
  sync_fault_ = {};
}

void SimFiles::stop_at_change(std::uint64_t n) {
  const std::lock_guard lock(disk_mutex_);
  changes_left_ = n;
}

bool SimFiles::is_down() const {
  const std::lock_guard lock(disk_mutex_);
  return is_down_;
}

void SimFiles::fail_write(std::uint64_t n, SimFault fault) {
  const std::lock_guard lock(disk_mutex_);
  write_fault_ = {n, fault};
}

void SimFiles::fail_sync(std::uint64_t n, SimFault fault) {
  const std::lock_guard lock(disk_mutex_);
  sync_fault_ = {n, fault};
}

void SimFiles::during_syncs(std::function<void(const std::string& path)> act) {
  during_sync_ = std::move(act);
}

void SimFiles::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(disk_mutex_);
  capacity_ = bytes;
}

void SimFiles::lie_about_syncs() {
  const std::lock_guard lock(disk_mutex_);
  lies_ = true;
}

bool SimFiles::exists(const std::string& path) const {
  const std::lock_guard lock(disk_mutex_);
  return names_.contains(path);
}

std::vector<std::string> SimFiles::paths() const {
  const std::lock_guard lock(disk_mutex_);
  std::vector<std::string> out;
  for (const auto& [path, inode] : names_) {
    if (inode) out.push_back(path);
  }
  return out;
}

std::string SimFiles::contents(const std::string& path) const {
  const std::lock_guard lock(disk_mutex_);
  const auto found = names_.find(path);
  return found != names_.end() && found->second ? found->second->current : std::string();
}

std::string SimFiles::scratch_contents() const {
  const std::lock_guard lock(disk_mutex_);
  std::string bytes;
  for (const auto& scratch : scratches_) {
    bytes.append(reinterpret_cast<const char*>(scratch.data()), scratch.size());
  }
  return bytes;
}

std::string SimFiles::durable(const std::string& path) const {
  const std::lock_guard lock(disk_mutex_);
  const auto found = durable_names_.find(path);
  return found != durable_names_.end() && found->second ? found->second->durable : std::string();
}

void SimFiles::replace(const std::string& path, std::string bytes) {
  const std::lock_guard lock(disk_mutex_);
  auto inode = std::make_shared<Inode>();
  inode->current = bytes;
  inode->durable = std::move(bytes);
  names_[path] = inode;
  durable_names_[path] = std::move(inode);
}

}  // namespace samtale
