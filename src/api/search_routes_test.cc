#include "api/sequence.h"
#include "api/testing/api_test.h"

namespace samtale {
namespace {

using api::Context;
using api::seal_sequence;
using testing::HasSubstr;
using testing::Not;

class SearchRoutesTest : public ApiTest {
 protected:
  // What is stored from here on comes by the feed.
  SearchRoutesTest() { EXPECT_TRUE(open_index(acme)); }

  http::Response search(std::string body) {
    return ask("POST", "/v1/search", key, std::move(body));
  }
  void expect_refusal(const std::string& body, std::string_view pointer, std::string_view rule) {
    SCOPED_TRACE(body.substr(0, 80));
    const auto answer = search(body);
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(std::string(pointer) + ":"));
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(std::string(rule)));
  }
  // Into the store, and not into the index.
  void store_all() {
    Normaliser normaliser(*accept_log, *store, Partition{0}, log);
    while (*normaliser.step() > 0) continue;
  }
  static std::string sequence_of(const http::Response& answer) {
    return header_of(answer, "Samtale-Sequence");
  }
  std::string vector_of(std::size_t dimension, const std::string& first, const std::string& rest) {
    std::string list = first;
    for (std::size_t i = 1; i < dimension; ++i) list += "," + rest;
    return "{\"vector\":[" + list + "]}";
  }

  const std::string key = make_key(acme);
};

TEST_F(SearchRoutesTest, finds_what_was_sent_and_marks_the_words) {
  const auto id = send(key, "order-1", "my parcel never came");
  settle();

  const auto answer = search(R"({"query":"parcel"})");

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text_at(answer, "/hits/0/id"), id);
  EXPECT_EQ(text_at(answer, "/mode"), "hybrid");
  EXPECT_EQ(text_at(answer, "/model"), embedder.model_id());
  EXPECT_THAT(answer.body, HasSubstr(R"({"text":"parcel","hit":true})"));
  EXPECT_THAT(answer.body, HasSubstr(R"("degraded":null)"));
}

TEST_F(SearchRoutesTest, a_query_finds_only_the_own_company) {
  send(make_key(globex), "secret", "globex will merge with initech");
  send(key, "own", "globex is our supplier");
  settle();

  for (const auto* mode : {"hybrid", "vector", "keyword"}) {
    const auto answer = search(R"({"query":"globex merge","mode":")" + std::string(mode) + R"("})");
    EXPECT_EQ(body_of(answer).find("hits")->as_array()->size(), 1U) << mode;
    EXPECT_THAT(answer.body, Not(HasSubstr("initech"))) << mode;
  }
}

TEST_F(SearchRoutesTest, limits_are_kept_and_named) {
  for (const auto* limit : {"0", "-1", "101", "1000000000", "1.5", "\"10\"", "[]", "true"}) {
    expect_refusal(R"({"query":"a","limit":)" + std::string(limit) + "}", "/limit",
                   "must be an integer from 1 to 100; got " + std::string(limit));
    expect_refusal(R"({"query":"a","chunks":)" + std::string(limit) + "}", "/chunks",
                   "must be an integer from 1 to 10; got ");
  }
  EXPECT_EQ(search(R"({"query":"a","limit":100,"chunks":10})").status, 200);
}

TEST_F(SearchRoutesTest, a_query_has_1_byte_to_4_kib) {
  expect_refusal("{}", "/query", "exactly one");
  expect_refusal(R"({"query":""})", "/query", "exactly one");
  expect_refusal(R"({"query":" \t\n"})", "/query", "exactly one");
  expect_refusal(R"({"query":")" + std::string(std::size_t{1} << 20, 'q') + R"("})", "/query",
                 "at most 4096 bytes; got 1048576");
  expect_refusal(R"({"query":17})", "/query", "must be a string; got 17");
}

