// Goal:   a search of a company in slices is one answer of all of them, or of its whole index, or
//         none: never of a part.
// Method: two slices of the test's store; the second is asked as another node is, by its route and
//         a pass.
#include "api/scatter.h"

#include <array>

#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;

class ScatterTest : public ApiTest, public SliceHost {
 protected:
  static constexpr std::size_t kCount = 2;

  ScatterTest() {
    auto split = std::make_shared<Layout>();
    split->changes[acme] = {.is_split = true, .number = 1};
    split->last = 1;
    for (std::size_t i = 0; i < kCount; ++i) {
      sets[i] = std::make_unique<IndexSet>(embedder.model_id(), embedder.dimension());
      followers[i] = std::make_unique<IndexFollower>(
          *store, Partition{0}, wholes,
          FollowedSlice{.number = i, .of = kCount, .shares = sets[i].get(), .layout = [split] {
                          return split;
                        }});
    }
  }
  void settle_slices() {
    settle();
    for (auto& follower : followers) {
      while (*follower->step() > 0) continue;
    }
  }
  // What a client sees, but for the time it took.
  static std::string shown(const http::Response& answer) {
    return std::to_string(answer.status) + answer.body.substr(0, answer.body.find("\"took_ms\""));
  }
  http::Response search(const std::string& body) { return ask("POST", "/v1/search", key, body); }
  http::Response ask_slice(std::size_t slice, std::string_view pass, std::string body) {
    return ApiTest::ask("POST", "/v1/slices/" + std::to_string(slice), pass, std::move(body));
  }
  std::string pass() { return tenants->pass_for(*tenants->authenticate(key, "192.0.2.1")); }
  using ApiTest::ask;

  std::size_t count() const override { return kCount; }
  bool is_split(CompanyId company) const override { return company == acme; }
  IndexSet& shares(std::size_t slice) override { return *sets[slice]; }
  bool has(CompanyId company, std::size_t slice) const override {
    // The second is there only where it is asked as another node.
    if (slice == 1 && !is_asked) return false;
    return followers[slice]->has(company, IndexFollower::Part::share);
  }
  Result<std::shared_ptr<const CompanyIndex>> open(CompanyId company, std::size_t slice) override {
    if (!has(company, slice)) return nullptr;
    return followers[slice]->open(company, IndexFollower::Part::share, {});
  }
  std::uint64_t wait_applied(CompanyId, std::size_t slice, std::uint64_t sequence) override {
    return followers[slice]->wait_applied(sequence, {});
  }
  Result<HttpAnswer> ask(const Caller& caller, std::size_t slice, const std::string&,
                         const std::string& body) override {
    if (is_away) return fail(ErrorCode::unavailable, "nobody has it");
    is_asked = true;
    auto answer = ask_slice(slice, tenants->pass_for(caller), body);
    is_asked = false;
    if (garbles) answer.body.pop_back();
    return HttpAnswer{.status = answer.status, .headers = {}, .body = answer.body};
  }

  const std::string key = make_key(acme);
  IndexSet wholes{embedder.model_id(), embedder.dimension()};
  std::array<std::unique_ptr<IndexSet>, kCount> sets;
  std::array<std::unique_ptr<IndexFollower>, kCount> followers;
  bool is_asked = false;
  bool is_away = false;
  bool garbles = false;
};

TEST_F(ScatterTest, answers_as_by_one_index) {
  for (int i = 0; i < 30; ++i) {
    send(key, "c" + std::to_string(i), "parcel " + std::to_string(i) + (i % 2 == 0 ? " late" : ""));
  }
  settle_slices();
  ASSERT_GT(sets[0]->size(acme).conversations, 5U);
  ASSERT_GT(sets[1]->size(acme).conversations, 5U);
  for (const auto* body :
       {R"({"query":"late parcel"})", R"({"query":"late parcel 7","mode":"keyword","limit":30})",
        R"({"query":"parcel 8","mode":"vector","filters":{"channel":"chat"}})",
        R"({"query":"parcel","filters":{"channel":"voice"}})"}) {
    const auto whole = shown(search(body));
    with_slices(this);
    EXPECT_EQ(shown(search(body)), whole);
    with_slices(nullptr);
  }

  const auto whole = ask("GET", "/v1/status", key);
  with_slices(this);
  const auto split = ask("GET", "/v1/status", key);
  EXPECT_EQ(text_at(split, "/indexed_total"), text_at(whole, "/indexed_total"));
  EXPECT_THAT(split.body, HasSubstr(R"("vectors":30)"));
}

