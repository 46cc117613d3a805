#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "sys/files.h"

namespace samtale {
namespace {

std::unexpected<Error> failed(std::string_view call, const std::string& path, int error) {
  const auto code = error == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable;
  return fail(code, std::string(call) + " " + path + ": " + std::strerror(error));
}

class SystemFile final : public File {
 public:
  SystemFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~SystemFile() override { ::close(fd_); }
  SystemFile(const SystemFile&) = delete;
  SystemFile& operator=(const SystemFile&) = delete;

  Result<std::string> read_at(std::uint64_t offset, std::size_t size) const override {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const auto got =
          ::pread(fd_, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }

  Result<> write_at(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failed("write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<> sync() override {
    if (::fdatasync(fd_) != 0) return failed("fdatasync", path_, errno);
    return {};
  }

  Result<> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return failed("truncate", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  const int fd_;
  const std::string path_;
};

class SystemScratch final : public Scratch {
 public:
  explicit SystemScratch(std::span<std::byte> bytes) : Scratch(bytes) {}
  ~SystemScratch() override { ::munmap(bytes().data(), bytes().size()); }
};

class SystemFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, bool create) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0) return failed("open", path, errno);
    return std::unique_ptr<File>(std::make_unique<SystemFile>(fd, path));
  }

  Result<std::vector<std::string>> list(const std::string& folder) const override {
    DIR* stream = ::opendir(folder.c_str());
    if (stream == nullptr) return failed("list", folder, errno);
    std::vector<std::string> names;
    while (const auto* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(stream);
    std::ranges::sort(names);
    return names;
  }

  Result<> make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed("mkdir", path, errno);
    return {};
  }

  Result<> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from, errno);
    return {};
  }

  Result<> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path, errno);
    return {};
  }

  Result<> sync_folder(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", path, errno);
    const int synced = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    if (synced != 0) return failed("fsync", path, error);
    return {};
  }

  Result<std::unique_ptr<Scratch>> map_scratch(const std::string& folder, std::size_t size,
                                               bool at_random) override {
    auto path = folder + "/" + std::string(kScratchName) + "XXXXXX";
    const int fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd < 0) return failed("open", path, errno);
    const SystemFile file(fd, path);
    // The file lives on by its mapping.
    if (::unlink(path.c_str()) != 0) return failed("remove", path, errno);
    int error = EINTR;
    while (error == EINTR) error = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    if (error != 0) return failed("allocate", path, error);
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return failed("map", path, errno);
    if (at_random) ::madvise(memory, size, MADV_RANDOM);
    return std::unique_ptr<Scratch>(
        std::make_unique<SystemScratch>(std::span(static_cast<std::byte*>(memory), size)));
  }
};

}  // namespace

std::unique_ptr<Files> make_system_files() { return std::make_unique<SystemFiles>(); }

}  // namespace samtale