TEST_F(SearchRoutesTest, a_vector_that_no_model_makes_is_refused) {
  const auto dimension = embedder.dimension();
  expect_refusal(vector_of(dimension - 1, "1", "0"), "/vector", "must have 16 numbers");
  expect_refusal(vector_of(dimension + 1, "1", "0"), "/vector", "got 17");
  expect_refusal(vector_of(dimension, "0", "0"), "/vector", "not all may be zero");
  expect_refusal(vector_of(dimension, "1e-42", "0"), "/vector", "not all may be zero");
  expect_refusal(vector_of(dimension, "1e39", "0"), "/vector", "finite");
  expect_refusal(vector_of(dimension, "3e38", "3e38"), "/vector", "finite");
  expect_refusal(vector_of(dimension, "\"1\"", "0"), "/vector", "finite numbers");
  expect_refusal(R"({"vector":[1],"query":"a"})", "/query", "exactly one");
  expect_error(search(vector_of(dimension, "NaN", "0")), 400, ErrorCode::invalid_argument);
  expect_error(search(vector_of(dimension, "1e400", "0")), 400, ErrorCode::invalid_argument);
  EXPECT_EQ(search(vector_of(dimension, "1", "0")).status, 200);
}

TEST_F(SearchRoutesTest, a_cursor_is_good_for_its_company_and_its_search_only) {
  const auto their_key = make_key(globex);
  for (const auto* name : {"a", "b", "c"}) {
    send(key, name, "zebra");
    send(their_key, name, "zebra");
  }
  settle();
  const auto page = [&](std::string_view whose, const std::string& query,
                        const std::string& cursor) {
    return ask(
        "POST", "/v1/search", whose,
        R"({"query":")" + query + R"(","mode":"keyword","limit":2,"cursor":")" + cursor + R"("})");
  };
  const auto cursor = text_at(page(key, "zebra", ""), "/next_cursor");
  const auto theirs = text_at(page(their_key, "zebra", ""), "/next_cursor");
  ASSERT_NE(cursor, "");

  EXPECT_EQ(body_of(page(key, "zebra", cursor)).find("hits")->as_array()->size(), 1U);
  for (const auto& bad : {theirs, "9" + cursor, cursor + "a", std::string("1"), std::string("x")}) {
    const auto answer = page(key, "zebra", bad);
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr("/cursor:")) << bad;
  }
  expect_error(page(key, "lion", cursor), 422, ErrorCode::invalid_argument);
}

TEST_F(SearchRoutesTest, an_exact_search_may_be_asked_for_and_is_another_search) {
  for (const auto* name : {"a", "b", "c"}) send(key, name, "zebra");
  settle();
  const auto page = [&](const std::string& exact, const std::string& cursor) {
    return search(R"({"query":"zebra","limit":2,"exact":)" + exact + R"(,"cursor":")" + cursor +
                  R"("})");
  };

  const auto answer = page("true", "");

  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("exact":true)"));
  const auto cursor = text_at(answer, "/next_cursor");
  EXPECT_EQ(page("true", cursor).status, 200);
  expect_error(page("false", cursor), 422, ErrorCode::invalid_argument);
  expect_refusal(R"({"query":"zebra","exact":1})", "/exact", "must be true or false; got 1");
}

TEST_F(SearchRoutesTest, every_mistake_is_named_at_once_with_its_place) {
  const auto answer = search(
      R"({"query":1,"mode":"fuzzy","filters":{"from":"soon","chanel":"x","tag":7,"language":[],
          "metadata":{"plan":{"in":[]}}},"k":3})");

  expect_error(answer, 422, ErrorCode::invalid_argument);
  const auto message = text_at(answer, "/message");
  for (const auto* part : {"/query: must be a string; got 1", "/mode: must be", "got \"fuzzy\"",
                           "/filters/from: must be a time", "/filters/chanel: is not known here",
                           "/filters/language: must be a string",
                           "/filters/metadata/plan: must be a string", "/k: is not known here"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST_F(SearchRoutesTest, filters_have_a_limit) {
  std::string terms = "\"x\"";
  for (int i = 1; i < 10'000; ++i) terms += ",\"x\"";

  expect_refusal(R"({"query":"a","filters":{"tag":{"in":[)" + terms + "]}}}", "/filters",
                 "at most 1000 values in all; got 10000");
  expect_refusal(
      R"({"query":"a","filters":{"from":"2026-02-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}})",
      "/filters/to", "must be later");
}

