#include "search/index_follower.h"

#include <algorithm>
#include <iterator>

namespace samtale {
namespace {

// Changes are kept a while after they were applied: a second reader of the feed may be behind.
constexpr std::uint64_t kChangesKept = 100'000;
// Conversations that are read together.
constexpr std::size_t kPage = 64;
// Between two looks at the feed, so that changes do not wait; or as much as was changed, so that
// what is opened does not wait for the end of that.
constexpr std::size_t kPages = 8;

constexpr auto kParts = {IndexFollower::Part::whole, IndexFollower::Part::share};

}  // namespace

IndexFollower::IndexFollower(Store& store, Partition partition, IndexSet& indexes,
                             FollowedSlice slice)
    : store_(store), partition_(partition), indexes_(indexes), slice_(std::move(slice)) {}

Result<> IndexFollower::load() {
  drop();  // What was deleted meanwhile, nothing will tell.
  is_empty_ = false;
  const auto layout = slice_.shares == nullptr ? nullptr : slice_.layout();
  // Whatever is opened from now on is read later than this.
  SAMTALE_TRY(const auto begin, store_.last_change(partition_));
  if (layout) layout_ = layout->last;
  arranged_ = layout;
  epoch_ = begin.epoch;
  {
    const std::lock_guard lock(applied_mutex_);
    applied_ = begin.sequence;
    feed_end_ = 0;
    is_loaded_ = true;
  }
  want_first();
  return {};
}

// Those that take longest to open, and those that something happened to at last.
void IndexFollower::want_first() {
  for (const auto part : kParts) {
    if (part == Part::share && slice_.shares == nullptr) continue;
    for (const auto company : set_of(part).filed()) {
      if (store_.partition_of(company) == partition_) want({company, part});
    }
  }
  constexpr std::uint64_t kLast = 1'000;
  const auto changes = store_.changes(
      partition_, {.sequence = applied_ - std::min(applied_, kLast), .epoch = epoch_}, kLast);
  if (!changes) return;  // They are forgotten: so in any order.
  for (auto change = changes->rbegin(); change != changes->rend(); ++change) {
    for (const auto part : kParts) want({change->company, part});
  }
}

void IndexFollower::drop() {
  if (is_empty_) return;
  {
    const std::lock_guard lock(applied_mutex_);
    applied_ = 0;
    is_loaded_ = false;
    for (auto& [key, opening] : openings_) opening->is_given_up = true;
    openings_.clear();
    asked_.clear();
    wanted_.clear();
    applied_changed_.notify_all();
  }
  is_warm_ = false;
  warmed_.reset();
  kept_.clear();
  arranged_ = nullptr;
  const auto is_of_partition = [this](CompanyId company) {
    return store_.partition_of(company) == partition_;
  };
  indexes_.forget([&](CompanyId company) { return is_of_partition(company) && is_home(company); });
  if (slice_.shares != nullptr) slice_.shares->forget(is_of_partition);
  is_empty_ = true;
}

IndexFollower::Place IndexFollower::place_of(const Key& key) const {
  if (slice_.shares == nullptr) return key.part == Part::whole ? Place::here : Place::elsewhere;
  return place_of(key, *slice_.layout());
}

IndexFollower::Place IndexFollower::place_of(const Key& key, const Layout& layout) const {
  const bool is_share = key.part == Part::share;
  if (!is_share && !is_home(key.company)) return Place::elsewhere;
  const auto found = layout.changes.find(key.company);
  if (found == layout.changes.end()) return is_share ? Place::elsewhere : Place::here;
  const auto& change = found->second;
  if (change.is_split == is_share) return change.number <= layout_ ? Place::here : Place::coming;
  return change.number <= layout.settled ? Place::elsewhere : Place::leaving;
}

bool IndexFollower::is_to_have(CompanyId company, Part part) const {
  return place_of({company, part}) != Place::elsewhere;
}

bool IndexFollower::has(CompanyId company, Part part) const {
  if (!is_loaded_) return false;
  const auto place = place_of({company, part});
  if (place == Place::coming) return set_of(part).find(company) != nullptr;
  return place != Place::elsewhere;
}

Result<std::shared_ptr<const CompanyIndex>> IndexFollower::open(CompanyId company, Part part,
                                                                Duration patience) {
  if (!has(company, part)) return nullptr;
  const auto& set = set_of(part);
  if (auto index = set.find(company)) return index;
  std::unique_lock lock(applied_mutex_);
  if (!is_loaded_) return nullptr;
  if (auto index = set.find(company)) return index;
  const auto opening = ask({company, part});
  heard_changed_.notify_all();
  applied_changed_.wait_for(lock, patience,
                            [&] { return opening->index != nullptr || opening->is_given_up; });
  if (opening->index != nullptr || opening->is_given_up) return opening->index;
  return fail(ErrorCode::unavailable, "the index of this company is still being opened");
}

std::shared_ptr<IndexFollower::Opening> IndexFollower::ask(const Key& key) {
  auto& opening = openings_[key];
  if (!opening) opening = std::make_shared<Opening>();
  if (!opening->is_asked) asked_.push_back(key);
  opening->is_asked = true;
  return opening;
}

void IndexFollower::want(const Key& key) {
  if (place_of(key) != Place::here) return;
  if (!set_of(key.part).has_room() || set_of(key.part).has(key.company)) return;
  const std::lock_guard lock(applied_mutex_);
  auto& opening = openings_[key];
  if (opening) return;
  opening = std::make_shared<Opening>();
  wanted_.push_back(key);
}

void IndexFollower::set_applied(std::uint64_t applied) {
  const std::lock_guard lock(applied_mutex_);
  applied_ = applied;
  applied_changed_.notify_all();
}

std::uint64_t IndexFollower::wait_applied(std::uint64_t sequence, Duration patience) {
  std::unique_lock lock(applied_mutex_);
  if (applied_ < sequence && is_loaded()) {
    awaited_ = std::max(awaited_, sequence);
    heard_changed_.notify_all();
    applied_changed_.wait_for(lock, patience, [&] { return applied_ >= sequence || !is_loaded(); });
  }
  return is_loaded() ? applied_ : 0;
}

void IndexFollower::heard_of(std::uint64_t sequence) {
  const std::lock_guard lock(applied_mutex_);
  if (!is_loaded() || sequence <= applied_) return;
  heard_ = std::max(heard_, sequence);
  if (sequence != kFurther) feed_end_ = std::max(feed_end_, sequence);
  heard_changed_.notify_all();
}

std::uint64_t IndexFollower::lag() const {
  const std::lock_guard lock(applied_mutex_);
  return is_loaded() && feed_end_ > applied_ ? feed_end_ - applied_ : 0;
}

void IndexFollower::rest(Duration shortest, Duration longest, const std::stop_token& stop) {
  std::unique_lock lock(applied_mutex_);
  const auto is_awaited = [this] { return awaited_ > applied_ || !asked_.empty(); };
  if (!heard_changed_.wait_for(lock, stop, shortest, is_awaited)) {
    heard_changed_.wait_for(lock, stop, longest - shortest,
                            [&] { return heard_ > applied_ || is_awaited(); });
  }
  heard_ = awaited_ = 0;  // Looked for once: what is not there then comes with the next step.
}

Result<std::size_t> IndexFollower::step(std::size_t limit) {
  const auto changes = store_.changes(partition_, {.sequence = applied_, .epoch = epoch_}, limit);
  if (!is_loaded() || (!changes && changes.error().code == ErrorCode::not_found)) {
    SAMTALE_TRY_VOID(load());
    return 1;
  }
  if (!changes) return std::unexpected(changes.error());
  std::vector<std::pair<CompanyId, ConversationId>> touched;
  if (!changes->empty()) {
    for (const auto& change : *changes) touched.emplace_back(change.company, change.conversation);
    std::ranges::sort(touched);
    touched.erase(std::ranges::unique(touched).begin(), touched.end());
    SAMTALE_TRY_VOID(refresh(touched));
    set_applied(changes->back().sequence);
    indexes_.make_room();
  }
  if (applied_ > trimmed_ + 2 * kChangesKept) {
    trimmed_ = applied_ - kChangesKept;
    SAMTALE_TRY_VOID(store_.trim_changes(partition_, trimmed_));
  }
  arrange();
  SAMTALE_TRY(const auto pages, fill_some(std::max(kPages, touched.size() / kPage)));
  return touched.size() + pages;
}

// Sorted by company: those of one are read together, so many at a time.
Result<> IndexFollower::refresh(std::span<const std::pair<CompanyId, ConversationId>> touched) {
  for (std::size_t at = 0; at < touched.size();) {
    const auto company = touched[at].first;
    std::vector<ConversationId> conversations;
    for (; at < touched.size() && touched[at].first == company && conversations.size() < kPage;
         ++at) {
      conversations.push_back(touched[at].second);
    }
    SAMTALE_TRY_VOID(refresh(company, conversations));
  }
  return {};
}

Result<> IndexFollower::refresh(CompanyId company, std::span<const ConversationId> conversations) {
  for (const auto part : kParts) {
    if (part == Part::share ? slice_.shares == nullptr : !is_home(company)) continue;
    const auto theirs = not_to_come({company, part}, conversations);
    if (theirs.empty()) continue;
    SAMTALE_TRY(const bool is_there, refresh({company, part}, theirs));
    if (!is_there) want({company, part});
  }
  return {};
}

// But for those that a page to come is to read anyway, as they are then.
std::vector<ConversationId> IndexFollower::not_to_come(
    const Key& key, std::span<const ConversationId> conversations) const {
  std::vector<ConversationId> rest(conversations.begin(), conversations.end());
  if (!set_of(key.part).has(key.company)) return rest;
  const std::lock_guard lock(applied_mutex_);
  const auto opening = openings_.find(key);
  if (opening == openings_.end()) return rest;
  std::erase_if(rest, [&](const auto& id) { return id.view() > opening->second->after.view(); });
  return rest;
}

// False if it is cold.
Result<bool> IndexFollower::refresh(const Key& key, std::span<const ConversationId> conversations) {
  if (key.part == Part::whole) return indexes_.refresh(store_, key.company, conversations);
  std::vector<ConversationId> own;
  std::ranges::copy_if(conversations, std::back_inserter(own), [this](const ConversationId& id) {
    return slice_of(id, slice_.of) == slice_.number;
  });
  if (own.empty()) return true;
  return slice_.shares->refresh(store_, key.company, own);
}

// What a change of who is split asks for is opened, and what it has made needless goes.
void IndexFollower::arrange() {
  if (slice_.shares == nullptr) return;
  const auto layout = slice_.layout();
  if (layout == arranged_) return;
  kept_.clear();
  bool is_all_here = true;
  for (const auto& [company, change] : layout->changes) {
    if (store_.partition_of(company) != partition_) continue;
    for (const auto part : kParts) {
      const Key key{company, part};
      is_all_here = arrange(key, place_of(key, *layout)) && is_all_here;
    }
  }
  if (!is_all_here) return;
  arranged_ = layout;
  layout_ = layout->last;
}

// Whether no more is to be opened for it.
bool IndexFollower::arrange(const Key& key, Place place) {
  if (place == Place::here) return true;
  const auto index = set_of(key.part).find(key.company);
  bool is_needless = place == Place::elsewhere;
  if (index && !is_needless) kept_.push_back(index);
  if (!index) {
    const std::lock_guard lock(applied_mutex_);
    if (place == Place::coming) ask(key);
    // Who splits a company and thinks better of it leaves nothing half open.
    if (place == Place::leaving && !is_waited_for(key)) is_needless = true;
  }
  if (is_needless) close(key);
  return place != Place::coming || index != nullptr;
}

bool IndexFollower::is_waited_for(const Key& key) const {
  const auto opening = openings_.find(key);
  return opening != openings_.end() && opening->second.use_count() > 1;
}

// Of those that somebody waits for, else of others while there is room.
Result<std::optional<IndexFollower::Key>> IndexFollower::next_opening() {
  if (const auto asked = next_of(asked_)) return asked;
  if (!indexes_.has_room()) {
    give_up_wanted();
    is_warm_ = true;
    return std::nullopt;
  }
  if (const auto wanted = next_of(wanted_)) return wanted;
  while (!is_warm_) {
    std::optional<std::pair<CompanyId, ConversationId>> after;
    if (warmed_) after.emplace(CompanyId{number(*warmed_) + 1}, ConversationId{});
    SAMTALE_TRY(const auto next, store_.scan(partition_, after, 1));
    is_warm_ = next.empty();
    if (next.empty()) break;
    warmed_ = next.front().first;
    for (const auto part : kParts) want({*warmed_, part});
    if (const auto wanted = next_of(wanted_)) return wanted;
  }
  return std::nullopt;
}

// Each has a page in turn, so that small ones do not wait for the end of a large one.
std::optional<IndexFollower::Key> IndexFollower::next_of(std::deque<Key>& line) {
  const std::lock_guard lock(applied_mutex_);
  while (!line.empty()) {
    const auto key = line.front();
    line.pop_front();
    if (!openings_.contains(key)) continue;
    line.push_back(key);
    return key;
  }
  return std::nullopt;
}

void IndexFollower::give_up_wanted() {
  std::vector<Key> wanted;
  {
    const std::lock_guard lock(applied_mutex_);
    for (const auto& [key, opening] : openings_) {
      if (!opening->is_asked) wanted.push_back(key);
    }
  }
  for (const auto& key : wanted) close(key);
}

Result<std::size_t> IndexFollower::fill_some(std::size_t pages_max) {
  for (std::size_t filled = 0; filled < pages_max; ++filled) {
    SAMTALE_TRY(const auto next, next_opening());
    if (!next) return filled;
    SAMTALE_TRY_VOID(fill(*next));
  }
  return pages_max;
}

// What changes of it meanwhile the feed tells.
Result<> IndexFollower::fill(const Key& key) {
  if (place_of(key) == Place::elsewhere) {
    close(key);
    return {};
  }
  auto& set = set_of(key.part);
  set.begin(key.company);
  ConversationId after{};
  {
    const std::lock_guard lock(applied_mutex_);
    after = openings_.at(key)->after;
  }
  SAMTALE_TRY(const auto page, store_.scan(partition_, std::pair(key.company, after), kPage));
  std::vector<ConversationId> conversations;
  for (const auto& [company, conversation] : page) {
    if (company == key.company) conversations.push_back(conversation);
  }
  if (!conversations.empty()) SAMTALE_TRY_VOID(refresh(key, conversations));
  const bool is_last = conversations.size() < kPage;
  const auto index = is_last ? set.complete(key.company) : nullptr;
  {
    const std::lock_guard lock(applied_mutex_);
    const auto opening = openings_.find(key);
    if (is_last) {
      opening->second->index = index;
      openings_.erase(opening);
      applied_changed_.notify_all();
    } else {
      opening->second->after = conversations.back();
    }
  }
  set.make_room();
  return {};
}

void IndexFollower::close(const Key& key) {
  if (key.part == Part::share || is_home(key.company)) {
    set_of(key.part).forget([&](CompanyId company) { return company == key.company; });
  }
  const std::lock_guard lock(applied_mutex_);
  const auto opening = openings_.find(key);
  if (opening == openings_.end()) return;
  opening->second->is_given_up = true;
  openings_.erase(opening);
  applied_changed_.notify_all();
}

}  // namespace samtale
