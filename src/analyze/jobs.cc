#include "analyze/jobs.h"

#include "json/json.h"

namespace samtale {

NewJob make_analysis_job(std::string_view kind, CompanyId company, const AnalysisJob& job) {
  auto made = make_conversation_job(kind, company, job.conversation);
  if (job.analyzers.empty()) return made;
  made.payload = json::dump(
      json::Object{{"v", 1},
                   {"conversation", text(job.conversation)},
                   {"analyzers", json::Array(job.analyzers.begin(), job.analyzers.end())}});
  made.key.clear();
  return made;
}

Result<AnalysisJob> read_analysis_job(const Job& job) {
  AnalysisJob made;
  SAMTALE_TRY(made.conversation, conversation_of(job));
  SAMTALE_TRY(const auto payload, read_payload(job));
  const auto* names = payload.find("analyzers");
  if (names == nullptr) return made;
  if (names->as_array() == nullptr) {
    return fail(ErrorCode::corrupt, job.kind + " job with broken names of analyzers");
  }
  for (const auto& name : *names->as_array()) {
    if (name.as_string() == nullptr) {
      return fail(ErrorCode::corrupt, job.kind + " job with a broken name of an analyzer");
    }
    made.analyzers.push_back(*name.as_string());
  }
  return made;
}

NewJob make_notify_job(CompanyId company, const ConversationId& conversation,
                       const std::vector<std::string>& analyzers, std::int64_t revision) {
  NewJob job;
  job.company = company;
  job.kind = kNotifyJob;
  job.payload =
      json::dump(json::Object{{"v", 1},
                              {"event", "analysis.completed"},
                              {"conversation", text(conversation)},
                              {"analyzers", json::Array(analyzers.begin(), analyzers.end())},
                              {"revision", revision}});
  return job;
}

}  // namespace samtale
