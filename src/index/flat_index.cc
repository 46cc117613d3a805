#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "index/company_index.h"
#include "index/fair_shared_mutex.h"
#include "index/top_hits.h"
#include "index/vector_rows.h"
#include "index/word_index.h"
#include "text/words.h"

namespace samtale {
namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
constexpr double kUnitTolerance = 1e-3;

// Vectors scored at a time: their scores stay in the L1 cache.
constexpr std::size_t kBlock = 256;

// With fewer vectors for each hit wanted most are looked at anyway, and their codes are not worth
// reading.
constexpr std::size_t kCodesFrom = 8;

// Removed rows are tidied up when there are many, and half as many as live ones: each removal then
// pays for three rows at most, and a small company holds little that is dead.
constexpr std::size_t kRemovedRowsMin = 64;

// Rows are counted in 32 bits; this is far beyond what a machine holds.
constexpr std::size_t kRowsMax = std::size_t{1} << 31;

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
  return bytes;
}

// Every vector is compared, at least by its code, and every posting read. Exact by construction,
// and what any other index is measured against.
class FlatIndex final : public CompanyIndex {
 public:
  explicit FlatIndex(std::size_t dimension) : dimension_(dimension), vectors_(dimension) {}

  Result<> put(ConversationId conversation, Attributes attributes,
               std::span<const IndexChunk> chunks) override;
  void remove(ConversationId conversation) override;
  Result<std::vector<ChunkHit>> nearest(std::span<const float> query, std::size_t limit,
                                        const ConversationFilter& filter) const override;
  std::vector<ChunkHit> words(std::string_view query, std::size_t limit,
                              const ConversationFilter& filter) const override;
  double inverse_document_frequency(std::string_view word) const override;
  IndexSize size() const override;

 private:
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
    VectorRows::Place vector = kNone;  // kNone: has none.
    std::uint64_t text_hash = 0;
  };

  Result<> check(std::span<const IndexChunk> chunks) const;
  std::uint32_t take_slot();
  // Whether the conversation is there with these chunks' texts, in this order.
  bool has_texts(ConversationId conversation, std::span<const IndexChunk> chunks,
                 std::span<const std::uint64_t> hashes) const;
  void put_same_texts(ConversationId conversation, Attributes attributes,
                      std::span<const IndexChunk> chunks);
  void remove_locked(ConversationId conversation);
  void remove_vector(VectorRows::Place place);
  void compact_if_due();
  void forget_unused_slots();
  std::vector<bool> allowed_slots(const ConversationFilter& filter) const;
  ChunkHit hit(const Row& row, float score) const;

  const std::size_t dimension_;
  mutable FairSharedMutex index_mutex_;  // Guards all below.
  std::unordered_map<ConversationId, std::uint32_t> slot_of_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Row> rows_;  // A conversation's lie together, in its order of chunks.
  std::size_t removed_rows_ = 0;
  std::size_t attribute_bytes_ = 0;
  VectorRows vectors_;
  WordIndex words_;
};

