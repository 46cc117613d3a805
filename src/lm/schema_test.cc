// Goal: what a schema forbids does not pass, what cannot be checked is refused, and no schema and
// no value takes long. Method: the JSON-Schema test suite of draft 7, as far as its keywords are
// known here; then hostile schemas and values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "lm/answer.h"
#include "sys/clock.h"

namespace samtale {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

json::Value value_of(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : json::Value();
}

std::string compile_error(const std::string& schema) {
  const auto compiled = JsonSchema::compile(value_of(schema));
  return compiled ? "" : compiled.error().message;
}

// What is wrong with the value; empty if nothing.
std::string mistakes(const std::string& schema, const std::string& value) {
  const auto compiled = JsonSchema::compile(value_of(schema));
  if (!compiled) return compiled.error().message;
  const auto checked = compiled->validate(value_of(value));
  return checked ? "" : checked.error().message;
}

// Groups of the suite whose schemas use what is not known here, and so is refused.
const std::set<std::string> kRefused = {
    "additionalProperties.json: additionalProperties being false does not allow other properties",
    "additionalProperties.json: non-ASCII pattern with additionalProperties",
    "items.json: an array of schemas for items",
    "items.json: items with boolean schemas",
    "properties.json: properties, patternProperties, additionalProperties interaction",
    "ref.json: relative pointer ref to array",
    "ref.json: escaped pointer ref",
    "ref.json: ref overrides any sibling keywords",
    "ref.json: remote ref, containing refs itself",
    "ref.json: Recursive references between schemas",
    "definitions.json: valid definition",
    "definitions.json: invalid definition",
};

TEST(JsonSchemaTest, agrees_with_the_test_suite) {
  const std::filesystem::path suite = "/usr/share/json-schema-test-suite/tests/draft7";
  ASSERT_TRUE(std::filesystem::exists(suite)) << "install json-schema-test-suite; ./dev does";
  int checked = 0;
  for (const auto* name : {"additionalProperties",
                           "anyOf",
                           "boolean_schema",
                           "const",
                           "default",
                           "definitions",
                           "enum",
                           "exclusiveMaximum",
                           "exclusiveMinimum",
                           "items",
                           "maxItems",
                           "maxLength",
                           "maximum",
                           "minItems",
                           "minLength",
                           "minimum",
                           "pattern",
                           "properties",
                           "ref",
                           "required",
                           "type"}) {
    const auto file = std::string(name) + ".json";
    std::ifstream in(suite / file);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    const auto groups = value_of(text);
    for (const auto& group : *groups.as_array()) {
      const auto title = file + ": " + *group.find("description")->as_string();
      const auto schema = JsonSchema::compile(*group.find("schema"));
      EXPECT_EQ(!schema, kRefused.contains(title))
          << title << ": " << (schema ? "taken" : schema.error().message);
      if (!schema) continue;
      for (const auto& test : *group.find("tests")->as_array()) {
        EXPECT_EQ(schema->validate(*test.find("data")).has_value(), *test.find("valid")->as_bool())
            << title << ": " << *test.find("description")->as_string();
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 190);
}

TEST(JsonSchemaTest, says_what_is_wrong_and_where) {
  const std::string schema = R"({"type": "object", "required": ["nonce", "score"],
    "additionalProperties": false, "properties": {
      "nonce": {"type": "string"},
      "score": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
      "mood": {"enum": ["good", "bad"]},
      "turns": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
      "by": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]}},
    "$defs": {"person": {"type": "object", "required": ["name"]}}})";

  EXPECT_EQ(mistakes(schema, R"({"nonce": "x", "score": 5, "by": null})"), "");
  EXPECT_EQ(mistakes(schema, R"({"score": 6})"),
            "(whole): \"nonce\" is missing; /score: must be at most 5");
  EXPECT_EQ(mistakes(schema, R"({"nonce": 1, "score": "x", "mood": "so", "more": 1})"),
            "/nonce: must be string, is integer; /score: must be null or integer, is string; "
            "/mood: must be one of \"good\", \"bad\"; /more: is not allowed");
  EXPECT_EQ(mistakes(schema, R"({"nonce": "", "score": 1, "turns": [1, "2", 3, 4]})"),
            "/turns: must have at most 3 items; /turns/1: must be integer, is string");
  EXPECT_EQ(mistakes(schema, R"({"nonce": "", "score": 1, "by": {}})"), "/by: \"name\" is missing");
  EXPECT_EQ(mistakes(schema, R"({"nonce": "", "score": 1, "by": 7})"),
            "/by: is none of the 2 that anyOf allows");
}

