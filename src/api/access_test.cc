// Goal:   every route asks for the credential that the table says, and no id reaches over to
//         another company.
// Method: requests generated from the route table, so that a new route is tested the day it is
//         added.
#include "api/table.h"
#include "api/testing/api_test.h"
#include "ingest/jobs.h"

namespace samtale {
namespace {

using api::Access;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Ne;

// The entry's path with `id` in the place of what stands in the first braces; what stands in later
// ones is a part of what the first names.
std::string path_of(const api::Entry& entry, std::string_view id = "x") {
  std::string path(entry.pattern);
  for (auto open = path.find('{'); open != std::string::npos; open = path.find('{')) {
    path.replace(open, path.find('}') - open + 1, id);
    id = "sentiment";
  }
  return path;
}

// Makes something under a name that the company itself chooses: another company's name is free.
bool chooses_name(const api::Entry& entry) {
  return entry.method == "PUT" && entry.pattern.ends_with("{name}");
}

std::string body_for(const api::Entry& entry) { return entry.body.empty() ? "" : "{}"; }

std::string describe(const api::Entry& entry) {
  return std::string(entry.method) + " " + std::string(entry.pattern);
}

std::vector<api::Entry> entries(Access access) {
  std::vector<api::Entry> found;
  std::ranges::copy_if(api::table(), std::back_inserter(found),
                       [&](const api::Entry& entry) { return entry.access == access; });
  EXPECT_FALSE(found.empty());
  return found;
}

class AccessTest : public ApiTest {
 protected:
  http::Response ask_for(const api::Entry& entry, std::string_view key, Headers headers = {}) {
    return ask(entry.method, path_of(entry), key, body_for(entry), std::move(headers));
  }
  // A minute later the address may try again.
  void forget_failures() { clock.advance(std::chrono::minutes(2)); }
};

TEST_F(AccessTest, no_route_that_needs_a_key_answers_without_one) {
  for (const auto access : {Access::scoped, Access::key, Access::node}) {
    for (const auto& entry : entries(access)) {
      SCOPED_TRACE(describe(entry));
      forget_failures();

      const auto answer = ask_for(entry, "");

      expect_error(answer, 401, ErrorCode::unauthenticated);
      EXPECT_EQ(header_of(answer, "WWW-Authenticate"), "Bearer");
    }
  }
}

TEST_F(AccessTest, a_scoped_route_refuses_all_other_scopes_and_names_its_own) {
  for (const auto& entry : entries(Access::scoped)) {
    SCOPED_TRACE(describe(entry));
    std::vector<Scope> others(kScopes.begin(), kScopes.end());
    std::erase(others, entry.scope);

    const auto answer = ask_for(entry, make_key(acme, others));

    expect_error(answer, 403, ErrorCode::permission_denied);
    EXPECT_THAT(text_at(answer, "/message"),
                HasSubstr("\"" + std::string(name(entry.scope)) + "\""));
  }
}

TEST_F(AccessTest, a_scoped_route_takes_a_key_of_its_scope_alone) {
  for (const auto& entry : entries(Access::scoped)) {
    SCOPED_TRACE(describe(entry));

    const auto answer = ask_for(entry, make_key(acme, {entry.scope}));

    EXPECT_THAT(answer.status, testing::AllOf(Ne(401), Ne(403))) << answer.body;
  }
}

TEST_F(AccessTest, a_route_for_any_key_takes_one_of_any_scope) {
  for (const auto& entry : entries(Access::key)) {
    for (const auto scope : kScopes) {
      EXPECT_EQ(ask_for(entry, make_key(acme, {scope})).status, 200) << describe(entry);
    }
  }
}

TEST_F(AccessTest, open_routes_need_nobody) {
  for (const auto& entry : entries(Access::open)) {
    EXPECT_THAT(ask_for(entry, "").status, AnyOf(200, 404)) << describe(entry);
  }
}

TEST_F(AccessTest, local_routes_are_not_there_for_the_network_whatever_the_key) {
  for (const auto& entry : entries(Access::local)) {
    SCOPED_TRACE(describe(entry));
    const auto key = make_key(acme);

    expect_error(ask_for(entry, key, {{"x-samtale-company", "acme"}}), 404, ErrorCode::not_found);
    EXPECT_THAT(ask_locally(entry.method, path_of(entry, "acme"), body_for(entry)).status, Ne(404));
  }
}

TEST_F(AccessTest, a_header_from_the_network_makes_nobody_the_operator) {
  for (const auto& entry : entries(Access::scoped)) {
    SCOPED_TRACE(describe(entry));
    forget_failures();

    expect_error(ask_for(entry, "", {{"x-samtale-company", "acme"}}), 401,
                 ErrorCode::unauthenticated);
  }
}

TEST_F(AccessTest, the_operator_acts_for_the_company_named_and_for_no_unknown_one) {
  const auto answer = ask_locally("GET", "/v1/whoami", "", {{"x-samtale-company", "globex"}});

  EXPECT_EQ(text_at(answer, "/company"), "globex");
  EXPECT_EQ(body_of(answer).find("scopes")->as_array()->size(), kScopes.size());
  expect_error(ask_locally("GET", "/v1/whoami", "", {{"x-samtale-company", "initech"}}), 404,
               ErrorCode::not_found);
}

TEST_F(AccessTest, what_is_no_api_key_gets_the_same_refusal_as_none) {
  const auto endpoint = *tenants->create_endpoint(acme, {.preset = "standard-webhooks"});
  const auto key = make_key(acme);
  const auto none = ask("GET", "/v1/whoami", "");

  for (const auto& credential :
       {"Bearer " + endpoint.secrets.front().secret, "Bearer " + endpoint.id, "Basic " + key,
        "Bearer" + key, "Bearer " + key + "x", key, std::string("Bearer ")}) {
    forget_failures();
    const auto answer = ask("GET", "/v1/whoami", "", "", {{"authorization", credential}});
    EXPECT_EQ(answer.status, 401) << credential;
    EXPECT_EQ(answer.body, none.body) << credential;
  }
}

TEST_F(AccessTest, a_key_in_the_url_is_not_looked_at) {
  const auto key = make_key(acme);

  for (const auto* name : {"key", "api_key", "access_token", "authorization"}) {
    expect_error(ask("GET", "/v1/whoami?" + std::string(name) + "=" + key, ""), 401,
                 ErrorCode::unauthenticated);
  }
}

TEST_F(AccessTest, the_scheme_of_the_credential_has_no_case) {
  const auto key = make_key(acme);

  for (const auto* scheme : {"bearer ", "BEARER ", "Bearer "}) {
    EXPECT_EQ(ask("GET", "/v1/whoami", "", "", {{"authorization", scheme + key}}).status, 200);
  }
}

TEST_F(AccessTest, a_revoked_key_ends_with_the_next_request) {
  const auto key = make_key(acme);
  ASSERT_EQ(ask("GET", "/v1/whoami", key).status, 200);

  ASSERT_EQ(ask("DELETE", "/v1/keys/" + tenants->keys(acme).front().id, key).status, 200);

  expect_error(ask("GET", "/v1/whoami", key), 401, ErrorCode::unauthenticated);
}

TEST_F(AccessTest, an_address_that_guesses_keys_has_to_wait) {
  http::Response answer;
  for (int i = 0; i < 21; ++i) answer = ask("GET", "/v1/whoami", "smt_guess_" + std::to_string(i));

  expect_error(answer, 429, ErrorCode::resource_exhausted);
}

TEST_F(AccessTest, a_stream_asks_for_the_same_credential_before_it_reads) {
  const Headers ndjson = {{"content-type", "application/x-ndjson"}};

  expect_error(ask("POST", "/v1/conversations", "", "{}", ndjson), 401, ErrorCode::unauthenticated);
  expect_error(ask("POST", "/v1/conversations", make_key(acme, {Scope::search}), "{}", ndjson), 403,
               ErrorCode::permission_denied);
  EXPECT_EQ(accept_log->stats().appended, 0U);
}

TEST_F(AccessTest, no_answer_may_be_kept_or_guessed_at_by_a_browser) {
  const auto key = make_key(acme);
  std::vector<http::Response> answers = {
      ask("POST", "/v1/conversations", key, "{}\n", {{"content-type", "application/x-ndjson"}}),
      ask("POST", "/v1/conversations", "", "{}\n", {{"content-type", "application/x-ndjson"}})};
  for (const auto& entry : api::table()) answers.push_back(ask_for(entry, key));

  for (const auto& answer : answers) {
    EXPECT_EQ(header_of(answer, "X-Content-Type-Options"), "nosniff") << answer.body;
    EXPECT_EQ(header_of(answer, "Cache-Control"), "no-store") << answer.body;
  }
}

// What globex has, and ids of the same form that nobody has.
struct ObjectIds {
  std::string theirs;
  std::string absent;
};

class IsolationTest : public AccessTest {
 protected:
  IsolationTest() {
    const auto their_key = make_key(globex);
    const auto conversation = send(their_key, "order-1", "globex will buy initech");
    settle();
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
      return writer.add_dead_letter(
          make_conversation_job(kEmbedJob, globex, *parse_conversation_id(conversation)), "poison");
    }));
    const auto letter = text_at(ask("GET", "/v1/dead-letters", their_key), "/dead_letters/0/id");
    const auto endpoint = tenants->create_endpoint(globex, {.preset = "standard-webhooks"})->id;
    const auto card = json::parse(R"({"name":"merger_card","kind":"scorecard",
        "questions":[{"text":"Was the price kept secret?"}]})");
    EXPECT_TRUE(analyzers->put(globex, *parse_analyzer(*card)));
    const auto backfill = backfills->start(globex, {})->id;
    objects = {{conversation, text(make_conversation_id(acme, "api", "none"))},
               {tenants->keys(globex).front().id, "aaaaaaaaaaaaaaaa"},
               {endpoint, "aaaaaaaaaaaaaaaa"},
               {letter, "987654321"},
               {"merger_card", "nobodys_card"},
               {backfill, "bf_aaaaaaaaaaaaaaaa"},
               {subscriptions->create(globex, {"https://globex.example/", {}})->id,
                "sub_aaaaaaaaaaaaaaaa"}};
    for (const auto& [theirs, absent] : objects) EXPECT_NE(theirs, "");
  }

  std::vector<ObjectIds> objects;
};

