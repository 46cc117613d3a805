#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/huge_pages.h"
#include "index/company_index.h"
#include "index/fair_shared_mutex.h"
#include "index/grow.h"
#include "index/segment_folder.h"
#include "index/top_rows.h"
#include "index/vector_tiers.h"
#include "index/word_index.h"
#include "text/words.h"

namespace samtale {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr double kUnitTolerance = 1e-3;

// Removed rows are tidied up when there are many, and half as many as live ones: each removal then
// pays for three rows at most, and a small company holds little that is dead.
constexpr std::size_t kRemovedRowsMin = 64;

// Looks, one a second in a server that has nothing else to do.
constexpr std::size_t kQuietLooks = 60;

// So many changes are remembered by which conversation they were of: 16 KiB of a busy company. To
// score so many again takes about as long as a search of all.
constexpr std::size_t kChangesKept = 1024;

// A tenth of a millisecond of page faults.
constexpr std::size_t kClearedAtOnce = 64;

// Rows are counted in 32 bits; this is far beyond what a machine holds.
constexpr std::size_t kRowsMax = VectorTiers::kVectorsMax;

std::size_t string_bytes(const std::string& text) {
  return text.capacity() > std::string().capacity() ? text.capacity() + 1 : 0;
}

std::size_t list_bytes(const std::vector<std::string>& texts) {
  std::size_t bytes = texts.capacity() * sizeof(std::string);
  for (const auto& text : texts) bytes += string_bytes(text);
  return bytes;
}

std::size_t attribute_bytes(const Attributes& attributes) {
  std::size_t bytes = string_bytes(attributes.channel) + string_bytes(attributes.source) +
                      string_bytes(attributes.language) + list_bytes(attributes.parties) +
                      list_bytes(attributes.tags);
  bytes += attributes.metadata.capacity() * sizeof(std::pair<std::string, std::string>);
  for (const auto& [key, value] : attributes.metadata) {
    bytes += string_bytes(key) + string_bytes(value);
  }
  bytes += attributes.labels.capacity() * sizeof(std::pair<std::string, std::string>);
  for (const auto& [analyzer, label] : attributes.labels) {
    bytes += string_bytes(analyzer) + string_bytes(label);
  }
  bytes += attributes.scores.capacity() * sizeof(std::pair<std::string, double>);
  for (const auto& [analyzer, score] : attributes.scores) bytes += string_bytes(analyzer);
  return bytes;
}

// Every posting is read, and every vector is compared, at least by its code, but those in the graph
// of a large company.
class TieredIndex final : public CompanyIndex {
 public:
  TieredIndex(std::size_t dimension, const IndexOptions& options, const SegmentPlace& place)
      : dimension_(dimension), place_(place), vectors_(dimension, options, place.folder) {}

  Result<> put(ConversationId conversation, Attributes attributes,
               std::span<const IndexChunk> chunks) override;
  bool remove(ConversationId conversation) override;
  Result<NearChunks> nearest(std::span<const float> query, std::size_t limit,
                             const ConversationFilter& filter, bool must_be_exact) const override;
  Result<std::optional<ChangedChunks>> changed_since(
      std::uint64_t since, std::span<const float> query,
      const ConversationFilter& filter) const override;
  std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                              const ConversationFilter& filter,
                              const WordCounts* counts) const override;
  WordCounts word_counts(std::string_view query) const override;
  double inverse_document_frequency(std::string_view word) const override;
  std::vector<ConversationId> passing(const ConversationFilter& filter) const override;
  IndexSize size() const override;
  Result<bool> maintain(const std::stop_token& stop) override;
  bool renew_graph() override;

 private:
  class Hits;
  class WordHits;
  // A conversation's place; used again after it is removed.
  struct Slot {
    ConversationId id;
    Attributes attributes;
    std::uint32_t rows_begin = 0;
    std::uint32_t rows = 0;
    bool is_used = false;
  };
  // A chunk.
  struct Row {
    std::uint32_t slot = kNone;  // kNone: removed.
    std::uint32_t ordinal = 0;
    VectorTiers::Place vector = kNone;  // kNone: has none.
    std::uint64_t text_hash = 0;
  };

