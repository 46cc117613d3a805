#include "lm/chat_request.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

json::Value parsed(const std::string& text) { return json::parse(text).value(); }

ChatRequest make_request() {
  ChatRequest request;
  request.messages = {{"system", "Read \"this\".\n"}, {"user", "Hej <æ>"}};
  request.schema_name = "result";
  request.schema = parsed(R"({"type":"object","properties":{"a":{"type":"string"}},
                              "required":["a"],"additionalProperties":false})");
  request.output_tokens_max = 300;
  return request;
}

TEST(ChatRequestTest, has_messages_limit_and_schema_as_the_api_wants_them) {
  const auto body = parsed(write_chat_request({.model = "small"}, make_request(), false));

  EXPECT_EQ(body, parsed(R"({"model":"small",
      "messages":[{"role":"system","content":"Read \"this\".\n"},{"role":"user","content":"Hej <æ>"}],
      "max_tokens":300,"temperature":0.0,
      "response_format":{"type":"json_schema","json_schema":{"name":"result","strict":true,"schema":
        {"type":"object","properties":{"a":{"type":"string"}},"required":["a"],
         "additionalProperties":false}}}})"));
}

TEST(ChatRequestTest, asks_for_usage_with_a_stream) {
  const auto body = parsed(write_chat_request({.model = "small"}, make_request(), true));

  EXPECT_EQ(*body.find("stream"), json::Value(true));
  EXPECT_EQ(*body.at_pointer("/stream_options/include_usage"), json::Value(true));
}

TEST(ChatRequestTest, follows_what_the_model_takes) {
  auto request = make_request();
  request.model = "other";

  const auto body = parsed(write_chat_request(
      {.model = "small", .max_tokens_field = "max_completion_tokens", .send_temperature = false},
      request, false));

  EXPECT_EQ(*body.find("model"), json::Value("other"));
  EXPECT_EQ(*body.find("max_completion_tokens"), json::Value(300));
  EXPECT_EQ(body.find("max_tokens"), nullptr);
  EXPECT_EQ(body.find("temperature"), nullptr);
}

TEST(ChatRequestTest, writes_the_schema_below_the_last_message_where_there_is_no_field_for_it) {
  const auto request = make_request();
  const auto object =
      parsed(write_chat_request({.model = "small", .structured = "json_object"}, request, false));
  const auto none =
      parsed(write_chat_request({.model = "small", .structured = "none"}, request, false));

  EXPECT_EQ(*object.find("response_format"), parsed(R"({"type":"json_object"})"));
  EXPECT_EQ(none.find("response_format"), nullptr);
  for (const auto& body : {object, none}) {
    const auto& last = *body.at_pointer("/messages/1/content")->as_string();
    EXPECT_TRUE(last.starts_with("Hej <æ>\n\n"));
    EXPECT_TRUE(last.ends_with("\n" + json::dump(request.schema.value())));
    EXPECT_EQ(*body.at_pointer("/messages/0/content"), json::Value("Read \"this\".\n"));
  }
}

TEST(ChatRequestTest, says_nothing_of_a_schema_that_is_not_there) {
  auto request = make_request();
  request.schema = {};

  for (const auto* structured : {"json_schema", "json_object", "none"}) {
    const auto body =
        parsed(write_chat_request({.model = "small", .structured = structured}, request, false));
    EXPECT_EQ(body.find("response_format"), nullptr);
    EXPECT_EQ(*body.at_pointer("/messages/1/content"), json::Value("Hej <æ>"));
  }
}

TEST(StrictSchemaTest, is_one_whose_objects_are_closed_all_the_way_down) {
  for (const auto* schema :
       {R"({"type":"object","properties":{},"additionalProperties":false})",
        R"({"type":["object","null"],"properties":{"a":{"$ref":"#/$defs/x"}},"required":["a"],
            "additionalProperties":false,"$defs":{"x":{"enum":["y"]}}})",
        R"({"type":"array","items":{"anyOf":[{"type":"number","minimum":0},{"type":"null"}]}})"}) {
    EXPECT_TRUE(is_strict_schema(parsed(schema))) << schema;
  }
  for (const auto* schema :
       {"true", "{}", R"({"type":"object"})",
        R"({"type":"object","properties":{"a":{"type":"null"}},"additionalProperties":false})",
        R"({"type":"object","properties":{"a":{"type":"null"}},"required":["a"]})",
        R"({"type":"array","items":{"type":"object"}})",
        R"({"anyOf":[{"type":"object"},{"type":"null"}]})",
        R"({"type":"array","items":{"$ref":"#/$defs/x"},"$defs":{"x":{"type":"object"}}})",
        R"({"type":"string","maxLength":5})"}) {
    EXPECT_FALSE(is_strict_schema(parsed(schema))) << schema;
  }
}

}  // namespace
}  // namespace samtale
