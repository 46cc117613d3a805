#include "lm/remembered_answers.h"

#include <gtest/gtest.h>

#include <chrono>

namespace samtale {
namespace {

constexpr auto kOurs = CompanyId{1};
constexpr auto kTheirs = CompanyId{2};
constexpr Instant kNow{std::chrono::hours(1)};

Sha256 key(const std::string& name) { return sha256(name); }

std::shared_ptr<const KeptAnswer> answer(std::size_t bytes) {
  return std::make_shared<const KeptAnswer>(std::string(bytes, 'x'), "model");
}

TEST(RememberedAnswersTest, keeps_an_answer_for_its_time) {
  RememberedAnswers remembered(10'000, std::chrono::seconds(10));
  const auto kept = answer(10);

  remembered.put(key("a"), kOurs, kept, kNow);

  EXPECT_EQ(remembered.find(key("a"), kNow + std::chrono::seconds(9)), kept);
  EXPECT_EQ(remembered.find(key("b"), kNow), nullptr);
  EXPECT_EQ(remembered.find(key("a"), kNow + std::chrono::seconds(10)), nullptr);
  EXPECT_EQ(remembered.bytes(), 0U);
}

TEST(RememberedAnswersTest, drops_what_was_not_asked_for_longest) {
  RememberedAnswers remembered(3'000, std::chrono::seconds(10));
  remembered.put(key("a"), kOurs, answer(1'000), kNow);
  remembered.put(key("b"), kOurs, answer(1'000), kNow);
  ASSERT_NE(remembered.find(key("a"), kNow), nullptr);

  remembered.put(key("c"), kOurs, answer(1'000), kNow);

  EXPECT_NE(remembered.find(key("a"), kNow), nullptr);
  EXPECT_EQ(remembered.find(key("b"), kNow), nullptr);
  EXPECT_NE(remembered.find(key("c"), kNow), nullptr);
  EXPECT_LE(remembered.bytes(), 3'000U);
}

TEST(RememberedAnswersTest, keeps_nothing_larger_than_it_may_be) {
  RememberedAnswers remembered(3'000, std::chrono::seconds(10));
  remembered.put(key("a"), kOurs, answer(10), kNow);

  remembered.put(key("b"), kOurs, answer(5'000), kNow);

  EXPECT_EQ(remembered.find(key("b"), kNow), nullptr);
  EXPECT_NE(remembered.find(key("a"), kNow), nullptr);
}

TEST(RememberedAnswersTest, forgets_one_company_and_no_other) {
  RememberedAnswers remembered(10'000, std::chrono::seconds(10));
  remembered.put(key("a"), kOurs, answer(10), kNow);
  remembered.put(key("b"), kTheirs, answer(10), kNow);

  remembered.forget(kOurs);

  EXPECT_EQ(remembered.find(key("a"), kNow), nullptr);
  EXPECT_NE(remembered.find(key("b"), kNow), nullptr);
}

}  // namespace
}  // namespace samtale