  Result<> check(std::span<const IndexChunk> chunks) const;
  Result<std::vector<float>> unit_of(std::span<const float> query) const;
  void note_change(ConversationId conversation);
  std::uint32_t take_slot();
  // Whether the conversation is there with these chunks' texts, in this order.
  bool has_texts(ConversationId conversation, std::span<const IndexChunk> chunks,
                 std::span<const std::uint64_t> hashes) const;
  Result<> put_same_texts(ConversationId conversation, Attributes attributes,
                          std::span<const IndexChunk> chunks);
  bool remove_locked(ConversationId conversation);
  void remove_vector(VectorTiers::Place place);
  void compact_if_due();
  void forget_unused_slots();
  std::vector<bool> allowed_slots(const ConversationFilter& filter) const;
  ChunkHit hit(const Row& row, float score) const;
  std::vector<ChunkHit> hits_of(std::span<const ScoredRow> best) const;
  // Of rows of equal scores.
  struct Precedes {
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      return ranks_before(index.hit(index.rows_[a], 0), index.hit(index.rows_[b], 0));
    }
    const TieredIndex& index;
  };
  void clear_removed();
  void measure_scans();
  Result<VectorTiers::Ended> carry_out(VectorTiers::Work& work, const std::stop_token& stop);
  std::optional<Segment> find_segment();
  void keep_segment(bool has_worked);

  const std::size_t dimension_;
  const SegmentPlace place_;
  // Only maintain() uses these.
  bool has_looked_ = false;                 // For a file.
  std::optional<std::uint64_t> filed_ = 0;  // The graph's version in it; 0: none. Empty: another.
  std::uint64_t seen_ = 0;                  // The version at the look before.
  std::size_t quiet_looks_ = 0;             // For which it has been the same.
  mutable FairSharedMutex index_mutex_;     // Guards all below.
  std::unordered_map<ConversationId, std::uint32_t> slot_of_;
  HugeVector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  HugeVector<Row> rows_;  // A conversation's lie together, in its order of chunks.
  std::size_t removed_rows_ = 0;
  std::size_t attribute_bytes_ = 0;
  std::uint64_t sequence_ = 0;           // Of the last change; they are counted from 1.
  std::vector<ConversationId> changed_;  // Change s at s % kChangesKept.
  VectorTiers vectors_;
  WordIndex words_;
};

Result<> TieredIndex::check(std::span<const IndexChunk> chunks) const {
  std::unordered_set<std::uint32_t> ordinals;
  for (const auto& chunk : chunks) {
    const auto step = "chunk " + std::to_string(chunk.ordinal);
    if (!ordinals.insert(chunk.ordinal).second) {
      return fail(ErrorCode::invalid_argument, step + " is there twice: number chunks 0, 1, 2");
    }
    if (chunk.vector.empty()) continue;
    const auto length = checked_length(chunk.vector, dimension_);
    if (!length) return std::unexpected(Error(length.error()).during(step));
    if (std::abs(*length - 1) > kUnitTolerance) {
      return fail(
          ErrorCode::invalid_argument,
          step + ": vector of length " + std::to_string(*length) + ": normalise it to length 1");
    }
  }
  return {};
}

std::uint32_t TieredIndex::take_slot() {
  if (free_slots_.empty()) {
    grow(slots_, slots_.size() + 1);
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const auto slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

bool TieredIndex::has_texts(ConversationId conversation, std::span<const IndexChunk> chunks,
                            std::span<const std::uint64_t> hashes) const {
  const auto found = slot_of_.find(conversation);
  if (found == slot_of_.end()) return false;
  const auto& slot = slots_[found->second];
  if (slot.rows != chunks.size()) return false;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& row = rows_[slot.rows_begin + i];
    if (row.ordinal != chunks[i].ordinal || row.text_hash != hashes[i]) return false;
  }
  return true;
}

Result<> TieredIndex::put_same_texts(ConversationId conversation, Attributes attributes,
                                     std::span<const IndexChunk> chunks) {
  auto& slot = slots_[slot_of_.at(conversation)];
  const auto is_same = [&](std::size_t i) {
    const auto place = rows_[slot.rows_begin + i].vector;
    return place == kNone ? chunks[i].vector.empty() : vectors_.holds(place, chunks[i].vector);
  };
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (!is_same(i)) changed.push_back(i);
  }
  SAMTALE_TRY_VOID(vectors_.make_room(changed.size()));
  attribute_bytes_ += attribute_bytes(attributes) - attribute_bytes(slot.attributes);
  slot.attributes = std::move(attributes);
  for (const auto i : changed) {
    const auto r = static_cast<std::uint32_t>(slot.rows_begin + i);
    if (rows_[r].vector != kNone) remove_vector(rows_[r].vector);
    rows_[r].vector = chunks[i].vector.empty() ? kNone : vectors_.add(r, chunks[i].vector);
  }
  note_change(conversation);
  return {};
}

