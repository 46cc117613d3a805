// Tenants: who is asking, for which company, and how much they may ask for.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "store/registry.h"
#include "sys/clock.h"
#include "sys/random.h"
#include "tenants/jwt.h"

namespace samtale {

enum class Scope : std::uint8_t { ingest, search, read, admin };
inline constexpr std::array kScopes = {Scope::ingest, Scope::search, Scope::read, Scope::admin};
[[nodiscard]] std::string_view name(Scope scope);
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view text);

// Who is asking, proved. Made only here: a handler that has one has checked the credential.
class Caller {
 public:
  [[nodiscard]] CompanyId company() const { return company_; }
  [[nodiscard]] const std::string& company_name() const { return company_name_; }
  [[nodiscard]] const std::string& key_id() const { return key_id_; }
  [[nodiscard]] const std::string& label() const { return label_; }
  // Another node has checked the credential and sends the request on.
  [[nodiscard]] bool is_sent_on() const { return is_sent_on_; }
  [[nodiscard]] bool allows(Scope scope) const {
    return (scopes_ & (1U << static_cast<unsigned>(scope))) != 0;
  }

 private:
  friend class Tenants;
  Caller() = default;

  CompanyId company_{};
  std::string company_name_;
  std::string key_id_;
  std::string label_;
  unsigned scopes_ = 0;
  bool is_sent_on_ = false;
};

struct TenantOptions {
  double events_per_second = 20'000;   // Per company, unless its record says otherwise.
  double burst_seconds = 2;            // A company may be this far ahead of its rate.
  int failures_max = 20;               // Bad credentials per address and minute, then 429.
  std::size_t addresses_max = 65'536;  // Remembered; the oldest minute is forgotten first.
  int keys_max = 100;                  // Active per company.
  int endpoints_max = 1'000;           // Active per company.
  std::string pass_key;                // Secret of all nodes; empty: there are no passes.
  std::optional<JwtRules> jwt;         // Nothing: JWTs are refused.
};

struct NewKey {
  std::string label;
  std::vector<Scope> scopes;
  std::optional<WallTime> expires_at;
};
struct CreatedKey {
  KeyRecord record;
  std::string key;  // "smt_<id>_<secret>": shown this once.
};

struct NewEndpoint {
  std::string preset;
  std::string source;  // Empty: the preset's name.
  std::string secret;  // Empty: one is made ("whsec_…").
  Duration idle_timeout{};
};

// Registry behind it, all of it in memory. What other processes change there is seen by refresh();
// an unknown key or endpoint is looked for there before it is refused.
// Threads: any method from any thread. Who is known waits for no registry, and who is not waits
// only
//          briefly: a thread of its own asks the registry.
// Errors:  those of Registry, and those named.
class Tenants {
 public:
  // What is passed in must outlive this.
  Tenants(Registry& registry, const Clock& clock, Random& random, TenantOptions options = {});

  // Reads everything from the registry. Before anything else.
  Result<> load();
  // Does so again if the registry has changed since. True: it had.
  Result<bool> refresh();

  // From "Authorization: Bearer <key>". unauthenticated for whatever is wrong with it, with one
  // message for all causes; unavailable for one that is not known here, while the registry does not
  // say whether it is there. `address` (without port) is throttled when it fails too often:
  // resource_exhausted.
  [[nodiscard]] Result<Caller> authenticate(std::string_view key, const std::string& address);
  // By which JWTs are judged from now on. Whoever has a valid one may search and read.
  void set_jwt_keys(JwtKeys keys);
  // A JWT named a key that is not among them; true once.
  [[nodiscard]] bool wants_jwt_keys() { return wants_jwt_keys_.exchange(false); }
  // Says to another node, in place of the caller's key, who asks: a credential of one company to
  // search and read, as far as the caller may, valid for a minute. One that is not taken is
  // unavailable.
  [[nodiscard]] std::string pass_for(const Caller& caller) const;
  // The operator of this machine, acting for a company with all scopes. not_found.
  [[nodiscard]] Result<Caller> as_operator(std::string_view company_name) const;

  // Takes `events` from the company's rate. resource_exhausted when it is used up.
  Result<> admit(CompanyId company, double events);