TEST(JsonSchemaTest, tells_five_mistakes_at_most) {
  std::string many = "[";
  for (int i = 0; i < 100'000; ++i) many += "\"x\",";

  const auto told = mistakes(R"({"items": {"type": "integer"}})", many + "1]");

  EXPECT_THAT(told, StartsWith("/0: must be integer, is string; /1: "));
  EXPECT_THAT(told, Not(HasSubstr("/5:")));
}

TEST(JsonSchemaTest, refuses_what_it_would_not_check) {
  EXPECT_THAT(compile_error("7"), HasSubstr("(whole): a schema is"));
  EXPECT_THAT(compile_error(R"({"properties": {"a/b": {"oneOf": []}}})"),
              HasSubstr("/properties/a~1b/oneOf: is no keyword"));
  EXPECT_THAT(compile_error(R"({"type": "text"})"), HasSubstr("/type: must be a type"));
  EXPECT_THAT(compile_error(R"({"minLength": -1})"), HasSubstr("/minLength: must be a whole"));
  EXPECT_THAT(compile_error(R"({"maxLength": 1.5})"), HasSubstr("/maxLength: must be a whole"));
  EXPECT_THAT(compile_error(R"({"required": "a"})"), HasSubstr("/required: must be an array"));
  EXPECT_THAT(compile_error(R"({"enum": []})"), HasSubstr("/enum: must be an array"));
  EXPECT_THAT(compile_error(R"({"pattern": "(a)\\1"})"), HasSubstr("/pattern: is no regular"));
  EXPECT_THAT(compile_error(R"({"items": {"$id": "http://other/"}})"), HasSubstr("/items/$id"));
}

TEST(JsonSchemaTest, fetches_nothing) {
  for (const auto* reference :
       {"http://127.0.0.1/schema", "file:///etc/passwd", "other.json", ""}) {
    EXPECT_THAT(compile_error(R"({"$ref": ")" + std::string(reference) + R"("})"),
                HasSubstr("/$ref: must be #"))
        << reference;
  }
  EXPECT_THAT(compile_error(R"({"$ref": "#/$defs/none"})"), HasSubstr("there is no schema at"));
}

TEST(JsonSchemaTest, refuses_references_that_lead_nowhere) {
  EXPECT_THAT(compile_error(R"({"$ref": "#"})"), HasSubstr("leads back"));
  EXPECT_THAT(compile_error(R"({"anyOf": [{"type": "null"}, {"$ref": "#"}]})"),
              HasSubstr("leads back"));
  EXPECT_EQ(compile_error(R"({"properties": {"next": {"$ref": "#"}}})"), "");
}

TEST(JsonSchemaTest, bounds_the_schema) {
  std::string deep = "true";
  for (int i = 0; i < 16; ++i) deep = R"({"items": )" + deep + "}";
  std::string wide = R"({"enum": [0)";
  for (int i = 0; i < 2000; ++i) wide += "," + std::to_string(i);
  std::string chain = R"({"$ref": "#/$defs/0", "$defs": {"40": true)";
  for (int i = 0; i < 40; ++i) {
    chain += ",\"" + std::to_string(i) + R"(": {"$ref": "#/$defs/)" + std::to_string(i + 1) + "\"}";
  }

  EXPECT_THAT(compile_error(deep), HasSubstr("deeper than 16"));
  EXPECT_THAT(compile_error(wide + "]}"), HasSubstr("more than 2000 nodes"));
  EXPECT_THAT(compile_error(chain + "}}"), HasSubstr("more than 32"));
  EXPECT_THAT(compile_error(R"({"pattern": ")" + std::string(201, 'a') + "\"}"),
              HasSubstr("longer than 200"));
}

TEST(JsonSchemaTest, takes_no_longer_for_a_hostile_schema) {
  // Two ways at each of 30 steps: 2^30 ways in all.
  std::string ways = R"({"$ref": "#/$defs/0", "$defs": {"15": false)";
  for (int i = 0; i < 15; ++i) {
    const auto next = R"({"$ref": "#/$defs/)" + std::to_string(i + 1) + "\"}";
    ways += ",\"" + std::to_string(i) + R"(": {"anyOf": [)" + next + "," + next + "," + next + "," +
            next + "]}";
  }
  const auto started = SystemClock().now();

  EXPECT_THAT(mistakes(ways + "}}", "1"), HasSubstr("too large to be checked"));
  EXPECT_THAT(mistakes(R"({"pattern": "^(a|a)*b$"})", "\"" + std::string(100'000, 'a') + "\""),
              HasSubstr("must match"));

  EXPECT_LT(SystemClock().now() - started, std::chrono::seconds(20));
}

}  // namespace
}  // namespace samtale
