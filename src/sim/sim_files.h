// SimFiles: a disk in memory that can lose power, fill up and fail.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/sim_random.h"
#include "sys/files.h"

namespace samtale {

enum class SimFault : std::uint8_t { io_error, disk_full };

// What it models: a write is seen at once and survives the death of the process, but a loss of
// power keeps only what was synced and, of the rest, nothing, a prefix or any subset, torn at
// 512-byte sectors. A name created, renamed or removed survives if its folder was synced, and
// perhaps if not (in order, as a journal does). After a failed sync the unsynced part counts as
// clean although it may not be on the disk: syncing again does not help ("fsyncgate"); each opening
// of the file that was there before is told of it once, by its next sync (Linux's errseq_t). A
// sector written while another write to its page is not synced may be torn at any byte: the page
// can change on its way to the disk.
//
// A run goes: use it; crash() or kill(); destroy what used it, while every call fails; start().
// Files opened before stay dead. "/" and "." always exist.
//
// Threads: any method from any thread.
// Errors:  as Files, with the messages of the real disk.
class SimFiles final : public Files {
 public:
  explicit SimFiles(SimRandom& random) : random_(random) {}

  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path, bool create) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& folder) const override;
  Result<> make_folder(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> remove(const std::string& path) override;
  Result<> sync_folder(const std::string& path) override;
  // Counts against the capacity; the memory is an ordinary one.
  [[nodiscard]] Result<std::unique_ptr<Scratch>> map_scratch(const std::string& folder,
                                                             std::size_t size,
                                                             bool at_random) override;

  void kill();   // The process dies: everything written survives.
  void crash();  // Power is lost.
  void start();
  // The process dies at the n-th change from now (1: the next): that change happens in part or not
  // at all. Call kill() or crash() afterwards to say which death it was.
  void stop_at_change(std::uint64_t n);
  [[nodiscard]] bool is_down() const;

  // The n-th write (sync) from now fails, once; 1 is the next. A failed write may leave a part.
  void fail_write(std::uint64_t n, SimFault fault);
  void fail_sync(std::uint64_t n, SimFault fault);
  // Called at the begin of each sync, before it does anything, as another thread would run then.
  void during_syncs(std::function<void(const std::string& path)> act);
  // Room for all files together; a write that makes a file grow past it fails.
  void set_capacity(std::uint64_t bytes);
  // From now on sync and sync_folder do nothing and say they did: for testing tests.
  void lie_about_syncs();

  [[nodiscard]] bool exists(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> paths() const;
  [[nodiscard]] std::string contents(const std::string& path) const;  // Empty if missing.
  // All that lies in scratch memory now.
  [[nodiscard]] std::string scratch_contents() const;
  // What is certain to survive a loss of power now.
  [[nodiscard]] std::string durable(const std::string& path) const;
  // Puts `bytes` there, durably, whatever was there before: a damaged disk.
  void replace(const std::string& path, std::string bytes);

 private:
  friend class SimFile;
  friend class SimScratch;

  struct Change {
    bool is_truncate = false;
    std::uint64_t offset = 0;  // The new size if is_truncate.
    std::string bytes;
  };
  struct Inode {
    std::string current;
    std::string durable;
    std::vector<Change> unsynced;
    std::uint64_t failed_syncs = 0;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;  // Null for a folder.
  struct NameChange {
    std::string added;    // Empty: none.
    std::string removed;  // Empty: none.
    std::shared_ptr<Inode> inode;
  };
  struct Countdown {
    std::uint64_t left = 0;  // 0: not set.
    SimFault fault = SimFault::io_error;
    std::optional<SimFault> tick();
  };

  static void apply(const Change& change, std::string& bytes);
  // The part of a write between the two positions.
  static void apply(const Change& change, std::uint64_t begin, std::uint64_t end,
                    std::string& bytes);
  static void apply(const NameChange& change, Names& names);
  [[nodiscard]] bool has_folder(const Names& names, const std::string& path) const;
  // What a loss of power leaves of `inode`.
  void settle(Inode& inode);
  // Whether the unsynced change of that index wrote to a page that another before it had changed.
  static bool shares_page(const Inode& inode, std::size_t index, std::uint64_t position);
  void drop_orphans();
  // Counts a change; an error if the machine is off, or goes off with it.
  Result<> begin_change(std::string_view call, const std::string& path);
  Result<> check_up(std::string_view call, const std::string& path) const;
  void change_names(NameChange change);
  [[nodiscard]] std::uint64_t used() const;
  Result<> write(const std::string& path, Inode& inode, std::uint64_t offset,
                 std::string_view bytes);
  Result<> sync(const std::string& path, Inode& inode);

  SimRandom& random_;
  mutable std::mutex disk_mutex_;  // Guards everything below.
  Names names_;
  Names durable_names_;
  std::map<std::string, std::vector<NameChange>> unsynced_names_;  // By folder.
  std::uint64_t life_ = 0;  // Grows when the process dies: files opened before are dead.
  bool is_down_ = false;
  bool lies_ = false;
  std::uint64_t changes_left_ = std::numeric_limits<std::uint64_t>::max();
  Countdown write_fault_;
  Countdown sync_fault_;
  std::function<void(const std::string&)> during_sync_;
  std::uint64_t capacity_ = std::numeric_limits<std::uint64_t>::max();
  std::vector<std::span<std::byte>> scratches_;
};

}  // namespace samtale
