#include "ingest/jobs.h"

#include <charconv>

#include "json/json.h"

namespace samtale {
namespace {

Result<json::Value> read_payload(const Job& job) {
  SAMTALE_TRY(auto payload, json::parse(job.payload));
  const auto* version = payload.find("v");
  if (version == nullptr || version->as_int() == nullptr) {
    return fail(ErrorCode::corrupt, "payload of " + job.kind + " job without a version");
  }
  if (*version->as_int() != 1) {
    return fail(ErrorCode::invalid_argument, "payload of " + job.kind + " job has version " +
                                                 std::to_string(*version->as_int()) +
                                                 "; this binary reads 1: upgrade it");
  }
  return payload;
}

}  // namespace

NewJob make_conversation_job(std::string_view kind, CompanyId company,
                             const ConversationId& conversation) {
  NewJob job;
  job.company = company;
  job.kind = kind;
  job.payload = json::dump(json::Object{{"v", 1}, {"conversation", text(conversation)}});
  job.key = text(conversation);
  return job;
}

Result<ConversationId> conversation_of(const Job& job) {
  SAMTALE_TRY(const auto payload, read_payload(job));
  const auto* member = payload.find("conversation");
  const auto* id = member == nullptr ? nullptr : member->as_string();
  const auto parsed = id == nullptr ? std::nullopt : parse_conversation_id(*id);
  if (!parsed) return fail(ErrorCode::corrupt, job.kind + " job names no conversation");
  return *parsed;
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
