// FakeHttpClient: answers as a test has scripted and keeps what was asked.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "sys/http_client.h"

namespace samtale {

// Threads: any method from any thread; a script step runs without a lock held.
class FakeHttpClient final : public HttpClient {
 public:
  using Step = std::function<Result<HttpAnswer>(const HttpCall&)>;

  // The next call without a step of its own gets this one.
  explicit FakeHttpClient(Step otherwise = nullptr) : otherwise_(std::move(otherwise)) {}

  void then(Step step) {
    const std::lock_guard lock(script_mutex_);
    steps_.push_back(std::move(step));
  }
  void then_answer(int status, std::string body, HttpHeaders headers = {}) {
    then([=](const HttpCall&) -> Result<HttpAnswer> { return HttpAnswer{status, headers, body}; });
  }
  void then_fail(ErrorCode code, std::string message) {
    then([=](const HttpCall&) -> Result<HttpAnswer> { return fail(code, message); });
  }

  // A call with nothing scripted is unavailable, so that a test sees one call too many.
  Result<HttpAnswer> call(const HttpCall& call) override {
    Step step;
    {
      const std::lock_guard lock(script_mutex_);
      calls_.push_back(call);
      step = otherwise_;
      if (!steps_.empty()) {
        step = std::move(steps_.front());
        steps_.pop_front();
      }
    }
    if (!step) return fail(ErrorCode::unavailable, call.url + ": nothing is scripted");
    return step(call);
  }

  [[nodiscard]] std::vector<HttpCall> calls() const {
    const std::lock_guard lock(script_mutex_);
    return calls_;
  }

 private:
  mutable std::mutex script_mutex_;
  Step otherwise_;
  std::deque<Step> steps_;       // Guarded by script_mutex_.
  std::vector<HttpCall> calls_;  // Guarded by script_mutex_.
};

}  // namespace samtale
