// Subscriptions: where companies want to be told of what happened.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "store/registry.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace samtale {

// What may be subscribed to. "ping" is sent on demand only, to whichever subscription.
inline constexpr std::array<std::string_view, 1> kNotifyEvents = {"analysis.completed"};

struct SubscriptionOptions {
  int per_company_max = 20;                  // Active and paused ones.
  bool allow_http = false;                   // For tests and intranets; else https alone.
  std::vector<std::uint16_t> ports = {443};  // That a URL may name.
  // Whether a URL may name this address in place of a host; the client that sends asks the same of
  // what it connects to (public_address.h).
  std::function<bool(const sockaddr&)> may_connect;
};

struct NewSubscription {
  std::string url;
  std::vector<std::string> events;  // Of kNotifyEvents; empty: all, also those to come.
};

// Registry behind it, all of it in memory.
// Threads: any method from any thread.
// Errors:  those of Registry, and those named. not_found also for another company's.
class Subscriptions {
 public:
  using Record = std::shared_ptr<const SubscriptionRecord>;

  // What is passed in must outlive this.
  Subscriptions(Registry& registry, const Clock& clock, Random& random,
                SubscriptionOptions options = {});

  // Reads everything from the registry. Before anything else.
  Result<> load();
  // Does so again if the registry has changed since.
  Result<> refresh();

  // With a secret of its own, "whsec_…". Errors: invalid_argument (what is wrong with the URL, an
  // event that is not there), resource_exhausted (too many).
  Result<SubscriptionRecord> create(CompanyId company, const NewSubscription& wanted);
  // Adds a secret, which then signs beside the last one until `keep_old` from now. Errors:
  // not_found.
  Result<SubscriptionRecord> rotate(CompanyId company, std::string_view id, Duration keep_old);
  // For good; its secrets are forgotten. `why`, if it was not the company's wish. Errors:
  // not_found.
  Result<> revoke(CompanyId company, std::string_view id, std::string_view why = {});
  Result<> pause(CompanyId company, std::string_view id, std::string_view why);  // not_found.
  // Ends a pause; fine without one. Errors: not_found.
  Result<SubscriptionRecord> resume(CompanyId company, std::string_view id);

  [[nodiscard]] std::vector<SubscriptionRecord> list(CompanyId company) const;  // Oldest first.
  // Null if there is none or it is revoked.
  [[nodiscard]] Record find(CompanyId company, std::string_view id) const;
  // Those neither revoked nor paused that want this event.
  [[nodiscard]] std::vector<Record> listening(CompanyId company, std::string_view event) const;
  // Whether anybody listens at all: without, nothing needs to be queued.
  [[nodiscard]] bool has_active(CompanyId company) const;

  // How the last delivery went, kept across restarts. Since when they fail, if they do; not_found.
  Result<> note_delivered(CompanyId company, std::string_view id);
  Result<WallTime> note_failed(CompanyId company, std::string_view id);

 private:
  Result<> load_all();  // Under changes_mutex_, as the next.
  Result<> load_if_newer();
  // Lets `change` at a copy, and publishes what is then on disk.
  Result<SubscriptionRecord> update(CompanyId company, std::string_view id,
                                    const std::function<void(SubscriptionRecord&)>& change);

  Registry& registry_;
  const Clock& clock_;
  Random& random_;
  const SubscriptionOptions options_;

  // One change at a time. Held while the registry is asked; taken before records_mutex_.
  std::mutex changes_mutex_;
  SeenVersion seen_{registry_, RegistryPart::subscriptions};  // Guarded by changes_mutex_.
  mutable std::shared_mutex records_mutex_;
  std::map<CompanyId, std::map<std::string, Record, std::less<>>> records_;  // Guarded.
};

}  // namespace samtale
