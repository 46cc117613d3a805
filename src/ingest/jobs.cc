#include "ingest/jobs.h"

#include <charconv>

#include "json/json.h"

namespace samtale {
NewJob make_analyze_job(CompanyId company, const ConversationId& conversation) {
  auto job = make_conversation_job(kAnalyzeJob, company, conversation);
  job.delay = std::chrono::seconds(1);
  return job;
}

NewJob make_erase_job(CompanyId company, const std::vector<LogPosition>& positions) {
  json::Array list;
  // As text: a position may pass 2^53, where other readers of JSON begin to round.
  for (const auto position : positions) list.emplace_back(std::to_string(number(position)));
  NewJob job;
  job.company = company;
  job.kind = kEraseJob;
  job.payload = json::dump(json::Object{{"v", 1}, {"positions", std::move(list)}});
  job.priority = Priority::critical;
  return job;
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

NewJob make_event_job(CompanyId company, LogPosition position) {
  NewJob job;
  job.company = company;
  job.kind = kEventJob;
  job.payload = json::dump(json::Object{{"v", 1}, {"position", std::to_string(number(position))}});
  return job;
}

}  // namespace samtale
