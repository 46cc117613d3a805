// Files: the disk as the durable parts of Samtale use it, as an interface so that a simulation can
// lose power.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samtale {

// An open file. Offsets and sizes in bytes.
// Threads: one at a time; read_at and size from any number at once.
// Errors:  unavailable (the disk failed or is full; the message names path, call and cause).
class File {
 public:
  virtual ~File() = default;

  // Reads up to `size` bytes; fewer only at the end of the file.
  [[nodiscard]] virtual Result<std::string> read_at(std::uint64_t offset,
                                                    std::size_t size) const = 0;
  // All of `bytes` are handed to the system; they survive a crash of the process, and a loss of
  // power only after sync().
  virtual Result<> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  // fdatasync(2). After an error the state of earlier writes is unknown: stop using the file
  // (never sync again and believe it; PostgreSQL's "fsyncgate").
  virtual Result<> sync() = 0;
  virtual Result<> truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() const = 0;
};

// Memory that lies in a file without a name: the system may write its pages there and take them
// back when it is short. For what is large, seldom read and made anew at every start. The file goes
// with this object, and with the process however that ends; one that is killed in the moment
// between the file's making and the removal of its name leaves an empty file, Files::kScratchName.
//
// Threads: as any memory.
// Errors:  room on the disk is taken at once, so a full disk fails no write to it. A disk that
//          cannot be read ends the process (SIGBUS).
class Scratch {
 public:
  virtual ~Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 protected:
  explicit Scratch(std::span<std::byte> bytes) : bytes_(bytes) {}

 private:
  const std::span<std::byte> bytes_;
};

// Threads: any method from any thread.
class Files {
 public:
  // How the names of scratch files begin, for as long as they have one.
  static constexpr std::string_view kScratchName = "scratch-";

  virtual ~Files() = default;

  // Opens for reading and writing; creates the file (mode 0600) if `create`.
  // Errors: not_found if it is missing and not `create`.
  [[nodiscard]] virtual Result<std::unique_ptr<File>> open(const std::string& path,
                                                           bool create) = 0;
  // Names (not paths) in the folder, sorted.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& folder) const = 0;
  virtual Result<> make_folder(const std::string& path) = 0;  // Mode 0700; fine if it is there.
  virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<> remove(const std::string& path) = 0;  // Fine if it is not there.
  // Makes creations, renames and removals in the folder survive a loss of power.
  virtual Result<> sync_folder(const std::string& path) = 0;
  // So many zeros, on the disk that has `folder`. Those read `at_random` come back from there a
  // page at a time. Errors: unavailable (the disk is full, say).
  [[nodiscard]] virtual Result<std::unique_ptr<Scratch>> map_scratch(const std::string& folder,
                                                                     std::size_t size,
                                                                     bool at_random) = 0;
};

// The real disk.
[[nodiscard]] std::unique_ptr<Files> make_system_files();

}  // namespace samtale
