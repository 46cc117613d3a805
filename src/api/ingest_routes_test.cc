#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::string_view kPath = "/v1/conversations";
constexpr std::string_view kGood = R"({"id":"a","turns":[{"text":"hello"}]})";

class IngestRoutesTest : public ApiTest {
 protected:
  using ApiTest::ApiTest;

  http::Response post(std::string body, Headers headers = {}) {
    return ask("POST", kPath, key, std::move(body), std::move(headers));
  }
  std::vector<json::Value> post_lines(std::string body, Headers headers = {}) {
    headers.emplace_back("content-type", "application/x-ndjson");
    const auto answer = post(std::move(body), std::move(headers));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/x-ndjson");
    std::vector<json::Value> lines;
    for (auto rest = std::string_view(answer.body); !rest.empty();) {
      const auto end = rest.find('\n');
      EXPECT_NE(end, std::string_view::npos) << "a line has no end";
      if (end == std::string_view::npos) break;
      lines.push_back(*json::parse(rest.substr(0, end)));
      rest.remove_prefix(end + 1);
    }
    return lines;
  }
  static std::vector<std::int64_t> statuses(const std::vector<json::Value>& items) {
    std::vector<std::int64_t> found;
    for (const auto& item : items) found.push_back(*item.find("status")->as_int());
    return found;
  }
  static std::vector<json::Value> items_of(const http::Response& answer) {
    return *body_of(answer).find("items")->as_array();
  }

  const std::string key = make_key(acme);
};

TEST_F(IngestRoutesTest, answers_202_with_the_ids_once_it_is_on_disk) {
  const auto answer = post(std::string(kGood));

  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(number_at(answer, "/index"), 0);
  EXPECT_EQ(number_at(answer, "/status"), 202);
  EXPECT_EQ(text_at(answer, "/external_id"), "a");
  EXPECT_EQ(text_at(answer, "/id"), text(make_conversation_id(acme, "api", "a")));
  EXPECT_EQ(accept_log->stats().appended, 1U);
}

TEST_F(IngestRoutesTest, what_was_sent_can_be_read_back) {
  const auto id = send(key, "order-1", "my parcel never came");
  settle();

  const auto answer = ask("GET", "/v1/conversations/" + id, key);

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text_at(answer, "/turns/0/text"), "my parcel never came");
  EXPECT_EQ(number_at(answer, "/revision"), 1);
}

TEST_F(IngestRoutesTest, a_body_that_is_no_json_is_malformed) {
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("{} x"), std::string(R"({"a":NaN})"),
        std::string(R"({"id":"a","id":"b"})"), std::string("\xEF\xBB\xBF{}"),
        std::string("{} // comment"), std::string("{\"id\":\"\xFF\"}"),
        std::string(100'000, '[')}) {
    expect_error(post(body), 400, ErrorCode::invalid_argument);
  }
  expect_error(post(std::string(kGood), {{"content-type", "text/plain"}}), 400,
               ErrorCode::invalid_argument);
}

TEST_F(IngestRoutesTest, a_mistake_is_named_by_pointer_rule_and_value) {
  const auto answer = post(R"({"id":"a","turns":[{"text":"x"},{"text":17}],"status":"gone"})");

  expect_error(answer, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("/turns/1/text: must be a string; got 17"));
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("/status: must be"));
}

TEST_F(IngestRoutesTest, a_foreign_company_in_a_document_is_refused) {
  expect_error(post(R"({"id":"a","company_id":"globex","turns":[]})"), 403,
               ErrorCode::permission_denied);
  EXPECT_EQ(post(R"({"id":"a","company_id":"acme","turns":[]})").status, 202);
  expect_error(post(R"({"id":"a","company_id":2,"turns":[]})"), 422, ErrorCode::invalid_argument);
  EXPECT_EQ(accept_log->stats().appended, 1U);
}

