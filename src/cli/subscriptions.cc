// Subscriptions to events: each a request and a few lines about it.
#include <ostream>

#include "cli/listing.h"

namespace samtale::cli {
namespace {

std::string path_of(const Arguments& arguments, std::string_view action = {}) {
  return "/v1/subscriptions/" + escaped(arguments.words().front()) + std::string(action);
}

Result<json::Value> post(Context& context, const std::string& path, json::Object body = {}) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  return api->post(path, company, std::move(body));
}

}  // namespace

Result<int> subscription_create(Context& context, const Arguments& arguments) {
  json::Array events;
  for (const auto& event : arguments.all("--event")) events.emplace_back(event);
  json::Object body{{"url", arguments.words().front()}, {"events", std::move(events)}};
  SAMTALE_TRY(const auto answer, post(context, "/v1/subscriptions", std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "id      " << plain(text_at(answer, "id")) << "\nsecret  "
                         << plain(text_at(answer, "secret")) << "\n";
    context.screen().err << "The secret is shown this once; the receiver verifies by it.\n";
  }
  return 0;
}

Result<int> subscription_list(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {{"ID", "id"},         {"STATE", "state"},
                                 {"EVENTS", "events"}, {"MADE", "created_at"},
                                 {"URL", "url"},       {"FAILING SINCE", "failing_since"},
                                 {"WHY", "why"}};
  return list(context, "/v1/subscriptions", "subscriptions", kColumns);
}

Result<int> subscription_rotate(Context& context, const Arguments& arguments) {
  json::Object body;
  if (arguments.has("--keep-old")) {
    body.emplace_back("keep_old_s", arguments.number("--keep-old", 0));
  }
  SAMTALE_TRY(const auto answer, post(context, path_of(arguments, "/rotate"), std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "secret  " << plain(text_at(answer, "secret")) << "\n";
  }
  return 0;
}

Result<int> subscription_resume(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto answer, post(context, path_of(arguments, "/resume")));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "subscription resumed; what was given up meanwhile: samtale "
                            "dead-letter redrive\n";
  }
  return 0;
}

Result<int> subscription_test(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto answer, post(context, path_of(arguments, "/test")));
  const auto* const delivered = answer.find("delivered");
  const bool is_delivered = delivered != nullptr && *delivered == json::Value(true);
  if (context.wants_json()) {
    context.print(answer);
  } else if (is_delivered) {
    context.screen().out << "delivered: answered " << int_at(answer, "status") << "\n";
  } else {
    context.screen().out << "not delivered: " << plain(text_at(answer, "cause")) << "\n";
  }
  return is_delivered ? 0 : 1;
}

Result<int> subscription_revoke(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.method = "DELETE";
  call.path = path_of(arguments);
  SAMTALE_TRY(call.company, context.company());
  SAMTALE_TRY(const auto answer, api->call(call));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "subscription revoked\n";
  }
  return 0;
}

}  // namespace samtale::cli
