#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "cli/import.h"

namespace samtale::cli {
namespace {

bool may_pass(std::int64_t status) { return status == 429 || status == 503 || status == 408; }

std::string why_refused(const json::Value& answer) {
  const auto* const error = answer.find("error");
  const auto message = error == nullptr ? std::string() : text_at(*error, "message");
  return message.empty() ? "refused with status " + std::to_string(int_at(answer, "status"))
                         : message;
}

}  // namespace

void Importer::refuse(const Record& record, const std::string& why) {
  ++counts_.refused;
  refused_(record, why);
}

Result<std::string> Importer::company_of(const Record& record) const {
  if (!options_.company.empty() || api_.is_remote()) return options_.company;
  SAMTALE_TRY(const auto value, json::parse(record.text));
  auto company = text_at(value, "company_id");
  if (company.empty()) {
    return fail(ErrorCode::invalid_argument,
                "/company_id: is missing; name the company with --company");
  }
  return company;
}

Result<> Importer::make_company(const std::string& name) {
  if (!options_.creates_companies || made_.contains(name)) return {};
  for (std::size_t tries = 1;; ++tries) {
    const auto made = api_.post("/v1/companies", "", {{"name", name}});
    if (made || made.error().code == ErrorCode::conflict) {
      made_.insert(name);
      return {};
    }
    if (!retryable(made.error().code) || tries >= options_.tries_max) {
      return std::unexpected(made.error());
    }
    clock_.sleep_for(std::chrono::seconds(1), {});
  }
}

Result<> Importer::add(Record record) {
  if (record.is_too_long) {
    refuse(record, "is longer than " + std::to_string(options_.record_bytes_max >> 20U) +
                       " MiB; split the conversation");
    return {};
  }
  const auto company = company_of(record);
  if (!company) {
    refuse(record, company.error().message);
    return {};
  }
  auto& held = held_[*company];
  held.bytes += record.text.size();
  held_bytes_ += record.text.size();
  held.records.push_back(std::move(record));
  if (held_bytes_ >= options_.held_bytes_max) return finish();
  if (held.bytes < options_.piece_bytes_max && held.records.size() < options_.piece_records_max) {
    return {};
  }
  held_bytes_ -= held.bytes;
  auto full = std::move(held);
  held_.erase(*company);
  return send(*company, std::move(full));
}

Result<> Importer::finish() {
  auto all = std::exchange(held_, {});
  held_bytes_ = 0;
  for (auto& [company, held] : all) SAMTALE_TRY_VOID(send(company, std::move(held)));
  return {};
}

Result<http::Response> Importer::post(const std::string& company,
                                      const std::vector<Record>& records) const {
  ApiCall call;
  call.method = "POST";
  call.path = "/v1/conversations";
  call.company = company;
  call.content_type = "application/x-ndjson";
  for (const auto& record : records) call.body += record.text + "\n";
  // The same request again, after an answer was lost, is known by its bytes.
  call.headers.emplace_back("idempotency-key",
                            options_.run_name + "-" + hex(view(sha256(call.body))).substr(0, 32));
  return api_.exchange(call);
}

// Returns those to send again.
std::vector<Record> Importer::settle(std::vector<Record> records, const std::string& answers) {
  std::vector<Record> again;
  std::vector<bool> is_answered(records.size());
  std::string_view rest = answers;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const auto answer = json::parse(line);
    if (!answer) continue;
    const auto index = static_cast<std::size_t>(int_at(*answer, "index"));
    if (index >= records.size() || is_answered[index]) continue;
    is_answered[index] = true;
    const auto status = int_at(*answer, "status");
    if (status >= 200 && status < 300) {
      ++counts_.accepted;
    } else if (may_pass(status)) {
      again.push_back(std::move(records[index]));
    } else {
      refuse(records[index], why_refused(*answer));
    }
  }
  // A stream that broke off in the middle: what has no answer goes again.
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!is_answered[i]) again.push_back(std::move(records[i]));
  }
  return again;
}

Result<> Importer::send(const std::string& company, Held held) {
  if (!company.empty()) {
    if (const auto made = make_company(company); !made) {
      // Of a server that is not there no record can be said to be refused.
      if (retryable(made.error().code)) return std::unexpected(made.error());
      for (const auto& record : held.records) refuse(record, made.error().message);
      return {};
    }
  }
  auto waiting = std::move(held.records);
  for (std::size_t tries = 0; !waiting.empty(); ++tries) {
    auto response = post(company, waiting);
    Duration pause = std::chrono::seconds(1);
    if (response && response->status == 200) {
      const auto before = waiting.size();
      waiting = settle(std::move(waiting), response->body);
      if (waiting.size() < before) tries = 0;
    } else if (response && !may_pass(response->status)) {
      const auto error = value_of(*response).error();
      if (error.code != ErrorCode::not_found) return std::unexpected(error);
      for (const auto& record : waiting) refuse(record, error.message);
      return {};
    } else if (!response && tries + 1 >= options_.tries_max) {
      return std::unexpected(response.error());
    } else if (response) {
      pause = retry_after(*response);
    }
    if (waiting.empty()) return {};
    if (tries + 1 >= options_.tries_max) {
      return fail(ErrorCode::unavailable, "the server takes no more after " +
                                              std::to_string(options_.tries_max) +
                                              " tries; import the file again later");
    }
    clock_.sleep_for(pause, {});
  }
  return {};
}

}  // namespace samtale::cli
