// Registry: companies, their API keys, webhook endpoints, analyzers and subscriptions. Small, read
// from memory, written through to disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

struct CompanyRecord {
  CompanyId id{};
  std::string name;   // [a-z0-9][a-z0-9-]{0,62}; unique for ever, also after deletion.
  double weight = 1;  // Share of the workers.
  std::int64_t events_per_second_max = 0;  // 0: the server's default.
  std::int64_t conversations_max = 0;      // 0: no quota.
  WallTime created_at{};
  // Its index is split over the slices of its partition (cluster.slices) …
  bool is_split = false;
  // … or whole, since this change of such; they are counted from 1 over all companies.
  std::uint64_t layout = 0;
};

struct KeyRecord {
  std::string id;  // Public part: names the key in lists and logs.
  CompanyId company{};
  std::string secret_hash;  // SHA-256 of the secret part; the secret itself is shown once.
  std::string label;
  bool may_ingest = false, may_search = false, may_read = false, may_admin = false;
  WallTime created_at{};
  std::optional<WallTime> expires_at;
  std::optional<WallTime> revoked_at;
};

struct EndpointSecret {
  std::string secret;  // As the provider uses it to sign; must be kept readable to verify.
  std::optional<WallTime> expires_at;  // Set on rotation: the old one goes on for a while.
};

struct EndpointRecord {
  std::string id;  // In the URL: unguessable, but no secret.
  CompanyId company{};
  std::string preset;  // A name of the preset table (ingest): "standard-webhooks", "retell", …
  std::string source;  // What its conversations carry as source; defaults to the preset's name.
  std::vector<EndpointSecret> secrets;
  Duration idle_timeout{};  // When a stream without an end counts as ended; 0: the preset's own.
  WallTime created_at{};
  std::optional<WallTime> revoked_at;
};

// A version of an analyzer; analyze/analyzer.h reads the definition.
struct AnalyzerRecord {
  CompanyId company{};
  std::string name;
  std::int64_t version = 1;  // 1, 2, …: the greatest is in force.
  std::string definition;    // JSON.
  WallTime created_at{};
  bool is_deleted = false;  // Then the name is as if it had never been, but versions go on.
};

// Where a company wants to be told of what happened (notify/).
struct SubscriptionRecord {
  std::string id;
  CompanyId company{};
  std::string url;
  std::vector<std::string> events;      // "analysis.completed", …; empty: all.
  std::vector<EndpointSecret> secrets;  // "whsec_…": signs as Standard Webhooks says.
  WallTime created_at{};
  std::optional<WallTime> revoked_at;
  std::string paused_why;  // Not empty: given up after days of failures, until resumed. If revoked
                           // too: why, where it was not the company's wish.
  std::optional<WallTime> failing_since;  // Nothing but failures since then.
};

// What a company may spend on language models: JSON that analyze/ reads; none: the server's
// default.
struct LmSettingsRecord {
  CompanyId company{};
  std::string settings;
};

// What is read together, and its changes counted together.
enum class RegistryPart : std::uint8_t {
  tenants,    // Companies, keys, endpoints.
  analyzers,  // And settings of language models.
  subscriptions,
};

// Threads: any method from any thread.
// Errors:  unavailable, corrupt; those named.
class Registry {
 public:
  virtual ~Registry() = default;

  // conflict if the name was ever used. `record.id` is ignored; the new one is returned.
  virtual Result<CompanyId> add_company(const CompanyRecord& record) = 0;
  virtual Result<> update_company(const CompanyRecord& record) = 0;  // not_found.
  [[nodiscard]] virtual Result<std::vector<CompanyRecord>> companies() const = 0;
  // Sets CompanyRecord::is_split, and counts that where it changes anything. invalid_argument where
  // no servers can share the store.
  virtual Result<> set_split(CompanyId company, bool is_split) = 0;

  virtual Result<> put_key(const KeyRecord& record) = 0;  // Inserts or replaces by id.
  [[nodiscard]] virtual Result<std::vector<KeyRecord>> keys() const = 0;

  virtual Result<> put_endpoint(const EndpointRecord& record) = 0;  // Inserts or replaces by id.
  [[nodiscard]] virtual Result<std::vector<EndpointRecord>> endpoints() const = 0;

  // Inserts or replaces by company, name and version.
  virtual Result<> put_analyzer(const AnalyzerRecord& record) = 0;
  [[nodiscard]] virtual Result<std::vector<AnalyzerRecord>> analyzers() const = 0;

  // Or replaces by company and id.
  virtual Result<> put_subscription(const SubscriptionRecord& record) = 0;
  [[nodiscard]] virtual Result<std::vector<SubscriptionRecord>> subscriptions() const = 0;

  virtual Result<> put_lm_settings(const LmSettingsRecord& record) = 0;  // Or replaces.
  [[nodiscard]] virtual Result<std::vector<LmSettingsRecord>> lm_settings() const = 0;

  // Grows by one with each change of the part, whoever made it; what is read afterwards is at least
  // as new.
  [[nodiscard]] virtual Result<std::uint64_t> version(RegistryPart part) const = 0;
};

// Up to which change somebody has a copy of a part of the registry.
// Threads: one at a time.
class SeenVersion {
 public:
  SeenVersion(const Registry& registry, RegistryPart part) : registry_(registry), part_(part) {}

  [[nodiscard]] Result<std::uint64_t> read() const { return registry_.version(part_); }
  // True: others have made changes. Errors: those of the registry.
  [[nodiscard]] Result<bool> has_news() const {
    SAMTALE_TRY(const auto version, read());
    return version != seen_;
  }
  // `version` was read before the copy was made.
  void loaded(std::uint64_t version) { seen_ = version; }
  // After a change of one's own that the copy has too: if nobody else's came before it, nothing
  // need be read again.
  void made_change() {
    const auto version = read();
    if (version && *version == seen_ + 1) seen_ = *version;
  }

 private:
  const Registry& registry_;
  const RegistryPart part_;
  std::uint64_t seen_ = 0;
};

}  // namespace samtale
