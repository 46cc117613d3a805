#include <condition_variable>
#include <mutex>

#include "api/background.h"
#include "api/testing/api_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class SearchBatchRoutesTest : public ApiTest {
 protected:
  http::Response search_all(std::string searches) {
    return ask("POST", "/v1/search/batch", key, R"({"searches":)" + std::move(searches) + "}");
  }
  void expect_refusal(const http::Response& answer, const std::string& rule) {
    expect_error(answer, 422, ErrorCode::invalid_argument);
    EXPECT_THAT(text_at(answer, "/message"), HasSubstr(rule));
  }

  const std::string key = make_key(acme);
};

TEST_F(SearchBatchRoutesTest, answers_each_search_as_it_would_alone) {
  const auto parcel = send(key, "order-1", "my parcel never came");
  const auto lamp = send(key, "order-2", "the lamp is broken");
  settle();

  const auto answer = search_all(
      R"([{"query":"lamp","mode":"keyword"},{"query":"parcel"},{"query":"parcel","limit":0}])");

  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(text_at(answer, "/answers/0/body/hits/0/id"), lamp);
  EXPECT_EQ(text_at(answer, "/answers/1/body/hits/0/id"), parcel);
  EXPECT_THAT(answer.body, StartsWith(R"({"answers":[{"status":200,"body":{)"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"status":422,"body":{)"));
  EXPECT_THAT(text_at(answer, "/answers/2/body/message"), HasSubstr("/limit:"));
}

TEST_F(SearchBatchRoutesTest, finds_only_the_own_companys) {
  send(make_key(globex), "secret", "globex will merge with initech");
  send(key, "own", "globex is our supplier");
  settle();

  const auto answer = search_all(R"([{"query":"globex merge"},{"query":"initech"}])");

  EXPECT_THAT(answer.body, HasSubstr("supplier"));
  EXPECT_THAT(answer.body, Not(HasSubstr("merge with")));
}

TEST_F(SearchBatchRoutesTest, another_node_is_asked_for_each_search_as_for_one_alone) {
  opens = false;
  std::vector<std::string> asked;
  with_another_node([&](const http::Request& request) {
    asked.push_back(request.method + " " + request.path + " " + request.body);
    return HttpAnswer{.status = 200, .headers = {}, .body = R"({"hits":[]})"};
  });

  const auto answer = search_all(R"([{"query":"lamp"},{"query":"parcel"}])");

  EXPECT_EQ(asked, (std::vector<std::string>{R"(POST /v1/search {"query":"lamp"})",
                                             R"(POST /v1/search {"query":"parcel"})"}));
  EXPECT_EQ(answer.body, R"({"answers":[{"status":200,"body":{"hits":[]}},)"
                         R"({"status":200,"body":{"hits":[]}}]})");
}

TEST_F(SearchBatchRoutesTest, has_1_to_100_searches_and_nothing_else) {
  std::string many = "[{}";
  for (int i = 0; i < 100; ++i) many += ",{}";
  expect_refusal(search_all(many + "]"), "/searches: must be a list of 1 to 100 searches; got 101");
  expect_refusal(search_all("[]"), "/searches: must be a list of 1 to 100 searches; got 0");
  expect_refusal(search_all("7"), "/searches: must be a list of 1 to 100 searches");
  expect_refusal(search_all(R"([{}],"limit":3)"), "nothing else");
  expect_error(ask("POST", "/v1/search/batch", key, "{"), 400, ErrorCode::invalid_argument);
}

// Holds the one thread until release().
class BackgroundTest : public testing::Test {
 protected:
  ~BackgroundTest() override {
    release();
    background.reset();
  }
  void hold() {
    ASSERT_TRUE(background->submit(CompanyId{9}, [this](const std::stop_token&) {
      std::unique_lock lock(mutex_);
      is_held_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return is_released_; });
    }));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_held_; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    is_released_ = true;
    changed_.notify_all();
  }
  bool submit(int company, std::string name) {
    return background->submit(CompanyId{company},
                              [this, name](const std::stop_token&) { done.push_back(name); });
  }

  std::vector<std::string> done;
  std::optional<api::Background> background{std::in_place, api::Background::Limits{3, 2}};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_held_ = false;
  bool is_released_ = false;
};

TEST_F(BackgroundTest, runs_one_task_after_the_other_and_all_before_it_ends) {
  hold();
  ASSERT_TRUE(submit(1, "first"));
  ASSERT_TRUE(submit(1, "second"));
  ASSERT_TRUE(submit(2, "third"));

  release();
  background.reset();

  EXPECT_EQ(done, (std::vector<std::string>{"first", "second", "third"}));
}

TEST_F(BackgroundTest, lets_a_company_wait_with_no_more_than_its_part) {
  hold();
  EXPECT_TRUE(submit(1, "first"));
  EXPECT_TRUE(submit(1, "second"));
  EXPECT_FALSE(submit(1, "refused"));
  EXPECT_TRUE(submit(2, "third"));
  EXPECT_FALSE(submit(3, "refused"));
}

}  // namespace
}  // namespace samtale
