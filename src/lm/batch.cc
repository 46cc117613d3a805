#include "lm/batch.h"

#include <algorithm>
#include <unordered_set>

#include "base/bytes.h"
#include "json/json.h"
#include "lm/batch_lines.h"
#include "lm/chat_request.h"
#include "lm/openai_chat.h"
#include "lm/openai_server.h"

namespace samtale {
namespace {

// OpenAI's limits of one batch.
constexpr std::size_t kRequestsMax = 50'000;
constexpr std::size_t kInputBytesMax = std::size_t{200} << 20;
// Answers are longer than the requests only where those are tiny.
constexpr std::size_t kOutputBytesMax = std::size_t{256} << 20;

// An id goes into the path of a URL: nothing may be in it that leads elsewhere.
bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::string read_id(const json::Value& value, std::string_view key) {
  const auto* found = value.find(key);
  const auto* id = found == nullptr ? nullptr : found->as_string();
  return id != nullptr && is_id(*id) ? *id : std::string();
}

std::int64_t read_count(const json::Value& value, std::string_view pointer) {
  const auto* found = value.at_pointer(pointer);
  const auto* count = found == nullptr ? nullptr : found->as_int();
  return count == nullptr ? 0 : std::max<std::int64_t>(*count, 0);
}

BatchStatus read_status(const json::Value& batch) {
  BatchStatus status;
  const auto* state = batch.find("status");
  const auto* word = state == nullptr ? nullptr : state->as_string();
  if (word != nullptr && (*word == "completed" || *word == "expired" || *word == "cancelled")) {
    status.state = BatchStatus::State::done;
  } else if (word != nullptr && *word == "failed") {
    status.state = BatchStatus::State::failed;
    // Its message may quote the input; its code does not.
    const auto* code = batch.at_pointer("/errors/data/0/code");
    status.cause = code != nullptr && code->as_string() != nullptr && is_id(*code->as_string())
                       ? *code->as_string()
                       : "no cause is given";
  }
  status.output_file = read_id(batch, "output_file_id");
  status.error_file = read_id(batch, "error_file_id");
  status.total = read_count(batch, "/request_counts/total");
  status.completed = read_count(batch, "/request_counts/completed");
  status.failed = read_count(batch, "/request_counts/failed");
  return status;
}

class OpenAiBatches final : public BatchApi {
 public:
  explicit OpenAiBatches(OpenAiServer server) : server_(std::move(server)) {}

  Result<std::string> submit(const std::string& name,
                             const std::vector<std::pair<std::string, ChatRequest>>& requests,
                             const CallLimits& limits) override {
    SAMTALE_TRY(const auto lines, write_lines(requests));
    SAMTALE_TRY(const auto file, upload(name, lines, limits));
    HttpCall call = json_call("POST", "/batches");
    call.body = json::dump(json::Object{{"input_file_id", file},
                                        {"endpoint", "/v1/chat/completions"},
                                        {"completion_window", "24h"},
                                        {"metadata", json::Object{{"name", name}}}});
    SAMTALE_TRY(const auto batch, ask(std::move(call), limits));
    auto id = read_id(batch, "id");
    if (id.empty()) return fail(ErrorCode::unavailable, "a batch was started and has no usable id");
    return id;
  }

  Result<std::string> find(const std::string& name, const CallLimits& limits) override {
    SAMTALE_TRY(const auto list, ask(json_call("GET", "/batches?limit=100"), limits));
    const auto* data = list.find("data");
    if (data == nullptr || data->as_array() == nullptr) {
      return fail(ErrorCode::unavailable, "the list of batches is no list");
    }
    for (const auto& batch : *data->as_array()) {
      const auto* named = batch.at_pointer("/metadata/name");
      if (named != nullptr && *named == json::Value(name)) return read_id(batch, "id");
    }
    return std::string();
  }

  Result<BatchStatus> status(const std::string& id, const CallLimits& limits) override {
    SAMTALE_TRY_VOID(check_id(id));
    auto reply = call(json_call("GET", "/batches/" + id), limits);
    if (reply.status == 404) return BatchStatus{.state = BatchStatus::State::gone};
    SAMTALE_TRY(const auto batch, parse(std::move(reply)));
    return read_status(batch);
  }

