#include "tenants/tenants.h"

#include <algorithm>

#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::string_view kKeyPrefix = "smt_";
constexpr std::string_view kPassPrefix = "smp_";
constexpr auto kPassLifetime = std::chrono::minutes(1);
constexpr std::size_t kPassBytes = 8 + 8 + 1;  // Company, end, scopes: big-endian.
constexpr std::size_t kSealBytes = 16;         // Of HMAC-SHA256 over them.
constexpr std::size_t kKeyIdBytes = 8;         // Unique, not secret.
constexpr std::size_t kSecretBytes = 32;       // 256 bits: a plain hash at rest is enough.
constexpr std::size_t kEndpointIdBytes = 15;
constexpr std::size_t kCompanyNameMax = 63;  // A DNS label, so that it may become a host name.
constexpr std::size_t kLabelMax = 200;
constexpr auto kFailureWindow = std::chrono::minutes(1);
constexpr auto kLookPatience = std::chrono::milliseconds(250);
constexpr auto kAfterFailure = std::chrono::seconds(1);
constexpr auto kClocksDiffer = std::chrono::minutes(1);

std::unexpected<Error> bad_credential() {
  return fail(ErrorCode::unauthenticated,
              "the API key is missing, wrong, expired or revoked; send it as \"Authorization: "
              "Bearer smt_…\"");
}

bool is_company_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !name.empty() && name.size() <= kCompanyNameMax && name.front() != '-' &&
         name.back() != '-' && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

unsigned bit(Scope scope) { return 1U << static_cast<unsigned>(scope); }

std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }

std::string big_endian(std::uint64_t value) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::uint64_t from_big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

bool is_active(const KeyRecord& key, WallTime now) {
  return !key.revoked_at && (!key.expires_at || now < *key.expires_at);
}

}  // namespace

std::string_view name(Scope scope) {
  switch (scope) {
    case Scope::ingest:
      return "ingest";
    case Scope::search:
      return "search";
    case Scope::read:
      return "read";
    case Scope::admin:
      return "admin";
  }
  return "?";
}

std::optional<Scope> parse_scope(std::string_view text) {
  for (const auto scope : kScopes) {
    if (name(scope) == text) return scope;
  }
  return std::nullopt;
}

Tenants::Tenants(Registry& registry, const Clock& clock, Random& random, TenantOptions options)
    : registry_(registry),
      clock_(clock),
      random_(random),
      options_(options),
      looker_([this](const std::stop_token& stop) { look_for_all(stop); }) {}

Result<> Tenants::load() {
  const std::lock_guard changing(changes_mutex_);
  return load_all();
}

Result<bool> Tenants::refresh() {
  const std::lock_guard changing(changes_mutex_);
  return load_if_newer();
}

Result<bool> Tenants::load_if_newer() {
  SAMTALE_TRY(const bool has_news, seen_.has_news());
  if (!has_news) return false;
  SAMTALE_TRY_VOID(load_all());
  return true;
}

// Waits for an answer that is newer than the question. A registry that does not answer holds up
// nobody: who asks holds a thread that others, who are known, may wait for.
Result<> Tenants::look_again() {
  const auto is_away = [this] {
    const auto now = clock_.now();
    return (rests_until_ && now < *rests_until_) ||
           (look_began_ && now - *look_began_ >= kLookPatience);
  };
  std::unique_lock lock(look_mutex_);
  if (!is_away()) {
    const auto mine = ++looks_wanted_;
    look_wanted_.notify_one();
    looked_.wait_for(lock, kLookPatience, [&] { return looks_done_ >= mine; });
    if (looks_done_ >= mine && !rests_until_) return {};
  }
  return fail(
      ErrorCode::unavailable,
      "the credential is not known here, and the registry does not say whether it is there");
}

void Tenants::look_for_all(const std::stop_token& stop) {
  std::unique_lock lock(look_mutex_);
  while (look_wanted_.wait(lock, stop, [this] { return looks_wanted_ > looks_done_; })) {
    const auto wanted = looks_wanted_;
    look_began_ = clock_.now();
    lock.unlock();
    const bool has_looked = refresh().has_value();
    lock.lock();
    look_began_.reset();
    rests_until_.reset();
    if (!has_looked) rests_until_ = clock_.now() + kAfterFailure;
    looks_done_ = wanted;
    looked_.notify_all();
  }
}

