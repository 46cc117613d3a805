// Cache: values that cost something to make, kept in memory for who asks next, and made once for
// all who ask at the same time.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "cache/cache_key.h"
#include "cache/s3_fifo.h"
#include "cache/shared_cache.h"
#include "model/ids.h"

namespace samtale {

// Since the start.
struct CacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t joined = 0;  // Of the misses, those that waited for another's.
  std::uint64_t evictions = 0;
  std::size_t bytes = 0;  // Now.
  std::size_t bytes_max = 0;
  std::size_t values = 0;
};

// Threads: any method from any thread; make() blocks while another thread makes the same value.
// Memory:  bytes_max, all told; what is kept is chosen by S3-FIFO (s3_fifo.h).
// Errors:  those of the maker. A full cache is none: then nothing is kept.
template <class Value>
class Cache {
 public:
  using Kept = std::shared_ptr<const Value>;
  using Maker = std::function<Result<Value>()>;

  // The level below, asked before a value is made.
  struct Shared {
    SharedCache& cache;
    std::function<std::string(const Value&)> encode;
    std::function<std::optional<Value>(std::string_view)> decode;  // Empty: no such value.
  };

  struct Options {
    std::size_t bytes_max = 0;                        // 0: nothing is kept.
    std::size_t (*bytes_of)(const Value&) = nullptr;  // On the heap, beside sizeof(Value).
    bool (*may_be_kept)(const Value&) = nullptr;      // Null: each.
    std::optional<Shared> shared = std::nullopt;
  };

  // When something was found; a later forget() keeps what is made of it from being kept.
  enum class Moment : std::uint64_t {};
  struct Found {
    Kept value;  // Null: nothing.
    Moment moment{};
  };
  struct Made {
    Kept value;
    bool was_joined = false;  // It was begun before the call.
  };

  explicit Cache(Options options) : options_(std::move(options)), entries_(options_.bytes_max) {}

  [[nodiscard]] Found find(const CacheKey& key) {
    const std::lock_guard lock(cache_mutex_);
    return {entries_.find(key), moment(key.company())};
  }

  // Another value for what was found. Kept unless the company was forgotten since.
  void put(const CacheKey& key, Value value, Moment found_at) {
    auto kept = std::make_shared<const Value>(std::move(value));
    const std::lock_guard lock(cache_mutex_);
    if (moment(key.company()) == found_at) keep(key, std::move(kept));
  }

  // Calls `maker`, unless the level below has the value, and keeps what it makes, whatever is
  // there. While another thread is doing that for the same key, waits for the end and returns the
  // same, also its error.
  Result<Made> make(const CacheKey& key, const Maker& maker) {
    std::unique_lock lock(cache_mutex_);
    if (const auto found = flights_.find(key.digest()); found != flights_.end()) {
      const auto flight = found->second;
      ++joined_;
      landed_.wait(lock, [&] { return flight->outcome.has_value(); });
      if (!*flight->outcome) return std::unexpected(flight->outcome->error());
      return Made{**flight->outcome, true};
    }
    Landing landing(*this, key, moment(key.company()));
    lock.unlock();
    if (auto value = fetch(key, maker)) {
      landing.outcome = std::make_shared<const Value>(*std::move(value));
    } else {
      landing.outcome = std::unexpected(std::move(value).error());
    }
    if (!landing.outcome) return std::unexpected(landing.outcome.error());
    return Made{*landing.outcome, false};
  }

  // What find() has found, or what make() makes.
  Result<Kept> find_or_make(const CacheKey& key, const Maker& maker) {
    if (auto found = find(key).value) {
      count_hit();
      return found;
    }
    count_miss();
    SAMTALE_TRY(auto made, make(key, maker));
    return std::move(made.value);
  }

  // What is being made for the key may still be kept.
  void erase(const CacheKey& key) {
    const std::lock_guard lock(cache_mutex_);
    entries_.erase(key);
  }

  // Nothing of the company is kept when this returns, nor what is being made for it.
  void forget(CompanyId company) {
    const std::lock_guard lock(cache_mutex_);
    ++forgotten_[place(company)];
    entries_.forget(company);
  }

  // For who decides by itself what is of use: find() and make() do not count.
  void count_hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
  void count_miss() { misses_.fetch_add(1, std::memory_order_relaxed); }

  [[nodiscard]] CacheStats stats() const {
    const std::lock_guard lock(cache_mutex_);
    return {.hits = hits_,
            .misses = misses_,
            .joined = joined_,
            .evictions = entries_.evictions(),
            .bytes = entries_.bytes(),
            .bytes_max = options_.bytes_max,
            .values = entries_.size()};
  }

 private:
  struct Flight {
    std::optional<Result<Kept>> outcome;
  };

  // Ends a flight however its maker ends: those who wait must not wait for ever.
  class Landing {
   public:
    // With the cache locked.
    Landing(Cache& cache, const CacheKey& key, Moment begun)
        : cache_(cache), key_(key), begun_(begun), flight_(std::make_shared<Flight>()) {
      cache_.flights_.emplace(key.digest(), flight_);
    }
    ~Landing() {
      {
        const std::lock_guard lock(cache_.cache_mutex_);
        cache_.flights_.erase(key_.digest());
        const bool is_current = cache_.moment(key_.company()) == begun_;
        if (outcome && is_current) cache_.keep(key_, *outcome);
        flight_->outcome = outcome;
      }
      cache_.landed_.notify_all();
    }
    Landing(const Landing&) = delete;
    Landing& operator=(const Landing&) = delete;

    Result<Kept> outcome = fail(ErrorCode::unavailable, "what was being made was given up");

   private:
    Cache& cache_;
    const CacheKey& key_;
    const Moment begun_;
    const std::shared_ptr<Flight> flight_;
  };

  // With the counts of the pointers to it, and what malloc adds.
  static constexpr std::size_t kValueBytes = sizeof(Value) + 32;
  // Companies that share a place are forgotten together by those under way, which costs them a
  // value.
  static constexpr std::size_t kPlaces = 256;
  static std::size_t place(CompanyId company) {
    return static_cast<std::size_t>(number(company)) % kPlaces;
  }
  Moment moment(CompanyId company) const { return Moment{forgotten_[place(company)]}; }

  Result<Value> fetch(const CacheKey& key, const Maker& maker) {
    if (!options_.shared) return maker();
    auto& shared = *options_.shared;
    if (const auto bytes = shared.cache.get(key)) {
      if (auto value = shared.decode(*bytes)) return *std::move(value);
      shared.cache.refuse();
    }
    auto value = maker();
    if (value) shared.cache.put(key, shared.encode(*value));
    return value;
  }

  void keep(const CacheKey& key, Kept value) {
    if (options_.may_be_kept != nullptr && !options_.may_be_kept(*value)) return;
    const auto bytes = kValueBytes + options_.bytes_of(*value);
    entries_.put(key, std::move(value), bytes);
  }

  const Options options_;
  std::atomic<std::uint64_t> hits_ = 0;
  std::atomic<std::uint64_t> misses_ = 0;
  mutable std::mutex cache_mutex_;  // Guards the rest.
  std::condition_variable landed_;
  S3Fifo<Value> entries_;
  std::unordered_map<Sha256, std::shared_ptr<Flight>, CacheKey::DigestHash> flights_;
  std::array<std::uint64_t, kPlaces> forgotten_{};  // How many times.
  std::uint64_t joined_ = 0;
};

}  // namespace samtale