  Result<std::vector<BatchLine>> read(const std::string& file, const CallLimits& limits) override {
    SAMTALE_TRY_VOID(check_id(file));
    HttpCall call = json_call("GET", "/files/" + file + "/content");
    call.answer_bytes_max = kOutputBytesMax;
    auto reply = this->call(std::move(call), limits);
    if (!reply.answer) return std::unexpected(std::move(reply.answer).error().error);
    return read_batch_lines(reply.answer->body, server_.options().answer_bytes_max);
  }

  Result<> cancel(const std::string& id, const CallLimits& limits) override {
    SAMTALE_TRY_VOID(check_id(id));
    auto reply = call(json_call("POST", "/batches/" + id + "/cancel"), limits);
    if (!reply.answer) return std::unexpected(std::move(reply.answer).error().error);
    return {};
  }

 private:
  [[nodiscard]] HttpCall json_call(std::string method, std::string path) const {
    HttpCall call;
    call.method = std::move(method);
    call.url = std::move(path);
    call.headers = {{"Content-Type", "application/json"}};
    call.answer_bytes_max = server_.options().answer_bytes_max;
    return call;
  }

  [[nodiscard]] OpenAiServer::Reply call(HttpCall call, const CallLimits& limits) const {
    call.stop = limits.stop;
    return server_.call(std::move(call), limits.deadline);
  }

  static Result<> check_id(std::string_view id) {
    if (is_id(id)) return {};
    return fail(ErrorCode::invalid_argument, "no batch or file has this id");
  }

  [[nodiscard]] Result<json::Value> parse(OpenAiServer::Reply reply) const {
    if (!reply.answer) return std::unexpected(std::move(reply.answer).error().error);
    auto parsed =
        json::parse(reply.answer->body, {.bytes_max = server_.options().answer_bytes_max});
    if (parsed) return parsed;
    return fail(ErrorCode::unavailable, "the answer to a request about batches is no JSON");
  }
  [[nodiscard]] Result<json::Value> ask(HttpCall call, const CallLimits& limits) const {
    return parse(this->call(std::move(call), limits));
  }

  [[nodiscard]] Result<std::string> write_lines(
      const std::vector<std::pair<std::string, ChatRequest>>& requests) const {
    const auto refuse = [](const std::string& why) {
      return fail(ErrorCode::invalid_argument, "a batch has " + why);
    };
    if (requests.empty() || requests.size() > kRequestsMax) {
      return refuse(std::to_string(requests.size()) + " requests; 1 to " +
                    std::to_string(kRequestsMax) + " can be");
    }
    std::string lines;
    std::unordered_set<std::string_view> ids;
    for (const auto& [id, request] : requests) {
      if (!ids.insert(id).second) return refuse("two requests of one id");
      if (!std::ranges::all_of(request.messages, is_utf8, &ChatMessage::content)) {
        return refuse("a message that is not UTF-8");
      }
      lines += R"({"custom_id":)";
      json::write_string(id, lines);
      lines += R"(,"method":"POST","url":"/v1/chat/completions","body":)";
      lines += write_chat_request(server_.options(), request, false);
      lines += "}\n";
      if (lines.size() > kInputBytesMax) {
        return refuse("more than " + std::to_string(kInputBytesMax) + " bytes of requests");
      }
    }
    return lines;
  }

  [[nodiscard]] Result<std::string> upload(const std::string& name, const std::string& lines,
                                           const CallLimits& limits) const {
    // Of the content, so it does not stand in it.
    const auto boundary = "samtale-" + hex(view(sha256(lines)).substr(0, 16));
    HttpCall call = json_call("POST", "/files");
    call.headers = {{"Content-Type", "multipart/form-data; boundary=" + boundary}};
    call.body = "--" + boundary +
                "\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--" +
                boundary + "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" +
                (is_id(name) ? name : "batch") +
                ".jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n" + lines + "\r\n--" +
                boundary + "--\r\n";
    SAMTALE_TRY(const auto file, ask(std::move(call), limits));
    auto id = read_id(file, "id");
    if (id.empty()) return fail(ErrorCode::unavailable, "a file was taken and has no usable id");
    return id;
  }

  const OpenAiServer server_;
};

}  // namespace

Result<std::unique_ptr<BatchApi>> make_openai_batches(HttpClient& http, Clock& clock,
                                                      OpenAiChatOptions options) {
  SAMTALE_TRY(auto server, OpenAiServer::make(http, clock, std::move(options)));
  return std::make_unique<OpenAiBatches>(std::move(server));
}

}  // namespace samtale