Result<> Tenants::load_all() {
  SAMTALE_TRY(const auto version, seen_.read());  // First: what follows is at least as new.
  SAMTALE_TRY(auto companies, registry_.companies());
  SAMTALE_TRY(auto keys, registry_.keys());
  SAMTALE_TRY(auto endpoints, registry_.endpoints());
  decltype(companies_) by_id;
  decltype(company_names_) names;
  decltype(keys_) by_key;
  decltype(endpoints_) by_endpoint;
  std::vector<CompanyRecord> laid_out;
  for (auto& company : companies) {
    if (company.layout != 0) laid_out.push_back(company);
    names.emplace(company.name, company.id);
    by_id.emplace(company.id, std::move(company));
  }
  for (auto& key : keys) by_key.emplace(key.id, std::move(key));
  for (auto& endpoint : endpoints) {
    auto id = endpoint.id;
    by_endpoint.emplace(std::move(id), std::make_shared<EndpointRecord>(std::move(endpoint)));
  }
  seen_.loaded(version);
  const std::unique_lock lock(records_mutex_);  // Those before end after it.
  companies_.swap(by_id);
  company_names_.swap(names);
  laid_out_companies_.swap(laid_out);
  keys_.swap(by_key);
  endpoints_.swap(by_endpoint);
  return {};
}

Result<Caller> Tenants::authenticate(std::string_view key, const std::string& address) {
  SAMTALE_TRY_VOID(check_throttle(address));
  auto caller = find_caller(key);
  if (!caller && !key.empty()) {
    SAMTALE_TRY_VOID(look_again());
    caller = find_caller(key);
  }
  if (caller) return *std::move(caller);
  if (key.starts_with(kPassPrefix)) {
    return fail(ErrorCode::unavailable,
                "the pass of another node is not taken: its clock is off by a minute, or the "
                "company is not known here yet");
  }
  SAMTALE_TRY_VOID(note_failure(address));
  return bad_credential();
}

std::string Tenants::pass_for(const Caller& caller) const {
  const auto ends = clock_.wall_now() + std::chrono::microseconds(kPassLifetime);
  std::string pass = big_endian(static_cast<std::uint64_t>(number(caller.company_))) +
                     big_endian(static_cast<std::uint64_t>(to_us(ends)));
  // No more than what is sent on needs.
  const auto scopes = caller.scopes_ & (bit(Scope::search) | bit(Scope::read));
  pass.push_back(static_cast<char>(scopes));
  pass += hmac_sha256(options_.pass_key, pass).substr(0, kSealBytes);
  return std::string(kPassPrefix) + base32(pass);
}

void Tenants::set_jwt_keys(JwtKeys keys) {
  auto shared = std::make_shared<const JwtKeys>(std::move(keys));
  const std::lock_guard lock(jwt_mutex_);
  jwt_keys_ = std::move(shared);
}

std::optional<Caller> Tenants::read_token(std::string_view token) const {
  std::shared_ptr<const JwtKeys> keys;
  {
    const std::lock_guard lock(jwt_mutex_);
    keys = jwt_keys_;
  }
  if (!keys) return std::nullopt;
  const auto claims = read_jwt(token, *keys, *options_.jwt, clock_.wall_now());
  if (!claims) {
    if (claims.error().code == ErrorCode::not_found) wants_jwt_keys_ = true;
    return std::nullopt;
  }
  const auto company = find_company(claims->company);
  if (!company) return std::nullopt;
  Caller caller;
  caller.company_ = company->id;
  caller.company_name_ = company->name;
  caller.label_ = claims->subject.substr(0, kLabelMax);
  caller.key_id_ = "jwt";
  caller.scopes_ = bit(Scope::search) | bit(Scope::read);
  return caller;
}

std::optional<Caller> Tenants::read_pass(std::string_view text) const {
  const auto pass = unbase32(text);
  if (options_.pass_key.empty() || !pass || pass->size() != kPassBytes + kSealBytes) {
    return std::nullopt;
  }
  const auto said = std::string_view(*pass).substr(0, kPassBytes);
  const auto seal = hmac_sha256(options_.pass_key, said).substr(0, kSealBytes);
  const auto now_us = to_us(clock_.wall_now());
  const auto ends_us = static_cast<std::int64_t>(from_big_endian(said.substr(8, 8)));
  if (!equal_in_constant_time(seal, std::string_view(*pass).substr(kPassBytes)) ||
      ends_us < now_us || ends_us > now_us + us(kPassLifetime + kClocksDiffer)) {
    return std::nullopt;
  }
  const auto company = find_company(static_cast<CompanyId>(from_big_endian(said.substr(0, 8))));
  if (!company) return std::nullopt;
  Caller caller;
  caller.company_ = company->id;
  caller.company_name_ = company->name;
  caller.label_ = "another node";
  caller.scopes_ = static_cast<unsigned char>(said.back());
  caller.is_sent_on_ = true;
  return caller;
}

