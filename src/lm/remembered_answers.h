// RememberedAnswers: the answers of the last minutes, so that nothing slips between an answer's
// arrival and its being stored.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/bytes.h"
#include "json/json.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

struct KeptAnswer {
  json::Value value;
  std::string model;
};

struct DigestHash {
  std::size_t operator()(const Sha256& digest) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, digest.data(), sizeof value);
    return value;
  }
};

// About what a value takes in memory.
[[nodiscard]] std::size_t bytes_of(const json::Value& value);

// Threads: one at a time.
// Memory:  bytes_max; who was not asked for longest goes first. A larger answer is not kept.
class RememberedAnswers {
 public:
  RememberedAnswers(std::size_t bytes_max, Duration keep_for)
      : bytes_max_(bytes_max), keep_for_(keep_for) {}

  // Null if there is none, or it is too old.
  [[nodiscard]] std::shared_ptr<const KeptAnswer> find(const Sha256& key, Instant now);
  void put(const Sha256& key, CompanyId company, std::shared_ptr<const KeptAnswer> answer,
           Instant now);
  void forget(CompanyId company);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    Sha256 key;
    CompanyId company{};
    std::shared_ptr<const KeptAnswer> answer;
    std::size_t bytes = 0;
    Instant until;
  };
  using Entries = std::list<Entry>;

  Entries::iterator erase(Entries::iterator entry);

  const std::size_t bytes_max_;
  const Duration keep_for_;
  Entries entries_;  // The one asked for last comes first.
  std::unordered_map<Sha256, Entries::iterator, DigestHash> by_key_;
  std::size_t bytes_ = 0;
};

}  // namespace samtale
