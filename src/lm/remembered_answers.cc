#include "lm/remembered_answers.h"

#include <utility>

namespace samtale {

std::size_t bytes_of(const json::Value& value) {
  std::size_t sum = sizeof value;
  if (const auto* text = value.as_string()) sum += text->capacity();
  if (const auto* array = value.as_array()) {
    for (const auto& item : *array) sum += bytes_of(item);
  }
  if (const auto* object = value.as_object()) {
    for (const auto& [name, member] : *object) {
      sum += sizeof name + name.capacity() + bytes_of(member);
    }
  }
  return sum;
}

std::shared_ptr<const KeptAnswer> RememberedAnswers::find(const Sha256& key, Instant now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  if (found->second->until <= now) {
    erase(found->second);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->answer;
}

void RememberedAnswers::put(const Sha256& key, CompanyId company,
                            std::shared_ptr<const KeptAnswer> answer, Instant now) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
  const auto bytes = sizeof(Entry) + bytes_of(answer->value);
  if (bytes > bytes_max_) return;
  entries_.push_front({key, company, std::move(answer), bytes, now + keep_for_});
  by_key_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > bytes_max_) erase(std::prev(entries_.end()));
}

void RememberedAnswers::forget(CompanyId company) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    at = at->company == company ? erase(at) : std::next(at);
  }
}

RememberedAnswers::Entries::iterator RememberedAnswers::erase(Entries::iterator entry) {
  bytes_ -= entry->bytes;
  by_key_.erase(entry->key);
  return entries_.erase(entry);
}

}  // namespace samtale
