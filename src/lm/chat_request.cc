#include "lm/chat_request.h"

#include <algorithm>
#include <string_view>

namespace samtale {
namespace {

bool contains(const json::Array& array, std::string_view text) {
  return std::ranges::find(array, json::Value(text)) != array.end();
}

bool is_closed_object(const json::Value& schema, const json::Object& properties) {
  const auto* others = schema.find("additionalProperties");
  const auto* required = schema.find("required");
  if (others == nullptr || *others != json::Value(false)) return false;
  if (required == nullptr || required->as_array() == nullptr) return properties.empty();
  return std::ranges::all_of(properties, [&](const auto& property) {
    return contains(*required->as_array(), property.first);
  });
}

bool is_object_type(const json::Value& schema) {
  const auto* type = schema.find("type");
  if (type == nullptr) return false;
  return *type == json::Value("object") ||
         (type->as_array() != nullptr && contains(*type->as_array(), "object"));
}

// Each schema of a map from name to schema, as "properties" and "$defs" are.
bool are_strict(const json::Value* schemas) {
  if (schemas == nullptr) return true;
  if (schemas->as_object() == nullptr) return false;
  return std::ranges::all_of(*schemas->as_object(),
                             [](const auto& member) { return is_strict_schema(member.second); });
}

void write_member(std::string_view key, std::string_view text, std::string& out) {
  json::write_string(key, out);
  out += ':';
  json::write_string(text, out);
}

void write_format(const OpenAiChatOptions& options, const ChatRequest& request, std::string& out) {
  if (request.schema.is_none() || options.structured == "none") return;
  out += R"(,"response_format":{)";
  if (options.structured == "json_object") {
    out += R"("type":"json_object"})";
    return;
  }
  out += R"("type":"json_schema","json_schema":{)";
  write_member("name", request.schema_name, out);
  out += is_strict_schema(request.schema.value()) ? R"(,"strict":true,"schema":)"
                                                  : R"(,"strict":false,"schema":)";
  json::write(request.schema.value(), out);
  out += "}}";
}

}  // namespace

bool is_strict_schema(const json::Value& schema) {
  const auto says = [&](const char* key) { return schema.find(key) != nullptr; };
  if (!says("type") && !says("enum") && !says("const") && !says("anyOf") && !says("$ref")) {
    return false;  // Anything goes.
  }
  if (says("minLength") || says("maxLength")) return false;
  const auto* properties = schema.find("properties");
  if (is_object_type(schema) || properties != nullptr) {
    const auto* named = properties == nullptr ? nullptr : properties->as_object();
    if (!is_closed_object(schema, named == nullptr ? json::Object() : *named)) return false;
  }
  if (!are_strict(properties) || !are_strict(schema.find("$defs")) ||
      !are_strict(schema.find("definitions"))) {
    return false;
  }
  if (const auto* items = schema.find("items"); items != nullptr && !is_strict_schema(*items)) {
    return false;
  }
  const auto* any = schema.find("anyOf");
  if (any == nullptr) return true;
  return any->as_array() != nullptr && std::ranges::all_of(*any->as_array(), is_strict_schema);
}

std::string write_chat_request(const OpenAiChatOptions& options, const ChatRequest& request,
                               bool stream) {
  // Written by hand: the messages are long, and a json::Value would copy them.
  std::string out = "{";
  write_member("model", request.model.empty() ? options.model : request.model, out);
  out += R"(,"messages":[)";
  const bool tells_schema = !request.schema.is_none() && options.structured != "json_schema";
  for (const auto& message : request.messages) {
    if (&message != &request.messages.front()) out += ',';
    out += '{';
    write_member("role", message.role, out);
    out += ',';
    if (tells_schema && &message == &request.messages.back()) {
      write_member("content",
                   message.content + "\n\nAnswer with JSON alone, by this JSON Schema:\n" +
                       json::dump(request.schema.value()),
                   out);
    } else {
      write_member("content", message.content, out);
    }
    out += '}';
  }
  out += "],";
  json::write_string(options.max_tokens_field, out);
  out += ':' + std::to_string(request.output_tokens_max);
  if (options.send_temperature) {
    out += R"(,"temperature":)";
    json::write(json::Value(options.temperature), out);
  }
  if (stream) out += R"(,"stream":true,"stream_options":{"include_usage":true})";
  write_format(options, request, out);
  out += '}';
  return out;
}

}  // namespace samtale
