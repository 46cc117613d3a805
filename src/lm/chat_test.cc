#include "lm/chat.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

TEST(EstimateTokensTest, is_a_third_of_the_bytes_and_never_nothing) {
  EXPECT_EQ(token_estimate(""), 1);
  EXPECT_EQ(token_estimate(std::string(300, 'x')), 101);
}

TEST(EstimateTokensTest, of_a_request_are_those_of_messages_and_schema) {
  ChatRequest request;
  request.messages = {{"system", std::string(300, 'x')}, {"user", std::string(30, 'x')}};
  const auto without_schema = estimate_input_tokens(request);
  request.schema = json::Value(json::Object{{"type", "object"}});

  EXPECT_EQ(without_schema, 101 + 8 + 11 + 8);
  EXPECT_EQ(estimate_input_tokens(request),
            without_schema + token_estimate(R"({"type":"object"})"));
}

}  // namespace
}  // namespace samtale
