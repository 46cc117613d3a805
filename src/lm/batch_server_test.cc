// Goal:   batches and the real HTTP client together, against a server that has files and batches.
// Method: the scripted server; the model of a request says what becomes of it.
#include <gtest/gtest.h>

#include <algorithm>

#include "lm/openai_chat.h"
#include "lm/testing/scripted_lm_server.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""s;
using Requests = std::vector<std::pair<std::string, ChatRequest>>;

ChatRequest make_request(const std::string& nonce, const std::string& model = "ok") {
  ChatRequest request;
  request.model = model;
  request.messages = {{"user", "[0] customer: Vertraulich"}, {"user", "Nonce: " + nonce}};
  return request;
}

class OpenAiBatchesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server = std::make_unique<ScriptedLmServer>(SAMTALE_SOURCE_DIR); }
  static void TearDownTestSuite() { server.reset(); }

  OpenAiBatchesTest() {
    OpenAiChatOptions options;
    options.url = server->url();
    options.model = "ok";
    batches = *make_openai_batches(*http, clock, options);
  }

  CallLimits soon() const { return {clock.now() + 30s, {}}; }
  std::string submit(const std::string& name, const Requests& requests) {
    const auto id = batches->submit(name, requests, soon());
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or("");
  }

  inline static std::unique_ptr<ScriptedLmServer> server;

  std::unique_ptr<HttpClient> http = make_http_client();
  SystemClock clock;
  std::unique_ptr<BatchApi> batches;
};

TEST_F(OpenAiBatchesTest, answer_each_request_by_its_id) {
  Requests requests;
  for (int i = 0; i < 30; ++i) {
    requests.emplace_back("job-" + std::to_string(i), make_request("nonce" + std::to_string(i)));
  }

  const auto status = *batches->status(submit("thirty", requests), soon());
  const auto lines = *batches->read(status.output_file, soon());

  EXPECT_EQ(status.state, BatchStatus::State::done);
  EXPECT_EQ(status.total, 30);
  EXPECT_EQ(status.completed, 30);
  ASSERT_EQ(lines.size(), 30U);
  EXPECT_NE(lines[0].id + lines[1].id + lines[2].id, "job-0job-1job-2");
  for (const auto& line : lines) {
    EXPECT_EQ(line.answer->text, R"({"nonce": "nonce)" + line.id.substr(4) + "\"}");
  }
}

TEST_F(OpenAiBatchesTest, keep_what_failed_apart_without_its_words) {
  const auto id = submit("mixed", {{"good", make_request("a")}, {"bad", make_request("b", "500")}});

  const auto status = *batches->status(id, soon());
  const auto good = *batches->read(status.output_file, soon());
  const auto bad = *batches->read(status.error_file, soon());

  ASSERT_EQ(good.size(), 1U);
  EXPECT_EQ(good[0].id, "good");
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].id, "bad");
  EXPECT_EQ(bad[0].answer.error().fault, ChatFault::away);
  EXPECT_FALSE(bad[0].answer.error().error.message.contains("Vertraulich"));
}

TEST_F(OpenAiBatchesTest, leave_out_lines_that_are_doubled_or_no_json) {
  const auto id = submit("odd", {{"one", make_request("a", "batch-odd")}});

  const auto lines = *batches->read(batches->status(id, soon())->output_file, soon());

  std::vector<std::string> ids;
  for (const auto& line : lines) ids.push_back(line.id);
  std::ranges::sort(ids);
  EXPECT_EQ(ids, (std::vector<std::string>{"nobody's", "one"}));
}

TEST_F(OpenAiBatchesTest, are_found_by_their_names_also_among_others) {
  const auto id = submit("lost", {{"one", make_request("a")}});
  submit("later", {{"one", make_request("a")}});

  EXPECT_EQ(*batches->find("lost", soon()), id);
  EXPECT_EQ(*batches->find("never", soon()), "");
}

TEST_F(OpenAiBatchesTest, say_how_they_are) {
  const auto running = submit("slow", {{"one", make_request("a", "hang")}});
  const auto failed = submit("bad", {{"one", make_request("a", "batch-fail")}});

  EXPECT_EQ(batches->status(running, soon())->state, BatchStatus::State::running);
  EXPECT_EQ(batches->status(failed, soon())->state, BatchStatus::State::failed);
  EXPECT_EQ(batches->status(failed, soon())->cause, "invalid_json_line");
  EXPECT_EQ(batches->status("batch_999", soon())->state, BatchStatus::State::gone);
  EXPECT_TRUE(batches->cancel(running, soon()));
  EXPECT_EQ(batches->status(running, soon())->state, BatchStatus::State::done);
}

TEST_F(OpenAiBatchesTest, send_nothing_of_what_cannot_be_one) {
  const auto sent = server->count("batches");

  for (const Requests& requests :
       {Requests{}, Requests{{"one", make_request("a")}, {"one", make_request("b")}},
        Requests{{"one", make_request("\xff")}}}) {
    EXPECT_EQ(batches->submit("wrong", requests, soon()).error().code, ErrorCode::invalid_argument);
  }
  for (const auto* id : {"", "../files", "a/b", "a?b", "a b"}) {
    EXPECT_EQ(batches->status(id, soon()).error().code, ErrorCode::invalid_argument) << id;
    EXPECT_EQ(batches->read(id, soon()).error().code, ErrorCode::invalid_argument) << id;
    EXPECT_EQ(batches->cancel(id, soon()).error().code, ErrorCode::invalid_argument) << id;
  }
  EXPECT_EQ(server->count("batches"), sent);
}

TEST_F(OpenAiBatchesTest, have_the_errors_of_any_call) {
  EXPECT_EQ(batches->read("file-999", soon()).error().code, ErrorCode::unavailable);
  EXPECT_EQ(batches->status("batch_1", {clock.now(), {}}).error().code,
            ErrorCode::deadline_exceeded);
}

}  // namespace
}  // namespace samtale
