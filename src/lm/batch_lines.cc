#include "lm/batch_lines.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

#include "json/json.h"
#include "lm/chat_answer.h"

namespace samtale {
namespace {

std::expected<ChatAnswer, ChatFailure> read_answer(const json::Value& line) {
  if (const auto* error = line.find("error"); error != nullptr && !error->is_null()) {
    auto failure = error_within_answer(*error);
    failure.may_have_cost = false;  // Never begun: the batch ended before it.
    return std::unexpected(std::move(failure));
  }
  const auto* status = line.at_pointer("/response/status_code");
  const auto* body = line.at_pointer("/response/body");
  if (status == nullptr || status->as_int() == nullptr || body == nullptr) {
    return std::unexpected(broken_answer("a line of a batch has no response"));
  }
  if (*status->as_int() == 200) return read_completion(*body, 0);
  const bool is_status = *status->as_int() >= 100 && *status->as_int() <= 599;
  return std::unexpected(
      read_refusal(is_status ? static_cast<int>(*status->as_int()) : 500, json::dump(*body)));
}

}  // namespace

std::vector<BatchLine> read_batch_lines(std::string_view file, std::size_t line_bytes_max) {
  std::vector<BatchLine> lines;
  std::unordered_set<std::string> seen;
  while (!file.empty()) {
    const auto text = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(text.size() + 1, file.size()));
    const auto line = json::parse(text, {.bytes_max = line_bytes_max});
    if (!line) continue;
    const auto* id = line->find("custom_id");
    if (id == nullptr || id->as_string() == nullptr) continue;
    if (!seen.insert(*id->as_string()).second) continue;
    lines.push_back({.id = *id->as_string(), .answer = read_answer(*line)});
  }
  return lines;
}

}  // namespace samtale
