// The jobs between an event and its deliveries. Not a front door.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "queue/queue.h"
#include "sys/clock.h"

namespace samtale {

// Tell one subscription of one event.
inline constexpr std::string_view kDeliverJob = "deliver";

// What happened: the payload of kNotifyJob.
struct Event {
  ConversationId conversation;
  std::string type;                    // "analysis.completed"
  std::vector<std::string> analyzers;  // Names.
  WallTime at{};
};

// What to deliver, and how often that failed. Names things and holds nothing of what was said: the
// body is built when it is sent, so that what was erased meanwhile is not told.
struct DeliveryJob {
  Event event;
  std::string message;  // The webhook-id: the same however often it is sent.
  std::string subscription;
  std::int64_t failures = 0;
};

// Errors of both: invalid_argument for another version, corrupt otherwise.
[[nodiscard]] Result<Event> read_event(const Job& job);
[[nodiscard]] Result<DeliveryJob> read_delivery(const Job& job);

[[nodiscard]] NewJob to_job(CompanyId company, const DeliveryJob& delivery);

// Of the event that `job` tells, for this subscription: the same whenever the job runs, and no
// other job's.
[[nodiscard]] std::string message_id(const Job& job, std::string_view subscription);

}  // namespace samtale
