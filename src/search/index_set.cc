#include "search/index_set.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "search/stored_vector_index.h"

namespace samtale {
namespace {

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
                   SegmentFolder* segments, std::function<void(CompanyId)> on_removed,
                   IndexBudget* budget)
    : model_(std::move(model)),
      dimension_(dimension),
      options_(options),
      segments_(segments),
      vectors_(nullptr),
      on_removed_(std::move(on_removed)),
      budget_(budget) {
  if (budget_ != nullptr) budget_->join(*this);
}

IndexSet::IndexSet(std::string model, std::size_t dimension, const IndexOptions& options,
                   VectorSearch& vectors, std::function<void(CompanyId)> on_removed,
                   IndexBudget* budget)
    : model_(std::move(model)),
      dimension_(dimension),
      options_(options),
      segments_(nullptr),
      vectors_(&vectors),
      on_removed_(std::move(on_removed)),
      budget_(budget) {
  if (budget_ != nullptr) budget_->join(*this);
}

IndexSet::~IndexSet() {
  if (budget_ != nullptr) budget_->leave(*this);
}

std::shared_ptr<const CompanyIndex> IndexSet::find(CompanyId company) const {
  const std::shared_lock lock(indexes_mutex_);
  const auto found = indexes_.find(company);
  if (found == indexes_.end() || !found->second.is_open) return nullptr;
  note_use(found->second);
  return found->second.index;
}

bool IndexSet::has(CompanyId company) const { return held(company) != nullptr; }

std::shared_ptr<CompanyIndex> IndexSet::held(CompanyId company) const {
  const std::shared_lock lock(indexes_mutex_);
  const auto found = indexes_.find(company);
  return found == indexes_.end() ? nullptr : found->second.index;
}

void IndexSet::note_use(const Held& held) const {
  if (budget_ != nullptr) held.used = budget_->next_use();
}

void IndexSet::begin(CompanyId company) {
  if (has(company)) return;
  std::shared_ptr<CompanyIndex> index =
      vectors_ != nullptr
          ? make_stored_vector_index(dimension_, options_, company, *vectors_)
          : make_company_index(dimension_, options_, {.folder = segments_, .company = company});
  const std::unique_lock lock(indexes_mutex_);
  indexes_[company].index = std::move(index);
}

std::shared_ptr<const CompanyIndex> IndexSet::complete(CompanyId company) {
  const auto index = held(company);
  count_bytes(company, *index);  // Also of one that has nothing.
  const std::unique_lock lock(indexes_mutex_);
  auto& held = indexes_.at(company);
  held.is_open = true;
  note_use(held);
  return index;
}

void IndexSet::count_bytes(CompanyId company, const CompanyIndex& index) {
  if (budget_ == nullptr) return;
  const auto bytes = index.size().bytes;
  const std::unique_lock lock(indexes_mutex_);
  const auto found = indexes_.find(company);
  if (found == indexes_.end() || found->second.index.get() != &index) return;
  budget_->add(bytes - found->second.bytes);
  found->second.bytes = bytes;
}

Result<bool> IndexSet::refresh(const Store& store, CompanyId company,
                               std::span<const ConversationId> conversations) {
  const auto stripe = static_cast<std::size_t>(number(company)) % refresh_mutexes_.size();
  const std::lock_guard lock(refresh_mutexes_[stripe]);
  const auto index = held(company);  // Which does not leave while this has it.
  if (!index) {
    SAMTALE_TRY_VOID(forget_graph(store, company, conversations));
    return false;
  }
  SAMTALE_TRY(const auto stored, store.find_conversations(company, conversations));
  SAMTALE_TRY(const auto chunks, store.chunks_of(company, conversations));
  SAMTALE_TRY(auto labels, store.analysis_labels_of(company, conversations));
  if (vectors_ != nullptr) SAMTALE_TRY_VOID(vectors_->fill(company, conversations));
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    if (!stored[i]) {
      if (index->remove(conversations[i]) && on_removed_) on_removed_(company);
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
    SAMTALE_TRY_VOID(
        index->put(conversations[i], attributes_of(*stored[i], std::move(labels[i])), entries));
  }
  count_bytes(company, *index);
  const std::shared_lock reading(indexes_mutex_);
  const auto found = indexes_.find(company);
  if (found != indexes_.end()) note_use(found->second);
  return true;
}

// Of what was erased no file may tell, nor while nobody has the index, which would tidy up.
Result<> IndexSet::forget_graph(const Store& store, CompanyId company,
                                std::span<const ConversationId> changed) {
  if (segments_ == nullptr || !segments_->has(company)) return {};
  SAMTALE_TRY(const auto stored, store.find_summaries(company, changed));
  const bool are_all_there = std::ranges::all_of(stored, [](const auto& one) { return !!one; });
  if (are_all_there || segments_->remove(company)) return {};
  return fail(ErrorCode::unavailable, "a graph's file with what was erased cannot be removed");
}

void IndexSet::forget(const std::function<bool(CompanyId)>& which) {
  std::vector<CompanyId> dropped;
  {
    const std::unique_lock lock(indexes_mutex_);
    std::erase_if(indexes_, [&](const auto& item) {
      if (!which(item.first)) return false;
      dropped.push_back(item.first);
      if (budget_ != nullptr) budget_->add(-item.second.bytes);
      return true;
    });
  }
  if (!on_removed_) return;
  for (const auto company : dropped) on_removed_(company);
}

bool IndexSet::evict(CompanyId company) {
  decltype(indexes_)::node_type gone;  // Ends without the lock: that takes its time.
  {
    const std::unique_lock lock(indexes_mutex_);
    const auto found = indexes_.find(company);
    // With the lock nobody else can get it who has not.
    if (found == indexes_.end() || !found->second.is_open || found->second.index.use_count() > 1) {
      return false;
    }
    budget_->add(-found->second.bytes);
    gone = indexes_.extract(found);
  }
  if (on_removed_) on_removed_(company);
  return true;
}

void IndexSet::for_each_open(const Visit& visit) const {
  const std::shared_lock lock(indexes_mutex_);
  for (const auto& [company, held] : indexes_) {
    if (held.is_open) visit(company, held.used, held.bytes);
  }
}

void IndexSet::make_room() {
  if (budget_ != nullptr) budget_->make_room();
}

bool IndexSet::has_room() const { return budget_ == nullptr || budget_->has_room(); }

std::set<CompanyId> IndexSet::filed() const {
  return segments_ == nullptr ? std::set<CompanyId>() : segments_->companies();
}

Result<std::size_t> IndexSet::maintain(const std::stop_token& stop,
                                       const std::function<bool(CompanyId)>& is_here) {
  std::vector<CompanyId> open;
  for_each_open([&](CompanyId company, std::uint64_t, std::size_t) { open.push_back(company); });
  // First those with a file: it is quickly taken, and may have what is gone; a graph takes minutes.
  const auto with_file = filed();
  std::ranges::stable_partition(open,
                                [&](CompanyId company) { return with_file.contains(company); });
  std::size_t maintained = 0;
  for (const auto company : open) {
    const auto index = held(company);
    if (!index) continue;  // It has left.
    const auto done = index->maintain(stop);
    if (stop.stop_requested()) break;
    if (!done) return std::unexpected(done.error());
    if (!*done) continue;
    count_bytes(company, *index);
    ++maintained;
  }
  if (segments_ != nullptr && !stop.stop_requested()) {
    segments_->sweep([&](CompanyId company) { return has(company) || is_here(company); });
  }
  return maintained;
}

bool IndexSet::renew_graph(CompanyId company) {
  const auto index = held(company);
  return index && index->renew_graph();
}

IndexSize IndexSet::size() const {
  const std::shared_lock lock(indexes_mutex_);
  IndexSize sum;
  for (const auto& [company, held] : indexes_) sum += held.index->size();
  return sum;
}

IndexSize IndexSet::size(CompanyId company) const {
  const auto index = find(company);
  return index ? index->size() : IndexSize{};
}

std::size_t IndexSet::companies() const {
  std::size_t count = 0;
  for_each_open([&](CompanyId, std::uint64_t, std::size_t) { ++count; });
  return count;
}

}  // namespace samtale
