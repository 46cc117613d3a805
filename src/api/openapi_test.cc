#include <gmock/gmock.h>

#include <set>

#include "api/table.h"

namespace samtale {
namespace {

const json::Value& document() {
  static const auto made = openapi_document({.version = "1.2.3", .public_url = "https://s.test"});
  return made;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c | 0x20);
  return out;
}

// All but those by which nodes ask each other.
std::vector<api::Entry> public_entries() {
  auto entries = api::table();
  std::erase_if(entries, [](const auto& entry) { return entry.access == api::Access::node; });
  return entries;
}

const json::Value* operation(const api::Entry& entry) {
  const auto* path = document().find("paths")->find(entry.pattern);
  return path == nullptr ? nullptr : path->find(lower(entry.method));
}

// Every {"$ref": …} below `value`.
void collect_references(const json::Value& value, std::set<std::string>& found) {
  if (const auto* array = value.as_array()) {
    for (const auto& item : *array) collect_references(item, found);
  }
  if (const auto* object = value.as_object()) {
    for (const auto& [key, member] : *object) {
      if (key == "$ref") found.insert(*member.as_string());
      collect_references(member, found);
    }
  }
}

TEST(OpenapiTest, has_every_route_of_the_table_and_no_other) {
  std::size_t operations = 0;
  for (const auto& [path, methods] : *document().find("paths")->as_object()) {
    operations += methods.as_object()->size();
  }

  EXPECT_EQ(operations, public_entries().size());
  for (const auto& entry : public_entries()) {
    ASSERT_NE(operation(entry), nullptr) << entry.method << " " << entry.pattern;
    EXPECT_EQ(*operation(entry)->find("summary"), json::Value(entry.summary));
  }
}

TEST(OpenapiTest, says_which_credential_and_scope_each_route_asks_for) {
  for (const auto& entry : public_entries()) {
    SCOPED_TRACE(entry.pattern);
    const auto* found = operation(entry);
    const bool needs_key = entry.access == api::Access::key || entry.access == api::Access::scoped;

    EXPECT_EQ(found->find("security") != nullptr, needs_key);
    EXPECT_EQ(found->find("x-local-socket") != nullptr, entry.access == api::Access::local);
    const auto* scope = found->find("x-scope");
    ASSERT_EQ(scope != nullptr, entry.access == api::Access::scoped);
    if (scope == nullptr) continue;
    EXPECT_EQ(*scope, json::Value(name(entry.scope)));
  }
}

TEST(OpenapiTest, names_every_parameter_of_path_and_query) {
  for (const auto& entry : public_entries()) {
    SCOPED_TRACE(entry.pattern);
    const auto* parameters = operation(entry)->find("parameters");
    std::string query;
    std::string path(entry.pattern);
    if (parameters != nullptr) {
      for (const auto& parameter : *parameters->as_array()) {
        const auto& name = *parameter.find("name")->as_string();
        if (*parameter.find("in") == json::Value("query")) {
          query += (query.empty() ? "" : ",") + name;
        } else {
          const auto place = path.find("{" + name + "}");
          ASSERT_NE(place, std::string::npos) << name;
          path.erase(place, name.size() + 2);
          EXPECT_EQ(*parameter.find("required"), json::Value(true));
        }
      }
    }
    EXPECT_EQ(query, entry.query);
    EXPECT_EQ(path.find('{'), std::string::npos) << "a part of the path is not described";
  }
}

TEST(OpenapiTest, refers_only_to_schemas_that_it_has) {
  std::set<std::string> references;
  collect_references(document(), references);

  EXPECT_GT(references.size(), 5U);
  for (const auto& reference : references) {
    ASSERT_TRUE(reference.starts_with("#"));
    EXPECT_NE(document().at_pointer(reference.substr(1)), nullptr) << reference;
  }
}

TEST(OpenapiTest, every_schema_is_used) {
  std::set<std::string> references;
  collect_references(document(), references);

  for (const auto& [name, schema] : *document().at_pointer("/components/schemas")->as_object()) {
    EXPECT_TRUE(references.contains("#/components/schemas/" + name)) << name;
  }
}

}  // namespace
}  // namespace samtale
