// Rooms: queue
//
// Whatever lies in a queue of the broker: a message names a job that there can be, or it is none;
// and one job has one message.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "queue/job_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  const auto message = decode_job_message({reinterpret_cast<const char*>(data), size});
  if (!message) return 0;
  SAMTALE_CHECK(!message->kind.empty(), "a kind");
  SAMTALE_CHECK(number(message->job.company) > 0 && number(message->job.id) > 0, "ids as we give");
  const auto again = decode_job_message(encode_job_message(message->kind, message->job));
  SAMTALE_CHECK(again && again->kind == message->kind && again->job.id == message->job.id &&
                    again->job.company == message->job.company &&
                    again->job.fence == message->job.fence,
                "the same message again");
  return 0;
}
