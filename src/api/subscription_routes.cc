// Subscriptions: where a company wants to be told of what happened.
#include <utility>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"
#include "model/fields.h"

namespace samtale::api {
namespace {

json::Object describe(const SubscriptionRecord& subscription) {
  const auto* state = subscription.revoked_at            ? "revoked"
                      : !subscription.paused_why.empty() ? "paused"
                                                         : "active";
  json::Object object{
      {"id", subscription.id},
      {"url", subscription.url},
      {"events", json::Array(subscription.events.begin(), subscription.events.end())},
      {"state", state},
      {"secrets", subscription.secrets.size()},
      {"created_at", format_time(subscription.created_at)}};
  if (!subscription.paused_why.empty()) object.emplace_back("why", subscription.paused_why);
  if (subscription.failing_since) {
    object.emplace_back("failing_since", format_time(*subscription.failing_since));
  }
  if (subscription.revoked_at) {
    object.emplace_back("revoked_at", format_time(*subscription.revoked_at));
  }
  return object;
}

json::Object with_secret(const SubscriptionRecord& subscription) {
  auto object = describe(subscription);
  object.emplace_back("secret", subscription.secrets.back().secret);
  return object;
}

}  // namespace

void get_subscriptions(const Context& context, const Call& call, http::Reply reply) {
  json::Array list;
  for (const auto& one : context.parts.subscriptions.list(call.caller->company())) {
    list.emplace_back(describe(one));
  }
  reply(ok(json::Object{{"subscriptions", std::move(list)}}));
}

void post_subscriptions(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  NewSubscription wanted;
  wanted.url = fields.string("url").value_or("");
  wanted.events = fields.strings("events");
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto created = context.parts.subscriptions.create(call.caller->company(), wanted);
  if (!created) return refuse(context, call, created.error(), std::move(reply));
  reply(ok(with_secret(*created), 201));
}

void post_subscription_rotate(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  constexpr std::int64_t kDay = 24 * 3600;
  const auto keep = std::chrono::seconds(fields.integer("keep_old_s", 0, 30 * kDay).value_or(kDay));
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  const auto rotated =
      context.parts.subscriptions.rotate(call.caller->company(), *call.request.param("id"), keep);
  if (!rotated) return refuse(context, call, rotated.error(), std::move(reply));
  reply(ok(with_secret(*rotated)));
}

void post_subscription_resume(const Context& context, const Call& call, http::Reply reply) {
  const auto resumed =
      context.parts.subscriptions.resume(call.caller->company(), *call.request.param("id"));
  if (!resumed) return refuse(context, call, resumed.error(), std::move(reply));
  reply(ok(describe(*resumed)));
}

void post_subscription_test(const Context& context, const Call& call, http::Reply reply) {
  const auto found =
      context.parts.subscriptions.find(call.caller->company(), *call.request.param("id"));
  if (!found) {
    const Error absent{ErrorCode::not_found, "there is no such subscription"};
    return refuse(context, call, absent, std::move(reply));
  }
  const auto report = context.parts.webhook_sender.ping(*found);
  if (!report) return refuse(context, call, report.error(), std::move(reply));
  const std::chrono::duration<double, std::milli> took = report->took;
  json::Object object{{"delivered", report->outcome == SendOutcome::delivered},
                      {"status", report->status == 0 ? json::Value() : json::Value(report->status)},
                      {"took_ms", took.count()}};
  if (!report->cause.empty()) object.emplace_back("cause", report->cause);
  reply(ok(object));
}

void delete_subscription(const Context& context, const Call& call, http::Reply reply) {
  const auto& id = *call.request.param("id");
  const auto revoked = context.parts.subscriptions.revoke(call.caller->company(), id);
  if (!revoked) return refuse(context, call, revoked.error(), std::move(reply));
  reply(ok(json::Object{{"id", id}, {"revoked", true}}));
}

}  // namespace samtale::api
