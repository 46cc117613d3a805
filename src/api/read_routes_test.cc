#include <set>

#include "api/testing/api_test.h"
#include "ingest/jobs.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;

class ReadRoutesTest : public ApiTest {
 protected:
  http::Response get(const std::string& target, Headers headers = {}) {
    return ask("GET", target, key, "", std::move(headers));
  }
  // A job that was given up; its id.
  void give_up(CompanyId company, const std::string& cause) {
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
      return writer.add_dead_letter(
          make_conversation_job(kChunkJob, company, make_conversation_id(company, "api", cause)),
          cause);
    }));
  }

  const std::string key = make_key(acme);
};

TEST_F(ReadRoutesTest, pages_go_through_all_conversations_once) {
  std::set<std::string> sent;
  for (int i = 0; i < 5; ++i) sent.insert(send(key, "c" + std::to_string(i), "hello"));
  settle();

  std::multiset<std::string> listed;
  for (std::string cursor;;) {
    const auto page = get("/v1/conversations?limit=2&cursor=" + cursor);
    ASSERT_EQ(page.status, 200) << page.body;
    const auto body = body_of(page);
    for (const auto& item : *body.find("conversations")->as_array()) {
      listed.insert(*item.find("id")->as_string());
    }
    cursor = text_at(page, "/next_cursor");
    if (cursor.empty()) break;
  }

  EXPECT_EQ(listed, std::multiset<std::string>(sent.begin(), sent.end()));
}

TEST_F(ReadRoutesTest, lists_refuse_limits_and_times_that_make_no_sense) {
  for (const auto* limit : {"0", "-1", "1000000000", "ten", "1.5", "9223372036854775808"}) {
    for (const auto* path : {"/v1/conversations", "/v1/jobs", "/v1/dead-letters"}) {
      const auto answer = get(std::string(path) + "?limit=" + limit);
      expect_error(answer, 422, ErrorCode::invalid_argument);
      EXPECT_THAT(text_at(answer, "/message"), HasSubstr("?limit: must be an integer from 1 to"));
      EXPECT_THAT(text_at(answer, "/message"), HasSubstr(limit));
    }
  }
  expect_error(get("/v1/conversations?from=soon"), 422, ErrorCode::invalid_argument);
  expect_error(get("/v1/conversations?cursor=forged"), 422, ErrorCode::invalid_argument);
  expect_error(get("/v1/dead-letters?cursor=forged"), 422, ErrorCode::invalid_argument);
}

TEST_F(ReadRoutesTest, a_conversation_is_given_as_a_vcon_to_who_asks_for_one) {
  const auto id = send(key, "order-1", "hello");
  settle();

  for (const auto& answer :
       {get("/v1/conversations/" + id + "?format=vcon"),
        get("/v1/conversations/" + id, {{"accept", "application/vcon+json"}})}) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/vcon+json");
    EXPECT_NE(body_of(answer).find("vcon"), nullptr);
    const auto sent_back = ask("POST", "/v1/conversations", key, answer.body,
                               {{"content-type", "application/vcon+json"}});
    EXPECT_EQ(sent_back.status, 202) << sent_back.body;
  }
}

TEST_F(ReadRoutesTest, what_is_deleted_is_gone_from_every_answer_at_once_and_stays_gone) {
  const auto id = send(key, "order-1", "zebra");
  settle();

  const auto deleted = ask("DELETE", "/v1/conversations/" + id, key);

  EXPECT_EQ(deleted.status, 200);
  const auto check_gone = [&] {
    expect_error(get("/v1/conversations/" + id), 404, ErrorCode::not_found);
    EXPECT_THAT(get("/v1/conversations").body, Not(HasSubstr(id)));
    EXPECT_THAT(ask("POST", "/v1/search", key, R"({"query":"zebra"})").body, Not(HasSubstr(id)));
  };
  check_gone();
  send(key, "order-1", "zebra again");
  settle();
  check_gone();
  EXPECT_TRUE(log.has("api.conversation_deleted"));
}

