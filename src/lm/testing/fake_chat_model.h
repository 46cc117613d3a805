// FakeChatModel: a language model whose answers and faults a test scripts.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "lm/chat.h"

namespace samtale {

// Without a script it answers {"nonce": the asked one, "say": "yes"}.
// Threads: any method from any thread; a script runs without a lock held.
class FakeChatModel final : public ChatModel {
 public:
  using Script =
      std::function<ChatOutcome(const ChatRequest&, Instant deadline, const std::stop_token&)>;

  explicit FakeChatModel(std::string name = "fake") : name_(std::move(name)) {}

  // What the request asks to be given back.
  static std::string nonce_of(const ChatRequest& request) {
    const auto& text = request.messages.back().content;
    const auto at = text.rfind("Nonce: ");
    return at == std::string::npos ? "" : text.substr(at + 7);
  }
  static ChatOutcome answer(std::string text, Finish finish = Finish::stop,
                            TokenUsage usage = {.input = 100, .output = 20}) {
    return {.answer = ChatAnswer{
                .text = std::move(text), .finish = finish, .usage = usage, .model = "fake-1"}};
  }
  // {"nonce": the asked one, then the members}.
  static ChatOutcome good(const ChatRequest& request, json::Object members = {{"say", "yes"}}) {
    members.insert(members.begin(), {"nonce", nonce_of(request)});
    return answer(json::dump(std::move(members)));
  }
  static ChatOutcome fault(ChatFault fault, ErrorCode code, std::optional<Duration> wait = {},
                           bool may_have_cost = false) {
    return {.answer = std::unexpected(ChatFailure{.fault = fault,
                                                  .error = {code, "scripted fault"},
                                                  .wait = wait,
                                                  .may_have_cost = may_have_cost})};
  }

  // For the next request that has no script yet.
  void then(Script script) {
    const std::lock_guard lock(script_mutex_);
    scripts_.push_back(std::move(script));
  }
  void then_fault(ChatFault kind, ErrorCode code, std::optional<Duration> wait = {},
                  bool may_have_cost = false) {
    then([=](const auto&, auto, const auto&) { return fault(kind, code, wait, may_have_cost); });
  }
  void then_text(std::string text, Finish finish = Finish::stop) {
    then([=](const auto&, auto, const auto&) { return answer(text, finish); });
  }
  // Nothing comes before the request is stopped.
  void then_hang() {
    then([this](const auto&, auto, const std::stop_token& stop) {
      std::unique_lock lock(script_mutex_);
      asked_.wait(lock, stop, [] { return false; });
      return fault(ChatFault::stopped, ErrorCode::unavailable, {}, true);
    });
  }

  [[nodiscard]] std::vector<ChatRequest> requests() const {
    const std::lock_guard lock(script_mutex_);
    return requests_;
  }
  // Returns once so many requests have come.
  void wait_for_requests(std::size_t count) {
    std::unique_lock lock(script_mutex_);
    asked_.wait(lock, [&] { return requests_.size() >= count; });
  }

  [[nodiscard]] ChatOutcome ask(const ChatRequest& request, Instant deadline,
                                const std::stop_token& stop) override {
    Script script = [](const ChatRequest& asked, Instant, const auto&) { return good(asked); };
    {
      const std::lock_guard lock(script_mutex_);
      requests_.push_back(request);
      if (!scripts_.empty()) {
        script = std::move(scripts_.front());
        scripts_.pop_front();
      }
    }
    asked_.notify_all();
    return script(request, deadline, stop);
  }
  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const std::string& default_model() const override { return model_; }

 private:
  const std::string name_;
  const std::string model_ = "fake-1";
  mutable std::mutex script_mutex_;  // Guards the two below.
  std::deque<Script> scripts_;
  std::vector<ChatRequest> requests_;
  std::condition_variable_any asked_;
};

}  // namespace samtale
