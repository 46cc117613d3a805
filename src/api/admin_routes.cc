#include <limits>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"
#include "model/fields.h"
#include "providers/provider.h"

namespace samtale::api {
namespace {

json::Value to_json(const KeyRecord& key) {
  json::Array scopes;
  if (key.may_ingest) scopes.emplace_back("ingest");
  if (key.may_search) scopes.emplace_back("search");
  if (key.may_read) scopes.emplace_back("read");
  if (key.may_admin) scopes.emplace_back("admin");
  json::Object object{{"id", key.id},
                      {"label", key.label},
                      {"scopes", std::move(scopes)},
                      {"created_at", format_time(key.created_at)}};
  if (key.expires_at) object.emplace_back("expires_at", format_time(*key.expires_at));
  if (key.revoked_at) object.emplace_back("revoked_at", format_time(*key.revoked_at));
  return object;
}

std::string url_of(const Context& context, const Call& call, const EndpointRecord& endpoint) {
  auto base = context.options.public_url;
  const auto* host = call.request.header("host");
  if (base.empty() && host != nullptr && !call.request.is_local) base = "http://" + *host;
  return base + "/v1/webhooks/" + endpoint.id;
}

json::Object describe(const Context& context, const Call& call, const EndpointRecord& endpoint) {
  json::Object object{{"id", endpoint.id},
                      {"preset", endpoint.preset},
                      {"source", endpoint.source},
                      {"url", url_of(context, call, endpoint)},
                      {"secrets", endpoint.secrets.size()},
                      {"created_at", format_time(endpoint.created_at)}};
  if (endpoint.idle_timeout > Duration{}) {
    object.emplace_back(
        "idle_timeout_s",
        std::int64_t{
            std::chrono::duration_cast<std::chrono::seconds>(endpoint.idle_timeout).count()});
  }
  if (endpoint.revoked_at) object.emplace_back("revoked_at", format_time(*endpoint.revoked_at));
  return object;
}

bool is_source(std::string_view source) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
  return source.size() <= 64 && source.find_first_not_of(kAllowed) == std::string_view::npos;
}

json::Value to_json(const CompanyRecord& company) {
  return json::Object{{"name", company.name},
                      {"number", number(company.id)},
                      {"weight", company.weight},
                      {"events_per_second_max", company.events_per_second_max},
                      {"conversations_max", company.conversations_max},
                      {"created_at", format_time(company.created_at)}};
}

}  // namespace

void get_keys(const Context& context, const Call& call, http::Reply reply) {
  json::Array list;
  for (const auto& key : context.parts.tenants.keys(call.caller->company())) {
    list.push_back(to_json(key));
  }
  reply(ok(json::Object{{"keys", std::move(list)}}));
}

void post_keys(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  NewKey wanted;
  wanted.label = fields.string("label").value_or("");
  wanted.expires_at = fields.time("expires_at");
  for (const auto& text : fields.strings("scopes")) {
    if (const auto scope = parse_scope(text)) {
      wanted.scopes.push_back(*scope);
    } else {
      const json::Value got(text);
      fields.mistake("scopes", "must hold ingest, search, read or admin", &got);
    }
  }
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto created = context.parts.tenants.create_key(call.caller->company(), wanted);
  if (!created) return refuse(context, call, created.error(), std::move(reply));
  auto object = to_json(created->record);
  object.set("key", created->key);
  reply(ok(object, 201));
}

void delete_key(const Context& context, const Call& call, http::Reply reply) {
  const auto& id = *call.request.param("id");
  const auto revoked = context.parts.tenants.revoke_key(call.caller->company(), id);
  if (!revoked) return refuse(context, call, revoked.error(), std::move(reply));
  reply(ok(json::Object{{"id", id}, {"revoked", true}}));
}

void get_endpoints(const Context& context, const Call& call, http::Reply reply) {
  json::Array list;
  for (const auto& endpoint : context.parts.tenants.endpoints(call.caller->company())) {
    list.emplace_back(describe(context, call, endpoint));
  }
  reply(ok(json::Object{{"endpoints", std::move(list)}}));
}

void post_endpoints(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  NewEndpoint wanted;
  wanted.preset = fields.string("preset").value_or("");
  wanted.source = fields.string("source").value_or("");
  wanted.secret = fields.string("secret").value_or("");
  constexpr std::int64_t kWeek = 7L * 24 * 3600;
  wanted.idle_timeout =
      std::chrono::seconds(fields.integer("idle_timeout_s", 0, kWeek).value_or(0));
  const auto* provider = find_provider(wanted.preset);
  if (provider == nullptr) {
    const json::Value got(wanted.preset);
    fields.mistake("preset", "must be one of those GET /v1/presets lists", &got);
  } else if (!wanted.secret.empty()) {
    if (const auto fits = check_secret(*provider, wanted.secret); !fits) {
      fields.mistake("secret", fits.error().message);
    }
  }
  if (!is_source(wanted.source)) {
    fields.mistake("source", "must be at most 64 of a-z, 0-9, \"-\", \"_\" and \".\"");
  }
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto created = context.parts.tenants.create_endpoint(call.caller->company(), wanted);
  if (!created) return refuse(context, call, created.error(), std::move(reply));
  auto object = describe(context, call, *created);
  object.emplace_back("secret", created->secrets.back().secret);
  reply(ok(object, 201));
}

