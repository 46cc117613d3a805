// Goal: what a model wrote is read if it can mean one thing only, and never if it was cut off.
// Method: each kind of mistake alone; then every prefix of texts that hold all of them.
#include "lm/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "sys/clock.h"

namespace samtale {
namespace {

using ::testing::HasSubstr;

// What was read, compact; or the error.
std::string read(std::string_view text) {
  const auto value = read_model_json(text);
  return value ? json::dump(*value) : "error: " + value.error().message;
}

std::string error_of(std::string_view text) {
  const auto value = read_model_json(text);
  return value ? "read: " + json::dump(*value) : value.error().message;
}

TEST(ReadModelJsonTest, leaves_json_as_it_is) {
  EXPECT_EQ(read(R"({"a":[1,2.5,"x",null,true]})"), R"({"a":[1,2.5,"x",null,true]})");
  EXPECT_EQ(read("\xEF\xBB\xBF {\"a\":1}\n"), R"({"a":1})");
  EXPECT_EQ(read("[1]"), "[1]");
}

TEST(ReadModelJsonTest, finds_json_in_a_fence_or_in_prose) {
  EXPECT_EQ(read("```json\n{\"a\": 1}\n```"), R"({"a":1})");
  EXPECT_EQ(read("```\n{\"a\": 1}"), R"({"a":1})");
  EXPECT_EQ(read("Sure! (see [1])\n{\"a\": {\"b\": 2}}\nHope {that} helps [2]."),
            R"({"a":{"b":2}})");
  EXPECT_EQ(read("Here: [\n {\"a\": 1}, {\"a\": 2}] as asked"), R"([{"a":1},{"a":2}])");
  EXPECT_EQ(read("The set {x} of [\"p\", \"q\"]"), R"(["p","q"])");
  EXPECT_EQ(read("<think>Maybe {\"a\": 0}?</think>\n{\"a\": 1}"), R"({"a":1})");
}

TEST(ReadModelJsonTest, puts_right_what_can_mean_one_thing_only) {
  EXPECT_EQ(read(R"({"a": [1, 2,], "b": 3,})"), R"({"a":[1,2],"b":3})");
  EXPECT_EQ(read("{\"a\": 1, // one\n /* two */ \"b\": 2}"), R"({"a":1,"b":2})");
  EXPECT_EQ(read(R"({'a': 'it is "so"', 'b': 'it\'s'})"), R"({"a":"it is \"so\"","b":"it's"})");
  EXPECT_EQ(read("{a: 1, $b_2: 2, data-x: 3}"), R"({"a":1,"$b_2":2,"data-x":3})");
  EXPECT_EQ(read("{'a': True, 'b': False, 'c': None}"), R"({"a":true,"b":false,"c":null})");
  EXPECT_EQ(read("{\"a\": \"one\ntwo\tthree\"}"), R"({"a":"one\ntwo\tthree"})");
  EXPECT_EQ(read("{“a”: “b”, „c“: ”d”}"), R"({"a":"b","c":"d"})");
  EXPECT_EQ(read(R"({"a": "\u00e9\ud83d\ude00\/",})"), "{\"a\":\"é😀/\"}");
}

TEST(ReadModelJsonTest, does_not_guess) {
  EXPECT_THAT(error_of("I cannot help with that."), HasSubstr("no JSON"));
  EXPECT_THAT(error_of(""), HasSubstr("no JSON"));
  EXPECT_THAT(error_of(R"({"a": 1} or {"a": 2})"), HasSubstr("more JSON"));
  EXPECT_THAT(error_of(R"(x [1, {"a": 2}])"), HasSubstr("more JSON"));
  EXPECT_THAT(error_of(R"({"a": 1, "a": 2,})"), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"a": NaN,})"), HasSubstr("a value belongs here"));
  EXPECT_THAT(error_of(R"({"a": 01,})"), HasSubstr("no number"));
  EXPECT_THAT(error_of(R"({"a": ,})"), HasSubstr("a value belongs here"));
  EXPECT_THAT(error_of(R"({"a" 1})"), HasSubstr("a colon"));
  EXPECT_THAT(error_of(R"({"a": 1 "b": 2})"), HasSubstr("byte 8: a comma"));
  EXPECT_THAT(error_of("{'a': 'don't'}"), HasSubstr("a comma"));
  EXPECT_THAT(error_of(R"({"a": "\d",})"), HasSubstr("escape"));
  EXPECT_THAT(error_of(R"({"a": "\ud83d",})"), HasSubstr("surrogate"));
  EXPECT_THAT(error_of("{\"a\": \"\xFF\",}"), HasSubstr("UTF-8"));
}

TEST(ReadModelJsonTest, never_closes_what_was_cut_off) {
  const std::string whole =
      "```json\n{'a': [1, 2.5, {b: “x”}, [ ], ], // c\n \"d\": \"e\\u00e9\", /* f */ g: None,}";

  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(read_model_json(whole.substr(0, length))) << whole.substr(0, length);
  }

  EXPECT_EQ(read(whole), "{\"a\":[1,2.5,{\"b\":\"x\"},[]],\"d\":\"eé\",\"g\":null}");
  EXPECT_THAT(error_of(R"({"a": "b)"), HasSubstr("ends within a string"));
  EXPECT_THAT(error_of(R"(["a", 12)"), HasSubstr("ends within a number"));
}

TEST(ReadModelJsonTest, bounds_what_it_reads) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']') + ",";

  EXPECT_THAT(error_of(deep), HasSubstr("too deeply"));
  EXPECT_FALSE(read_model_json(std::string((std::size_t{16} << 20) + 1, '{')));
}

TEST(ReadModelJsonTest, takes_time_linear_in_the_text) {
  // Each would take minutes if anything were read again from each place where JSON might begin.
  for (const std::string piece :
       {"{", "[", "{/*", "{//", "{a", "{ ", "{'", "[{", "{“", "</think>"}) {
    std::string text;
    while (text.size() < 2'000'000) text += piece;
    const auto started = SystemClock().now();

    EXPECT_FALSE(read_model_json(text)) << piece;

    EXPECT_LT(SystemClock().now() - started, std::chrono::seconds(20)) << piece;
  }
}

}  // namespace
}  // namespace samtale
