#include "notify/delivery_job.h"

#include "base/bytes.h"
#include "model/conversation.h"
#include "queue/conversation_job.h"

namespace samtale {
namespace {

constexpr std::size_t kMessageIdBytes = 15;  // 120 bits: never the same by chance.

const std::string* text_at(const json::Value& payload, std::string_view key) {
  const auto* member = payload.find(key);
  return member == nullptr ? nullptr : member->as_string();
}

Result<Event> event_of(const Job& job, const json::Value& payload) {
  Event event;
  SAMTALE_TRY(event.conversation, conversation_of(job));
  const auto* type = text_at(payload, "event");
  if (type == nullptr) return fail(ErrorCode::corrupt, job.kind + " job names no event");
  event.type = *type;
  const auto* names = payload.find("analyzers");
  const auto* list = names == nullptr ? nullptr : names->as_array();
  if (list == nullptr) return fail(ErrorCode::corrupt, job.kind + " job names no analyzers");
  for (const auto& name : *list) {
    if (name.as_string() == nullptr) {
      return fail(ErrorCode::corrupt, job.kind + " job names an analyzer that is no text");
    }
    event.analyzers.push_back(*name.as_string());
  }
  return event;
}

}  // namespace

Result<Event> read_event(const Job& job) {
  SAMTALE_TRY(const auto payload, read_payload(job));
  SAMTALE_TRY(auto event, event_of(job, payload));
  event.at = job.enqueued_at;
  return event;
}

Result<DeliveryJob> read_delivery(const Job& job) {
  SAMTALE_TRY(const auto payload, read_payload(job));
  DeliveryJob delivery;
  SAMTALE_TRY(delivery.event, event_of(job, payload));
  const auto* at = text_at(payload, "at");
  const auto time = at == nullptr ? std::nullopt : parse_time(*at);
  const auto* message = text_at(payload, "message");
  const auto* subscription = text_at(payload, "subscription");
  const auto* failures = payload.find("failures");
  if (!time || message == nullptr || subscription == nullptr || failures == nullptr ||
      failures->as_int() == nullptr) {
    return fail(ErrorCode::corrupt, job.kind + " job lacks a part of its payload");
  }
  delivery.event.at = *time;
  delivery.message = *message;
  delivery.subscription = *subscription;
  delivery.failures = *failures->as_int();
  return delivery;
}

NewJob to_job(CompanyId company, const DeliveryJob& delivery) {
  const auto& event = delivery.event;
  NewJob job;
  job.company = company;
  job.kind = kDeliverJob;
  job.key = delivery.message;
  job.payload = json::dump(
      json::Object{{"v", 1},
                   {"conversation", text(event.conversation)},
                   {"event", event.type},
                   {"analyzers", json::Array(event.analyzers.begin(), event.analyzers.end())},
                   {"at", format_time(event.at)},
                   {"message", delivery.message},
                   {"subscription", delivery.subscription},
                   {"failures", delivery.failures}});
  return job;
}

std::string message_id(const Job& job, std::string_view subscription) {
  // A job's number is given once in the life of its file; the time tells it from that of a file
  // made anew under the same subscription.
  const auto digest =
      sha256(std::to_string(number(job.company)) + "/" + std::to_string(number(job.id)) + "/" +
             std::to_string(to_us(job.enqueued_at)) + "/" + std::string(subscription));
  return "msg_" + base32(view(digest).substr(0, kMessageIdBytes));
}

}  // namespace samtale
