#include "notify/webhook_sender.h"

#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "json/json.h"
#include "model/conversation.h"
#include "providers/provider.h"
#include "sys/retry_after.h"

namespace samtale {
namespace {

constexpr std::size_t kPingIdBytes = 15;

SendReport report_of(int status) {
  SendReport report{.status = status};
  if (status >= 200 && status < 300) {
    report.outcome = SendOutcome::delivered;
  } else if (status == 410) {
    report.outcome = SendOutcome::gone;
    report.cause = "answered 410 Gone";
  } else {
    report.cause = "answered " + std::to_string(status);
    if (status >= 300 && status < 400) report.cause += "; redirects are not followed";
  }
  return report;
}

}  // namespace

WebhookSender::WebhookSender(HttpClient& client, const Clock& clock, Random& random,
                             WebhookSenderOptions options)
    : client_(client), clock_(clock), random_(random), options_(std::move(options)) {}

SendReport WebhookSender::exchange(const SubscriptionRecord& subscription,
                                   const std::string& message_id, const std::string& body,
                                   Duration timeout, const std::stop_token& stop) const {
  static const auto* const kScheme = find_provider("standard-webhooks");
  SAMTALE_CHECK(kScheme != nullptr, "the table has the scheme we sign by");
  std::vector<SigningSecret> secrets;
  for (const auto& one : subscription.secrets) secrets.push_back({one.secret, one.expires_at});
  auto headers = sign(*kScheme, secrets, message_id, body, clock_.wall_now());
  if (!headers) return {.cause = std::move(headers).error().message};
  headers->emplace_back("content-type", "application/json");
  headers->emplace_back("user-agent", options_.user_agent);

  HttpCall call;
  call.url = subscription.url;
  call.headers = *std::move(headers);
  call.body = body;
  call.timeout = timeout;
  call.answer_bytes_max = options_.answer_bytes_max;
  call.stop = stop;
  // Only a 2xx has its body handed over: whatever becomes of the rest, the receiver has said yes.
  bool is_accepted = false;
  call.on_body = [&](std::string_view) {
    is_accepted = true;
    return true;
  };
  const auto answer = client_.call(call);
  if (is_accepted)
    return {.outcome = SendOutcome::delivered, .status = answer ? answer->status : 200};
  if (!answer) {
    const bool is_ours = stop.stop_requested();
    return {.outcome = is_ours ? SendOutcome::stopped : SendOutcome::failed,
            .cause = answer.error().message};
  }
  auto report = report_of(answer->status);
  if (answer->status == 429 || answer->status == 503) {
    report.wait = read_retry_after(answer->headers, clock_.wall_now());
  }
  return report;
}

SendReport WebhookSender::send(const SubscriptionRecord& subscription,
                               const std::string& message_id, const std::string& body,
                               const std::stop_token& stop) const {
  const auto begin = clock_.now();
  auto report = exchange(subscription, message_id, body, options_.timeout, stop);
  report.took = clock_.now() - begin;
  return report;
}

Result<SendReport> WebhookSender::ping(const SubscriptionRecord& subscription) const {
  const std::unique_lock lock(ping_mutex_, std::try_to_lock);
  if (!lock) {
    return fail(ErrorCode::resource_exhausted, "another test is on its way; try again in a moment");
  }
  const json::Value body = json::Object{{"type", "ping"},
                                        {"timestamp", format_time(clock_.wall_now())},
                                        {"data", json::Object{{"subscription", subscription.id}}}};
  const auto begin = clock_.now();
  auto report = exchange(subscription, "msg_" + base32(random_.bytes(kPingIdBytes)),
                         json::dump(body), options_.ping_timeout, {});
  report.took = clock_.now() - begin;
  return report;
}

}  // namespace samtale