TEST_F(IsolationTest, another_companys_object_answers_as_one_that_is_not_there) {
  const auto key = make_key(acme);
  for (const auto& entry : entries(Access::scoped)) {
    if (entry.pattern.find('{') == std::string_view::npos || chooses_name(entry)) continue;
    for (const auto& [theirs, absent] : objects) {
      SCOPED_TRACE(describe(entry) + " " + theirs);

      const auto foreign = ask(entry.method, path_of(entry, theirs), key, body_for(entry));
      const auto missing = ask(entry.method, path_of(entry, absent), key, body_for(entry));

      expect_error(foreign, 404, ErrorCode::not_found);
      EXPECT_EQ(foreign.status, missing.status);
      EXPECT_EQ(foreign.body, missing.body);
      EXPECT_EQ(foreign.headers, missing.headers);
    }
  }
}

TEST_F(IsolationTest, what_another_company_tried_has_no_effect) {
  const auto key = make_key(acme);
  for (const auto& entry : entries(Access::scoped)) {
    for (const auto& [theirs, absent] : objects) {
      ask(entry.method, path_of(entry, theirs), key, body_for(entry));
    }
  }

  const auto their_key = make_key(globex);
  EXPECT_EQ(ask("GET", "/v1/conversations/" + objects[0].theirs, their_key).status, 200);
  EXPECT_EQ(number_at(ask("GET", "/v1/jobs", their_key), "/kinds/0/ready"), 0);
  EXPECT_FALSE(tenants->keys(globex).front().revoked_at);
  EXPECT_EQ(tenants->find_endpoint(objects[2].theirs).value()->secrets.size(), 1U);
  EXPECT_EQ(text_at(ask("GET", "/v1/dead-letters", their_key), "/dead_letters/0/id"),
            objects[3].theirs);
  EXPECT_EQ(analyzers->versions(globex, objects[4].theirs).size(), 1U);
  EXPECT_EQ(backfills->find(globex, objects[5].theirs)->campaign.state, "running");
  EXPECT_EQ(subscriptions->find(globex, objects[6].theirs)->secrets.size(), 1U);
  EXPECT_THAT(subscriber.calls(), testing::IsEmpty());
}

