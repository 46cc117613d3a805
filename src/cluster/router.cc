#include "cluster/router.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace samtale {
namespace {

constexpr std::size_t kAttempts = 4;
constexpr Duration kShortest = std::chrono::milliseconds(10);
constexpr Duration kLongest = std::chrono::seconds(1);
// Looked at again after so many answers.
constexpr std::size_t kLookEvery = 32;
// What a request adds to the budget of hedges.
constexpr double kHedgeShare = 0.05;

bool is_able(const Member& member, std::size_t slice, std::uint64_t layout) {
  return !member.url.empty() && has(member.ready, slice) && member.layout >= layout;
}

bool is_answer(const Result<HttpAnswer>& result) { return result && result->status != 503; }

}  // namespace

struct Router::Race {
  enum class Hedge : std::uint8_t { none, watched, under_way, ended };

  std::size_t slice = 0;
  std::uint64_t layout = 0;
  HttpCall call;  // Its URL is the path.
  // Ends the one when the other has answered.
  std::stop_source first_stop;
  std::stop_source hedge_stop;
  std::condition_variable hedge_ended;
  // All below guarded by members_mutex_.
  std::vector<std::string> tried;
  Hedge hedge = Hedge::none;
  Late::iterator place;  // While it is watched.
  std::optional<Result<HttpAnswer>> hedge_answer;
};

void Router::set_members(std::vector<Member> members) {
  const std::lock_guard lock(members_mutex_);
  members_ = std::move(members);
}

Router::Choice Router::choose(Race& race, std::uint64_t RouterStats::*counter) {
  const std::lock_guard lock(members_mutex_);
  std::vector<const std::string*> able;
  for (const auto& member : members_) {
    if (!is_able(member, race.slice, race.layout)) continue;
    if (std::ranges::find(race.tried, member.url) == race.tried.end()) {
      able.push_back(&member.url);
    }
  }
  if (able.empty() || race.tried.size() == kAttempts) {
    stats_.refused += race.tried.empty() ? 1 : 0;
    return {};
  }
  const auto chance = random_.bytes(2);
  const auto place = static_cast<unsigned char>(chance[0]) % able.size();
  const auto others = std::max<std::size_t>(1, able.size() - 1);
  const auto next = place + 1 + static_cast<unsigned char>(chance[1]) % others;
  const auto& first = *able[place];
  const auto& second = *able[next % able.size()];
  const auto& url = under_way_[second] < under_way_[first] ? second : first;
  ++under_way_[url];
  ++(stats_.*counter);
  race.tried.push_back(url);
  return {.url = url, .is_last = able.size() == 1 || race.tried.size() == kAttempts};
}

Result<HttpAnswer> Router::ask(const Choice& choice, const Race& race,
                               const std::stop_token& stop) {
  auto call = race.call;
  call.url = choice.url + race.call.url;
  if (!choice.is_last) call.timeout = std::min(call.timeout, give_up_after());
  call.stop = stop;
  const auto begin = clock_.now();
  auto answer = http_client_.call(call);
  // A first that was stopped as late would have taken longer still.
  const bool was_late = stop.stop_requested() && stop == race.first_stop.get_token();
  if ((answer && answer->status == 200) || was_late) note_answer(clock_.now() - begin);
  const std::lock_guard lock(members_mutex_);
  const auto counted = under_way_.find(choice.url);
  if (--counted->second == 0) under_way_.erase(counted);
  return answer;
}

bool Router::knows_one(std::size_t slice, std::uint64_t layout) const {
  const std::lock_guard lock(members_mutex_);
  return std::ranges::any_of(members_,
                             [&](const Member& member) { return is_able(member, slice, layout); });
}

Result<HttpAnswer> Router::send(std::size_t slice, HttpCall call, std::uint64_t layout) {
  const auto race = std::make_shared<Race>();
  race->slice = slice;
  race->layout = layout;
  race->call = std::move(call);
  auto choice = choose(*race, &RouterStats::sent);
  if (choice.url.empty()) {
    return fail(ErrorCode::unavailable,
                "no node that is there has the index of this company; one is loading it, or there "
                "is none of role searcher");
  }
  if (!choice.is_last) begin_watch(race);
  auto answer = ask(choice, *race, race->first_stop.get_token());
  if (!choice.is_last) answer = end_watch(*race, std::move(answer));
  while (!is_answer(answer)) {
    choice = choose(*race, &RouterStats::sent_again);
    if (choice.url.empty()) break;
    answer = ask(choice, *race, {});
  }
  return answer;
}

