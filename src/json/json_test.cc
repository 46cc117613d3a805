// Goal:   what programs disagree about is refused, what is valid is read exactly and written back.
// Method: inline cases after the groups of the JSON Parsing Test Suite (Seriot, "Parsing JSON is a
//         minefield", 2016), then random values through write and read.
#include "json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace samtale::json {
namespace {

using testing::HasSubstr;

std::string reason(std::string_view text, ReadLimits limits = {}) {
  const auto value = parse(text, limits);
  return value ? "none" : value.error().message;
}

TEST(JsonTest, accepts_what_the_rfc_accepts) {
  for (const std::string_view text : {"null",
                                      "true",
                                      "[]",
                                      "{}",
                                      "\"\"",
                                      " [1 , 2]\n",
                                      "-0",
                                      "-0.0",
                                      "0e1",
                                      "1E+2",
                                      "1e-2",
                                      "123456789",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      R"("\u0000")",
                                      R"("\ud83d\ude00")",
                                      R"("\"\\\/\b\f\n\r\t")",
                                      "\"\x7f\"",
                                      "\"\xE2\x80\xA8\"",
                                      R"({"":0})",
                                      R"({"a":{"b":[null]}})",
                                      "\"\xEF\xBF\xBF\"",
                                      "1e-400",
                                      "\t\r\n 1"}) {
    EXPECT_TRUE(parse(text).has_value()) << text << ": " << reason(text);
  }
}

TEST(JsonTest, refuses_what_is_no_json) {
  for (const std::string_view text : {"",
                                      " ",
                                      "[1,]",
                                      "[,1]",
                                      "[1 2]",
                                      "[",
                                      "]",
                                      "{",
                                      "{]",
                                      R"({"a"})",
                                      R"({"a":1,})",
                                      R"({a:1})",
                                      R"({'a':1})",
                                      R"({1:1})",
                                      "nul",
                                      "True",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "01",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1e",
                                      "1e+",
                                      "-",
                                      "0x1",
                                      "1_000",
                                      "--1",
                                      "\"a",
                                      "'a'",
                                      R"("\x41")",
                                      R"("\u12")",
                                      R"("\a")",
                                      "\"\t\"",
                                      "\"\n\"",
                                      "[1] x",
                                      "[1][2]",
                                      "{}{}",
                                      "// c\n1",
                                      "/* c */ 1",
                                      "[1] // c",
                                      "\xEF\xBB\xBF[]",
                                      "\xFE\xFF",
                                      "[\f1]",
                                      "\xC2\xA0[1]",
                                      "a"}) {
    EXPECT_FALSE(parse(text).has_value()) << text;
  }
  EXPECT_FALSE(parse(std::string_view("[1]\0", 4)).has_value());
  EXPECT_FALSE(parse(std::string_view("\0", 1)).has_value());
}

TEST(JsonTest, refuses_text_that_is_no_utf8_or_no_unicode) {
  for (const std::string_view text :
       {"\"\xFF\"", "\"\x80\"", "\"\xC0\xAF\"", "\"\xE0\x80\xAF\"", "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"", "\"\xC3\"", R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")",
        R"("\ud800\ud800")", R"({"\ud800":1})"}) {
    EXPECT_FALSE(parse(text).has_value()) << text;
  }
}

TEST(JsonTest, refuses_the_same_key_twice_however_it_is_spelled) {
  EXPECT_EQ(reason(R"({"company_id":"a","company_id":"b"})"),
            R"(duplicate key at the top level: "company_id")");
  EXPECT_EQ(reason(R"({"x":[{"a":1,"\u0061":2}]})"), R"(duplicate key at /x/0: "a")");
}

TEST(JsonTest, never_rounds_an_integer) {
  EXPECT_EQ(dump(*parse("9007199254740993")), "9007199254740993");
  EXPECT_THAT(reason(R"({"id":9223372036854775808})"), HasSubstr("/id"));
  EXPECT_FALSE(parse("18446744073709551616").has_value());
  EXPECT_FALSE(parse("12345678901234567890123").has_value());
  EXPECT_FALSE(parse("1e400").has_value());
  EXPECT_FALSE(parse("-1e400").has_value());
}

