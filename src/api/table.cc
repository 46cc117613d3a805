#include "api/table.h"

#include <algorithm>
#include <memory>

#include "api/answer.h"
#include "api/requests.h"

namespace samtale::api {

const std::vector<Entry>& table() {
  using enum Access;
  constexpr auto kAny = Scope::read;  // Not looked at where the access is not `scoped`.
  static const std::vector<Entry> kTable = {
      {"POST", "/v1/conversations", scoped, Scope::ingest, post_conversations,
       "Accept one conversation, an array, or NDJSON; native JSON or vCon.", "conversation", ""},
      {"POST", "/v1/webhooks/{endpoint}", endpoint, kAny, post_webhook,
       "Accept a provider's signed event.", "event", ""},
      {"POST", "/v1/search", scoped, Scope::search, post_search,
       "Search by meaning, by words, or by both.", "search", ""},
      {"POST", "/v1/search/batch", scoped, Scope::search, post_search_batch,
       "Many searches at once, behind those that people wait for.", "search_batch", ""},
      {"GET", "/v1/conversations", scoped, Scope::read, get_conversations,
       "List conversations, newest first.", "", "limit,cursor,from,to,channel,source,external_id"},
      {"GET", "/v1/conversations/{id}", scoped, Scope::read, get_conversation,
       "Read a conversation; as a vCon if asked.", "", "format,chunks"},
      {"DELETE", "/v1/conversations/{id}", scoped, Scope::admin, delete_conversation,
       "Delete a conversation for good.", "", ""},
      {"GET", "/v1/analyses", scoped, Scope::read, get_analyses,
       "List what an analyzer concluded, newest conversation first.", "",
       "analyzer,label,from,to,limit,cursor"},
      {"GET", "/v1/analyses/trends", scoped, Scope::read, get_trends,
       "Count an analyzer's conclusions by day, week or month.", "",
       "analyzer,label,from,to,bucket"},
      {"GET", "/v1/analyses/settings", scoped, Scope::read, get_analysis_settings,
       "How the company's analyses are made, and what they may cost.", "", ""},
      {"PUT", "/v1/analyses/settings", scoped, Scope::admin, put_analysis_settings,
       "Say how the company's analyses are made, and what they may cost.", "analysis_settings", ""},
      {"GET", "/v1/analyses/usage", scoped, Scope::read, get_usage,
       "What analyses cost, by day, and what is left of the budgets.", "", "from,to"},
      {"POST", "/v1/conversations/{id}/analyses", scoped, Scope::admin, post_conversation_analyses,
       "Ask for analyses of one conversation now.", "analyze", ""},
      {"PUT", "/v1/conversations/{id}/analyses/{analyzer}/override", scoped, Scope::admin,
       put_override, "Keep a person's result beside the machine's.", "override", ""},
      {"DELETE", "/v1/conversations/{id}/analyses/{analyzer}/override", scoped, Scope::admin,
       delete_override, "Take a person's result away; the machine's stays.", "", ""},
      {"GET", "/v1/analyzers", scoped, Scope::read, get_analyzers, "List the analyzers in force.",
       "", ""},
      {"GET", "/v1/analyzers/{name}", scoped, Scope::read, get_analyzer,
       "Read an analyzer and its versions.", "", ""},
      {"PUT", "/v1/analyzers/{name}", scoped, Scope::admin, put_analyzer,
       "Make an analyzer, or a new version of one.", "analyzer", ""},
      {"DELETE", "/v1/analyzers/{name}", scoped, Scope::admin, delete_analyzer,
       "Delete an analyzer; a shipped one is then as it was shipped.", "", ""},
      {"GET", "/v1/backfills", scoped, Scope::read, get_backfills,
       "List the back-fills, newest first.", "", ""},
      {"POST", "/v1/backfills", scoped, Scope::admin, post_backfills,
       "Analyse conversations that are there already, or say what it would cost.", "backfill", ""},
      {"GET", "/v1/backfills/{id}", scoped, Scope::read, get_backfill, "How far a back-fill is.",
       "", ""},
      {"POST", "/v1/backfills/{id}/pause", scoped, Scope::admin, post_backfill_pause,
       "Pause a back-fill.", "", ""},
      {"POST", "/v1/backfills/{id}/resume", scoped, Scope::admin, post_backfill_resume,
       "Let a paused back-fill go on.", "", ""},
      {"POST", "/v1/backfills/{id}/cancel", scoped, Scope::admin, post_backfill_cancel,
       "End a back-fill for good.", "", ""},
      {"GET", "/v1/status", scoped, Scope::read, get_status,
       "What the company has and what is on its way.", "", ""},
      {"POST", "/v1/reindex", scoped, Scope::admin, post_reindex,
       "Have the graph of the company's index made anew, while searches go on.", "", ""},
      {"GET", "/v1/whoami", key, kAny, get_whoami, "The company and scopes of the key.", "", ""},
      {"GET", "/v1/jobs", scoped, Scope::read, get_jobs, "The queue, by kind.", "", "limit"},
      {"GET", "/v1/dead-letters", scoped, Scope::read, get_dead_letters,
       "Jobs that were given up, with their cause.", "", "limit,cursor"},
      {"POST", "/v1/dead-letters/redrive", scoped, Scope::admin, post_redrive,
       "Try given up jobs again.", "redrive", ""},
      {"GET", "/v1/keys", scoped, Scope::admin, get_keys, "List API keys.", "", ""},
      {"POST", "/v1/keys", scoped, Scope::admin, post_keys, "Make an API key; it is shown once.",
       "key", ""},
      {"DELETE", "/v1/keys/{id}", scoped, Scope::admin, delete_key, "Revoke an API key, at once.",
       "", ""},
      {"GET", "/v1/endpoints", scoped, Scope::admin, get_endpoints, "List webhook endpoints.", "",
       ""},
      {"POST", "/v1/endpoints", scoped, Scope::admin, post_endpoints,
       "Make a webhook endpoint; its secret is shown once.", "endpoint", ""},
      {"POST", "/v1/endpoints/{id}/rotate", scoped, Scope::admin, post_rotate,
       "Give an endpoint a new secret; the old one goes on for a while.", "rotate", ""},
      {"DELETE", "/v1/endpoints/{id}", scoped, Scope::admin, delete_endpoint,
       "Revoke a webhook endpoint, at once.", "", ""},
      {"GET", "/v1/subscriptions", scoped, Scope::admin, get_subscriptions,
       "List subscriptions to events.", "", ""},
      {"POST", "/v1/subscriptions", scoped, Scope::admin, post_subscriptions,
       "Subscribe a URL to events; its secret is shown once.", "subscription", ""},
      {"POST", "/v1/subscriptions/{id}/rotate", scoped, Scope::admin, post_subscription_rotate,
       "Give a subscription a new secret; the old one signs too for a while.",
       "subscription_rotate", ""},
      {"POST", "/v1/subscriptions/{id}/resume", scoped, Scope::admin, post_subscription_resume,
       "Let a paused subscription go on.", "", ""},
      {"POST", "/v1/subscriptions/{id}/test", scoped, Scope::admin, post_subscription_test,
       "Send a ping, and tell how it went.", "", ""},
      {"DELETE", "/v1/subscriptions/{id}", scoped, Scope::admin, delete_subscription,
       "Revoke a subscription, at once.", "", ""},
      {"GET", "/v1/presets", key, kAny, get_presets, "The webhook presets of this server.", "", ""},
      {"GET", "/v1/companies", local, kAny, get_companies, "List companies.", "", ""},
      {"POST", "/v1/companies", local, kAny, post_companies, "Make a company.", "company", ""},
      {"POST", "/v1/companies/{name}/split", local, kAny, post_company_split,
       "Split a company's index over several servers.", "", ""},
      {"POST", "/v1/companies/{name}/join", local, kAny, post_company_join,
       "Let a company's index be whole again.", "", ""},
      {"POST", "/v1/slices/{number}", node, kAny, post_slice,
       "Search a slice of a company's index for another server.", "", ""},
      {"GET", "/v1/cluster", local, kAny, get_cluster, "The nodes that share the store.", "", ""},
      {"POST", "/v1/replay", local, kAny, post_replay,
       "Let received events take effect again, from their raw bytes.", "replay", ""},
      {"GET", "/healthz", open, kAny, get_healthz, "The process lives.", "", ""},
      {"GET", "/readyz", open, kAny, get_readyz, "The server takes work.", "", ""},
      {"GET", "/metrics", open, kAny, get_metrics, "Prometheus metrics.", "", ""},
      {"GET", "/openapi.json", open, kAny, get_openapi, "This API, for machines.", "", ""},
      {"GET", "/", open, kAny, get_asset, "The dashboard.", "", ""},
      {"GET", "/assets/{file}", open, kAny, get_asset, "The dashboard's files.", "", ""},
  };
  return kTable;
}

namespace {

// What is accepted waits for the accept log only, so that no database that is away holds it up.
// Slices are in memory; nodes whose other threads all wait for each other's slices answer with it.
bool is_prompt(CallHandler handler) {
  return handler == post_webhook || handler == post_conversations || handler == get_healthz ||
         handler == get_readyz || handler == post_slice;
}

// What follows the scheme, whose name has no case (RFC 9110, section 11.1); empty for another one.
std::string_view bearer_token(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  const auto scheme = header.substr(0, kScheme.size());
  const bool is_bearer = std::ranges::equal(
      scheme, kScheme, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
  return is_bearer ? header.substr(kScheme.size()) : std::string_view();
}

}  // namespace

Result<Caller> identify(const Context& context, const http::Request& request) {
  if (request.is_local) {
    const auto* company = request.header("x-samtale-company");
    if (company != nullptr) return context.parts.tenants.as_operator(*company);
  }
  const auto* header = request.header("authorization");
  return context.parts.tenants.authenticate(
      header == nullptr ? std::string_view() : bearer_token(*header), address_of(request));
}

namespace {

Result<Caller> authorise(const Context& context, const Entry& entry, const http::Request& request) {
  SAMTALE_TRY(auto caller, identify(context, request));
  if (entry.access == Access::scoped && !caller.allows(entry.scope)) {
    return fail(ErrorCode::permission_denied,
                "this API key lacks the scope \"" + std::string(samtale::name(entry.scope)) + "\"");
  }
  return caller;
}

// What browsers may do with an answer; the dashboard's files add their own policy.
void guard(http::Response& response) {
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
}

// Streams decide from the head what other handlers decide from the whole request.
http::StreamDecision begin_stream(const Context& context, const Entry& entry,
                                  const http::Request& head) {
  const auto caller = authorise(context, entry, head);
  auto decision =
      caller ? stream_conversations(context, *caller, head)
             : http::StreamDecision{.stream = nullptr, .response = failure(caller.error(), head)};
  guard(decision.response);
  return decision;
}

void handle(const Context& context, const Entry& entry, const http::Request& request,
            http::Reply reply) {
  auto guarded = [reply = std::move(reply)](http::Response response) mutable {
    guard(response);
    reply(std::move(response));
  };
  if (entry.access == Access::local && !request.is_local) {
    return guarded(failure({ErrorCode::not_found, "there is nothing at this path"}, request));
  }
  const bool wants_caller =
      entry.access == Access::key || entry.access == Access::scoped || entry.access == Access::node;
  if (!wants_caller) return entry.handler(context, {request, nullptr}, std::move(guarded));
  const auto caller = authorise(context, entry, request);
  if (!caller) return guarded(failure(caller.error(), request));
  if (entry.access == Access::node && !caller->is_sent_on()) {
    return guarded(failure({ErrorCode::not_found, "there is nothing at this path"}, request));
  }
  entry.handler(context, {request, &*caller}, std::move(guarded));
}

}  // namespace
}  // namespace samtale::api

namespace samtale {

std::vector<http::Route> make_api_routes(ApiParts parts, ApiOptions options) {
  const auto context =
      std::make_shared<api::Context>(std::move(parts), std::move(options),
                                     std::make_unique<api::Background>(api::Background::Limits()));
  std::vector<http::Route> routes;
  for (const auto& entry : api::table()) {
    http::Route route;
    route.method = entry.method;
    route.pattern = entry.pattern;
    route.handler = [context, &entry](const http::Request& request, http::Reply reply) {
      api::handle(*context, entry, request, std::move(reply));
    };
    route.is_prompt = api::is_prompt(entry.handler);
    if (entry.handler == api::post_conversations) {
      route.stream = [context, &entry](const http::Request& head) {
        return api::begin_stream(*context, entry, head);
      };
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace samtale