Result<> TieredIndex::put(ConversationId conversation, Attributes attributes,
                          std::span<const IndexChunk> chunks) {
  SAMTALE_TRY_VOID(check(chunks));
  std::vector<std::uint64_t> hashes;
  hashes.reserve(chunks.size());
  for (const auto& chunk : chunks) {
    hashes.push_back(std::hash<std::string_view>{}(chunk.text));
  }
  // Vectors come after the words: then the words are there.
  bool has_them = false;
  {
    const auto lock = index_mutex_.read();
    has_them = has_texts(conversation, chunks, hashes);
  }
  if (has_them) {
    const auto lock = index_mutex_.write();
    if (has_texts(conversation, chunks, hashes)) {
      return put_same_texts(conversation, std::move(attributes), chunks);
    }
  }
  std::vector<std::vector<std::string>> terms;  // Cut without the lock: it is most of the work.
  terms.reserve(chunks.size());
  for (const auto& chunk : chunks) terms.push_back(samtale::words(chunk.text));

  const auto lock = index_mutex_.write();
  if (rows_.size() + chunks.size() > kRowsMax) {
    return fail(ErrorCode::resource_exhausted,
                "index has no room for another " + std::to_string(chunks.size()) + " chunks of " +
                    std::to_string(kRowsMax) + ": remove conversations");
  }
  SAMTALE_TRY_VOID(vectors_.make_room(chunks.size()));
  remove_locked(conversation);
  const auto slot = take_slot();
  slot_of_.emplace(conversation, slot);
  attribute_bytes_ += attribute_bytes(attributes);
  slots_[slot] = {.id = conversation,
                  .attributes = std::move(attributes),
                  .rows_begin = static_cast<std::uint32_t>(rows_.size()),
                  .rows = static_cast<std::uint32_t>(chunks.size()),
                  .is_used = true};
  grow(rows_, rows_.size() + chunks.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    Row row{.slot = slot, .ordinal = chunks[i].ordinal, .text_hash = hashes[i]};
    if (!chunks[i].vector.empty()) {
      row.vector = vectors_.add(static_cast<std::uint32_t>(rows_.size()), chunks[i].vector);
    }
    rows_.push_back(row);
    words_.add(terms[i]);
  }
  note_change(conversation);
  compact_if_due();
  return {};
}

bool TieredIndex::remove(ConversationId conversation) {
  const auto lock = index_mutex_.write();
  if (!remove_locked(conversation)) return false;
  note_change(conversation);
  compact_if_due();
  return true;
}

void TieredIndex::note_change(ConversationId conversation) {
  ++sequence_;
  const auto place = sequence_ % kChangesKept;
  if (place >= changed_.size()) changed_.resize(place + 1);
  changed_[place] = conversation;
}

bool TieredIndex::remove_locked(ConversationId conversation) {
  const auto found = slot_of_.find(conversation);
  if (found == slot_of_.end()) return false;
  auto& slot = slots_[found->second];
  for (auto r = slot.rows_begin; r < slot.rows_begin + slot.rows; ++r) {
    if (rows_[r].vector != kNone) remove_vector(rows_[r].vector);
    rows_[r] = {};
    words_.remove(r);
  }
  removed_rows_ += slot.rows;
  attribute_bytes_ -= attribute_bytes(slot.attributes);
  slot = {};
  free_slots_.push_back(found->second);
  slot_of_.erase(found);
  return true;
}

void TieredIndex::remove_vector(VectorTiers::Place place) {
  if (const auto moved = vectors_.remove(place)) rows_[moved->owner].vector = moved->place;
}