TEST(JsonTest, stops_at_its_limits) {
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '[') + std::string(levels, ']');
  };

  EXPECT_TRUE(parse(nested(60)).has_value());
  EXPECT_THAT(reason(nested(100'000)), HasSubstr("deeper than 64"));
  EXPECT_FALSE(parse(std::string(100'000, '[')).has_value());
  EXPECT_TRUE(parse("[1]", {.bytes_max = 3, .depth_max = 64}).has_value());
  EXPECT_THAT(reason("[1]", {.bytes_max = 2, .depth_max = 64}), HasSubstr("the limit is 2"));
  EXPECT_TRUE(parse(R"({"a":1,"b":2})", {.members_max = 2}).has_value());
  EXPECT_THAT(reason(R"([{"a":1,"b":2,"c":3}])", {.members_max = 2}),
              HasSubstr("object at /0 of 3 members; the limit is 2"));
}

TEST(JsonTest, a_refused_text_leaves_the_next_one_alone) {
  EXPECT_FALSE(parse(R"({"a":[1,2)").has_value());
  EXPECT_FALSE(parse(std::string(100, '[')).has_value());

  EXPECT_EQ(dump(*parse(R"({"a":[1,2]})")), R"({"a":[1,2]})");
}

TEST(JsonTest, escapes_what_a_script_or_a_terminal_would_take_for_more_than_text) {
  EXPECT_EQ(dump(Value("</script>\x1b\x7f\xE2\x80\xA8\"\\\n\t")),
            R"("\u003c/script>\u001b\u007f\u2028\"\\\n\t")");
  EXPECT_EQ(dump(Value("æ😀\xE2\x80\xA6")), "\"æ😀\xE2\x80\xA6\"");
}

TEST(JsonTest, follows_pointers_and_nothing_else) {
  const auto value = *parse(R"({"a/b":{"~":[10,{"":5}]},"0":1})");

  EXPECT_EQ(*value.at_pointer("/a~1b/~0/0"), Value(10));
  EXPECT_EQ(*value.at_pointer("/a~1b/~0/1/"), Value(5));
  EXPECT_EQ(*value.at_pointer("/0"), Value(1));
  EXPECT_EQ(value.at_pointer(""), &value);
  for (const auto* pointer : {"a", "/b", "/a~1b/~0/2", "/a~1b/~0/-1", "/a~1b/~0/1x", "/0/0"}) {
    EXPECT_EQ(value.at_pointer(pointer), nullptr) << pointer;
  }
  EXPECT_EQ(pointer_token("a/b~"), "a~1b~0");
}

TEST(JsonTest, writes_sorted_and_pretty_forms) {
  const auto value = *parse(R"({"b":{"d":1,"c":2},"a":[]})");

  EXPECT_EQ(dump_sorted(value), R"({"a":[],"b":{"c":2,"d":1}})");
  EXPECT_EQ(dump_pretty(value), "{\n  \"b\": {\n    \"d\": 1,\n    \"c\": 2\n  },\n  \"a\": []\n}");
}

TEST(JsonTest, is_written_as_it_is_said_as_it_is_from_a_tree) {
  std::string out = "before ";
  Writer writer(out);

  writer.object([&] {
    writer.member("text", "\"<\n");
    writer.member("none", nullptr);
    writer.member("whole", std::int64_t{-3});
    writer.member("double", 2.0);
    writer.member("yes", true);
    writer.key("empty");
    writer.object([] {});
    writer.key("list");
    writer.array([&] {
      writer.value(std::string("a"));
      writer.array([] {});
      writer.object([&] { writer.member("b", false); });
      writer.value(std::int64_t{1});
    });
    writer.member("last", 1e300);
  });

  const Value tree(Object{{"text", "\"<\n"},
                          {"none", nullptr},
                          {"whole", -3},
                          {"double", 2.0},
                          {"yes", true},
                          {"empty", Object{}},
                          {"list", Array{"a", Array{}, Object{{"b", false}}, 1}},
                          {"last", 1e300}});
  EXPECT_EQ(out, "before " + dump(tree));
}

Value any_value(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 4 ? 5 : 7)) {
    case 0:
      return nullptr;
    case 1:
      return random() % 2 == 0;
    case 2:
      return static_cast<std::int64_t>(random());
    case 3:
      return std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 400) - 200);
    case 4: {
      std::string text;
      for (auto i = random() % 8; i > 0; --i) {
        constexpr std::string_view kParts[] = {"a",  "\"", "\\", "<",
                                               "\n", "ø",  "😀",  "\xE2\x80\xA8"};
        text.append(kParts[random() % std::size(kParts)]);
      }
      return text;
    }
    case 5: {
      Array array;
      for (auto i = random() % 5; i > 0; --i) array.push_back(any_value(random, depth + 1));
      return array;
    }
    default: {
      Value object(Object{});
      for (auto i = random() % 5; i > 0; --i) {
        object.set(std::to_string(random() % 9), any_value(random, depth + 1));
      }
      return object;
    }
  }
}

TEST(JsonTest, reads_back_every_value_it_writes) {
  std::mt19937_64 random(20'261'123);
  for (int i = 0; i < 2000; ++i) {
    const auto value = any_value(random, 0);

    const auto compact = parse(dump(value));
    const auto pretty = parse(dump_pretty(value));

    ASSERT_TRUE(compact.has_value()) << dump(value);
    ASSERT_EQ(*compact, value) << dump(value);
    ASSERT_EQ(*pretty, value);
    ASSERT_EQ(dump(*compact), dump(value));
  }
}

}  // namespace
}  // namespace samtale::json
