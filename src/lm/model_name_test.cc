#include "lm/model_name.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

TEST(ModelNameTest, takes_a_version_of_what_was_asked) {
  EXPECT_TRUE(is_model_meant("gpt-4o", "gpt-4o"));
  EXPECT_TRUE(is_model_meant("gpt-4o", "gpt-4o-2024-08-06"));
  EXPECT_TRUE(is_model_meant("openai/gpt-4o", "GPT-4o-0613"));
  EXPECT_TRUE(is_model_meant("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"));
  EXPECT_TRUE(is_model_meant("claude-3-haiku", "claude-3-haiku@20240307"));
  EXPECT_TRUE(is_model_meant("llama3", "llama3:latest"));
  EXPECT_TRUE(is_model_meant("gpt-4o", ""));
}

TEST(ModelNameTest, tells_another_model) {
  EXPECT_FALSE(is_model_meant("gpt-4o", "gpt-4o-mini"));
  EXPECT_FALSE(is_model_meant("gpt-4o-2024-08-06", "gpt-4o"));
  EXPECT_FALSE(is_model_meant("gpt-4o", "gpt-4"));
  EXPECT_FALSE(is_model_meant("llama3:8b", "llama3:70b"));
  EXPECT_FALSE(is_model_meant("llama3", "llama31"));
}

}  // namespace
}  // namespace samtale