Result<> FlatIndex::check(std::span<const IndexChunk> chunks) const {
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

std::uint32_t FlatIndex::take_slot() {
  if (free_slots_.empty()) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const auto slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

bool FlatIndex::has_texts(ConversationId conversation, std::span<const IndexChunk> chunks,
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

void FlatIndex::put_same_texts(ConversationId conversation, Attributes attributes,
                               std::span<const IndexChunk> chunks) {
  auto& slot = slots_[slot_of_.at(conversation)];
  attribute_bytes_ += attribute_bytes(attributes) - attribute_bytes(slot.attributes);
  slot.attributes = std::move(attributes);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto r = static_cast<std::uint32_t>(slot.rows_begin + i);
    if (rows_[r].vector != kNone) remove_vector(rows_[r].vector);
    rows_[r].vector = chunks[i].vector.empty() ? kNone : vectors_.add(r, chunks[i].vector);
  }
}

Result<> FlatIndex::put(ConversationId conversation, Attributes attributes,
                        std::span<const IndexChunk> chunks) {
  SAMTALE_TRY_VOID(check(chunks));
  std::vector<std::uint64_t> hashes;
  hashes.reserve(chunks.size());
  for (const auto& chunk : chunks) {
    hashes.push_back(std::hash<std::string_view>{}(chunk.text));
  }
  {
    // Vectors come after the words: then the words are there.
    const auto lock = index_mutex_.write();
    if (has_texts(conversation, chunks, hashes)) {
      put_same_texts(conversation, std::move(attributes), chunks);
      return {};
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
  remove_locked(conversation);
  const auto slot = take_slot();
  slot_of_.emplace(conversation, slot);
  attribute_bytes_ += attribute_bytes(attributes);
  slots_[slot] = {.id = conversation,
                  .attributes = std::move(attributes),
                  .rows_begin = static_cast<std::uint32_t>(rows_.size()),
                  .rows = static_cast<std::uint32_t>(chunks.size()),
                  .is_used = true};
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    Row row{.slot = slot, .ordinal = chunks[i].ordinal, .text_hash = hashes[i]};
    if (!chunks[i].vector.empty()) {
      row.vector = vectors_.add(static_cast<std::uint32_t>(rows_.size()), chunks[i].vector);
    }
    rows_.push_back(row);
    words_.add(terms[i]);
  }
  compact_if_due();
  return {};
}

void FlatIndex::remove(ConversationId conversation) {
  const auto lock = index_mutex_.write();
  remove_locked(conversation);
  compact_if_due();
}

void FlatIndex::remove_locked(ConversationId conversation) {
  const auto found = slot_of_.find(conversation);
  if (found == slot_of_.end()) return;
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
}

void FlatIndex::remove_vector(VectorRows::Place place) {
  vectors_.remove(place);
  if (place < vectors_.size()) rows_[vectors_.owner(place)].vector = place;
}

void FlatIndex::compact_if_due() {
  const auto live = rows_.size() - removed_rows_;
  if (removed_rows_ < kRemovedRowsMin || removed_rows_ < live / 2) return;
  std::vector<std::uint32_t> new_rows(rows_.size(), WordIndex::kRemoved);
  std::vector<Row> kept;
  kept.reserve(live);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const auto& row = rows_[r];
    if (row.slot == kNone) continue;
    new_rows[r] = static_cast<std::uint32_t>(kept.size());
    if (row.vector != kNone) vectors_.set_owner(row.vector, new_rows[r]);
    kept.push_back(row);
  }
  for (auto& slot : slots_) {
    if (slot.rows > 0) slot.rows_begin = new_rows[slot.rows_begin];
  }
  rows_ = std::move(kept);
  removed_rows_ = 0;
  words_.compact(new_rows);
  vectors_.shrink();
  forget_unused_slots();
}

void FlatIndex::forget_unused_slots() {
  std::vector<Slot> kept;
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

std::vector<bool> FlatIndex::allowed_slots(const ConversationFilter& filter) const {
  std::vector<bool> allowed(slots_.size());
  for (std::size_t s = 0; s < slots_.size(); ++s) {
    allowed[s] = slots_[s].is_used && (!filter || filter(slots_[s].attributes));
  }
  return allowed;
}

ChunkHit FlatIndex::hit(const Row& row, float score) const {
  return {.conversation = slots_[row.slot].id, .ordinal = row.ordinal, .score = score};
}

Result<std::vector<ChunkHit>> FlatIndex::nearest(std::span<const float> query, std::size_t limit,
                                                 const ConversationFilter& filter) const {
  if (dimension_ == 0) return std::vector<ChunkHit>();
  SAMTALE_TRY(const auto length, checked_length(query, dimension_));
  std::vector<float> unit(query.begin(), query.end());
  for (auto& value : unit) value = static_cast<float>(value / length);

  const auto lock = index_mutex_.read();
  const auto allowed = allowed_slots(filter);
  const auto is_allowed = [&](std::size_t place) {
    return allowed[rows_[vectors_.owner(static_cast<VectorRows::Place>(place))].slot];
  };
  const bool by_code = vectors_.size() / kCodesFrom >= limit;
  const auto code = by_code ? encode_query(unit) : QueryCode();
  TopHits top(limit);
  // By code only what a score can be at most.
  std::array<float, kBlock> scores;
  for (std::size_t begin = 0; begin < vectors_.size();) {
    if (filter && !is_allowed(begin)) {
      ++begin;
      continue;
    }
    auto end = std::min(begin + kBlock, vectors_.size());
    if (filter) {
      for (auto i = begin + 1; i < end; ++i) {
        if (!is_allowed(i)) end = i;
      }
    }
    const auto first = static_cast<VectorRows::Place>(begin);
    if (by_code) {
      vectors_.bounds(code, first, end - begin, scores.data());
    } else {
      vectors_.dot(unit, first, end - begin, scores.data());
    }
    for (auto i = begin; i < end; ++i) {
      auto score = scores[i - begin];
      if (score < top.score_min()) continue;
      if (by_code) score = vectors_.dot(unit, static_cast<VectorRows::Place>(i));
      if (score < top.score_min()) continue;
      top.offer(hit(rows_[vectors_.owner(static_cast<VectorRows::Place>(i))], score));
    }
    begin = end;
  }
  return std::move(top).take();
}

std::vector<ChunkHit> FlatIndex::words(std::string_view query, std::size_t limit,
                                       const ConversationFilter& filter) const {
  const auto terms = samtale::words(query);

  const auto lock = index_mutex_.read();
  const auto scores = words_.scores(terms);
  const auto allowed = allowed_slots(filter);
  TopHits top(limit);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    if (scores[r] <= 0 || scores[r] < top.score_min()) continue;
    const auto& row = rows_[r];
    if (row.slot != kNone && allowed[row.slot]) top.offer(hit(row, scores[r]));
  }
  return std::move(top).take();
}

double FlatIndex::inverse_document_frequency(std::string_view word) const {
  const auto lock = index_mutex_.read();
  return words_.inverse_document_frequency(word);
}

IndexSize FlatIndex::size() const {
  const auto lock = index_mutex_.read();
  // A node of the table: the pair and the link to the next; malloc rounds it up.
  constexpr std::size_t kNodeBytes = 48;
  return {.conversations = slot_of_.size(),
          .chunks = rows_.size() - removed_rows_,
          .vectors = vectors_.size(),
          .bytes = sizeof(*this) + slot_of_.size() * kNodeBytes +
                   slot_of_.bucket_count() * sizeof(void*) + slots_.capacity() * sizeof(Slot) +
                   free_slots_.capacity() * sizeof(std::uint32_t) + rows_.capacity() * sizeof(Row) +
                   attribute_bytes_ + vectors_.bytes() + words_.bytes()};
}

}  // namespace

std::unique_ptr<CompanyIndex> make_flat_index(std::size_t dimension) {
  return std::make_unique<FlatIndex>(dimension);
}

}  // namespace samtale
