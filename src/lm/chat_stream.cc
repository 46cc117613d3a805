#include "lm/chat_stream.h"

#include <algorithm>
#include <utility>

#include "json/json.h"
#include "lm/chat_answer.h"

namespace samtale {

void ChatStreamReader::fail_as_broken(const std::string& why) { failure_ = broken_answer(why); }

bool ChatStreamReader::take(std::string_view piece) {
  while (!piece.empty() && !failure_ && !is_done_) {
    if (is_after_return_ && piece.front() == '\n') piece.remove_prefix(1);
    is_after_return_ = false;
    const auto end = piece.find_first_of("\r\n");
    if (line_.size() + std::min(end, piece.size()) > bytes_max_) {
      fail_as_broken("an event is longer than " + std::to_string(bytes_max_) + " bytes");
    } else if (end == std::string_view::npos) {
      line_ += piece;
      break;
    } else {
      line_ += piece.substr(0, end);
      is_after_return_ = piece[end] == '\r';
      piece.remove_prefix(end + 1);
      take_line(line_);
      line_.clear();
    }
  }
  return !failure_;
}

void ChatStreamReader::take_line(std::string_view line) {
  if (line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) return end_event();
  if (!line.starts_with("data")) return;  // A comment, or a field without meaning here.
  line.remove_prefix(4);
  if (!line.empty() && line.front() != ':') return;
  if (!line.empty()) line.remove_prefix(1);
  if (line.starts_with(' ')) line.remove_prefix(1);
  if (data_.size() + line.size() >= bytes_max_) {
    return fail_as_broken("an event is longer than " + std::to_string(bytes_max_) + " bytes");
  }
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
}

void ChatStreamReader::end_event() {
  if (data_ == "[DONE]") {
    is_done_ = true;
  } else if (!data_.empty()) {
    take_chunk(data_);
  }
  data_.clear();
  has_data_ = false;
}

void ChatStreamReader::take_chunk(std::string_view text) {
  const auto chunk = json::parse(text, {.bytes_max = bytes_max_});
  if (!chunk) {
    return fail_as_broken("an event of " + std::to_string(text.size()) + " bytes is no JSON");
  }
  if (const auto* error = chunk->find("error"); error != nullptr && !error->is_null()) {
    failure_ = error_within_answer(*error);
    return;
  }
  has_chunks_ = true;
  if (model_.empty()) model_ = read_model_name(*chunk);
  if (auto usage = read_usage(*chunk)) usage_ = usage;
  const auto* choices = chunk->find("choices");
  if (choices == nullptr || choices->as_array() == nullptr) {
    return fail_as_broken("an event has no choices");
  }
  for (const auto& choice : *choices->as_array()) {
    const auto* index = choice.find("index");
    if (index == nullptr || *index == json::Value(0)) take_choice(choice);
  }
}

void ChatStreamReader::take_choice(const json::Value& choice) {
  if (const auto ended = read_finish(choice)) finish_ = ended;
  const auto* delta = choice.find("delta");
  if (delta == nullptr) return;
  const auto* refusal = delta->find("refusal");
  const auto* refused = refusal == nullptr ? nullptr : refusal->as_string();
  is_refusal_ = is_refusal_ || (refused != nullptr && !refused->empty());
  const auto* content = delta->find("content");
  if (content == nullptr || content->is_null()) return;
  const auto* text = content->as_string();
  if (text == nullptr) return fail_as_broken("a piece of it is no text");
  if (text_.size() + text->size() > bytes_max_) {
    return fail_as_broken("it is longer than " + std::to_string(bytes_max_) + " bytes");
  }
  text_ += *text;
}

std::expected<ChatAnswer, ChatFailure> ChatStreamReader::finish() {
  if (failure_) return std::unexpected(*failure_);
  if (!has_chunks_)
    return std::unexpected(broken_answer("no event came where a stream was asked for"));
  if (!finish_) return std::unexpected(broken_answer("the stream ends before the answer does"));
  ChatAnswer answer;
  answer.text = std::move(text_);
  answer.finish = is_refusal_ ? Finish::content_filter : *finish_;
  answer.usage =
      usage_.value_or(TokenUsage{.input = input_tokens_, .output = token_estimate(answer.text)});
  answer.model = std::move(model_);
  return answer;
}

}  // namespace samtale
