#include "notify/subscriptions.h"

#include <algorithm>
#include <mutex>

#include "base/bytes.h"
#include "notify/target_url.h"

namespace samtale {
namespace {

constexpr std::string_view kIdPrefix = "sub_";
constexpr std::size_t kIdBytes = 10;      // Unique, not secret.
constexpr std::size_t kSecretBytes = 24;  // Standard Webhooks, "Signature scheme": 24 to 64.

bool is_active(const SubscriptionRecord& record) {
  return !record.revoked_at && record.paused_why.empty();
}

bool wants(const SubscriptionRecord& record, std::string_view event) {
  return record.events.empty() || std::ranges::count(record.events, event) > 0;
}

std::unexpected<Error> absent() {
  return fail(ErrorCode::not_found, "there is no such subscription");
}

Result<> check_events(const std::vector<std::string>& events) {
  for (const auto& event : events) {
    if (std::ranges::count(kNotifyEvents, event) == 0) {
      std::string known;
      for (const auto one : kNotifyEvents) known += (known.empty() ? "" : ", ") + std::string(one);
      return fail(ErrorCode::invalid_argument,
                  "/events: must hold " + known + "; got \"" + event.substr(0, 64) + "\"");
    }
  }
  return {};
}

}  // namespace

Subscriptions::Subscriptions(Registry& registry, const Clock& clock, Random& random,
                             SubscriptionOptions options)
    : registry_(registry), clock_(clock), random_(random), options_(std::move(options)) {}

Result<> Subscriptions::load() {
  const std::lock_guard changing(changes_mutex_);
  return load_all();
}

Result<> Subscriptions::refresh() {
  const std::lock_guard changing(changes_mutex_);
  return load_if_newer();
}

Result<> Subscriptions::load_if_newer() {
  SAMTALE_TRY(const bool has_news, seen_.has_news());
  return has_news ? load_all() : Result<>();
}

Result<> Subscriptions::load_all() {
  SAMTALE_TRY(const auto version, seen_.read());  // First: what follows is at least as new.
  SAMTALE_TRY(auto records, registry_.subscriptions());
  const std::unique_lock lock(records_mutex_);
  seen_.loaded(version);
  records_.clear();
  for (auto& record : records) {
    auto& place = records_[record.company][record.id];
    place = std::make_shared<SubscriptionRecord>(std::move(record));
  }
  return {};
}

Result<SubscriptionRecord> Subscriptions::create(CompanyId company, const NewSubscription& wanted) {
  const TargetRules rules{.allow_http = options_.allow_http,
                          .ports = options_.ports,
                          .may_connect = options_.may_connect};
  if (auto right = check_target_url(wanted.url, rules); !right) {
    return std::unexpected(std::move(right).error().during("/url"));
  }
  SAMTALE_TRY_VOID(check_events(wanted.events));
  SubscriptionRecord record;
  record.id = std::string(kIdPrefix) + base32(random_.bytes(kIdBytes));
  record.company = company;
  record.url = wanted.url;
  record.events = wanted.events;
  record.secrets.push_back(
      {.secret = "whsec_" + base64(random_.bytes(kSecretBytes)), .expires_at = std::nullopt});
  record.created_at = clock_.wall_now();
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto have = std::ranges::count_if(
      list(company), [](const SubscriptionRecord& one) { return !one.revoked_at; });
  if (have >= options_.per_company_max) {
    return fail(ErrorCode::resource_exhausted, "the company has " + std::to_string(have) +
                                                   " subscriptions, the limit; revoke one");
  }
  SAMTALE_TRY_VOID(registry_.put_subscription(record));
  seen_.made_change();
  const std::unique_lock lock(records_mutex_);
  records_[company][record.id] = std::make_shared<SubscriptionRecord>(record);
  return record;
}

Result<SubscriptionRecord> Subscriptions::update(
    CompanyId company, std::string_view id,
    const std::function<void(SubscriptionRecord&)>& change) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto found = find(company, id);
  if (!found) return absent();
  auto record = *found;
  change(record);
  SAMTALE_TRY_VOID(registry_.put_subscription(record));
  seen_.made_change();
  const std::unique_lock lock(records_mutex_);
  records_[company][record.id] = std::make_shared<SubscriptionRecord>(record);
  return record;
}

