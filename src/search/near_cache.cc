#include "search/near_cache.h"

#include <algorithm>
#include <utility>

namespace samtale {
namespace {

constexpr std::uint32_t kVersion = 1;

// More is kept than is wanted, so that a few that are removed or have sunk leave enough.
std::size_t kept_for(std::size_t limit) { return limit + limit / 8 + 1; }

CacheKey key_of(CompanyId company, const std::string& model, const NearQuery& query) {
  auto question = std::to_string(query.part) + "," + std::to_string(query.limit) + "," +
                  std::to_string(query.filter_text.size()) + ",";
  question.append(query.filter_text);
  question.append(reinterpret_cast<const char*>(query.vector.data()), query.vector.size_bytes());
  return {company, {.name = "near", .model = model, .version = kVersion}, question};
}

}  // namespace

NearCache::NearCache(std::string model, std::size_t bytes_max)
    : model_(std::move(model)),
      cache_(
          {.bytes_max = bytes_max,
           .bytes_of = [](const Entry& entry) { return entry.hits.capacity() * sizeof(ChunkHit); },
           .may_be_kept = [](const Entry& entry) { return entry.is_exact; }}) {}

Result<NearChunks> NearCache::nearest(CompanyId company,
                                      const std::shared_ptr<const CompanyIndex>& index,
                                      const NearQuery& query) {
  const auto key = key_of(company, model_, query);
  const auto found = cache_.find(key);
  if (found.value) {
    SAMTALE_TRY(auto renewed, renew(*found.value, index, query));
    if (renewed) {
      cache_.count_hit();
      if (renewed->sequence != found.value->sequence) {
        renewed_.fetch_add(1, std::memory_order_relaxed);
        cache_.put(key, *renewed, found.moment);
      }
      return answer(*std::move(renewed), query.limit);
    }
  }
  cache_.count_miss();
  SAMTALE_TRY(const auto made, cache_.make(key, [&] { return search(index, query); }));
  if (!made.was_joined) return answer(*made.value, query.limit);
  // Another's, which may have begun before a change that this search must know.
  if (made.value->is_exact) {
    SAMTALE_TRY(auto renewed, renew(*made.value, index, query));
    if (renewed) return answer(*std::move(renewed), query.limit);
  }
  SAMTALE_TRY(auto own, search(index, query));
  return answer(std::move(own), query.limit);
}

Result<NearCache::Entry> NearCache::search(const std::shared_ptr<const CompanyIndex>& index,
                                           const NearQuery& query) {
  const auto wanted = kept_for(query.limit);
  SAMTALE_TRY(auto found, index->nearest(query.vector, wanted, query.filter, query.must_be_exact));
  Entry entry{.index = index,
              .sequence = found.sequence,
              .hits = std::move(found.hits),
              .floor = {},
              .is_exact = found.is_exact};
  if (entry.hits.size() == wanted) entry.floor = entry.hits.back();
  return entry;
}

Result<std::optional<NearCache::Entry>> NearCache::renew(
    const Entry& entry, const std::shared_ptr<const CompanyIndex>& index, const NearQuery& query) {
  if (entry.index.lock() != index) return std::nullopt;
  SAMTALE_TRY(auto changed, index->changed_since(entry.sequence, query.vector, query.filter));
  if (!changed) return std::nullopt;

  auto renewed = entry;
  renewed.sequence = changed->sequence;
  if (changed->conversations.empty()) return renewed;
  auto& hits = renewed.hits;
  std::erase_if(hits, [&](const ChunkHit& hit) {
    return std::ranges::binary_search(changed->conversations, hit.conversation);
  });
  for (const auto& hit : changed->hits) {
    if (!entry.floor || !ranks_before(*entry.floor, hit)) hits.push_back(hit);
  }
  if (entry.floor && hits.size() < query.limit) return std::nullopt;
  std::ranges::sort(hits, ranks_before);
  const auto wanted = kept_for(query.limit);
  if (hits.size() > wanted) {
    hits.resize(wanted);
    renewed.floor = hits.back();
  }
  return renewed;
}

NearChunks NearCache::answer(Entry entry, std::size_t limit) {
  auto& hits = entry.hits;
  if (hits.size() > limit) hits.resize(limit);
  return {.hits = std::move(hits), .is_exact = entry.is_exact, .sequence = entry.sequence};
}

NearCache::Stats NearCache::stats() const { return {.cache = cache_.stats(), .renewed = renewed_}; }

}  // namespace samtale