TEST_F(IsolationTest, a_name_that_another_company_chose_is_free) {
  const auto key = make_key(acme);
  const auto path = "/v1/analyzers/" + objects[4].theirs;

  const auto made = ask("PUT", path, key, R"({"kind":"topics"})");

  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(number_at(made, "/version"), 1);
  EXPECT_EQ(ask("DELETE", path, key).status, 204);
  EXPECT_EQ(text_at(ask("GET", path, make_key(globex)), "/kind"), "scorecard");
}

TEST_F(IsolationTest, no_list_and_no_count_holds_anything_of_another_company) {
  const auto key = make_key(acme);

  for (const auto& entry : api::table()) {
    if (entry.method != "GET" || entry.access != Access::scoped) continue;
    const auto answer = ask(entry.method, path_of(entry), key);
    for (const auto& [theirs, absent] : objects) {
      EXPECT_THAT(answer.body, testing::Not(HasSubstr("\"" + theirs + "\""))) << describe(entry);
    }
    EXPECT_THAT(answer.body, testing::Not(HasSubstr("globex"))) << describe(entry);
  }
  const auto status = ask("GET", "/v1/status", key);
  EXPECT_EQ(number_at(status, "/conversations"), 0);
  EXPECT_EQ(number_at(status, "/index/chunks"), 0);
  EXPECT_EQ(number_at(status, "/accepted_total"), 0);
}