TEST_F(ScatterTest, asks_the_whole_index_where_a_slice_has_no_answer) {
  send(key, "c", "the parcel is late");
  settle_slices();
  with_slices(this);

  is_away = true;
  EXPECT_THAT(search(R"({"query":"parcel"})").body, HasSubstr(R"("external_id":"c")"));
  is_away = false;
  garbles = true;
  EXPECT_THAT(search(R"({"query":"parcel"})").body, HasSubstr(R"("external_id":"c")"));

  with_another_node(
      [](const auto&) { return fail(ErrorCode::unavailable, "nobody has that either"); });
  without_indexes();
  expect_error(search(R"({"query":"parcel"})"), 503, ErrorCode::unavailable);
}

TEST_F(ScatterTest, every_slice_has_what_the_client_has_read) {
  send(key, "c", "the parcel is late");
  settle_slices();
  with_slices(this);
  const auto answer = search(R"({"query":"parcel"})");
  const auto since = header_of(answer, "Samtale-Sequence");
  ASSERT_EQ(answer.status, 200);
  const auto body = R"({"query":"parcel","min_sequence":")" + since + R"("})";
  EXPECT_EQ(search(body).status, 200);

  followers[1]->drop();
  without_indexes();
  with_another_node(
      [](const auto&) { return fail(ErrorCode::unavailable, "nobody has that either"); });
  EXPECT_EQ(search(body).status, 503);
}

TEST_F(ScatterTest, a_slice_answers_nodes_alone) {
  with_slices(this);
  const std::string question = R"({"of":2,"query":"parcel","limit":5})";
  expect_error(ask_slice(0, "", question), 401, ErrorCode::unauthenticated);
  expect_error(ask_slice(0, key, question), 404, ErrorCode::not_found);
  expect_error(ask_slice(0, pass(), question), 503, ErrorCode::unavailable);
  for (int i = 0; i < 8; ++i) send(key, "c" + std::to_string(i), "the parcel is late");
  settle_slices();
  ASSERT_GT(sets[0]->size(acme).conversations, 0U);

  EXPECT_EQ(ask_slice(0, pass(), question).status, 200);
  expect_error(ask_slice(2, pass(), question), 503, ErrorCode::unavailable);
  expect_error(ask_slice(1, pass(), question), 503, ErrorCode::unavailable);
  expect_error(ask_slice(0, pass(), R"({"of":3,"query":"parcel"})"), 503, ErrorCode::unavailable);
  for (const auto* wrong :
       {R"({"of":2,"query":"a","limit":100000000})",
        R"({"of":2,"query":"a","vector":[1],"limit":5,"counts":{}})",
        R"({"of":2,"query":"a","by_words":true,"counts":{"chunks":1,"words":2,"having":[]}})",
        R"({"of":2,"query":"a","counts":{"chunks":1,"words":2,"having":[2]}})", R"({"slice":1})"}) {
    EXPECT_EQ(ask_slice(0, pass(), wrong).status, 422) << wrong;
  }
}

TEST_F(ScatterTest, what_was_deleted_is_gone_from_every_slice_here_at_once) {
  const auto id = send(key, "c", "the parcel is late");
  settle_slices();
  with_slices(this);
  ASSERT_EQ(sets[0]->size(acme).conversations + sets[1]->size(acme).conversations, 1U);

  ASSERT_EQ(ask("DELETE", "/v1/conversations/" + id, key).status, 200);

  EXPECT_EQ(sets[0]->size(acme).conversations + sets[1]->size(acme).conversations, 0U);
}

}  // namespace
}  // namespace samtale
