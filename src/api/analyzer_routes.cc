// Analyzers, and what a company's analyses may cost.
#include <algorithm>

#include "analyze/on_demand.h"
#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"

namespace samtale::api {
namespace {

std::unexpected<Error> no_such_analyzer() {
  return fail(ErrorCode::not_found, "there is no analyzer of this name");
}

json::Value describe(const Context& context, const Analyzer& analyzer) {
  auto object = to_json(analyzer);
  object.set("version", analyzer.version);
  object.set("shipped", analyzer.is_shipped);
  const auto maker = made_by(analyzer.kind, context.parts.has_language_model);
  object.set("by", maker.empty() ? json::Value() : json::Value(maker));
  return object;
}

// The definition, under the name that the path says.
Result<Analyzer> read_analyzer(const json::Value& body, const std::string& name) {
  const auto* object = body.as_object();
  if (object == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "the body: must be an object; got " + std::string(body.type()));
  }
  const auto* named = body.find("name");
  if (named != nullptr && *named != json::Value(name)) {
    return fail(ErrorCode::invalid_argument,
                "/name: must be as in the path, \"" + name.substr(0, 80) + "\", or left out");
  }
  auto definition = body;
  definition.set("name", name);
  return parse_analyzer(definition);
}

void tell(const Context& context, const Call& call, std::string_view event,
          const std::string& analyzer) {
  context.parts.log.info(std::string(event), {{"company", call.caller->company_name()},
                                              {"analyzer", analyzer},
                                              {"key", call.caller->key_id()},
                                              {"request_id", call.request.id}});
}

}  // namespace

void get_analyzers(const Context& context, const Call& call, http::Reply reply) {
  json::Array list;
  for (const auto& analyzer : *context.parts.analyzers.of(call.caller->company())) {
    list.push_back(describe(context, analyzer));
  }
  reply(ok(json::Object{{"analyzers", std::move(list)}}));
}

void get_analyzer(const Context& context, const Call& call, http::Reply reply) {
  const auto& name = *call.request.param("name");
  const auto analyzers = context.parts.analyzers.of(call.caller->company());
  const auto found = std::ranges::find(*analyzers, name, &Analyzer::name);
  if (found == analyzers->end()) {
    return refuse(context, call, no_such_analyzer().error(), std::move(reply));
  }
  auto object = describe(context, *found);
  json::Array versions;
  for (const auto& one : context.parts.analyzers.versions(call.caller->company(), name)) {
    versions.push_back(describe(context, one));
  }
  object.set("versions", std::move(versions));
  reply(ok(object));
}

void put_analyzer(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto wanted = read_analyzer(*body, *call.request.param("name"));
  if (!wanted) return reply(failure(wanted.error(), call.request));
  const auto made = context.parts.analyzers.put(call.caller->company(), *wanted);
  if (!made) return refuse(context, call, made.error(), std::move(reply));
  tell(context, call, "api.analyzer_put", made->name);
  reply(ok(describe(context, *made)));
}

void delete_analyzer(const Context& context, const Call& call, http::Reply reply) {
  const auto& name = *call.request.param("name");
  const auto removed = context.parts.analyzers.remove(call.caller->company(), name);
  if (!removed) return refuse(context, call, removed.error(), std::move(reply));
  tell(context, call, "api.analyzer_deleted", name);
  reply(done());
}

void get_analysis_settings(const Context& context, const Call& call, http::Reply reply) {
  reply(ok(to_json(context.parts.analyzers.settings(call.caller->company()))));
}

void put_analysis_settings(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto settings = parse_settings(*body);
  if (!settings) return reply(failure(settings.error(), call.request));
  const auto put = context.parts.analyzers.put_settings(call.caller->company(), *settings);
  if (!put) return refuse(context, call, put.error(), std::move(reply));
  context.parts.log.info("api.analysis_settings_put", {{"company", call.caller->company_name()},
                                                       {"key", call.caller->key_id()},
                                                       {"request_id", call.request.id}});
  reply(ok(to_json(*settings)));
}

}  // namespace samtale::api