TEST_F(SearchRoutesTest, filters_of_every_kind_reach_the_search) {
  const auto posted = ask("POST", "/v1/conversations", key, R"({"id":"a","channel":"chat",
      "language":"da","started_at":"2026-01-01T00:00:00Z","tags":["billing"],
      "parties":[{"name":"Mette Holm"}],"metadata":{"plan":"pro"},"turns":[{"text":"zebra"}]})");
  ASSERT_EQ(posted.status, 202) << posted.body;
  settle();
  const auto hits = [&](const std::string& filters) {
    const auto answer = search(R"({"query":"zebra","filters":)" + filters + "}");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return body_of(answer).find("hits")->as_array()->size();
  };

  for (const auto* fits :
       {R"({"channel":"chat"})", R"({"language":{"in":["en","da"]}})", R"({"tag":"billing"})",
        R"({"party":"Mette Holm"})", R"({"source":"api"})", R"({"metadata":{"plan":"pro"}})",
        R"({"from":"2026-01-01T00:00:00Z"})", R"({"to":"2026-01-02T00:00:00Z"})"}) {
    EXPECT_EQ(hits(fits), 1U) << fits;
  }
  for (const auto* fits_not :
       {R"({"channel":"voice"})", R"({"language":"en"})", R"({"tag":"x"})", R"({"party":"x"})",
        R"({"source":"shop"})", R"({"metadata":{"plan":"free"}})",
        R"({"from":"2026-01-02T00:00:00Z"})", R"({"to":"2026-01-01T00:00:00Z"})"}) {
    EXPECT_EQ(hits(fits_not), 0U) << fits_not;
  }
}

TEST_F(SearchRoutesTest, without_the_embedder_a_hybrid_is_answered_by_words_and_tells_no_address) {
  send(key, "a", "zebra");
  settle();
  embedder.then_fail(ErrorCode::unavailable, "http://10.0.0.5:9000/v1: connection refused");

  const auto answer = search(R"({"query":"zebra"})");

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text_at(answer, "/mode"), "keyword");
  EXPECT_THAT(text_at(answer, "/degraded"), HasSubstr("by words alone"));
  EXPECT_THAT(answer.body, Not(HasSubstr("10.0.0.5")));
  EXPECT_TRUE(log.has("api.search_degraded"));
}

TEST_F(SearchRoutesTest, without_the_embedder_a_search_by_meaning_may_be_tried_again) {
  send(key, "a", "zebra");
  settle();

  for (const auto code : {ErrorCode::unavailable, ErrorCode::deadline_exceeded}) {
    embedder.then_fail(code, "http://10.0.0.5:9000/v1: no answer");
    const auto answer = search(R"({"query":"zebra","mode":"vector"})");
    expect_error(answer, 503, code);
    EXPECT_THAT(answer.body, Not(HasSubstr("10.0.0.5")));
  }
  EXPECT_TRUE(log.has("api.failed"));
}

TEST_F(SearchRoutesTest, finds_what_was_read_before_it_where_it_is_told_to) {
  const auto id = send(key, "order-1", "my parcel never came");
  store_all();
  const auto read = ask("GET", "/v1/conversations/" + id, key);
  const auto since = sequence_of(read);
  ASSERT_EQ(number_at(search(R"({"query":"parcel"})"), "/hits/0/turn_count"), -1) << "not yet";

  while_waiting = [this] { settle(); };
  const auto answer = search(R"({"query":"parcel","min_sequence":")" + since + R"("})");

  EXPECT_EQ(text_at(answer, "/hits/0/id"), id);
  while_waiting = [] { FAIL() << "it is there"; };
  const auto again = R"({"query":"parcel","min_sequence":")" + sequence_of(answer) + R"("})";
  EXPECT_EQ(text_at(search(again), "/hits/0/id"), id) << "what a search has shown stays";
}

TEST_F(SearchRoutesTest, a_conversation_says_what_of_it_can_be_found_by_now) {
  const auto path =
      "/v1/conversations/" + send(key, "order-1", "my parcel never came") + "?chunks=true";
  store_all();
  EXPECT_EQ(body_of(ask("GET", path, key)).find("chunks")->as_array()->size(), 0U);
  settle();

  const auto read = ask("GET", path, key);

  EXPECT_EQ(number_at(read, "/chunks/0/last_turn"), 0);
  EXPECT_THAT(read.body, HasSubstr(R"("has_vector":true)"));
}

