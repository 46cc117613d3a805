#include <algorithm>
#include <cctype>

#include "api/api.h"
#include "api/table.h"

namespace samtale {
namespace {

using json::Array;
using json::Object;
using json::Value;

// The request schemas the table names, as JSON: the place where the API's shapes are written down.
constexpr std::string_view kSchemas = R"({
"error":{"type":"object","required":["code","message","retryable"],"properties":{
  "code":{"type":"string"},"message":{"type":"string"},"request_id":{"type":"string"},"retryable":{"type":"boolean"}}},
"event":{"description":"What the provider sends; signed."},
"turn":{"type":"object","required":["text"],"properties":{
  "id":{"type":"string","maxLength":256},"speaker":{"type":"string"},"name":{"type":"string"},"text":{"type":"string"},
  "at":{"type":"string","format":"date-time"},"private":{"type":"boolean"}}},
"party":{"type":"object","properties":{
  "id":{"type":"string"},"name":{"type":"string"},"role":{"type":"string"},"email":{"type":"string"},
  "phone":{"type":"string"},"address":{"type":"string"}}},
"conversation":{"type":"object","required":["id"],"properties":{
  "id":{"type":"string","minLength":1,"maxLength":256},"company_id":{"type":"string"},"channel":{"type":"string"},
  "language":{"type":"string"},"title":{"type":"string"},"status":{"enum":["open","ended"]},
  "version":{"type":"integer"},"append":{"type":"boolean"},"updated_at":{"type":"string","format":"date-time"},
  "started_at":{"type":"string","format":"date-time"},"ended_at":{"type":"string","format":"date-time"},
  "parties":{"type":"array","items":{"$ref":"#/components/schemas/party"}},
  "turns":{"type":"array","items":{"$ref":"#/components/schemas/turn"}},
  "tags":{"type":"array","items":{"type":"string"}},"metadata":{"type":"object"}}},
"any_of":{"oneOf":[{"type":"string"},{"type":"object","required":["in"],"properties":{"in":{"type":"array","items":{"type":"string"},"minItems":1}}}]},
"search":{"type":"object","additionalProperties":false,"properties":{
  "query":{"type":"string","minLength":1,"maxLength":4096},"vector":{"type":"array","items":{"type":"number"}},
  "mode":{"enum":["hybrid","vector","keyword"],"default":"hybrid"},"limit":{"type":"integer","minimum":1,"maximum":100,"default":10},
  "chunks":{"type":"integer","minimum":1,"maximum":10,"default":3},"cursor":{"type":"string"},
  "min_sequence":{"type":"string","description":"The Samtale-Sequence of an answer: the index is to have all that it told of."},
  "filters":{"type":"object","additionalProperties":false,"properties":{
    "from":{"type":"string","format":"date-time"},"to":{"type":"string","format":"date-time"},
    "channel":{"$ref":"#/components/schemas/any_of"},"source":{"$ref":"#/components/schemas/any_of"},
    "language":{"$ref":"#/components/schemas/any_of"},"party":{"$ref":"#/components/schemas/any_of"},
    "tag":{"$ref":"#/components/schemas/any_of"},"sentiment":{"$ref":"#/components/schemas/any_of"},
    "topic":{"$ref":"#/components/schemas/any_of"},
    "sentiment_score":{"type":"object","additionalProperties":false,"properties":{
      "min":{"type":"number","minimum":-1,"maximum":1},"max":{"type":"number","minimum":-1,"maximum":1}}},
    "analyses":{"type":"object","description":"By analyzer: a label, some, or a range of the score.","additionalProperties":{"anyOf":[
      {"$ref":"#/components/schemas/any_of"},
      {"type":"object","additionalProperties":false,"minProperties":1,"properties":{"gte":{"type":"number"},"lte":{"type":"number"}}}]}},
    "metadata":{"type":"object","additionalProperties":{"$ref":"#/components/schemas/any_of"}}}}}},
"search_batch":{"type":"object","required":["searches"],"additionalProperties":false,"properties":{
  "searches":{"type":"array","minItems":1,"maxItems":100,"items":{"$ref":"#/components/schemas/search"}}}},
"redrive":{"type":"object","additionalProperties":false,"properties":{"ids":{"type":"array","items":{"type":"string"}}}},
"key":{"type":"object","required":["scopes"],"additionalProperties":false,"properties":{
  "label":{"type":"string","maxLength":200},"scopes":{"type":"array","minItems":1,"items":{"enum":["ingest","search","read","admin"]}},
  "expires_at":{"type":"string","format":"date-time"}}},
"endpoint":{"type":"object","required":["preset"],"additionalProperties":false,"properties":{
  "preset":{"type":"string"},"source":{"type":"string","maxLength":64},"secret":{"type":"string"},
  "idle_timeout_s":{"type":"integer","minimum":0,"maximum":604800}}},
"rotate":{"type":"object","additionalProperties":false,"properties":{
  "secret":{"type":"string"},"keep_old_s":{"type":"integer","minimum":0,"maximum":2592000,"default":86400}}},
"subscription":{"type":"object","required":["url"],"additionalProperties":false,"properties":{
  "url":{"type":"string","format":"uri","maxLength":2048},"events":{"type":"array","items":{"enum":["analysis.completed"]}}}},
"subscription_rotate":{"type":"object","additionalProperties":false,"properties":{
  "keep_old_s":{"type":"integer","minimum":0,"maximum":2592000,"default":86400}}},
"company":{"type":"object","required":["name"],"additionalProperties":false,"properties":{
  "name":{"type":"string","pattern":"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},"weight":{"type":"number"},
  "events_per_second_max":{"type":"integer","minimum":0},"conversations_max":{"type":"integer","minimum":0}}},
"budget":{"type":"object","additionalProperties":false,"properties":{
  "tokens_per_day":{"type":"integer","minimum":0},"tokens_per_month":{"type":"integer","minimum":0},
  "usd_per_day":{"type":"number","minimum":0},"usd_per_month":{"type":"number","minimum":0}}},
"analyzer":{"type":"object","additionalProperties":false,"properties":{
  "name":{"type":"string","pattern":"^[a-z][a-z0-9_]{0,39}$"},
  "kind":{"enum":["summary","sentiment","topics","intent","resolution","action_items","pii","manipulation","scorecard","custom"]},
  "description":{"type":"string","maxLength":1000},"instructions":{"type":"string","maxLength":8000},
  "schema":{"type":"object","description":"JSON Schema of a custom analyzer's value."},
  "taxonomy":{"type":"array","maxItems":200,"items":{"type":"string","minLength":1,"maxLength":100}},
  "discover":{"type":"boolean"},
  "questions":{"type":"array","maxItems":50,"items":{"type":"object","required":["text"],"additionalProperties":false,"properties":{
    "id":{"type":"string","pattern":"^[a-z0-9_]{1,40}$"},"text":{"type":"string","minLength":1,"maxLength":1000},
    "max":{"type":"integer","minimum":1,"maximum":100,"default":1},"weight":{"type":"number","minimum":0,"maximum":1000,"default":1}}}},
  "model":{"type":"string","maxLength":200},"language":{"type":"string","maxLength":35},
  "trigger":{"type":"object","additionalProperties":false,"properties":{
    "on":{"enum":["ended","turn","tag","schedule","demand"],"default":"ended"},"tag":{"type":"string","maxLength":100},
    "quiet_s":{"type":"integer","minimum":0,"maximum":86400,"default":10},
    "every_s":{"type":"integer","minimum":600,"maximum":2678400,"default":86400}}},
  "priority":{"enum":["critical","normal","bulk"],"default":"normal"},
  "deadline_s":{"type":"integer","minimum":1,"maximum":604800},
  "sample":{"type":"number","exclusiveMinimum":0,"maximum":1,"default":1},
  "budget":{"$ref":"#/components/schemas/budget"},"active":{"type":"boolean","default":true}}},
"analysis_settings":{"type":"object","additionalProperties":false,"properties":{
  "budget":{"$ref":"#/components/schemas/budget"},"mask_pii":{"type":"boolean","default":false},
  "mask_names":{"type":"array","maxItems":1000,"items":{"type":"string"}},"language":{"type":"string","maxLength":35}}},
"analyze":{"type":"object","additionalProperties":false,"properties":{
  "analyzers":{"type":"array","items":{"type":"string"}}}},
"override":{"type":"object","required":["result"],"additionalProperties":false,"properties":{
  "result":{"type":"object","minProperties":1,"description":"As the analyzer's; of a score card {\"answers\":[{\"id\",\"points\"}]}."},
  "note":{"type":"string","maxLength":4000}}},
"backfill":{"type":"object","additionalProperties":false,"properties":{
  "analyzers":{"type":"array","items":{"type":"string"}},
  "from":{"type":"string","format":"date-time"},"to":{"type":"string","format":"date-time"},
  "channel":{"type":"string"},"source":{"type":"string"},"estimate_only":{"type":"boolean","default":false}}},
"replay":{"type":"object","additionalProperties":false,"properties":{
  "from":{"type":"string","format":"date-time"},"to":{"type":"string","format":"date-time"}}}
})";

Value reference(std::string_view schema) {
  return Object{{"$ref", "#/components/schemas/" + std::string(schema)}};
}

Value json_content(Value schema) {
  return Object{{"application/json", Object{{"schema", std::move(schema)}}}};
}

Array parameters_of(const api::Entry& entry) {
  Array parameters;
  std::string_view pattern = entry.pattern;
  for (auto open = pattern.find('{'); open != std::string_view::npos; open = pattern.find('{')) {
    const auto close = pattern.find('}', open);
    parameters.push_back(Object{{"name", pattern.substr(open + 1, close - open - 1)},
                                {"in", "path"},
                                {"required", true},
                                {"schema", Object{{"type", "string"}}}});
    pattern.remove_prefix(close);
  }
  for (std::string_view rest = entry.query; !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    parameters.push_back(Object{
        {"name", rest.substr(0, comma)}, {"in", "query"}, {"schema", Object{{"type", "string"}}}});
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return parameters;
}

Value operation_of(const api::Entry& entry) {
  Object operation{{"summary", entry.summary}};
  if (auto parameters = parameters_of(entry); !parameters.empty()) {
    operation.emplace_back("parameters", std::move(parameters));
  }
  if (!entry.body.empty()) {
    operation.emplace_back("requestBody", Object{{"content", json_content(reference(entry.body))}});
  }
  Object responses{{"2XX", Object{{"description", "Done."}}}};
  responses.emplace_back("default", Object{{"description", "Refused; says why."},
                                           {"content", json_content(reference("error"))}});
  operation.emplace_back("responses", std::move(responses));
  if (entry.access == api::Access::key || entry.access == api::Access::scoped) {
    operation.emplace_back("security", Array{Object{{"key", Array{}}}});
  }
  if (entry.access == api::Access::scoped) {
    operation.emplace_back("x-scope", name(entry.scope));
  }
  if (entry.access == api::Access::local) operation.emplace_back("x-local-socket", true);
  return operation;
}

}  // namespace

json::Value openapi_document(const ApiOptions& options) {
  Value paths = Object{};
  for (const auto& entry : api::table()) {
    if (entry.access == api::Access::node) continue;
    std::string method(entry.method);
    std::ranges::transform(method, method.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto* known = paths.find(entry.pattern);
    Value path = known == nullptr ? Value(Object{}) : *known;
    path.set(method, operation_of(entry));
    paths.set(entry.pattern, std::move(path));
  }
  Value schemas = *json::parse(kSchemas);
  const Object bearer{{"type", "http"}, {"scheme", "bearer"}};
  return Object{
      {"openapi", "3.1.0"},
      {"info", Object{{"title", "Samtale"},
                      {"version", options.version},
                      {"license", Object{{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"servers", Array{Object{{"url", options.public_url}}}},
      {"paths", std::move(paths)},
      {"components",
       Object{{"schemas", std::move(schemas)}, {"securitySchemes", Object{{"key", bearer}}}}}};
}

}  // namespace samtale