std::optional<Caller> Tenants::find_caller(std::string_view key) const {
  if (key.starts_with(kPassPrefix)) return read_pass(key.substr(kPassPrefix.size()));
  if (options_.jwt && is_jwt(key)) return read_token(key);
  if (!key.starts_with(kKeyPrefix)) return std::nullopt;
  const auto rest = key.substr(kKeyPrefix.size());
  const auto split = rest.find('_');
  if (split == std::string_view::npos) return std::nullopt;
  const auto secret_hash = sha256(rest.substr(split + 1));

  const std::shared_lock lock(records_mutex_);
  const auto found = keys_.find(rest.substr(0, split));
  if (found == keys_.end()) return std::nullopt;
  const auto& record = found->second;
  const bool is_right = equal_in_constant_time(record.secret_hash, view(secret_hash));
  if (!is_right || !is_active(record, clock_.wall_now())) return std::nullopt;
  const auto company = companies_.find(record.company);
  if (company == companies_.end()) return std::nullopt;
  Caller made;
  made.company_ = record.company;
  made.company_name_ = company->second.name;
  made.key_id_ = record.id;
  made.label_ = record.label;
  const auto add = [&made](bool may, Scope scope) {
    if (may) made.scopes_ |= bit(scope);
  };
  add(record.may_ingest, Scope::ingest);
  add(record.may_search, Scope::search);
  add(record.may_read, Scope::read);
  add(record.may_admin, Scope::admin);
  return made;
}

Result<Caller> Tenants::as_operator(std::string_view company_name) const {
  const auto company = find_company(company_name);
  if (!company) {
    return fail(ErrorCode::not_found, "there is no company \"" + std::string(company_name) +
                                          "\"; `samtale company list` shows those there are");
  }
  Caller caller;
  caller.company_ = company->id;
  caller.company_name_ = company->name;
  caller.label_ = "operator";
  caller.scopes_ = (1U << kScopes.size()) - 1U;
  return caller;
}

Result<> Tenants::check_throttle(const std::string& address) {
  const std::lock_guard lock(limits_mutex_);
  const auto found = failures_.find(address);
  if (found == failures_.end() || found->second.count < options_.failures_max) return {};
  if (clock_.now() - found->second.window_start >= kFailureWindow) {
    failures_.erase(found);
    return {};
  }
  return fail(ErrorCode::resource_exhausted,
              "too many bad credentials from this address; wait a minute");
}

Result<> Tenants::note_failure(const std::string& address) {
  const std::lock_guard lock(limits_mutex_);
  const auto now = clock_.now();
  if (failures_.size() >= options_.addresses_max) {
    std::erase_if(failures_, [&](const auto& entry) {
      return now - entry.second.window_start >= kFailureWindow;
    });
    if (failures_.size() >= options_.addresses_max) failures_.clear();
  }
  auto& failures = failures_[address];
  if (failures.count == 0 || now - failures.window_start >= kFailureWindow) {
    failures = {.count = 0, .window_start = now};
  }
  ++failures.count;
  return {};
}

Result<> Tenants::admit(CompanyId company, double events) {
  double rate = options_.events_per_second;
  {
    const std::shared_lock lock(records_mutex_);
    const auto found = companies_.find(company);
    if (found != companies_.end() && found->second.events_per_second_max > 0) {
      rate = static_cast<double>(found->second.events_per_second_max);
    }
  }
  const std::lock_guard lock(limits_mutex_);
  const auto now = clock_.now();
  const double full = rate * options_.burst_seconds;
  auto [entry, is_new] = buckets_.try_emplace(number(company), Bucket{full, now});
  auto& bucket = entry->second;
  const std::chrono::duration<double> passed = now - bucket.filled_at;
  bucket.tokens = std::min(full, bucket.tokens + rate * passed.count());
  bucket.filled_at = now;
  // A batch larger than what is left goes through on credit, so that no batch is too large ever.
  if (bucket.tokens <= 0) {
    return fail(ErrorCode::resource_exhausted, "more than " +
                                                   std::to_string(static_cast<long>(rate)) +
                                                   " events per second; retry after a second");
  }
  bucket.tokens -= events;
  return {};
}

