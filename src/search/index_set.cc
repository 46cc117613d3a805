#include "search/index_set.h"

#include <algorithm>
#include <iterator>
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

bool IndexSet::renew_graph(CompanyId company) {
  return find(company) != nullptr && of(company)->renew_graph();
}

IndexSize IndexSet::size() const {
  const std::shared_lock lock(indexes_mutex_);
  IndexSize sum;
  for (const auto& [company, index] : indexes_) sum += index->size();
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

IndexFollower::IndexFollower(Store& store, Partition partition, IndexSet& indexes,
                             FollowedSlice slice)
    : store_(store), partition_(partition), indexes_(indexes), slice_(std::move(slice)) {}

Result<> IndexFollower::load(const GoOn& go_on) {
  drop();  // What was deleted meanwhile, nothing will tell.
  is_empty_ = false;
  const auto layout = slice_.shares == nullptr ? nullptr : slice_.layout();
  if (layout) hold_as(*layout);
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
  if (layout) layout_ = layout->last;
  arranged_ = layout;
  epoch_ = begin.epoch;
  set_applied(begin.sequence, ++loads_);
  return {};
}

void IndexFollower::drop() {
  if (is_empty_) return;
  set_applied(0, 0);
  filling_.reset();
  is_filling_ = false;
  arranged_ = nullptr;
  const auto is_of_partition = [this](CompanyId company) {
    return store_.partition_of(company) == partition_;
  };
  indexes_.forget([&](CompanyId company) { return is_of_partition(company) && is_home(company); });
  if (slice_.shares != nullptr) slice_.shares->forget(is_of_partition);
  is_empty_ = true;
}

// With a load all that takes changes is there; without one nothing is.
void IndexFollower::set_applied(std::uint64_t applied, std::uint64_t generation) {
  const std::lock_guard lock(applied_mutex_);
  if (generation == 0) holdings_.clear();
  if (generation != generation_) {
    for (auto& [company, holding] : holdings_) {
      for (auto* held : {&holding.whole, &holding.share}) {
        held->generation = held->takes_changes ? generation : 0;
      }
    }
  }
  applied_ = applied;
  generation_ = generation;
  applied_changed_.notify_all();
}

std::uint64_t IndexFollower::generation_of(CompanyId company) const {
  const std::lock_guard lock(applied_mutex_);
  const auto found = holdings_.find(company);
  if (found != holdings_.end()) return found->second.whole.generation;
  return is_home(company) ? generation_.load() : 0;
}

std::uint64_t IndexFollower::share_generation_of(CompanyId company) const {
  const std::lock_guard lock(applied_mutex_);
  const auto found = holdings_.find(company);
  return found == holdings_.end() ? 0 : found->second.share.generation;
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

void IndexFollower::heard_of(std::uint64_t sequence) {
  const std::lock_guard lock(applied_mutex_);
  if (!is_loaded() || sequence <= applied_) return;
  wanted_ = std::max(wanted_, sequence);
  wanted_changed_.notify_all();
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
    SAMTALE_TRY_VOID(refresh(company, conversations));
  }
  return {};
}

Result<> IndexFollower::refresh(CompanyId company, std::span<const ConversationId> conversations) {
  const auto found = holdings_.find(company);
  const bool is_special = found != holdings_.end();
  if (is_special ? found->second.whole.takes_changes : is_home(company)) {
    SAMTALE_TRY_VOID(indexes_.refresh(store_, company, conversations));
  }
  if (is_special && found->second.share.takes_changes) {
    SAMTALE_TRY_VOID(refresh_share(company, conversations));
  }
  return {};
}

Result<> IndexFollower::refresh_share(CompanyId company,
                                      std::span<const ConversationId> conversations) {
  std::vector<ConversationId> own;
  std::ranges::copy_if(conversations, std::back_inserter(own), [this](const ConversationId& id) {
    return slice_of(id, slice_.of) == slice_.number;
  });
  if (own.empty()) return {};
  return slice_.shares->refresh(store_, company, own);
}

Result<std::size_t> IndexFollower::step(const GoOn& go_on, std::size_t limit) {
  const auto changes = store_.changes(partition_, {.sequence = applied_, .epoch = epoch_}, limit);
  if (!is_loaded() || (!changes && changes.error().code == ErrorCode::not_found)) {
    SAMTALE_TRY_VOID(load(go_on));
    return 1;
  }
  if (!changes) return std::unexpected(changes.error());
  std::vector<std::pair<CompanyId, ConversationId>> touched;
  if (!changes->empty()) {
    for (const auto& change : *changes) touched.emplace_back(change.company, change.conversation);
    std::ranges::sort(touched);
    touched.erase(std::ranges::unique(touched).begin(), touched.end());
    SAMTALE_TRY_VOID(refresh(touched));
    set_applied(changes->back().sequence, generation_);
  }
  if (applied_ > trimmed_ + 2 * kChangesKept) {
    trimmed_ = applied_ - kChangesKept;
    SAMTALE_TRY_VOID(store_.trim_changes(partition_, trimmed_));
  }
  SAMTALE_TRY(const bool has_filled, arrange());
  return touched.size() + (has_filled ? 1 : 0);
}

// What a load from the store is to give.
void IndexFollower::hold_as(const Layout& layout) {
  const std::lock_guard lock(applied_mutex_);
  for (const auto& [company, change] : layout.changes) {
    if (store_.partition_of(company) != partition_) continue;
    holdings_[company] = {.whole = {.takes_changes = is_home(company) && !change.is_split},
                          .share = {.takes_changes = change.is_split}};
  }
}

// Does a part of what a change of who is split asks for; false if there is nothing to do.
Result<bool> IndexFollower::arrange() {
  if (slice_.shares == nullptr || !is_loaded()) return false;
  const auto layout = slice_.layout();
  if (layout == arranged_) return false;
  for (const auto& [company, change] : layout->changes) {
    if (store_.partition_of(company) != partition_) continue;
    arrange(company, change, change.number <= layout->settled);
  }
  const auto next = next_filling();
  is_filling_ = next.has_value();
  if (!next) {
    filling_.reset();
    arranged_ = layout;
    layout_ = layout->last;
    return false;
  }
  if (!filling_ || filling_->company != next->company || filling_->is_share != next->is_share) {
    filling_ = next;
  }
  SAMTALE_TRY_VOID(fill());
  return true;
}

void IndexFollower::arrange(CompanyId company, const Layout::Change& change, bool is_settled) {
  if (!holdings_.contains(company)) {  // Until now it was like any other.
    const Held whole{.takes_changes = is_home(company),
                     .generation = is_home(company) ? generation_.load() : 0};
    const std::lock_guard lock(applied_mutex_);
    holdings_[company] = {.whole = whole, .share = {}};
  }
  arrange(company, false, is_home(company) && !change.is_split, !is_settled);
  arrange(company, true, change.is_split, !is_settled);
}

// What is there stays while others may ask for it; what is there in part goes if it is not wanted.
void IndexFollower::arrange(CompanyId company, bool is_share, bool must_be_here, bool may_stay) {
  auto& holding = holdings_.at(company);
  auto& held = is_share ? holding.share : holding.whole;
  const bool goes = held.takes_changes && !must_be_here && (!may_stay || held.generation == 0);
  const bool comes = must_be_here && !held.takes_changes;
  if (!goes && !comes) return;
  {
    const std::lock_guard lock(applied_mutex_);
    held = {.takes_changes = comes, .generation = 0};
  }
  auto& indexes = is_share ? *slice_.shares : indexes_;
  indexes.forget([&](CompanyId other) { return other == company; });
}

std::optional<IndexFollower::Filling> IndexFollower::next_filling() const {
  for (const auto& [company, holding] : holdings_) {
    for (const bool is_share : {false, true}) {
      const auto& held = is_share ? holding.share : holding.whole;
      if (held.takes_changes && held.generation == 0) {
        return Filling{.company = company, .is_share = is_share};
      }
    }
  }
  return std::nullopt;
}

// A page, so that the other companies' changes do not wait. What changes meanwhile the feed tells.
Result<> IndexFollower::fill() {
  constexpr std::size_t kPage = 500;
  const auto company = filling_->company;
  SAMTALE_TRY(const auto page, store_.scan(partition_, std::pair(company, filling_->after), kPage));
  std::vector<ConversationId> conversations;
  for (const auto& [owner, conversation] : page) {
    if (owner == company) conversations.push_back(conversation);
  }
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t at = 0; at < conversations.size(); at += kAtOnce) {
    const auto some =
        std::span(conversations).subspan(at, std::min(kAtOnce, conversations.size() - at));
    SAMTALE_TRY_VOID(filling_->is_share ? refresh_share(company, some)
                                        : indexes_.refresh(store_, company, some));
  }
  if (conversations.size() == kPage) {
    filling_->after = conversations.back();
    return {};
  }
  auto& holding = holdings_.at(company);
  const std::lock_guard lock(applied_mutex_);
  (filling_->is_share ? holding.share : holding.whole).generation = ++loads_;
  filling_.reset();
  return {};
}

}  // namespace samtale
