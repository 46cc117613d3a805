// FakeEmbedder: a deterministic embedder whose errors and delays a test scripts.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "embed/embedder.h"

namespace samtale {

struct FakeEmbedderOptions {
  std::string model_id = "fake-v1";
  std::size_t dimension = 16;
  std::size_t batch_max = 8;
  bool needs_text_alone = true;
  std::string poison;  // A text that contains it is refused; empty: none is.
};

// Texts that share words are near each other; equal texts have equal vectors, whatever the role.
// Threads: any method from any thread; on_call runs without a lock held.
class FakeEmbedder final : public Embedder {
 public:
  // Called before each answer: moves a clock, checks what is sent.
  using OnCall = std::function<void(std::span<const std::string>, EmbedRole, Duration timeout)>;

  explicit FakeEmbedder(FakeEmbedderOptions options = {}, OnCall on_call = nullptr)
      : options_(std::move(options)), on_call_(std::move(on_call)) {}

  // The next call fails so, then the one after it as scripted next.
  void then_fail(ErrorCode code, std::string message) {
    const std::lock_guard lock(script_mutex_);
    errors_.push_back({code, std::move(message)});
  }
  [[nodiscard]] std::size_t calls() const {
    const std::lock_guard lock(script_mutex_);
    return calls_;
  }

  [[nodiscard]] const std::string& model_id() const override { return options_.model_id; }
  [[nodiscard]] std::size_t dimension() const override { return options_.dimension; }
  [[nodiscard]] std::size_t batch_max() const override { return options_.batch_max; }
  [[nodiscard]] bool needs_text_alone() const override { return options_.needs_text_alone; }

  [[nodiscard]] Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts,
                                                              EmbedRole role, const WordStatistics*,
                                                              Duration timeout) override {
    if (on_call_) on_call_(texts, role, timeout);
    {
      const std::lock_guard lock(script_mutex_);
      ++calls_;
      if (!errors_.empty()) {
        Error error = std::move(errors_.front());
        errors_.pop_front();
        return std::unexpected(std::move(error));
      }
    }
    std::vector<std::vector<float>> vectors;
    for (const auto& text : texts) {
      if (!options_.poison.empty() && text.contains(options_.poison)) {
        return fail(ErrorCode::invalid_argument, "the fake embedder refuses this text");
      }
      vectors.push_back(vector_of(text));
    }
    return vectors;
  }

 private:
  [[nodiscard]] std::vector<float> vector_of(std::string_view text) const {
    std::vector<float> vector(options_.dimension, 0.0F);
    vector[0] = 0.01F;  // So that a text without words has a direction too.
    while (!text.empty()) {
      const auto end = std::min(text.find(' '), text.size());
      const auto hash = crc32c(text.substr(0, end));
      if (end > 0) vector[hash % vector.size()] += (hash >> 31U) != 0 ? 1.0F : -1.0F;
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    double squares = 0;
    for (const float x : vector) squares += double{x} * x;
    for (float& x : vector) x = static_cast<float>(x / std::sqrt(squares));
    return vector;
  }

  const FakeEmbedderOptions options_;
  const OnCall on_call_;
  mutable std::mutex script_mutex_;
  std::deque<Error> errors_;  // Guarded by script_mutex_.
  std::size_t calls_ = 0;     // Guarded by script_mutex_.
};

}  // namespace samtale