void post_rotate(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  const auto secret = fields.string("secret").value_or("");
  constexpr std::int64_t kDay = 24 * 3600;
  const auto keep = std::chrono::seconds(fields.integer("keep_old_s", 0, 30 * kDay).value_or(kDay));
  const auto& id = *call.request.param("id");
  const auto found = context.parts.tenants.find_endpoint(id);
  if (!found) return refuse(context, call, found.error(), std::move(reply));
  const auto& endpoint = *found;
  // Another company's says nothing of its preset here: it is not found, below.
  if (!secret.empty() && endpoint && endpoint->company == call.caller->company()) {
    const auto* provider = find_provider(endpoint->preset);
    const auto fits = provider == nullptr ? Result<>() : check_secret(*provider, secret);
    if (!fits) fields.mistake("secret", fits.error().message);
  }
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto rotated =
      context.parts.tenants.rotate_endpoint(call.caller->company(), id, secret, keep);
  if (!rotated) return refuse(context, call, rotated.error(), std::move(reply));
  auto object = describe(context, call, *rotated);
  object.emplace_back("secret", rotated->secrets.back().secret);
  reply(ok(object));
}

void delete_endpoint(const Context& context, const Call& call, http::Reply reply) {
  const auto& id = *call.request.param("id");
  const auto revoked = context.parts.tenants.revoke_endpoint(call.caller->company(), id);
  if (!revoked) return refuse(context, call, revoked.error(), std::move(reply));
  reply(ok(json::Object{{"id", id}, {"revoked", true}}));
}

void get_presets(const Context&, const Call&, http::Reply reply) {
  json::Array list;
  for (const auto& provider : providers()) {
    list.push_back(json::Object{{"name", provider.name}, {"summary", provider.summary}});
  }
  reply(ok(json::Object{{"presets", std::move(list)}}));
}

void get_companies(const Context& context, const Call&, http::Reply reply) {
  json::Array list;
  for (const auto& company : context.parts.tenants.companies()) list.push_back(to_json(company));
  reply(ok(json::Object{{"companies", std::move(list)}}));
}

void get_cluster(const Context& context, const Call& call, http::Reply reply) {
  const auto members = context.parts.members ? context.parts.members()
                                             : Result<std::vector<Member>>(std::vector<Member>());
  if (!members) return refuse(context, call, members.error(), std::move(reply));
  json::Array list;
  for (const auto& member : *members) {
    json::Array ready;
    json::Array slices;
    for (std::size_t i = 0; i < kSlicesMax; ++i) {
      const auto partition = i / member.slices;
      if (!has(member.ready, i)) continue;
      if (ready.empty() || ready.back() != json::Value(partition)) ready.emplace_back(partition);
      slices.emplace_back(std::to_string(partition) + "/" + std::to_string(i % member.slices));
    }
    list.push_back(json::Object{{"node", member.node},
                                {"url", member.url},
                                {"roles", text(member.roles)},
                                {"leads", member.leads},
                                {"partitions", std::move(ready)},
                                {"slices", std::move(slices)},
                                {"layout", member.layout},
                                {"lag", member.lag},
                                {"requests_per_second", member.requests_per_second}});
  }
  json::Array split;
  std::uint64_t layout = 0;
  for (const auto& company : context.parts.tenants.companies()) {
    layout = std::max(layout, company.layout);
    if (company.is_split) split.emplace_back(company.name);
  }
  const auto* slices = context.parts.slices;
  reply(ok(json::Object{{"partitions", context.parts.store.partitions()},
                        {"slices", slices == nullptr ? 1 : slices->count()},
                        {"layout", layout},
                        {"split_companies", std::move(split)},
                        {"nodes", std::move(list)}}));
}

namespace {

void set_split(const Context& context, const Call& call, bool is_split, http::Reply reply) {
  const auto& name = *call.request.param("name");
  const auto company = context.parts.tenants.find_company(name);
  if (!company) {
    return refuse(context, call, {ErrorCode::not_found, "there is no company " + name},
                  std::move(reply));
  }
  if (is_split && context.parts.slices == nullptr) {
    return refuse(context, call,
                  {ErrorCode::invalid_argument,
                   "cluster.slices is 1: a company is split over the slices of its partition, so "
                   "there must be more; set it on all servers"},
                  std::move(reply));
  }
  const auto done = context.parts.tenants.set_split(company->id, is_split);
  if (!done) return refuse(context, call, done.error(), std::move(reply));
  const auto now = context.parts.tenants.find_company(company->id).value_or(*company);
  reply(ok(json::Object{{"name", name}, {"split", now.is_split}, {"layout", now.layout}}));
}

}  // namespace

void post_company_split(const Context& context, const Call& call, http::Reply reply) {
  set_split(context, call, true, std::move(reply));
}

void post_company_join(const Context& context, const Call& call, http::Reply reply) {
  set_split(context, call, false, std::move(reply));
}

void post_companies(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  CompanyRecord wanted;
  wanted.name = fields.string("name").value_or("");
  wanted.weight = fields.number("weight").value_or(1);
  wanted.events_per_second_max = fields.integer("events_per_second_max", 0, kMost).value_or(0);
  wanted.conversations_max = fields.integer("conversations_max", 0, kMost).value_or(0);
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto created = context.parts.tenants.create_company(wanted);
  if (!created) return refuse(context, call, created.error(), std::move(reply));
  context.parts.queue.set_weight(created->id, created->weight);
  reply(ok(to_json(*created), 201));
}

void post_replay(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  const auto from = fields.time("from");
  const auto to = fields.time("to");
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto replayed = context.parts.replay(from, to);
  if (!replayed) return refuse(context, call, replayed.error(), std::move(reply));
  reply(ok(json::Object{{"replayed", *replayed}}));
}

}  // namespace samtale::api