TEST_F(IngestRoutesTest, a_batch_answers_for_each_item_in_its_order) {
  const auto answer = post(R"([{"id":"a","turns":[]},{"turns":[]},{"id":"c","company_id":"globex"},
                               {"id":"d","turns":[]}])");

  EXPECT_EQ(answer.status, 207);
  EXPECT_EQ(number_at(answer, "/accepted"), 2);
  EXPECT_EQ(number_at(answer, "/refused"), 2);
  EXPECT_THAT(statuses(items_of(answer)), ElementsAre(202, 422, 403, 202));
  EXPECT_THAT(text_at(answer, "/items/1/error/message"), HasSubstr("/id: must be"));
  EXPECT_EQ(text_at(answer, "/items/3/external_id"), "d");
}

TEST_F(IngestRoutesTest, the_status_of_a_batch_says_whether_any_was_accepted) {
  EXPECT_EQ(post(R"([{"id":"a"},{"id":"b"}])").status, 202);
  EXPECT_EQ(post(R"([{},{}])").status, 422);
  expect_error(post("[]"), 422, ErrorCode::invalid_argument);
}

TEST_F(IngestRoutesTest, an_idempotency_key_gives_a_repeat_the_same_answer) {
  const Headers named = {{"idempotency-key", "k-1"}};

  const auto first = post(std::string(kGood), named);
  const auto again = post(std::string(kGood), named);

  EXPECT_EQ(first.status, 202);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(text_at(again, "/event_id"), text_at(first, "/event_id"));
  EXPECT_EQ(text_at(again, "/id"), text_at(first, "/id"));
  EXPECT_EQ(accept_log->stats().appended, 1U);
}

TEST_F(IngestRoutesTest, an_idempotency_key_used_for_another_body_is_a_conflict) {
  const Headers named = {{"idempotency-key", "k-1"}};
  ASSERT_EQ(post(std::string(kGood), named).status, 202);

  expect_error(post(R"({"id":"b","turns":[]})", named), 409, ErrorCode::conflict);
}

TEST_F(IngestRoutesTest, an_idempotency_key_is_the_companys_own) {
  const Headers named = {{"idempotency-key", "k-1"}};
  ASSERT_EQ(post(std::string(kGood), named).status, 202);

  const auto theirs = ask("POST", kPath, make_key(globex), R"({"id":"b"})", named);

  EXPECT_EQ(theirs.status, 202);
}

TEST_F(IngestRoutesTest, an_idempotency_key_names_each_item_of_a_batch_by_its_place) {
  const Headers named = {{"idempotency-key", "k-1"}};
  ASSERT_EQ(post(R"([{"id":"a"},{"id":"b"}])", named).status, 202);

  const auto again = post(R"([{"id":"a"},{"id":"changed"},{"id":"c"}])", named);

  EXPECT_THAT(statuses(items_of(again)), ElementsAre(200, 409, 202));
}

TEST_F(IngestRoutesTest, without_an_idempotency_key_every_request_is_its_own) {
  EXPECT_EQ(post(std::string(kGood)).status, 202);
  EXPECT_EQ(post(std::string(kGood)).status, 202);
}

TEST_F(IngestRoutesTest, an_idempotency_key_has_limits) {
  for (const auto& name : {std::string(), std::string(257, 'k')}) {
    expect_error(post(std::string(kGood), {{"idempotency-key", name}}), 422,
                 ErrorCode::invalid_argument);
    expect_error(
        post("{}\n", {{"idempotency-key", name}, {"content-type", "application/x-ndjson"}}), 422,
        ErrorCode::invalid_argument);
  }
  EXPECT_EQ(post(std::string(kGood), {{"idempotency-key", std::string(256, 'k')}}).status, 202);
}

TEST_F(IngestRoutesTest, a_bad_line_of_a_stream_harms_no_other) {
  const auto lines = post_lines(
      "{\"id\":\"a\"}\n"
      "{\"id\": broken\n"
      "\r\n"
      "{\"turns\":[]}\n"
      "{\"id\":\"d\"}");

  EXPECT_THAT(statuses(lines), ElementsAre(202, 422, 422, 202));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(*lines[i].find("index"), json::Value(i));
  }
  EXPECT_NE(lines[1].at_pointer("/error/message"), nullptr);
  EXPECT_EQ(accept_log->stats().appended, 2U);
}