void Router::begin_watch(const std::shared_ptr<Race>& race) {
  const auto late = clock_.now() + hedge_after();
  const std::lock_guard lock(members_mutex_);
  budget_ = std::min(budget_ + kHedgeShare, kBudgetMax);
  race->hedge = Race::Hedge::watched;
  race->place = watched_.emplace(late, race);
  if (race->place == watched_.begin()) watched_changed_.notify_one();
}

// The answer of whoever has one: of the first, else of the hedge, which is waited for.
Result<HttpAnswer> Router::end_watch(Race& race, Result<HttpAnswer> first) {
  std::unique_lock lock(members_mutex_);
  if (race.hedge == Race::Hedge::watched) {
    watched_.erase(race.place);
    race.hedge = Race::Hedge::none;
  }
  if (race.hedge == Race::Hedge::none) return first;
  if (is_answer(first)) {
    lock.unlock();
    race.hedge_stop.request_stop();
    return first;
  }
  race.hedge_ended.wait(lock, [&] { return race.hedge == Race::Hedge::ended; });
  if (!race.hedge_answer) return first;
  stats_.hedges_won += is_answer(*race.hedge_answer) ? 1 : 0;
  return *std::move(race.hedge_answer);
}

std::shared_ptr<Router::Race> Router::take_late() {
  const std::lock_guard lock(members_mutex_);
  while (!watched_.empty() && watched_.begin()->first <= clock_.now()) {
    auto race = std::move(watched_.begin()->second);
    watched_.erase(watched_.begin());
    race->hedge = budget_ < 1 ? Race::Hedge::none : Race::Hedge::under_way;
    if (budget_ < 1) {
      ++stats_.hedges_held;
      continue;
    }
    --budget_;
    watched_changed_.notify_one();  // While this thread waits for an answer.
    return race;
  }
  return nullptr;
}

bool Router::hedge(const std::stop_token& stop) {
  const auto race = take_late();
  if (!race) return false;
  const std::stop_callback stop_it(stop, [&] { race->hedge_stop.request_stop(); });
  const auto choice = choose(*race, &RouterStats::hedges);
  std::optional<Result<HttpAnswer>> answer;
  if (!choice.url.empty()) answer = ask(choice, *race, race->hedge_stop.get_token());
  const bool has_won = answer && is_answer(*answer);
  {
    const std::lock_guard lock(members_mutex_);
    race->hedge_answer = std::move(answer);
    race->hedge = Race::Hedge::ended;
    race->hedge_ended.notify_all();
  }
  if (has_won) race->first_stop.request_stop();
  return true;
}

void Router::run_hedges(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (hedge(stop)) continue;
    std::unique_lock lock(members_mutex_);
    const auto next = watched_.empty() ? std::nullopt : std::optional(watched_.begin()->first);
    const auto has_changed = [&] {
      return !watched_.empty() && (!next || watched_.begin()->first < *next);
    };
    if (next) {
      watched_changed_.wait_for(lock, stop, *next - clock_.now(), has_changed);
    } else {
      watched_changed_.wait(lock, stop, has_changed);
    }
  }
}

void Router::note_answer(Duration took) {
  const std::lock_guard lock(members_mutex_);
  recent_[answers_++ % recent_.size()] = took;
  if (answers_ < recent_.size() || answers_ % kLookEvery != 0) return;
  auto sorted = recent_;
  const auto place = sorted.begin() + sorted.size() * 95 / 100;
  std::ranges::nth_element(sorted, place);
  percentile_ = *place;
}

Duration Router::percentile() const {
  const std::lock_guard lock(members_mutex_);
  return percentile_;
}

Duration Router::hedge_after() const { return std::clamp(percentile(), kShortest, kLongest); }

Duration Router::give_up_after() const { return std::max(2 * percentile(), kLongest); }

RouterStats Router::stats() const {
  const std::lock_guard lock(members_mutex_);
  return stats_;
}

}  // namespace samtale