void TieredIndex::compact_if_due() {
  const auto live = rows_.size() - removed_rows_;
  if (removed_rows_ < kRemovedRowsMin || removed_rows_ < live / 2) return;
  std::vector<std::uint32_t> new_rows(rows_.size(), WordIndex::kRemoved);
  HugeVector<Row> kept;
  kept.reserve(live);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto& row = rows_[r];
    if (row.slot == kNone) continue;
    new_rows[r] = static_cast<std::uint32_t>(kept.size());
    kept.push_back(row);
  }
  for (auto& slot : slots_) {
    if (slot.rows > 0) slot.rows_begin = new_rows[slot.rows_begin];
  }
  rows_ = std::move(kept);
  removed_rows_ = 0;
  words_.compact(new_rows);
  vectors_.renumber(new_rows);
  vectors_.shrink();
  forget_unused_slots();
}

void TieredIndex::forget_unused_slots() {
  HugeVector<Slot> kept;
  kept.reserve(slot_of_.size());
  std::vector<std::uint32_t> new_slots(slots_.size());
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    if (!slots_[s].is_used) continue;
    new_slots[s] = static_cast<std::uint32_t>(kept.size());
    kept.push_back(std::move(slots_[s]));
  }
  for (auto& [id, slot] : slot_of_) slot = new_slots[slot];
  for (auto& row : rows_) row.slot = new_slots[row.slot];
  slots_ = std::move(kept);
  free_slots_ = {};
  slot_of_.rehash(0);
}

std::vector<bool> TieredIndex::allowed_slots(const ConversationFilter& filter) const {
  std::vector<bool> allowed(slots_.size());
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    allowed[s] = slots_[s].is_used && (!filter || filter(slots_[s].attributes));
  }
  return allowed;
}

ChunkHit TieredIndex::hit(const Row& row, float score) const {
  return {.conversation = slots_[row.slot].id, .ordinal = row.ordinal, .score = score};
}

// Each is somewhere else: one after the other, they would be waited for twice each.
std::vector<ChunkHit> TieredIndex::hits_of(std::span<const ScoredRow> best) const {
  for (const auto& [row, score] : best) __builtin_prefetch(&rows_[row]);
  for (const auto& [row, score] : best) __builtin_prefetch(&slots_[rows_[row].slot]);
  std::vector<ChunkHit> hits;
  hits.reserve(best.size());
  for (const auto& [row, score] : best) hits.push_back(hit(rows_[row], score));
  return hits;
}

// The best chunks of what a search finds.
class TieredIndex::Hits final : public VectorTiers::Sink {
 public:
  Hits(const TieredIndex& index, std::size_t limit, const std::vector<bool>& allowed)
      : index_(index), allowed_(allowed), top_(limit, {index}) {}
  bool allows(VectorTiers::Owner owner) const override {
    return allowed_[index_.rows_[owner].slot];
  }
  float score_min() const override { return top_.score_min(); }
  void offer(VectorTiers::Owner owner, float score) override { top_.offer({owner, score}); }
  std::vector<ChunkHit> take() { return index_.hits_of(std::move(top_).take()); }

 private:
  const TieredIndex& index_;
  const std::vector<bool>& allowed_;
  TopRows<Precedes> top_;
};

// Asks the filter only of conversations that may be among the best.
class TieredIndex::WordHits final : public RowSink {
 public:
  WordHits(const TieredIndex& index, std::size_t limit, const ConversationFilter& filter)
      : index_(index),
        filter_(filter),
        known_(filter ? index.slots_.size() : 0),
        top_(limit, {index}) {}
  bool wants(std::uint32_t row) override {
    const auto slot = index_.rows_[row].slot;
    if (slot == kNone) return false;
    if (!filter_) return true;
    auto& known = known_[slot];
    if (known == Known::nothing) {
      known = filter_(index_.slots_[slot].attributes) ? Known::passes : Known::fails;
    }
    return known == Known::passes;
  }
  float offer(const ScoredRow& row) override {
    top_.offer(row);
    return top_.score_min();
  }
  std::vector<ChunkHit> take() { return index_.hits_of(std::move(top_).take()); }

 private:
  enum class Known : std::uint8_t { nothing, passes, fails };

  const TieredIndex& index_;
  const ConversationFilter& filter_;
  std::vector<Known> known_;  // Of each slot.
  TopRows<Precedes> top_;
};

Result<std::vector<float>> TieredIndex::unit_of(std::span<const float> query) const {
  SAMTALE_TRY(const auto length, checked_length(query, dimension_));
  std::vector<float> unit(query.begin(), query.end());
  for (auto& value : unit) value = static_cast<float>(value / length);
  return unit;
}

