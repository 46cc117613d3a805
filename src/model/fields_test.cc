#include "model/fields.h"

#include <gmock/gmock.h>

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

json::Value read(std::string_view text) { return *json::parse(text); }

TEST(FieldsTest, reads_what_is_there_and_takes_null_for_absent) {
  const auto body = read(R"({"a":"x","b":3,"c":null,"d":["y"],"e":{"in":["p",1,true]}})");
  Fields fields(body);

  EXPECT_EQ(fields.string("a"), "x");
  EXPECT_EQ(fields.integer("b", 0, 3), 3);
  EXPECT_EQ(fields.string("c"), std::nullopt);
  EXPECT_THAT(fields.strings("d"), ElementsAre("y"));
  EXPECT_THAT(fields.any_of("e"), ElementsAre("p", "1", "true"));
  EXPECT_EQ(fields.string("absent"), std::nullopt);
  EXPECT_TRUE(fields.done());
}

TEST(FieldsTest, escapes_names_in_pointers) {
  const auto body = read(R"({"a/b~c":1})");
  Fields fields(body, "/filters");

  EXPECT_EQ(fields.string("a/b~c"), std::nullopt);

  EXPECT_EQ(fields.done().error().message, "/filters/a~1b~0c: must be a string; got 1");
}

TEST(FieldsTest, names_unknown_members_and_those_that_are_known) {
  const auto body = read(R"({"limt":1})");
  Fields fields(body);
  EXPECT_FALSE(fields.integer("limit", 1, 2));
  EXPECT_FALSE(fields.string("query"));

  EXPECT_EQ(fields.done().error().message, "/limt: is not known here; known are limit, query");
}

TEST(FieldsTest, shows_the_type_of_a_long_value_not_all_of_it) {
  const auto body = json::Value(json::Object{{"a", json::Array(1000, json::Value("secret"))}});
  Fields fields(body);

  EXPECT_FALSE(fields.string("a"));

  const auto message = fields.done().error().message;
  EXPECT_THAT(message, HasSubstr("got array"));
  EXPECT_THAT(message, Not(HasSubstr("secret")));
}

TEST(FieldsTest, counts_what_it_does_not_show) {
  json::Object members;
  for (int i = 0; i < 30; ++i) members.emplace_back("m" + std::to_string(i), i);
  const json::Value body(std::move(members));
  Fields fields(body);

  const auto message = fields.done().error().message;

  EXPECT_THAT(message, HasSubstr("/m19:"));
  EXPECT_THAT(message, Not(HasSubstr("/m20:")));
  EXPECT_THAT(message, HasSubstr("and 10 more"));
}

TEST(FieldsTest, a_body_that_is_no_object_is_one_mistake) {
  const auto body = read("[1]");
  Fields fields(body);
  EXPECT_FALSE(fields.string("a"));

  EXPECT_EQ(fields.done().error().message, "the body: must be an object; got array");
}

TEST(FieldsTest, adds_up_the_mistakes_of_nested_objects) {
  const auto body = read(R"({"a":1,"inner":{"b":"soon"}})");
  Fields fields(body);
  EXPECT_FALSE(fields.string("a"));
  Fields inner(*fields.object("inner"), "/inner");
  EXPECT_FALSE(inner.time("b"));
  fields.add_mistakes(inner);

  const auto message = fields.done().error().message;

  EXPECT_THAT(message, HasSubstr("/a: must be a string; got 1 | /inner/b: must be a time"));
}

}  // namespace
}  // namespace samtale