TEST_F(SearchRoutesTest, an_index_that_is_not_new_enough_says_so_and_not_by_how_much) {
  const auto id = send(key, "order-1", "my parcel never came");
  settle();
  ask("DELETE", "/v1/conversations/" + id, key);
  const auto since = sequence_of(ask("GET", "/v1/status", key));

  const auto answer = search(R"({"query":"parcel","min_sequence":")" + since + R"("})");

  expect_error(answer, 503, ErrorCode::unavailable);
  EXPECT_THAT(text_at(answer, "/message"), HasSubstr("not yet as new"));
  EXPECT_TRUE(log.has("api.search_behind"));
}

TEST_F(SearchRoutesTest, an_index_that_is_being_opened_is_no_empty_one) {
  opens = false;
  const auto other = make_key(globex);
  send(other, "order-1", "my parcel never came");
  settle();
  indexes.forget([&](CompanyId company) { return company == globex; });

  for (const auto& answer : {ask("POST", "/v1/search", other, R"({"query":"parcel"})"),
                             ask("GET", "/v1/status", other)}) {
    expect_error(answer, 503, ErrorCode::unavailable);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr("being opened"));
  }
  opens = true;
  const auto answer = ask("POST", "/v1/search", other, R"({"query":"parcel"})");
  EXPECT_THAT(answer.body, HasSubstr(R"("external_id":"order-1")"));
}

TEST_F(SearchRoutesTest, another_node_is_asked_while_the_index_here_is_being_opened) {
  opens = false;
  with_another_node(
      [](const auto&) { return HttpAnswer{.status = 200, .headers = {}, .body = "{}"}; });

  const auto answer = ask("POST", "/v1/search", make_key(globex), R"({"query":"parcel"})");

  EXPECT_EQ(answer.body, "{}");
}

TEST_F(SearchRoutesTest, another_node_is_asked_where_the_index_here_is_not_new_enough) {
  send(key, "order-1", "my parcel never came");
  store_all();
  const auto since = sequence_of(ask("GET", "/v1/conversations", key));
  with_another_node([](const auto&) {
    return HttpAnswer{.status = 200, .headers = {{"samtale-sequence", "newer"}}, .body = "{}"};
  });

  const auto answer = search(R"({"query":"parcel","min_sequence":")" + since + R"("})");

  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(sequence_of(answer), "newer");
}

TEST_F(SearchRoutesTest, a_sequence_is_of_one_company_and_one_store) {
  const auto foreign = sequence_of(ask("GET", "/v1/status", make_key(globex)));
  for (const auto& wrong : {foreign, std::string("17"), foreign.substr(1), foreign + "a"}) {
    expect_refusal(R"({"query":"a","min_sequence":")" + wrong + R"("})", "/min_sequence",
                   "that this server has told this company");
  }
  expect_refusal(R"({"query":"a","min_sequence":17})", "/min_sequence", "must be a string");
}

TEST_F(SearchRoutesTest, a_sequence_of_a_store_that_was_set_back_is_refused_at_once) {
  while_waiting = [] { FAIL() << "it would wait for ever"; };
  const Context context{parts(), {}};
  const auto later = seal_sequence(context, acme, 1'000'000);

  expect_refusal(R"({"query":"a","min_sequence":")" + later + R"("})", "/min_sequence",
                 "the store is older than that");
}

TEST_F(SearchRoutesTest, sequences_do_not_tell_whether_anybody_else_has_written) {
  const auto first = sequence_of(ask("GET", "/v1/status", key));

  const auto same = sequence_of(ask("GET", "/v1/status", key));

  EXPECT_NE(first, same) << "equal ones would say that nobody has";
  EXPECT_EQ(first.size(), same.size());
}

TEST_F(SearchRoutesTest, every_answer_that_tells_of_the_store_says_its_sequence) {
  const auto id = send(key, "order-1", "my parcel never came");
  settle();

  for (const auto* const path :
       {"/v1/conversations", "/v1/status", "/v1/analyses?analyzer=topics"}) {
    EXPECT_NE(sequence_of(ask("GET", path, key)), "") << path;
  }
  const auto path = "/v1/conversations/" + id;
  EXPECT_NE(sequence_of(ask("GET", path, key)), "");
  EXPECT_NE(sequence_of(ask("GET", path + "?format=vcon", key)), "");
  const auto status = ask("GET", "/v1/status", key);
  EXPECT_EQ(text_at(status, "/sequence"), sequence_of(status));
  EXPECT_NE(sequence_of(ask("DELETE", path, key)), "");
}

}  // namespace
}  // namespace samtale