Result<SubscriptionRecord> Subscriptions::rotate(CompanyId company, std::string_view id,
                                                 Duration keep_old) {
  const auto now = clock_.wall_now();
  return update(company, id, [&](SubscriptionRecord& record) {
    const auto ends = now + std::chrono::duration_cast<std::chrono::microseconds>(keep_old);
    // Two at most: a third signature helps no receiver that keeps up.
    auto last = record.secrets.back();
    if (!last.expires_at || *last.expires_at > ends) last.expires_at = ends;
    record.secrets = {
        std::move(last),
        {.secret = "whsec_" + base64(random_.bytes(kSecretBytes)), .expires_at = std::nullopt}};
  });
}

Result<> Subscriptions::revoke(CompanyId company, std::string_view id, std::string_view why) {
  SAMTALE_TRY_VOID(update(company, id, [&](SubscriptionRecord& record) {
    record.revoked_at = clock_.wall_now();
    record.paused_why = why;
    record.secrets.clear();
    record.failing_since.reset();
  }));
  return {};
}

Result<> Subscriptions::pause(CompanyId company, std::string_view id, std::string_view why) {
  SAMTALE_TRY_VOID(
      update(company, id, [&](SubscriptionRecord& record) { record.paused_why = why; }));
  return {};
}

Result<SubscriptionRecord> Subscriptions::resume(CompanyId company, std::string_view id) {
  return update(company, id, [](SubscriptionRecord& record) {
    record.paused_why.clear();
    record.failing_since.reset();
  });
}

std::vector<SubscriptionRecord> Subscriptions::list(CompanyId company) const {
  std::vector<SubscriptionRecord> own;
  {
    const std::shared_lock lock(records_mutex_);
    const auto found = records_.find(company);
    if (found == records_.end()) return own;
    for (const auto& [id, record] : found->second) own.push_back(*record);
  }
  std::ranges::stable_sort(own, {}, &SubscriptionRecord::created_at);
  return own;
}

Subscriptions::Record Subscriptions::find(CompanyId company, std::string_view id) const {
  const std::shared_lock lock(records_mutex_);
  const auto of_company = records_.find(company);
  if (of_company == records_.end()) return nullptr;
  const auto found = of_company->second.find(id);
  if (found == of_company->second.end() || found->second->revoked_at) return nullptr;
  return found->second;
}

std::vector<Subscriptions::Record> Subscriptions::listening(CompanyId company,
                                                            std::string_view event) const {
  std::vector<Record> those;
  const std::shared_lock lock(records_mutex_);
  const auto found = records_.find(company);
  if (found == records_.end()) return those;
  for (const auto& [id, record] : found->second) {
    if (is_active(*record) && wants(*record, event)) those.push_back(record);
  }
  return those;
}

bool Subscriptions::has_active(CompanyId company) const {
  const std::shared_lock lock(records_mutex_);
  const auto found = records_.find(company);
  return found != records_.end() && std::ranges::any_of(found->second, [](const auto& entry) {
           return is_active(*entry.second);
         });
}

Result<> Subscriptions::note_delivered(CompanyId company, std::string_view id) {
  const auto record = find(company, id);
  if (!record || !record->failing_since) return {};  // Nothing to write, at nearly every delivery.
  SAMTALE_TRY_VOID(
      update(company, id, [](SubscriptionRecord& changed) { changed.failing_since.reset(); }));
  return {};
}

Result<WallTime> Subscriptions::note_failed(CompanyId company, std::string_view id) {
  const auto record = find(company, id);
  if (!record) return absent();
  if (record->failing_since) return *record->failing_since;
  const auto now = clock_.wall_now();
  SAMTALE_TRY(const auto changed, update(company, id, [&](SubscriptionRecord& failing) {
                if (!failing.failing_since) failing.failing_since = now;
              }));
  return *changed.failing_since;
}

}  // namespace samtale
