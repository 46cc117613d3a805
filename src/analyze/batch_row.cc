#include "analyze/batch_row.h"

#include <utility>

#include "json/json.h"

namespace samtale {
namespace {

std::string payload_of(const AnalysisJob& job) {
  return make_analysis_job(kLmBatchJob, CompanyId{}, job).payload;
}

Error broken() {
  return {ErrorCode::corrupt, "a stored batch (lm_batches) is damaged; restore from a backup"};
}

const std::string* find_string(const json::Value& value, std::string_view key) {
  const auto* found = value.find(key);
  return found == nullptr ? nullptr : found->as_string();
}

const std::int64_t* find_int(const json::Value& value, std::string_view key) {
  const auto* found = value.find(key);
  return found == nullptr ? nullptr : found->as_int();
}

const json::Array* find_array(const json::Value& value, std::string_view key) {
  const auto* found = value.find(key);
  return found == nullptr ? nullptr : found->as_array();
}

json::Value to_json(const BatchRow::Request& request) {
  json::Array bookings;
  for (const auto& [analyzer, amount] : request.reservation.bookings) {
    bookings.push_back(json::Object{
        {"analyzer", analyzer}, {"tokens", amount.tokens}, {"micro_usd", amount.micro_usd}});
  }
  return json::Object{{"id", request.id},
                      {"input_tokens", request.input_tokens},
                      {"day", request.reservation.day},
                      {"is_held", request.reservation.is_held},
                      {"bookings", std::move(bookings)}};
}

Result<BatchRow::Request> read_request(CompanyId company, const json::Value& value) {
  const auto* id = find_string(value, "id");
  const auto* input = find_int(value, "input_tokens");
  const auto* day = find_string(value, "day");
  const auto* held = value.find("is_held");
  const auto* bookings = find_array(value, "bookings");
  if (id == nullptr || input == nullptr || day == nullptr || held == nullptr ||
      held->as_bool() == nullptr || bookings == nullptr) {
    return std::unexpected(broken());
  }
  BatchRow::Request request{.id = *id, .input_tokens = *input, .reservation = {}};
  request.reservation.company = company;
  request.reservation.day = *day;
  request.reservation.is_held = *held->as_bool();
  for (const auto& booking : *bookings) {
    const auto* analyzer = find_string(booking, "analyzer");
    const auto* tokens = find_int(booking, "tokens");
    const auto* micro_usd = find_int(booking, "micro_usd");
    if (analyzer == nullptr || tokens == nullptr || micro_usd == nullptr) {
      return std::unexpected(broken());
    }
    request.reservation.bookings.push_back(
        {.analyzer = *analyzer, .amount = {.tokens = *tokens, .micro_usd = *micro_usd}});
  }
  return request;
}

}  // namespace

std::string write_batch_row(const BatchRow& row) {
  json::Array jobs;
  for (const auto& job : row.jobs) jobs.emplace_back(payload_of(job));
  json::Array requests;
  for (const auto& request : row.requests) requests.push_back(to_json(request));
  return json::dump(
      json::Object{{"v", 1}, {"jobs", std::move(jobs)}, {"requests", std::move(requests)}});
}

Result<BatchRow> read_batch_row(CompanyId company, std::string_view text) {
  const auto value = json::parse(text, {.bytes_max = text.size()});
  if (!value) return std::unexpected(broken());
  const auto* version = find_int(*value, "v");
  if (version != nullptr && *version != 1) {
    return fail(ErrorCode::invalid_argument, "a stored batch is of version " +
                                                 std::to_string(*version) +
                                                 ", this binary reads 1; run the newer binary");
  }
  const auto* jobs = find_array(*value, "jobs");
  const auto* requests = find_array(*value, "requests");
  if (version == nullptr || jobs == nullptr || requests == nullptr) {
    return std::unexpected(broken());
  }
  BatchRow row;
  for (const auto& payload : *jobs) {
    if (payload.as_string() == nullptr) return std::unexpected(broken());
    Job job;
    job.kind = kLmBatchJob;
    job.payload = *payload.as_string();
    SAMTALE_TRY(auto asked, read_analysis_job(job));
    row.jobs.push_back(std::move(asked));
  }
  for (const auto& request : *requests) {
    SAMTALE_TRY(auto read, read_request(company, request));
    row.requests.push_back(std::move(read));
  }
  return row;
}

}  // namespace samtale