  // invalid_argument for a name that breaks the rule, conflict for one ever used.
  Result<CompanyRecord> create_company(const CompanyRecord& wanted);
  // Says whether the company's index is split over several servers. invalid_argument as
  // Registry::set_split.
  Result<> set_split(CompanyId company, bool is_split);
  [[nodiscard]] std::vector<CompanyRecord> companies() const;
  // Those that are split, or were.
  [[nodiscard]] std::vector<CompanyRecord> laid_out_companies() const;
  [[nodiscard]] std::optional<CompanyRecord> find_company(CompanyId id) const;
  [[nodiscard]] std::optional<CompanyRecord> find_company(std::string_view name) const;

  // invalid_argument (no scope, in the past), resource_exhausted (too many).
  Result<CreatedKey> create_key(CompanyId company, const NewKey& wanted);
  Result<> revoke_key(CompanyId company, std::string_view id);  // not_found. Works at once.
  [[nodiscard]] std::vector<KeyRecord> keys(CompanyId company) const;

  // The caller has checked that the preset exists.
  Result<EndpointRecord> create_endpoint(CompanyId company, const NewEndpoint& wanted);
  // Adds a secret; the others end `keep_old` from now. not_found.
  Result<EndpointRecord> rotate_endpoint(CompanyId company, std::string_view id,
                                         std::string_view secret, Duration keep_old);
  Result<> revoke_endpoint(CompanyId company, std::string_view id);  // not_found.
  [[nodiscard]] std::vector<EndpointRecord> endpoints(CompanyId company) const;
  // Null if there is none or it is revoked. unavailable as in authenticate().
  [[nodiscard]] Result<std::shared_ptr<const EndpointRecord>> find_endpoint(std::string_view id);

 private:
  struct Bucket {
    double tokens = 0;
    Instant filled_at{};
  };
  struct Failures {
    int count = 0;
    Instant window_start{};
  };

  [[nodiscard]] std::string new_id(std::size_t bytes);
  Result<> load_all();  // Under changes_mutex_, as the next.
  Result<bool> load_if_newer();
  // For what is not known here: it is worth a second look. Errors: unavailable.
  [[nodiscard]] Result<> look_again();
  void look_for_all(const std::stop_token& stop);
  [[nodiscard]] std::optional<Caller> find_caller(std::string_view key) const;
  [[nodiscard]] std::optional<Caller> read_token(std::string_view token) const;
  [[nodiscard]] std::optional<Caller> read_pass(std::string_view pass) const;
  [[nodiscard]] std::shared_ptr<const EndpointRecord> own_endpoint(CompanyId company,
                                                                   std::string_view id) const;
  void keep(const EndpointRecord& record);
  [[nodiscard]] Result<> check_throttle(const std::string& address);
  Result<> note_failure(const std::string& address);

  Registry& registry_;
  const Clock& clock_;
  Random& random_;
  const TenantOptions options_;

  // One change at a time, each made to what the registry says. Held while the registry is asked;
  // taken before records_mutex_.
  std::mutex changes_mutex_;
  SeenVersion seen_{registry_, RegistryPart::tenants};  // Guarded by changes_mutex_.
  std::mutex look_mutex_;                               // Guards the six below.
  std::condition_variable_any look_wanted_;
  std::condition_variable looked_;
  std::uint64_t looks_wanted_ = 0;  // One by each who asks, …
  std::uint64_t looks_done_ = 0;    // … and up to which the registry was asked after it.
  std::optional<Instant> look_began_;
  std::optional<Instant> rests_until_;       // After a registry that could not be asked.
  mutable std::shared_mutex records_mutex_;  // Guards the five below.
  std::map<CompanyId, CompanyRecord> companies_;
  std::map<std::string, CompanyId, std::less<>> company_names_;
  std::vector<CompanyRecord> laid_out_companies_;
  std::map<std::string, KeyRecord, std::less<>> keys_;
  std::map<std::string, std::shared_ptr<const EndpointRecord>, std::less<>> endpoints_;

  mutable std::mutex jwt_mutex_;
  std::shared_ptr<const JwtKeys> jwt_keys_;  // Null: none yet. Guarded by jwt_mutex_.
  mutable std::atomic<bool> wants_jwt_keys_ = false;

  std::mutex limits_mutex_;  // Guards the two below.
  std::unordered_map<std::int64_t, Bucket> buckets_;
  std::unordered_map<std::string, Failures> failures_;

  std::jthread looker_;  // Ends before all that it uses.
};

}  // namespace samtale
