#include "search/index_set.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "search/stored_vector_index.h"

namespace samtale {
namespace {

// Changes are kept a while after they were applied: a second reader of the feed may be behind.
constexpr std::uint64_t kChangesKept = 100'000;

std::string as_text(const json::Value& value) {
  const auto* text = value.as_string();
  return text != nullptr ? *text : json::dump(value);
}

Attributes attributes_of(const StoredConversation& stored, std::vector<AnalysisLabel> labels) {
  const auto& conversation = stored.conversation;
  Attributes attributes{.time = conversation.started_at.value_or(stored.received_at),
                        .channel = conversation.channel,
                        .source = conversation.source,
                        .language = conversation.language,
                        .parties = {},
                        .tags = conversation.tags,
                        .metadata = {},
                        .labels = {},
                        .scores = {}};
  std::set<std::string> parties;
  for (const auto& party : conversation.parties) {
    parties.insert({party.id, party.name, party.address});
  }
  for (const auto& turn : conversation.turns) parties.insert(turn.name);
  parties.erase("");
  attributes.parties.assign(parties.begin(), parties.end());
  for (const auto& [key, value] : conversation.metadata) {
    attributes.metadata.emplace_back(key, as_text(value));
  }
  for (auto& [analyzer, label, score] : labels) {
    // An analyzer's labels follow one another, each with the one score.
    const bool is_new = attributes.scores.empty() || attributes.scores.back().first != analyzer;
    if (score && is_new) attributes.scores.emplace_back(analyzer, *score);
    if (label.empty()) continue;
    attributes.labels.emplace_back(std::move(analyzer), std::move(label));
  }
  return attributes;
}

}  // namespace

IndexSet::IndexSet(std::string model, std::size_t dimension, const IndexOptions& options,
                   SegmentFolder* segments, std::function<void(CompanyId)> on_removed)
    : model_(std::move(model)),
      dimension_(dimension),
      options_(options),
      segments_(segments),
      vectors_(nullptr),
      on_removed_(std::move(on_removed)) {}

IndexSet::IndexSet(std::string model, std::size_t dimension, const IndexOptions& options,
                   VectorSearch& vectors, std::function<void(CompanyId)> on_removed)
    : model_(std::move(model)),
      dimension_(dimension),
      options_(options),
      segments_(nullptr),
      vectors_(&vectors),
      on_removed_(std::move(on_removed)) {}

std::shared_ptr<const CompanyIndex> IndexSet::find(CompanyId company) const {
  const std::shared_lock lock(indexes_mutex_);
  const auto found = indexes_.find(company);
  return found == indexes_.end() ? nullptr : found->second;
}

std::shared_ptr<CompanyIndex> IndexSet::of(CompanyId company) {
  const std::unique_lock lock(indexes_mutex_);
  auto& index = indexes_[company];
  if (!index) {
    index = vectors_ != nullptr ? make_stored_vector_index(dimension_, options_, company, *vectors_)
                                : make_company_index(dimension_, options_,
                                                     {.folder = segments_, .company = company});
  }
  return index;
}

Result<> IndexSet::refresh(const Store& store, CompanyId company,
                           std::span<const ConversationId> conversations) {
  const auto stripe = static_cast<std::size_t>(number(company)) % refresh_mutexes_.size();
  const std::lock_guard lock(refresh_mutexes_[stripe]);
  SAMTALE_TRY(const auto stored, store.find_conversations(company, conversations));
  SAMTALE_TRY(const auto chunks, store.chunks_of(company, conversations));
  SAMTALE_TRY(auto labels, store.analysis_labels_of(company, conversations));
  if (vectors_ != nullptr) SAMTALE_TRY_VOID(vectors_->fill(company, conversations));
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    if (!stored[i]) {
      const auto index = find(company);
      if (index && of(company)->remove(conversations[i]) && on_removed_) on_removed_(company);
      continue;
    }
    std::vector<IndexChunk> entries;
    entries.reserve(chunks[i].size());
    for (const auto& item : chunks[i]) {
      const bool has_vector = item.embedding && item.embedding->model == model_;
      entries.push_back({.ordinal = item.chunk.ordinal,
                         .text = item.chunk.text,
                         .vector = has_vector ? std::span<const float>(item.embedding->vector)
                                              : std::span<const float>()});
    }
    SAMTALE_TRY_VOID(of(company)->put(conversations[i],
                                      attributes_of(*stored[i], std::move(labels[i])), entries));
  }
  return {};
}

void IndexSet::forget(const std::function<bool(CompanyId)>& which) {
  std::vector<CompanyId> dropped;
  {
    const std::unique_lock lock(indexes_mutex_);
    std::erase_if(indexes_, [&](const auto& item) {
      if (!which(item.first)) return false;
      dropped.push_back(item.first);
      return true;
    });
  }
  if (!on_removed_) return;
  for (const auto company : dropped) on_removed_(company);
}