TEST_F(ReadRoutesTest, status_counts_what_is_there_and_what_is_on_its_way) {
  is_embedder_ready = false;
  send(key, "order-1", "zebra");
  settle();

  const auto status = get("/v1/status");

  EXPECT_EQ(text_at(status, "/company"), "acme");
  EXPECT_EQ(number_at(status, "/conversations"), 1);
  EXPECT_EQ(number_at(status, "/turns"), 1);
  EXPECT_EQ(number_at(status, "/index/vectors"), 1);
  EXPECT_EQ(number_at(status, "/index/graph_vectors"), 0);
  EXPECT_EQ(*body_of(status).at_pointer("/index/recall"), json::Value(1.0));
  EXPECT_EQ(number_at(status, "/accepted_total"), 1);
  EXPECT_EQ(number_at(status, "/indexed_total"), 1);
  EXPECT_EQ(*body_of(status).at_pointer("/embedder/ready"), json::Value(false));
}

TEST_F(ReadRoutesTest, a_small_company_has_no_graph_to_make_anew) {
  send(key, "order-1", "my parcel never came");
  settle();

  const auto answer = ask("POST", "/v1/reindex", key);

  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.body, HasSubstr(R"("reindexing":false)"));
}

TEST_F(ReadRoutesTest, a_server_without_the_index_lets_another_make_the_graph_anew) {
  without_indexes();
  with_another_node(
      [](const auto&) { return HttpAnswer{.status = 202, .headers = {}, .body = "made there"}; });

  EXPECT_EQ(ask("POST", "/v1/reindex", key).body, "made there");
}

TEST_F(ReadRoutesTest, waiting_jobs_are_listed_without_what_people_said) {
  send(key, "order-1", "zebra");
  Normaliser normaliser(*accept_log, *store, Partition{0}, log);
  ASSERT_EQ(*normaliser.step(), 1U);

  const auto jobs = get("/v1/jobs");

  EXPECT_EQ(text_at(jobs, "/waiting/0/kind"), "chunk");
  EXPECT_EQ(text_at(jobs, "/waiting/0/priority"), "normal");
  EXPECT_EQ(number_at(jobs, "/kinds/0/ready"), 1);
  EXPECT_THAT(jobs.body, Not(HasSubstr("zebra")));
}

TEST_F(ReadRoutesTest, dead_letters_are_listed_by_page_with_their_cause) {
  for (const auto* cause : {"first", "second", "third"}) give_up(acme, cause);

  const auto page = get("/v1/dead-letters?limit=2");
  const auto rest = get("/v1/dead-letters?limit=2&cursor=" + text_at(page, "/next_cursor"));

  EXPECT_EQ(text_at(page, "/dead_letters/0/cause"), "third");
  EXPECT_EQ(text_at(page, "/dead_letters/1/cause"), "second");
  EXPECT_EQ(text_at(rest, "/dead_letters/0/cause"), "first");
  EXPECT_EQ(text_at(rest, "/next_cursor"), "");
  EXPECT_EQ(text_at(page, "/dead_letters/0/conversation_id"),
            text(make_conversation_id(acme, "api", "third")));
}

TEST_F(ReadRoutesTest, a_redrive_takes_those_named_all_or_none) {
  for (const auto* cause : {"first", "second", "third"}) give_up(acme, cause);
  const auto redrive = [&](const std::string& body) {
    return ask("POST", "/v1/dead-letters/redrive", key, body);
  };
  const auto id = text_at(get("/v1/dead-letters"), "/dead_letters/0/id");

  expect_error(redrive(R"({"ids":["x"]})"), 422, ErrorCode::invalid_argument);
  EXPECT_EQ(number_at(redrive(R"({"ids":[]})"), "/redriven"), 0);
  EXPECT_EQ(number_at(redrive(R"({"ids":[")" + id + R"("]})"), "/redriven"), 1);
  EXPECT_EQ(number_at(redrive(""), "/redriven"), 2);
  EXPECT_EQ(body_of(get("/v1/dead-letters")).find("dead_letters")->as_array()->size(), 0U);
}

}  // namespace
}  // namespace samtale
