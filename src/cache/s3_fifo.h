// S3Fifo: keeps the values that are asked for again, within so many bytes. Private to cache/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "cache/cache_key.h"

namespace samtale {

// New values wait in a small queue, a tenth of the bytes; who was asked for twice meanwhile goes on
// to the main queue, the rest leave no more than their key behind, a ghost. Who comes back while
// its ghost is there goes to the main queue at once. So a scan of values that nobody asks for again
// passes through the small queue and moves nothing in the main one.
//
// Threads: one at a time.
// Memory:  bytes_max, with all that keys, queues and ghosts take (tested against malloc's figures).
// Source:  Yang, Zhang, Qiu, Yue & Rashmi, "FIFO queues are all you need for cache eviction" (SOSP
//          2023), algorithm 1; by bytes instead of by objects.
template <class Value>
class S3Fifo {
 public:
  explicit S3Fifo(std::size_t bytes_max)
      : bytes_max_(bytes_max), small_bytes_max_(bytes_max / 10) {}

  // Null if it is not there.
  [[nodiscard]] std::shared_ptr<const Value> find(const CacheKey& key) {
    const auto entry = locate(key);
    if (entry == nullptr || (*entry)->value == nullptr) return nullptr;
    auto& found = **entry;
    found.uses = std::min<std::uint8_t>(found.uses + 1, kUsesMax);
    return found.value;
  }

  // A value that is there is replaced where it stands. `value_bytes`: what malloc gave for it.
  void put(const CacheKey& key, std::shared_ptr<const Value> value, std::size_t value_bytes) {
    const auto bytes = kEntryBytes + value_bytes;
    const auto* const found = locate(key);
    const bool is_kept = found != nullptr && (*found)->value != nullptr;
    const bool was_ghost = found != nullptr && !is_kept;
    if (is_kept) {
      auto& entry = **found;
      entry.value = std::move(value);
      charge(entry, bytes);
    } else {
      if (was_ghost) erase(*found);
      if (bytes > bytes_max_) return;
      insert(key, std::move(value), bytes, was_ghost ? Queue::main : Queue::small);
    }
    while (bytes_ > bytes_max_) evict();
  }

  // Its ghost too.
  void erase(const CacheKey& key) {
    if (const auto* const found = locate(key)) erase(Place(*found));
  }

  // Its ghosts too.
  void forget(CompanyId company) {
    const auto found = companies_.find(company);
    if (found == companies_.end()) return;
    for (const auto& [digest, entry] : found->second) remove_from_queue(entry);
    companies_.erase(found);
    bytes_ -= kCompanyBytes;
  }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const {
    return queue(Queue::small).size() + queue(Queue::main).size();
  }
  [[nodiscard]] std::uint64_t evictions() const { return evictions_; }

 private:
  enum class Queue : std::uint8_t { small, main, ghosts };
  struct Entry {
    CompanyId company{};
    Sha256 digest;
    std::shared_ptr<const Value> value;  // Null: a ghost.
    std::size_t bytes = 0;
    std::uint8_t uses = 0;
    Queue queue = Queue::small;
  };
  using Entries = std::list<Entry>;  // The newest in front.
  using Place = typename Entries::iterator;
  using OfCompany = std::unordered_map<Sha256, Place, CacheKey::DigestHash>;

  static constexpr std::uint8_t kUsesMax = 3;
  static constexpr std::uint8_t kUsesToStay = 2;
  // What malloc adds, and what it rounds up to.
  static constexpr std::size_t allocated(std::size_t bytes) { return (bytes + 8 + 15) / 16 * 16; }
  // The node of a list; that of a table, with its hash; its share of the buckets, which double.
  static constexpr std::size_t kEntryBytes = allocated(sizeof(Entry) + 2 * sizeof(void*)) +
                                             allocated(sizeof(Sha256) + 3 * sizeof(void*)) +
                                             2 * sizeof(void*);
  static constexpr std::size_t kCompanyBytes =
      allocated(sizeof(CompanyId) + sizeof(OfCompany) + sizeof(void*)) + 16 * sizeof(void*);

  // Null if there is neither a value nor a ghost.
  Place* locate(const CacheKey& key) {
    const auto company = companies_.find(key.company());
    if (company == companies_.end()) return nullptr;
    const auto entry = company->second.find(key.digest());
    return entry == company->second.end() ? nullptr : &entry->second;
  }

  void insert(const CacheKey& key, std::shared_ptr<const Value> value, std::size_t bytes,
              Queue where) {
    auto& entries = queue(where);
    entries.push_front({.company = key.company(),
                        .digest = key.digest(),
                        .value = std::move(value),
                        .queue = where});
    const auto [company, is_new] = companies_.try_emplace(key.company());
    if (is_new) bytes_ += kCompanyBytes;
    company->second.emplace(key.digest(), entries.begin());
    charge(entries.front(), bytes);
  }

  void charge(Entry& entry, std::size_t bytes) {
    bytes_ += bytes - entry.bytes;
    if (entry.queue == Queue::small) small_bytes_ += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  // The place in the table stays valid.
  void move(Place entry, Queue to) {
    if (entry->queue == Queue::small) small_bytes_ -= entry->bytes;
    queue(to).splice(queue(to).begin(), queue(entry->queue), entry);
    entry->queue = to;
    entry->uses = 0;
  }

  void remove_from_queue(Place entry) {
    charge(*entry, 0);
    queue(entry->queue).erase(entry);
  }

  void erase(Place entry) {
    const auto company = companies_.find(entry->company);
    company->second.erase(entry->digest);
    if (company->second.empty()) {
      companies_.erase(company);
      bytes_ -= kCompanyBytes;
    }
    remove_from_queue(entry);
  }

  // One step towards less: a few of them may free nothing.
  void evict() {
    if (small_bytes_ > small_bytes_max_ || queue(Queue::main).empty()) {
      evict_small();
    } else {
      evict_main();
    }
    while (queue(Queue::ghosts).size() > size()) erase(std::prev(queue(Queue::ghosts).end()));
  }

  void evict_small() {
    const auto oldest = std::prev(queue(Queue::small).end());
    if (oldest->uses >= kUsesToStay) return move(oldest, Queue::main);
    move(oldest, Queue::ghosts);
    oldest->value = nullptr;
    charge(*oldest, kEntryBytes);
    ++evictions_;
  }

  void evict_main() {
    const auto oldest = std::prev(queue(Queue::main).end());
    if (oldest->uses == 0) {
      erase(oldest);
      ++evictions_;
      return;
    }
    const auto uses = static_cast<std::uint8_t>(oldest->uses - 1);
    move(oldest, Queue::main);
    oldest->uses = uses;
  }

  [[nodiscard]] Entries& queue(Queue which) { return queues_[static_cast<std::size_t>(which)]; }
  [[nodiscard]] const Entries& queue(Queue which) const {
    return queues_[static_cast<std::size_t>(which)];
  }

  const std::size_t bytes_max_;
  const std::size_t small_bytes_max_;
  Entries queues_[3];
  std::unordered_map<CompanyId, OfCompany> companies_;
  std::size_t bytes_ = 0;
  std::size_t small_bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace samtale
