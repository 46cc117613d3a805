// DataFolder: the folder everything durable lies in, checked, and locked against a second server.
#pragma once

#include <string>

#include "base/result.h"

namespace samtale {

// Holds the lock (flock(2) on "samtale.lock", with our process id inside) until destroyed; the
// system lets go of it when the process dies, however it dies.
// Threads: any.
class DataFolder {
 public:
  // Errors: not_found (no such folder), permission_denied (not owned by us, or open to others),
  // conflict ("data directory … in use by pid N"), unavailable (the disk).
  [[nodiscard]] static Result<DataFolder> open(const std::string& path);

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  DataFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::string path_;
  int lock_;
};

}  // namespace samtale
