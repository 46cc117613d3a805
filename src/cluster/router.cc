#include "cluster/router.h"

#include <algorithm>
#include <utility>

namespace samtale {
namespace {

constexpr std::size_t kAttempts = 4;
constexpr Duration kShortest = std::chrono::milliseconds(50);
constexpr Duration kLongest = std::chrono::seconds(1);
// Looked at again after so many answers.
constexpr std::size_t kLookEvery = 32;

}  // namespace

void Router::set_members(std::vector<Member> members) {
  const std::lock_guard lock(members_mutex_);
  members_ = std::move(members);
}

Router::Choice Router::choose(std::size_t partition, const std::vector<std::string>& tried) {
  const std::lock_guard lock(members_mutex_);
  std::vector<const std::string*> able;
  for (const auto& member : members_) {
    if (member.url.empty() || !has(member.ready, partition)) continue;
    if (std::ranges::find(tried, member.url) == tried.end()) able.push_back(&member.url);
  }
  if (able.empty()) {
    stats_.refused += tried.empty() ? 1 : 0;
    return {};
  }
  const auto chance = random_.bytes(2);
  const auto& first = *able[static_cast<unsigned char>(chance[0]) % able.size()];
  const auto& second = *able[static_cast<unsigned char>(chance[1]) % able.size()];
  const auto& url = under_way_[second] < under_way_[first] ? second : first;
  ++under_way_[url];
  ++stats_.sent;
  stats_.sent_again += tried.empty() ? 0 : 1;
  return {.url = url, .is_last = able.size() == 1};
}

Result<HttpAnswer> Router::send(std::size_t partition, HttpCall call) {
  const auto path = std::exchange(call.url, {});
  const auto timeout = call.timeout;
  std::vector<std::string> tried;
  Result<HttpAnswer> last = fail(ErrorCode::unavailable,
                                 "no node that is there has the index of this company; one is "
                                 "loading it, or there is none of role searcher");
  while (tried.size() < kAttempts) {
    const auto choice = choose(partition, tried);
    if (choice.url.empty()) return last;
    tried.push_back(choice.url);
    const bool is_last = choice.is_last || tried.size() == kAttempts;
    call.url = choice.url + path;
    call.timeout = is_last ? timeout : std::min(timeout, patience());
    const auto begin = clock_.now();
    last = http_client_.call(call);
    if (last && last->status == 200) note_answer(clock_.now() - begin);
    {
      const std::lock_guard lock(members_mutex_);
      const auto counted = under_way_.find(choice.url);
      if (--counted->second == 0) under_way_.erase(counted);
    }
    if (last && last->status != 503) return last;
  }
  return last;
}

void Router::note_answer(Duration took) {
  const std::lock_guard lock(members_mutex_);
  recent_[answers_++ % recent_.size()] = took;
  if (answers_ < recent_.size() || answers_ % kLookEvery != 0) return;
  auto sorted = recent_;
  const auto place = sorted.begin() + sorted.size() * 95 / 100;
  std::ranges::nth_element(sorted, place);
  patience_ = std::clamp(2 * *place, kShortest, kLongest);
}

Duration Router::patience() const {
  const std::lock_guard lock(members_mutex_);
  return patience_;
}

RouterStats Router::stats() const {
  const std::lock_guard lock(members_mutex_);
  return stats_;
}

}  // namespace samtale
