#include "queue/job_message.h"

#include "json/json.h"

namespace samtale {
namespace {

constexpr json::ReadLimits kLimits{.bytes_max = 4096, .depth_max = 4, .members_max = 32};

const std::int64_t* positive(const json::Value& message, std::string_view key) {
  const auto* member = message.find(key);
  const auto* value = member == nullptr ? nullptr : member->as_int();
  return value == nullptr || *value <= 0 ? nullptr : value;
}

}  // namespace

std::string encode_job_message(std::string_view kind, const LentJob& job) {
  return json::dump(json::Object{{"v", 1},
                                 {"kind", kind},
                                 {"company", number(job.company)},
                                 {"job", number(job.id)},
                                 {"fence", static_cast<std::int64_t>(job.fence)}});
}

Result<JobMessage> decode_job_message(std::string_view body) {
  const auto message = json::parse(body, kLimits);
  if (!message) return fail(ErrorCode::corrupt, "no message about a job");
  const auto* version = positive(*message, "v");
  if (version == nullptr) return fail(ErrorCode::corrupt, "a message without a version");
  if (*version != 1) {
    return fail(ErrorCode::invalid_argument, "a message of version " + std::to_string(*version) +
                                                 "; this binary reads 1: upgrade it");
  }
  const auto* kind = message->find("kind");
  const auto* company = positive(*message, "company");
  const auto* id = positive(*message, "job");
  const auto* fence = positive(*message, "fence");
  if (kind == nullptr || kind->as_string() == nullptr || kind->as_string()->empty() ||
      company == nullptr || id == nullptr || fence == nullptr) {
    return fail(ErrorCode::corrupt, "a message that names no job");
  }
  return JobMessage{.kind = *kind->as_string(),
                    .job = {.company = static_cast<CompanyId>(*company),
                            .id = static_cast<JobId>(*id),
                            .fence = static_cast<std::uint64_t>(*fence)}};
}

}  // namespace samtale
