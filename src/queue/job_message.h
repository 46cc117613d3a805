// A message to a broker: it names a job that is lent. Nothing of the job itself is in it: that lies
// in its row, where it can be erased (docs/formats/broker-v1.md).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "queue/postgres_queue.h"

namespace samtale {

struct JobMessage {
  std::string kind;
  LentJob job;  // Its urgency is the queue's that it lies in, and not written.
};

[[nodiscard]] std::string encode_job_message(std::string_view kind, const LentJob& job);
// Errors: invalid_argument for another version (a newer node's: park it), corrupt otherwise.
[[nodiscard]] Result<JobMessage> decode_job_message(std::string_view body);

}  // namespace samtale