Result<CompanyRecord> Tenants::create_company(const CompanyRecord& wanted) {
  if (!is_company_name(wanted.name)) {
    return fail(ErrorCode::invalid_argument,
                "/name: 1 to 63 of a-z, 0-9 and \"-\", not beginning or ending with \"-\"");
  }
  if (!(wanted.weight > 0 && wanted.weight <= 1000)) {
    return fail(ErrorCode::invalid_argument, "/weight: above 0, at most 1000");
  }
  if (wanted.events_per_second_max < 0 || wanted.conversations_max < 0) {
    return fail(ErrorCode::invalid_argument,
                "/events_per_second_max and /conversations_max: 0 (the default) or more");
  }
  auto record = wanted;
  record.created_at = clock_.wall_now();
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY(record.id, registry_.add_company(record));
  seen_.made_change();
  const std::unique_lock lock(records_mutex_);
  company_names_.emplace(record.name, record.id);
  companies_.emplace(record.id, record);
  return record;
}

std::vector<CompanyRecord> Tenants::laid_out_companies() const {
  const std::shared_lock lock(records_mutex_);
  return laid_out_companies_;
}

Result<> Tenants::set_split(CompanyId company, bool is_split) {
  SAMTALE_TRY_VOID(registry_.set_split(company, is_split));
  SAMTALE_TRY_VOID(refresh());
  return {};
}

std::vector<CompanyRecord> Tenants::companies() const {
  const std::shared_lock lock(records_mutex_);
  std::vector<CompanyRecord> all;
  all.reserve(companies_.size());
  for (const auto& [id, company] : companies_) all.push_back(company);
  return all;
}

std::optional<CompanyRecord> Tenants::find_company(CompanyId id) const {
  const std::shared_lock lock(records_mutex_);
  const auto found = companies_.find(id);
  if (found == companies_.end()) return std::nullopt;
  return found->second;
}

std::optional<CompanyRecord> Tenants::find_company(std::string_view name) const {
  const std::shared_lock lock(records_mutex_);
  const auto found = company_names_.find(name);
  if (found == company_names_.end()) return std::nullopt;
  return companies_.at(found->second);
}

std::string Tenants::new_id(std::size_t bytes) { return base32(random_.bytes(bytes)); }

Result<CreatedKey> Tenants::create_key(CompanyId company, const NewKey& wanted) {
  const auto now = clock_.wall_now();
  if (wanted.scopes.empty()) {
    return fail(ErrorCode::invalid_argument,
                "/scopes: at least one of ingest, search, read, admin");
  }
  if (wanted.label.size() > kLabelMax) {
    return fail(ErrorCode::invalid_argument, "/label: at most 200 bytes");
  }
  if (wanted.expires_at && *wanted.expires_at <= now) {
    return fail(ErrorCode::invalid_argument, "/expires_at: must be in the future");
  }
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto have = std::ranges::count_if(
      keys(company), [&](const KeyRecord& key) { return is_active(key, now); });
  if (have >= options_.keys_max) {
    return fail(ErrorCode::resource_exhausted,
                "the company has " + std::to_string(have) + " active keys, the limit; revoke one");
  }
  KeyRecord record;
  record.id = new_id(kKeyIdBytes);
  record.company = company;
  const auto secret = new_id(kSecretBytes);
  record.secret_hash = view(sha256(secret));
  record.label = wanted.label;
  record.created_at = now;
  record.expires_at = wanted.expires_at;
  const auto has = [&](Scope scope) { return std::ranges::count(wanted.scopes, scope) > 0; };
  record.may_ingest = has(Scope::ingest);
  record.may_search = has(Scope::search);
  record.may_read = has(Scope::read);
  record.may_admin = has(Scope::admin);
  SAMTALE_TRY_VOID(registry_.put_key(record));
  seen_.made_change();
  const std::unique_lock lock(records_mutex_);
  keys_.emplace(record.id, record);
  return CreatedKey{record, std::string(kKeyPrefix) + record.id + "_" + secret};
}

Result<> Tenants::revoke_key(CompanyId company, std::string_view id) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  auto own = keys(company);
  const auto found = std::ranges::find(own, id, &KeyRecord::id);
  if (found == own.end()) return fail(ErrorCode::not_found, "there is no such key");
  if (!found->revoked_at) found->revoked_at = clock_.wall_now();
  SAMTALE_TRY_VOID(registry_.put_key(*found));
  seen_.made_change();
  const std::unique_lock lock(records_mutex_);
  keys_[found->id] = *found;
  return {};
}

