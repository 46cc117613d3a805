// Outbox: what handler threads hand back to an I/O loop. Many answers, one wake-up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "http/refusal.h"
#include "http/server.h"

namespace samtale::http {

// The answer to a piece of a stream.
struct PieceAnswer {
  std::string text;
};

// Which request an answer is for. An exchange that is over is answered by nobody: the loop drops
// it.
struct ExchangeId {
  std::uint64_t connection = 0;
  std::uint64_t number = 0;
  friend bool operator==(const ExchangeId&, const ExchangeId&) = default;
};

struct Answer {
  ExchangeId exchange;
  std::variant<Response, Refusal, StreamDecision, PieceAnswer> content;
};

// Threads: any method from any thread.
class Outbox {
 public:
  // `wake` makes the loop call take() soon. It must stay callable as long as the outbox lives.
  explicit Outbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void put(Answer answer);
  // Swaps all answers into `into`, which must be empty.
  void take(std::vector<Answer>& into);

 private:
  const std::function<void()> wake_;
  std::mutex answers_mutex_;
  std::vector<Answer> answers_;
  bool is_waking_ = false;  // wake_ was called and take() has not followed: no need for another.
};

// The right to answer one request once. Dropped without an answer: a 500.
class Ticket {
 public:
  Ticket(std::shared_ptr<Outbox> outbox, ExchangeId exchange)
      : outbox_(std::move(outbox)), exchange_(exchange) {}
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket();

  template <class Content>
  void answer(Content content) {
    if (const auto outbox = std::exchange(outbox_, nullptr)) {
      outbox->put({exchange_, std::move(content)});
    }
  }
  [[nodiscard]] ExchangeId exchange() const { return exchange_; }
  void forget() { outbox_ = nullptr; }  // Somebody else answers.

 private:
  std::shared_ptr<Outbox> outbox_;
  ExchangeId exchange_;
};

}  // namespace samtale::http
