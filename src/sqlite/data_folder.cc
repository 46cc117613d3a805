#include "sqlite/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace samtale {
namespace {

std::string because(int error) { return std::string(": ") + std::strerror(error); }

Result<> check_folder(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return fail(ErrorCode::not_found, "data directory " + path +
                                            " does not exist; make it with mode 0700, owned by "
                                            "the user that runs the server");
    }
    return fail(ErrorCode::unavailable, "data directory " + path + because(error));
  }
  if (!S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::not_found, "data directory " + path + " is not a directory");
  }
  if (status.st_uid != ::geteuid()) {
    return fail(ErrorCode::permission_denied,
                "data directory " + path + " is owned by user " + std::to_string(status.st_uid) +
                    " and the server runs as user " + std::to_string(::geteuid()) +
                    "; chown it, or run the server as its owner");
  }
  if ((status.st_mode & 0077) != 0) {
    const auto digit = [&](int shift) {
      return static_cast<char>('0' + ((status.st_mode >> shift) & 7));
    };
    return fail(ErrorCode::permission_denied, "data directory " + path + " has mode 0" + digit(6) +
                                                  digit(3) + digit(0) +
                                                  ", open to other users; chmod 0700 it");
  }
  return {};
}

std::string read_pid(int fd) {
  char digits[32] = {};
  const auto got = ::pread(fd, digits, sizeof digits - 1, 0);
  if (got <= 0) return "unknown";
  std::string pid(digits, static_cast<std::size_t>(got));
  pid.resize(std::min(pid.find_first_not_of("0123456789"), pid.size()));
  return pid.empty() ? "unknown" : pid;
}

}  // namespace

Result<DataFolder> DataFolder::open(const std::string& path) {
  SAMTALE_TRY_VOID(check_folder(path));
  const auto file = path + "/samtale.lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(ErrorCode::unavailable, "open " + file + because(errno));
  DataFolder folder(path, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return fail(ErrorCode::unavailable, "lock " + file + because(error));
    return fail(ErrorCode::conflict, "data directory " + path + " in use by pid " + read_pid(fd) +
                                         "; stop that server, or choose another directory");
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0 ||
      ::pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return fail(ErrorCode::unavailable, "write " + file + because(errno));
  }
  return folder;
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace samtale
