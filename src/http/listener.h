// Listening sockets: TCP and local.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "base/result.h"

namespace samtale::http {

// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] int release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

// A socket that listens; a local one takes its file away with it, if it is still its own.
class Listener {
 public:
  // `is_shared`: several listeners of this process have the port, the kernel spreads connections.
  // Errors: unavailable ("127.0.0.1:8080 is in use"), invalid_argument (no such address).
  static Result<Listener> tcp(const std::string& address, std::uint16_t port, bool is_shared);
  // Made with mode 0600; takes over a file that a dead process left behind.
  // Errors: unavailable (somebody listens there), invalid_argument (no fit path).
  static Result<Listener> local(const std::string& path);

  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  [[nodiscard]] int get() const { return descriptor_.get(); }
  [[nodiscard]] bool is_local() const { return !path_.empty(); }
  [[nodiscard]] std::uint16_t port() const;

  struct Accepted {
    Descriptor descriptor;  // Not blocking.
    std::string peer;
    int error = 0;  // errno, if there is no descriptor.
  };
  [[nodiscard]] Accepted accept() const;

 private:
  explicit Listener(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

  Descriptor descriptor_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace samtale::http
