// The route table: every endpoint, one entry each. It serves, and it makes the OpenAPI document.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "api/api.h"
#include "api/background.h"

namespace samtale::api {

enum class Access : std::uint8_t {
  open,      // Nobody needs to say who they are.
  key,       // An API key of any scope.
  scoped,    // An API key with `scope`.
  endpoint,  // A webhook endpoint's signature.
  local,     // The local socket only.
  node,      // Another node's pass. No part of the public API.
};

// A request whose credential has been checked.
struct Call {
  const http::Request& request;
  const Caller* caller;  // Null for open, endpoint and local routes.
};

struct Context {
  ApiParts parts;
  ApiOptions options;
  std::unique_ptr<Background> background;  // Ends before the parts.
};

using CallHandler = void (*)(const Context&, const Call&, http::Reply);

struct Entry {
  std::string_view method;
  std::string_view pattern;
  Access access;
  Scope scope;
  CallHandler handler;
  std::string_view summary;
  std::string_view body;   // Name of the request schema in openapi.cc; empty: no body.
  std::string_view query;  // Names of query parameters, comma-separated.
};

[[nodiscard]] const std::vector<Entry>& table();

// The handlers, by file.
void post_conversations(const Context&, const Call&, http::Reply);
void post_webhook(const Context&, const Call&, http::Reply);
void post_search(const Context&, const Call&, http::Reply);
void post_search_batch(const Context&, const Call&, http::Reply);
void get_conversations(const Context&, const Call&, http::Reply);
void get_conversation(const Context&, const Call&, http::Reply);
void delete_conversation(const Context&, const Call&, http::Reply);
void get_analyses(const Context&, const Call&, http::Reply);
void get_trends(const Context&, const Call&, http::Reply);
void get_analysis_settings(const Context&, const Call&, http::Reply);
void put_analysis_settings(const Context&, const Call&, http::Reply);
void get_usage(const Context&, const Call&, http::Reply);
void get_analyzers(const Context&, const Call&, http::Reply);
void get_analyzer(const Context&, const Call&, http::Reply);
void put_analyzer(const Context&, const Call&, http::Reply);
void delete_analyzer(const Context&, const Call&, http::Reply);
void post_conversation_analyses(const Context&, const Call&, http::Reply);
void put_override(const Context&, const Call&, http::Reply);
void delete_override(const Context&, const Call&, http::Reply);
void get_backfills(const Context&, const Call&, http::Reply);
void post_backfills(const Context&, const Call&, http::Reply);
void get_backfill(const Context&, const Call&, http::Reply);
void post_backfill_pause(const Context&, const Call&, http::Reply);
void post_backfill_resume(const Context&, const Call&, http::Reply);
void post_backfill_cancel(const Context&, const Call&, http::Reply);
void get_status(const Context&, const Call&, http::Reply);
void post_reindex(const Context&, const Call&, http::Reply);
void get_whoami(const Context&, const Call&, http::Reply);
void get_jobs(const Context&, const Call&, http::Reply);
void get_dead_letters(const Context&, const Call&, http::Reply);
void post_redrive(const Context&, const Call&, http::Reply);
void get_keys(const Context&, const Call&, http::Reply);
void post_keys(const Context&, const Call&, http::Reply);
void delete_key(const Context&, const Call&, http::Reply);
void get_endpoints(const Context&, const Call&, http::Reply);
void post_endpoints(const Context&, const Call&, http::Reply);
void post_rotate(const Context&, const Call&, http::Reply);
void delete_endpoint(const Context&, const Call&, http::Reply);
void get_subscriptions(const Context&, const Call&, http::Reply);
void post_subscriptions(const Context&, const Call&, http::Reply);
void post_subscription_rotate(const Context&, const Call&, http::Reply);
void post_subscription_resume(const Context&, const Call&, http::Reply);
void post_subscription_test(const Context&, const Call&, http::Reply);
void delete_subscription(const Context&, const Call&, http::Reply);
void get_presets(const Context&, const Call&, http::Reply);
void get_companies(const Context&, const Call&, http::Reply);
void post_companies(const Context&, const Call&, http::Reply);
void post_company_split(const Context&, const Call&, http::Reply);
void post_company_join(const Context&, const Call&, http::Reply);
void post_slice(const Context&, const Call&, http::Reply);
void get_cluster(const Context&, const Call&, http::Reply);
void post_replay(const Context&, const Call&, http::Reply);
void get_healthz(const Context&, const Call&, http::Reply);
void get_readyz(const Context&, const Call&, http::Reply);
void get_metrics(const Context&, const Call&, http::Reply);
void get_openapi(const Context&, const Call&, http::Reply);
void get_asset(const Context&, const Call&, http::Reply);

// NDJSON to POST /v1/conversations, handled while it arrives.
[[nodiscard]] http::StreamDecision stream_conversations(const Context&, const Caller&,
                                                        const http::Request& head);

// Finds out who asks. Errors: unauthenticated, permission_denied, resource_exhausted, not_found.
[[nodiscard]] Result<Caller> identify(const Context& context, const http::Request& request);

}  // namespace samtale::api