std::vector<KeyRecord> Tenants::keys(CompanyId company) const {
  const std::shared_lock lock(records_mutex_);
  std::vector<KeyRecord> own;
  for (const auto& [id, key] : keys_) {
    if (key.company == company) own.push_back(key);
  }
  return own;
}

Result<EndpointRecord> Tenants::create_endpoint(CompanyId company, const NewEndpoint& wanted) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto have = std::ranges::count_if(
      endpoints(company), [](const EndpointRecord& endpoint) { return !endpoint.revoked_at; });
  if (have >= options_.endpoints_max) {
    return fail(ErrorCode::resource_exhausted,
                "the company has " + std::to_string(have) + " endpoints, the limit; delete one");
  }
  EndpointRecord record{.id = new_id(kEndpointIdBytes),
                        .company = company,
                        .preset = wanted.preset,
                        .source = wanted.source.empty() ? wanted.preset : wanted.source,
                        .secrets = {},
                        .idle_timeout = wanted.idle_timeout,
                        .created_at = clock_.wall_now(),
                        .revoked_at = std::nullopt};
  const auto secret =
      wanted.secret.empty() ? "whsec_" + base64(random_.bytes(kSecretBytes)) : wanted.secret;
  record.secrets.push_back({.secret = secret, .expires_at = std::nullopt});
  SAMTALE_TRY_VOID(registry_.put_endpoint(record));
  seen_.made_change();
  keep(record);
  return record;
}

void Tenants::keep(const EndpointRecord& record) {
  const std::unique_lock lock(records_mutex_);
  endpoints_[record.id] = std::make_shared<EndpointRecord>(record);
}

std::shared_ptr<const EndpointRecord> Tenants::own_endpoint(CompanyId company,
                                                            std::string_view id) const {
  const std::shared_lock lock(records_mutex_);
  const auto found = endpoints_.find(id);
  if (found == endpoints_.end() || found->second->company != company || found->second->revoked_at) {
    return nullptr;
  }
  return found->second;
}

Result<EndpointRecord> Tenants::rotate_endpoint(CompanyId company, std::string_view id,
                                                std::string_view secret, Duration keep_old) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto found = own_endpoint(company, id);
  if (!found) return fail(ErrorCode::not_found, "there is no such endpoint");
  auto record = *found;
  const auto now = clock_.wall_now();
  std::erase_if(record.secrets, [&](const EndpointSecret& old) {
    return old.expires_at && *old.expires_at <= now;
  });
  const auto ends = now + std::chrono::duration_cast<std::chrono::microseconds>(keep_old);
  for (auto& old : record.secrets) {
    if (!old.expires_at || *old.expires_at > ends) old.expires_at = ends;
  }
  const auto fresh =
      secret.empty() ? "whsec_" + base64(random_.bytes(kSecretBytes)) : std::string(secret);
  record.secrets.push_back({.secret = fresh, .expires_at = std::nullopt});
  SAMTALE_TRY_VOID(registry_.put_endpoint(record));
  seen_.made_change();
  keep(record);
  return record;
}

Result<> Tenants::revoke_endpoint(CompanyId company, std::string_view id) {
  const std::lock_guard changing(changes_mutex_);
  SAMTALE_TRY_VOID(load_if_newer());
  const auto found = own_endpoint(company, id);
  if (!found) return fail(ErrorCode::not_found, "there is no such endpoint");
  auto record = *found;
  record.revoked_at = clock_.wall_now();
  record.secrets.clear();
  SAMTALE_TRY_VOID(registry_.put_endpoint(record));
  seen_.made_change();
  keep(record);
  return {};
}

std::vector<EndpointRecord> Tenants::endpoints(CompanyId company) const {
  const std::shared_lock lock(records_mutex_);
  std::vector<EndpointRecord> own;
  for (const auto& [id, endpoint] : endpoints_) {
    if (endpoint->company == company) own.push_back(*endpoint);
  }
  return own;
}

Result<std::shared_ptr<const EndpointRecord>> Tenants::find_endpoint(std::string_view id) {
  const auto find = [&]() -> std::shared_ptr<const EndpointRecord> {
    const std::shared_lock lock(records_mutex_);
    const auto found = endpoints_.find(id);
    return found == endpoints_.end() ? nullptr : found->second;
  };
  auto endpoint = find();
  if (!endpoint) {
    SAMTALE_TRY_VOID(look_again());
    endpoint = find();
  }
  if (endpoint && endpoint->revoked_at) endpoint = nullptr;
  return endpoint;
}

}  // namespace samtale
