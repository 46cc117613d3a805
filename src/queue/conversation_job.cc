#include "queue/conversation_job.h"

namespace samtale {

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

}  // namespace samtale
