#include "embed/embedding_answer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/bytes.h"

namespace samtale {
namespace {

ErrorCode code_of(std::string_view body, std::size_t count = 1) {
  const auto vectors = read_embedding_answer(body, count, 2);
  EXPECT_FALSE(vectors) << body;
  return vectors ? ErrorCode::conflict : vectors.error().code;
}

TEST(EmbeddingAnswerTest, refuses_what_is_no_answer_to_the_request) {
  for (const auto* body : {
           "",
           "{",
           "<html>",
           "null",
           "[]",
           "{}",
           R"({"data":null})",
           R"({"data":[]})",
           R"({"data":[1]})",
           R"({"data":[{"embedding":[1,2]}]})",
           R"({"data":[{"index":1,"embedding":[1,2]}]})",
           R"({"data":[{"index":-1,"embedding":[1,2]}]})",
           R"({"data":[{"index":"0","embedding":[1,2]}]})",
           R"({"data":[{"index":0,"embedding":"AAAA"}]})",
           R"({"data":[{"index":0}]})",
           R"({"data":[{"index":0,"embedding":[]}]})",
           R"({"data":[{"index":0,"embedding":[1,null]}]})",
           R"({"data":[{"index":0,"embedding":[1,NaN]}]})",
           R"({"data":[{"index":0,"embedding":[1,1e999]}]})",
           R"({"data":[{"index":0,"embedding":[1]}]})",
           R"({"data":[{"index":0,"embedding":[1,2,3]}]})",
           R"({"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1,2]}]})",
       }) {
    EXPECT_EQ(code_of(body), ErrorCode::unavailable) << body;
  }
}

TEST(EmbeddingAnswerTest, refuses_an_index_that_is_there_twice) {
  EXPECT_EQ(code_of(R"({"data":[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]})", 2),
            ErrorCode::unavailable);
}

TEST(EmbeddingAnswerTest, refuses_vectors_of_two_lengths_when_the_dimension_is_not_known) {
  EXPECT_FALSE(read_embedding_answer(
      R"({"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]})", 2, 0));
}

TEST(EmbeddingAnswerTest, blames_the_text_for_a_zero_vector_among_good_ones) {
  EXPECT_EQ(code_of(R"({"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[1,2]}]})", 2),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(R"({"data":[{"index":0,"embedding":[0,-0.0]}]})"), ErrorCode::invalid_argument);
}

TEST(EmbeddingAnswerTest, blames_the_server_if_it_answers_nothing_but_zeros) {
  EXPECT_EQ(code_of(R"({"data":[{"index":0,"embedding":[0,0]},{"index":1,"embedding":[0,0]}]})", 2),
            ErrorCode::unavailable);
}

TEST(EmbeddingAnswerTest, gives_unit_length_to_vectors_of_any_length) {
  for (const auto* numbers : {"1e300,1e300", "-1e-20,1e-20", "3,4", "1e-300,1"}) {
    const auto vectors = read_embedding_answer(
        R"({"data":[{"index":0,"embedding":[)" + std::string(numbers) + "]}]}", 1, 2);

    ASSERT_TRUE(vectors) << numbers;
    EXPECT_NEAR(std::hypot((*vectors)[0][0], (*vectors)[0][1]), 1.0, 1e-6);
  }
}

TEST(EmbeddingAnswerTest, takes_a_pretty_printed_answer_of_the_largest_honest_size) {
  std::string body = "{\n \"data\": [\n  {\n   \"index\": 0,\n   \"embedding\": [\n";
  for (int i = 0; i < 384; ++i)
    body += (i > 0 ? ",\n" : "") + std::string("    -1.2345678901234567e-05");
  body += "\n   ]\n  }\n ]\n}\n";

  EXPECT_TRUE(read_embedding_answer(body, 1, 384));
}

TEST(EmbeddingAnswerTest, shows_of_an_error_what_the_server_said) {
  EXPECT_EQ(read_error_message(R"({"error":{"message":"too long","type":"x"}})"), "too long");
  EXPECT_EQ(read_error_message(R"({"message":"too long"})"), "too long");
  EXPECT_EQ(read_error_message("Bad Gateway"), "Bad Gateway");
  EXPECT_EQ(read_error_message("\xFF\xFE\xFD\xFC\xFB"), "(not UTF-8)");
}

TEST(EmbeddingAnswerTest, cuts_a_long_error_between_code_points) {
  std::string text = "x";
  for (int i = 0; i < 500; ++i) text += "å";

  const auto message = read_error_message(text);

  EXPECT_TRUE(is_utf8(message));
  EXPECT_LE(message.size(), 203U);
  EXPECT_TRUE(message.ends_with("…"));
}

}  // namespace
}  // namespace samtale
