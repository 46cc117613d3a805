#include "sys/resolve.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace samtale {
namespace {

using Addresses = std::vector<std::string>;

// Of one look-up; whoever of the two is last lets go of it.
struct Lookup {
  std::mutex answer_mutex;
  std::condition_variable answered;
  std::optional<Result<Addresses>> answer;  // Guarded by answer_mutex.
};

Result<Addresses> look_up(const std::string& host, int flags) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  if (code != 0) {
    return fail(ErrorCode::unavailable,
                "the name " + host + " was not resolved: " + ::gai_strerror(code));
  }
  Addresses addresses;
  for (const auto* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  ::freeaddrinfo(found);
  return addresses;
}

}  // namespace

Result<Addresses> resolve(const std::string& host, const Clock& clock, Instant deadline) {
  if (auto address = look_up(host, AI_NUMERICHOST)) return address;
  const auto lookup = std::make_shared<Lookup>();
  try {
    std::thread([lookup, host] {
      auto answer = look_up(host, AI_ADDRCONFIG);
      const std::lock_guard lock(lookup->answer_mutex);
      lookup->answer = std::move(answer);
      lookup->answered.notify_one();
    }).detach();
  } catch (const std::system_error& error) {
    return fail(ErrorCode::unavailable,
                std::string("no thread to look up a name: ") + error.what());
  }
  std::unique_lock lock(lookup->answer_mutex);
  if (!lookup->answered.wait_for(lock, deadline - clock.now(),
                                 [&] { return lookup->answer.has_value(); })) {
    return fail(ErrorCode::deadline_exceeded, "the name " + host + " was not resolved in time");
  }
  return *std::move(lookup->answer);
}

}  // namespace samtale
