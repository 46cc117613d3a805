#include "search/hydration.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "json/json.h"

namespace samtale {
namespace {

constexpr CacheKind kKind{.name = "shown", .model = "", .version = 1};
// Where more has changed since, what was kept is forgotten instead.
constexpr std::size_t kChangesMax = 1000;
// Chunks kept of one conversation: searches ask for 10 at most.
constexpr std::size_t kChunksKept = 16;

// What malloc gives for so many bytes.
std::size_t allocated(std::size_t bytes) { return bytes == 0 ? 0 : (bytes + 8 + 15) / 16 * 16; }

std::size_t bytes_of(const std::string& text) {
  constexpr std::size_t kInPlace = 15;
  return text.capacity() <= kInPlace ? 0 : allocated(text.capacity() + 1);
}

std::size_t bytes_of(const json::Object& object) {
  auto bytes = allocated(object.capacity() * sizeof(json::Object::value_type));
  for (const auto& [key, value] : object) {
    const auto* text = value.as_string();  // Metadata is flat.
    bytes += bytes_of(key) + (text != nullptr ? bytes_of(*text) : 0);
  }
  return bytes;
}

std::size_t bytes_of(const Conversation& head) {
  std::size_t bytes = allocated(head.parties.capacity() * sizeof(Party)) +
                      allocated(head.tags.capacity() * sizeof(std::string)) +
                      bytes_of(head.metadata);
  for (const auto* text : {&head.source, &head.external_id, &head.channel, &head.language,
                           &head.title, &head.status, &head.end_reason}) {
    bytes += bytes_of(*text);
  }
  for (const auto& party : head.parties) {
    for (const auto* text : {&party.id, &party.role, &party.name, &party.address}) {
      bytes += bytes_of(*text);
    }
  }
  for (const auto& tag : head.tags) bytes += bytes_of(tag);
  return bytes;
}

std::size_t bytes_of(const ShownConversation& shown) {
  constexpr std::size_t kNode = 32;    // What a map adds to an entry.
  constexpr std::size_t kCounts = 16;  // What a shared_ptr adds.
  auto bytes = allocated(sizeof shown + kCounts) + bytes_of(shown.summary.head);
  for (const auto& [ordinal, chunk] : shown.chunks) {
    bytes += allocated(kNode + sizeof(std::pair<const std::uint32_t, Chunk>)) +
             bytes_of(chunk.header) + bytes_of(chunk.text) + bytes_of(chunk.policy);
  }
  return bytes;
}

CacheKey key_of(CompanyId company, const ConversationId& conversation) {
  return {company, kKind, conversation.view()};
}

bool has_all(const ShownConversation& shown, const FoundChunks& wanted) {
  return std::ranges::all_of(wanted.ordinals,
                             [&](auto ordinal) { return shown.chunks.contains(ordinal); });
}

// So that searches that show other chunks of one conversation do not drive each other's out.
Hydration::Shown with_chunks_of(const Hydration::Shown& fresh, const Hydration::Shown& had) {
  if (!had || fresh->chunks.size() + had->chunks.size() > kChunksKept) return fresh;
  auto both = *fresh;
  both.chunks.insert(had->chunks.begin(), had->chunks.end());
  return std::make_shared<const ShownConversation>(std::move(both));
}

}  // namespace

Hydration::Hydration(const Store& store, std::size_t bytes_max)
    : store_(store),
      keeps_(bytes_max != 0),
      cache_({.bytes_max = bytes_max,
              .bytes_of = [](const Kept& kept) { return bytes_of(*kept.shown); }}) {}

Hydration::Feed& Hydration::feed_of(Partition partition) {
  const std::lock_guard lock(feeds_mutex_);
  auto& feed = feeds_[partition];
  if (!feed) feed = std::make_unique<Feed>();
  return *feed;
}

Result<Hydration::Point> Hydration::catch_up(Partition partition, Feed& feed) {
  std::unique_lock lock(feed.feed_mutex);
  const auto wanted = feed.reads + 1;
  const bool has_waited = feed.reads_ended < feed.reads;
  // One that waited for this read begins it, when the one before has ended; the others sleep on.
  feed.read_ended[wanted % 2].wait(
      lock, [&] { return feed.reads_ended >= wanted || feed.reads_ended == feed.reads; });
  // Where the store hangs, nobody waits for it twice.
  const bool is_away = has_waited && !feed.outcome;
  if (!is_away && feed.reads_ended < wanted) {
    ++feed.reads;
    lock.unlock();
    auto outcome = read_feed(partition, feed);
    lock.lock();
    feed.outcome = outcome;
    feed.reads_ended = wanted;
    const auto seen = feed.seen;
    lock.unlock();
    auto& next = feed.read_ended[(wanted + 1) % 2];
    feed.read_ended[wanted % 2].notify_all();
    outcome ? next.notify_one() : next.notify_all();
    if (!outcome) return std::unexpected(std::move(outcome).error());
    return seen;
  }
  if (!feed.outcome) return std::unexpected(feed.outcome.error());
  return feed.seen;
}

// By one thread at a time.
Result<> Hydration::read_feed(Partition partition, Feed& feed) {
  const auto seen = feed.seen.sequence;
  SAMTALE_TRY(const auto last, store_.last_change(partition));
  const bool is_same = last.epoch == feed.its_epoch;
  if (is_same && last.sequence == seen) return {};
  const auto changes =
      store_.changes(partition, {.sequence = seen, .epoch = feed.its_epoch}, kChangesMax);
  const bool is_gap = !changes && changes.error().code == ErrorCode::not_found;
  if (!changes && !is_gap) return std::unexpected(changes.error());
  const std::lock_guard lock(feed.feed_mutex);
  if (last.epoch != 0) feed.its_epoch = last.epoch;  // Else what is known stays to be compared.
  if (is_gap || changes->size() == kChangesMax) {
    feed.seen = {.epoch = feed.seen.epoch + 1, .sequence = last.sequence};
    feed.changed.fill(0);
    for (const auto company : std::exchange(feed.companies, {})) cache_.forget(company);
    return {};
  }
  for (const auto& change : *changes) {
    feed.change_of(change.conversation) = change.sequence;
    if (feed.companies.contains(change.company)) {
      cache_.erase(key_of(change.company, change.conversation));
    }
  }
  if (!changes->empty()) feed.seen.sequence = changes->back().sequence;
  return {};
}

Hydration::Had Hydration::find_kept(CompanyId company, Feed& feed, const FoundChunks& found) {
  const auto kept = cache_.find(key_of(company, found.conversation));
  Had had;
  if (kept.value) {
    const std::lock_guard lock(feed.feed_mutex);
    if (feed.is_current(kept.value->as_of, found.conversation)) had.shown = kept.value->shown;
  }
  had.is_enough = had.shown && has_all(*had.shown, found);
  had.is_enough ? cache_.count_hit() : cache_.count_miss();
  return had;
}

// Under the feed's lock, so that no change that is read meanwhile leaves behind what was before it.
void Hydration::keep(CompanyId company, Feed& feed, ConversationId conversation, Kept kept) {
  const std::lock_guard lock(feed.feed_mutex);
  if (!feed.is_current(kept.as_of, conversation)) return;
  feed.companies.insert(company);
  const auto key = key_of(company, conversation);
  cache_.put(key, std::move(kept), cache_.find(key).moment);
}

Result<> Hydration::follow() {
  std::vector<std::pair<Partition, Feed*>> feeds;
  {
    const std::lock_guard lock(feeds_mutex_);
    for (const auto& [partition, feed] : feeds_) feeds.emplace_back(partition, feed.get());
  }
  for (const auto& [partition, feed] : feeds) {
    SAMTALE_TRY_VOID(catch_up(partition, *feed));
  }
  return {};
}

Result<std::vector<Hydration::Shown>> Hydration::of(CompanyId company,
                                                    std::span<const FoundChunks> found) {
  if (!keeps_ || found.empty()) return read(company, found);
  const auto partition = store_.partition_of(company);
  auto& feed = feed_of(partition);
  SAMTALE_TRY(const auto as_of, catch_up(partition, feed));
  std::vector<Had> had;
  std::vector<FoundChunks> missing;
  for (const auto& one : found) {
    had.push_back(find_kept(company, feed, one));
    if (!had.back().is_enough) missing.push_back(one);
  }
  SAMTALE_TRY(auto fresh, read(company, missing));
  std::vector<Shown> shown;
  auto next = fresh.begin();
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (had[i].is_enough) {
      shown.push_back(std::move(had[i].shown));
      continue;
    }
    shown.push_back(std::move(*next++));
    if (!shown.back()) continue;
    keep(company, feed, found[i].conversation,
         {.as_of = as_of, .shown = with_chunks_of(shown.back(), had[i].shown)});
  }
  return shown;
}

Result<std::vector<Hydration::Shown>> Hydration::read(CompanyId company,
                                                      std::span<const FoundChunks> found) const {
  if (found.empty()) return std::vector<Shown>();
  std::vector<ConversationId> ids;
  std::vector<ChunkPlace> places;
  for (const auto& one : found) {
    ids.push_back(one.conversation);
    for (const auto ordinal : one.ordinals) places.push_back({one.conversation, ordinal});
  }
  SAMTALE_TRY(auto summaries, store_.find_summaries(company, ids));
  SAMTALE_TRY(auto chunks, store_.find_chunks(company, places));
  std::vector<Shown> shown;
  auto of_chunk = chunks.begin();
  for (std::size_t i = 0; i < found.size(); ++i) {
    auto one = summaries[i] ? std::make_shared<ShownConversation>() : nullptr;
    for (const auto ordinal : found[i].ordinals) {
      auto& chunk = *of_chunk++;
      if (one && chunk) one->chunks.emplace(ordinal, std::move(chunk->chunk));
    }
    if (one) one->summary = *std::move(summaries[i]);
    shown.push_back(std::move(one));
  }
  return shown;
}

}  // namespace samtale
