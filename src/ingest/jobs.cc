#include "ingest/jobs.h"

#include <charconv>
#include <map>

#include "json/json.h"

namespace samtale {
NewJob make_analyze_job(CompanyId company, const ConversationId& conversation) {
  auto job = make_conversation_job(kAnalyzeJob, company, conversation);
  job.delay = std::chrono::seconds(1);
  return job;
}

std::string erase_kind(LogId log) {
  std::string kind(kEraseJob);
  if (log != LogId{}) kind += "@" + std::to_string(number(log));
  return kind;
}

Result<> enqueue_erasure(StoreWriter& writer, CompanyId company, LogId own,
                         const std::vector<EventPlace>& places) {
  std::map<LogId, json::Array> by_log{{own, {}}};
  // As text: a position may pass 2^53, where other readers of JSON begin to round.
  for (const auto& place : places) {
    by_log[place.log].emplace_back(std::to_string(number(place.position)));
  }
  for (auto& [log, positions] : by_log) {
    SAMTALE_TRY_VOID(writer.enqueue(
        {.company = company,
         .kind = erase_kind(log),
         .payload = json::dump(json::Object{{"v", 1}, {"positions", std::move(positions)}}),
         .priority = Priority::critical}));
  }
  return {};
}

Result<std::vector<LogPosition>> positions_of(const Job& job) {
  SAMTALE_TRY(const auto payload, read_payload(job));
  std::vector<LogPosition> positions;
  const auto* list = payload.find("positions");
  if (list == nullptr || list->as_array() == nullptr) {
    return fail(ErrorCode::corrupt, "erase job without positions");
  }
  for (const auto& item : *list->as_array()) {
    std::uint64_t value = 0;
    const auto* digits = item.as_string();
    if (digits == nullptr ||
        std::from_chars(digits->data(), digits->data() + digits->size(), value).ec != std::errc()) {
      return fail(ErrorCode::corrupt, "erase job with a broken position");
    }
    positions.push_back(LogPosition{value});
  }
  return positions;
}

NewJob make_event_job(CompanyId company, const EventPlace& place) {
  NewJob job;
  job.company = company;
  job.kind = kEventJob;
  json::Object payload{{"v", 1}, {"position", std::to_string(number(place.position))}};
  if (place.log != LogId{}) payload.emplace_back("log", number(place.log));
  job.payload = json::dump(std::move(payload));
  job.key = std::to_string(number(place.log)) + ":" + std::to_string(number(place.position));
  return job;
}

}  // namespace samtale