TEST_F(IsolationTest, ids_of_another_company_in_a_body_do_what_absent_ones_do) {
  const auto key = make_key(acme);
  const auto redrive = [&](const std::string& id) {
    return ask("POST", "/v1/dead-letters/redrive", key, R"({"ids":[")" + id + R"("]})");
  };

  const auto foreign = redrive(objects[3].theirs);

  EXPECT_EQ(number_at(foreign, "/redriven"), 0);
  EXPECT_EQ(foreign.body, redrive(objects[3].absent).body);
  EXPECT_EQ(number_at(ask("POST", "/v1/dead-letters/redrive", key, "{}"), "/redriven"), 0);
}

TEST_F(IsolationTest, a_cursor_of_another_company_is_refused_like_a_forged_one) {
  const auto their_key = make_key(globex);
  send(their_key, "order-2", "and umbrella too");
  settle();
  const auto key = make_key(acme);
  const auto list = ask("GET", "/v1/conversations?limit=1", their_key);
  const auto cursor = text_at(list, "/next_cursor");
  ASSERT_NE(cursor, "");

  const auto foreign = ask("GET", "/v1/conversations?limit=1&cursor=" + cursor, key);
  auto forged = cursor;
  forged.back() = forged.back() == 'a' ? 'b' : 'a';

  expect_error(foreign, 422, ErrorCode::invalid_argument);
  EXPECT_EQ(foreign.body, ask("GET", "/v1/conversations?limit=1&cursor=" + forged, key).body);
}

}  // namespace
}  // namespace samtale