Result<std::size_t> IndexSet::maintain(const std::stop_token& stop) {
  std::vector<std::pair<CompanyId, std::shared_ptr<CompanyIndex>>> indexes;
  {
    const std::shared_lock lock(indexes_mutex_);
    indexes.assign(indexes_.begin(), indexes_.end());
  }
  // First those with a file: it is quickly taken, and may have what is gone; a graph takes minutes.
  const auto filed = segments_ == nullptr ? std::set<CompanyId>() : segments_->companies();
  std::ranges::stable_partition(indexes,
                                [&](const auto& item) { return filed.contains(item.first); });
  std::size_t maintained = 0;
  for (const auto& [company, index] : indexes) {
    const auto done = index->maintain(stop);
    if (stop.stop_requested()) break;
    if (!done) return std::unexpected(done.error());
    maintained += *done ? 1 : 0;
  }
  if (segments_ != nullptr && !stop.stop_requested()) {
    segments_->sweep([this](CompanyId company) { return find(company) != nullptr; });
  }
  return maintained;
}

IndexSize IndexSet::size() const {
  const std::shared_lock lock(indexes_mutex_);
  IndexSize sum;
  for (const auto& [company, index] : indexes_) {
    const auto one = index->size();
    sum.conversations += one.conversations;
    sum.chunks += one.chunks;
    sum.vectors += one.vectors;
    sum.graph_vectors += one.graph_vectors;
    sum.recall = std::min(sum.recall, one.recall);
    sum.bytes += one.bytes;
    sum.mapped_bytes += one.mapped_bytes;
  }
  return sum;
}

IndexSize IndexSet::size(CompanyId company) const {
  const auto index = find(company);
  return index ? index->size() : IndexSize{};
}

std::size_t IndexSet::companies() const {
  const std::shared_lock lock(indexes_mutex_);
  return indexes_.size();
}

IndexFollower::IndexFollower(Store& store, Partition partition, IndexSet& indexes)
    : store_(store), partition_(partition), indexes_(indexes) {}

Result<> IndexFollower::load(const GoOn& go_on) {
  drop();  // What was deleted meanwhile, nothing will tell.
  is_empty_ = false;
  // Read before the scan: what changes during it is applied once more, which does no harm.
  SAMTALE_TRY(const auto begin, store_.last_change(partition_));
  constexpr std::size_t kPage = 500;
  std::optional<std::pair<CompanyId, ConversationId>> after;
  while (true) {
    if (!go_on()) {
      drop();
      return {};
    }
    SAMTALE_TRY(const auto page, store_.scan(partition_, after, kPage));
    if (page.empty()) break;
    SAMTALE_TRY_VOID(refresh(page));
    after = page.back();
  }
  set_applied(begin, ++loads_);
  return {};
}

void IndexFollower::drop() {
  if (is_empty_) return;
  set_applied(0, 0);
  indexes_.forget([this](CompanyId company) { return store_.partition_of(company) == partition_; });
  is_empty_ = true;
}

void IndexFollower::set_applied(std::uint64_t applied, std::uint64_t generation) {
  const std::lock_guard lock(applied_mutex_);
  applied_ = applied;
  generation_ = generation;
  applied_changed_.notify_all();
}

std::uint64_t IndexFollower::wait_applied(std::uint64_t sequence, Duration patience) {
  std::unique_lock lock(applied_mutex_);
  if (applied_ < sequence && is_loaded()) {
    wanted_ = std::max(wanted_, sequence);
    wanted_changed_.notify_all();
    applied_changed_.wait_for(lock, patience, [&] { return applied_ >= sequence || !is_loaded(); });
  }
  return is_loaded() ? applied_ : 0;
}

void IndexFollower::rest(Duration length, const std::stop_token& stop) {
  std::unique_lock lock(applied_mutex_);
  wanted_changed_.wait_for(lock, stop, length, [this] { return wanted_ > applied_; });
  wanted_ = 0;  // Looked for once: what is not there then comes with the next step.
}

// Sorted by company: those of one are read together, so many at a time.
Result<> IndexFollower::refresh(std::span<const std::pair<CompanyId, ConversationId>> touched) {
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t at = 0; at < touched.size();) {
    const auto company = touched[at].first;
    std::vector<ConversationId> conversations;
    for (; at < touched.size() && touched[at].first == company && conversations.size() < kAtOnce;
         ++at) {
      conversations.push_back(touched[at].second);
    }
    SAMTALE_TRY_VOID(indexes_.refresh(store_, company, conversations));
  }
  return {};
}

Result<std::size_t> IndexFollower::step(const GoOn& go_on, std::size_t limit) {
  const auto changes = store_.changes(partition_, applied_, limit);
  if (!is_loaded() || (!changes && changes.error().code == ErrorCode::not_found)) {
    SAMTALE_TRY_VOID(load(go_on));
    return 1;
  }
  if (!changes) return std::unexpected(changes.error());
  if (changes->empty()) return 0;
  std::vector<std::pair<CompanyId, ConversationId>> touched;
  for (const auto& change : *changes) touched.emplace_back(change.company, change.conversation);
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  SAMTALE_TRY_VOID(refresh(touched));
  set_applied(changes->back().sequence, generation_);
  if (applied_ > trimmed_ + 2 * kChangesKept) {
    trimmed_ = applied_ - kChangesKept;
    SAMTALE_TRY_VOID(store_.trim_changes(partition_, trimmed_));
  }
  return touched.size();
}

}  // namespace samtale