TEST_F(IngestRoutesTest, a_stream_sent_again_under_its_key_is_accepted_once) {
  const std::string body = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n";

  EXPECT_THAT(statuses(post_lines(body, {{"idempotency-key", "s"}})), ElementsAre(202, 202));
  EXPECT_THAT(statuses(post_lines(body, {{"idempotency-key", "s"}})), ElementsAre(200, 200));
}

TEST_F(IngestRoutesTest, an_empty_stream_is_fine) { EXPECT_THAT(post_lines(""), SizeIs(0)); }

TEST_F(IngestRoutesTest, a_company_past_its_rate_is_told_to_slow_down) {
  const auto small = tenants->create_company({.name = "small", .events_per_second_max = 1})->id;
  const auto small_key = make_key(small);
  const auto send_one = [&] { return ask("POST", kPath, small_key, std::string(kGood)); };
  EXPECT_EQ(send_one().status, 202);
  EXPECT_EQ(send_one().status, 202);

  expect_error(send_one(), 429, ErrorCode::resource_exhausted);

  EXPECT_EQ(post(std::string(kGood)).status, 202) << "another company is slowed down too";
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(send_one().status, 202);
}

TEST_F(IngestRoutesTest, a_company_past_its_rate_gets_an_answer_for_each_line) {
  const auto small = tenants->create_company({.name = "small", .events_per_second_max = 1})->id;
  const auto small_key = make_key(small);
  ASSERT_EQ(ask("POST", kPath, small_key, R"([{"id":"a"},{"id":"b"}])").status, 202);

  const auto answer = ask("POST", kPath, small_key, "{\"id\":\"c\"}\n{\"id\":\"d\"}\n",
                          {{"content-type", "application/x-ndjson"}});

  EXPECT_THAT(answer.body, HasSubstr(R"({"index":0,"status":429)"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"index":1,"status":429)"));
}

TEST_F(IngestRoutesTest, a_used_up_quota_of_conversations_is_named) {
  const auto small = tenants->create_company({.name = "small", .conversations_max = 1})->id;
  const auto small_key = make_key(small);
  send(small_key, "a", "hello");
  settle();

  const auto answer = ask("POST", kPath, small_key, R"({"id":"b"})");

  expect_error(answer, 429, ErrorCode::resource_exhausted);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("quota of 1 conversations"));
}

class SmallBatchTest : public IngestRoutesTest {
 protected:
  SmallBatchTest() : IngestRoutesTest(ApiOptions{.batch_items_max = 2}) {}
};

TEST_F(SmallBatchTest, a_batch_past_the_limit_is_refused_whole_and_told_the_way) {
  const auto answer = post(R"([{"id":"a"},{"id":"b"},{"id":"c"}])");

  expect_error(answer, 422, ErrorCode::invalid_argument);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("1 to 2 conversations; got 3"));
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("NDJSON"));
  EXPECT_EQ(accept_log->stats().appended, 0U);
}

// A log that has no room for any event, as when the disk does not keep up.
class FullLogTest : public IngestRoutesTest {
 protected:
  FullLogTest() : IngestRoutesTest(ApiOptions{}, without_room()) {}
  static AcceptLogOptions without_room() {
    auto options = small_log();
    options.pending_bytes_max = 1;
    return options;
  }
};

TEST_F(FullLogTest, a_refusal_to_take_more_may_be_tried_again_whatever_the_shape) {
  const auto answer = post(std::string(kGood));
  EXPECT_THAT(answer.status, testing::AnyOf(429, 503));
  EXPECT_NE(header_of(answer, "Retry-After"), "");

  const auto batch = post(R"([{"id":"a"},{"id":"b"}])");
  EXPECT_EQ(batch.status, 503);
  EXPECT_NE(header_of(batch, "Retry-After"), "");
  for (const auto& item : items_of(batch)) {
    EXPECT_EQ(*item.at_pointer("/error/retryable"), json::Value(true));
  }
}

}  // namespace
}  // namespace samtale