Result<NearChunks> TieredIndex::nearest(std::span<const float> query, std::size_t limit,
                                        const ConversationFilter& filter,
                                        bool must_be_exact) const {
  if (dimension_ == 0) return NearChunks{};
  SAMTALE_TRY(const auto unit, unit_of(query));

  const auto lock = index_mutex_.read();
  const auto allowed = filter ? allowed_slots(filter) : std::vector<bool>();
  double share = 1;
  if (filter) {
    const auto count = static_cast<double>(std::ranges::count(allowed, true));
    // Below 1, so that the filter is asked.
    share = std::min(count / static_cast<double>(slot_of_.size() + 1), 1.0);
  }
  Hits hits(*this, limit, allowed);
  const bool is_exact = vectors_.nearest(unit, limit, share, must_be_exact, hits);
  return NearChunks{.hits = hits.take(), .is_exact = is_exact, .sequence = sequence_};
}

Result<std::optional<ChangedChunks>> TieredIndex::changed_since(
    std::uint64_t since, std::span<const float> query, const ConversationFilter& filter) const {
  if (dimension_ == 0) return ChangedChunks{};
  SAMTALE_TRY(const auto unit, unit_of(query));

  const auto lock = index_mutex_.read();
  if (since > sequence_ || sequence_ - since > kChangesKept) return std::nullopt;
  ChangedChunks changed{.conversations = {}, .hits = {}, .sequence = sequence_};
  auto& conversations = changed.conversations;
  for (auto s = since + 1; s <= sequence_; ++s) {
    conversations.push_back(changed_[s % kChangesKept]);
  }
  std::ranges::sort(conversations);
  conversations.erase(std::unique(conversations.begin(), conversations.end()), conversations.end());
  for (const auto& conversation : conversations) {
    const auto found = slot_of_.find(conversation);
    if (found == slot_of_.end()) continue;
    const auto& slot = slots_[found->second];
    if (filter && !filter(slot.attributes)) continue;
    for (auto r = slot.rows_begin; r < slot.rows_begin + slot.rows; ++r) {
      const auto& row = rows_[r];
      if (row.vector == kNone) continue;
      changed.hits.push_back(hit(row, vectors_.dot(unit, row.vector)));
    }
  }
  return changed;
}

bool TieredIndex::renew_graph() {
  const auto lock = index_mutex_.write();
  return vectors_.renew_graph();
}

Result<bool> TieredIndex::maintain(const std::stop_token& stop) {
  auto segment = find_segment();
  const auto nodes = segment ? segment->digests.size() : 0;
  clear_removed();
  measure_scans();
  std::shared_ptr<VectorTiers::Work> work;
  {
    const auto lock = index_mutex_.write();
    work = vectors_.begin_work(std::move(segment));
  }
  VectorTiers::Ended ended;
  if (work) {
    SAMTALE_TRY(ended, carry_out(*work, stop));
    const bool has_all = ended.from_segment == nodes && ended.removed == 0;
    if (nodes > 0 && has_all) filed_ = ended.graph_version;
    clear_removed();
  }
  if (nodes > 0) place_.folder->report_use(place_.company, ended.from_segment, nodes);
  if (place_.folder != nullptr) keep_segment(work != nullptr && !ended.has_grown);
  return work != nullptr;
}

// One at a time, so that no change waits for more.
void TieredIndex::measure_scans() {
  auto least = std::numeric_limits<double>::infinity();
  for (std::size_t nth = 0; nth < VectorTiers::kScansMeasured; ++nth) {
    const auto lock = index_mutex_.read();
    const auto seconds = vectors_.measured_scan(nth);
    if (!seconds) return;
    least = std::min(least, *seconds);
  }
  const auto lock = index_mutex_.write();
  vectors_.scans_take(least);
}

Result<VectorTiers::Ended> TieredIndex::carry_out(VectorTiers::Work& work,
                                                  const std::stop_token& stop) {
  // Nobody waits for the end of work that takes long before new vectors go into the graph.
  const auto goes_on = [&] {
    std::shared_ptr<VectorTiers::Work> growth;
    {
      const auto lock = index_mutex_.write();
      growth = vectors_.begin_growth();
    }
    if (growth) static_cast<void>(carry_out(*growth, stop));  // If it fails it is due again.
    return !stop.stop_requested();
  };
  SAMTALE_TRY_VOID(VectorTiers::run_work(work, goes_on));
  const auto lock = index_mutex_.write();
  SAMTALE_TRY(auto ended, vectors_.end_work(work));
  for (const auto& moved : ended.moved) rows_[moved.owner].vector = moved.place;
  return ended;
}

// A few at a time, so that no search waits for many pages of files.
void TieredIndex::clear_removed() {
  bool are_more = true;
  while (are_more) {
    const auto lock = index_mutex_.write();
    are_more = vectors_.clear_removed(kClearedAtOnce);
  }
}

// At the first look only: after that the graph is here.
std::optional<Segment> TieredIndex::find_segment() {
  if (place_.folder == nullptr || std::exchange(has_looked_, true)) return std::nullopt;
  if (!place_.folder->has(place_.company)) return std::nullopt;
  filed_ = std::nullopt;
  return place_.folder->load(place_.company);
}

// A file that has more than the graph is removed at once, and written anew when nothing more has
// gone for a while: each writing writes all of it.
void TieredIndex::keep_segment(bool has_worked) {
  std::shared_ptr<const VectorTiers::Snapshot> snapshot;
  std::uint64_t version = 0;
  {
    const auto lock = index_mutex_.read();
    version = vectors_.graph_version();
    if (filed_ == version) return;
    quiet_looks_ = version == seen_ ? quiet_looks_ + 1 : 0;
    if (has_worked || quiet_looks_ >= kQuietLooks) snapshot = vectors_.snapshot();
  }
  seen_ = version;
  if (snapshot) {
    quiet_looks_ = 0;
    const auto segment = VectorTiers::segment_of(*snapshot);
    // All that a walk came to may have gone while the graph was made: that is no file.
    if (!segment.digests.empty() && place_.folder->save(place_.company, segment)) {
      filed_ = version;
      return;
    }
  }
  if (filed_ != 0 && place_.folder->remove(place_.company)) filed_ = 0;
}

WordCounts TieredIndex::word_counts(std::string_view query) const {
  const auto terms = samtale::words(query);

  const auto lock = index_mutex_.read();
  return words_.counts(terms);
}

std::vector<ChunkHit> TieredIndex::words(std::string_view query, std::size_t limit,
                                         const ConversationFilter& filter,
                                         const WordCounts* counts) const {
  const auto terms = samtale::words(query);

  const auto lock = index_mutex_.read();
  WordHits hits(*this, limit, filter);
  words_.search(terms, counts, hits);
  return hits.take();
}

double TieredIndex::inverse_document_frequency(std::string_view word) const {
  const auto lock = index_mutex_.read();
  return words_.inverse_document_frequency(word);
}

std::vector<ConversationId> TieredIndex::passing(const ConversationFilter& filter) const {
  const auto lock = index_mutex_.read();
  std::vector<ConversationId> ids;
  for (const auto& slot : slots_) {
    if (slot.is_used && (!filter || filter(slot.attributes))) ids.push_back(slot.id);
  }
  return ids;
}

IndexSize TieredIndex::size() const {
  const auto lock = index_mutex_.read();
  // A node of the table: the pair and the link to the next; malloc rounds it up.
  constexpr std::size_t kNodeBytes = 48;
  return {.conversations = slot_of_.size(),
          .chunks = rows_.size() - removed_rows_,
          .vectors = vectors_.size(),
          .graph_vectors = vectors_.graph_size(),
          .recall = vectors_.recall(),
          .bytes = sizeof(*this) + slot_of_.size() * kNodeBytes +
                   slot_of_.bucket_count() * sizeof(void*) + slots_.capacity() * sizeof(Slot) +
                   free_slots_.capacity() * sizeof(std::uint32_t) + rows_.capacity() * sizeof(Row) +
                   changed_.capacity() * sizeof(ConversationId) + attribute_bytes_ +
                   vectors_.bytes() + words_.bytes(),
          .mapped_bytes = vectors_.mapped_bytes()};
}

}  // namespace

std::unique_ptr<CompanyIndex> make_company_index(std::size_t dimension, const IndexOptions& options,
                                                 const SegmentPlace& place) {
  return std::make_unique<TieredIndex>(dimension, options, place);
}

}  // namespace samtale
