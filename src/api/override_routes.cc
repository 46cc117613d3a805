// What a person does to the analyses of one conversation: asks for them, and says otherwise.
#include <algorithm>

#include "analyze/on_demand.h"
#include "analyze/override.h"
#include "api/answer.h"
#include "api/requests.h"
#include "api/sequence.h"
#include "api/table.h"
#include "model/fields.h"

namespace samtale::api {
namespace {

constexpr std::size_t kNoteBytesMax = 4'000;

// The analysis that the path names, and what people said of it before.
struct Named {
  StoredConversation conversation;
  StoredAnalysis analysis;
  std::vector<AnalysisOverride> overrides;
};

Result<Named> find_analysis(const Context& context, const Call& call) {
  Named named;
  SAMTALE_TRY(named.conversation, find_named(context, call));
  const auto& id = named.conversation.conversation.id;
  const auto& analyzer = *call.request.param("analyzer");
  SAMTALE_TRY(auto analyses, context.parts.store.analyses(call.caller->company(), id));
  const auto found = std::ranges::find(analyses, analyzer, &StoredAnalysis::analyzer);
  if (found == analyses.end()) {
    return fail(ErrorCode::not_found,
                "there is no analysis of this conversation by an analyzer of this name");
  }
  named.analysis = std::move(*found);
  SAMTALE_TRY(named.overrides, context.parts.store.overrides(call.caller->company(), id));
  return named;
}

// The very version that made the analysis, where it is still known; else what is in force. A
// result of an analyzer that is gone is held against nothing.
Analyzer made_with(const Context& context, CompanyId company, const StoredAnalysis& analysis) {
  const auto versions = context.parts.analyzers.versions(company, analysis.analyzer);
  const auto same = std::ranges::find(versions, analysis.version, &Analyzer::version);
  if (same != versions.end()) return *same;
  const auto in_force = context.parts.analyzers.of(company);
  const auto named = std::ranges::find(*in_force, analysis.analyzer, &Analyzer::name);
  return named == in_force->end() ? Analyzer{} : *named;
}

Result<AnalysisOverride> read_override(const Context& context, const Call& call, const Named& named,
                                       const json::Value& body) {
  Fields fields(body);
  const auto* result = fields.object("result");
  AnalysisOverride made;
  made.note = fields.string("note").value_or("");
  if (result == nullptr && body.find("result") == nullptr) fields.mistake("result", "is needed");
  if (made.note.size() > kNoteBytesMax) {
    fields.mistake("note", "must be at most " + std::to_string(kNoteBytesMax) + " bytes");
  }
  SAMTALE_TRY_VOID(fields.done());
  if (result == nullptr) return fail(ErrorCode::invalid_argument, "/result: must be an object");
  const auto analyzer = made_with(context, call.caller->company(), named.analysis);
  SAMTALE_TRY(const auto machine, json::parse(named.analysis.result));
  SAMTALE_TRY(const auto checked, check_override(analyzer, machine, *result));
  made.analyzer = named.analysis.analyzer;
  made.result = json::dump(checked);
  // The operator of the machine needs no key.
  made.by = call.caller->key_id().empty() ? "operator" : call.caller->key_id();
  made.made_at = context.parts.clock.wall_now();
  made.revision = named.conversation.revision;
  return made;
}

Result<> put(const Context& context, const Call& call, const Named& named,
             const AnalysisOverride& override_) {
  const auto company = call.caller->company();
  auto& store = context.parts.store;
  return store.write(store.partition_of(company), [&](StoreWriter& writer) {
    return writer.put_override(company, named.conversation.conversation.id, override_);
  });
}

}  // namespace

void post_conversation_analyses(const Context& context, const Call& call, http::Reply reply) {
  const auto stored = find_named(context, call);
  if (!stored) return refuse(context, call, stored.error(), std::move(reply));
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  const auto names = fields.strings("analyzers");
  if (auto read = fields.done(); !read) return reply(failure(read.error(), call.request));
  const auto asked = request_analyses(context.parts.store, context.parts.analyzers,
                                      context.parts.has_language_model, call.caller->company(),
                                      stored->conversation.id, names);
  if (!asked) return refuse(context, call, asked.error(), std::move(reply));
  reply(ok(json::Object{{"queued", json::Array(asked->begin(), asked->end())}}, 202));
}

void put_override(const Context& context, const Call& call, http::Reply reply) {
  const auto named = find_analysis(context, call);
  if (!named) return refuse(context, call, named.error(), std::move(reply));
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto made = read_override(context, call, *named, *body);
  if (!made) return refuse(context, call, made.error(), std::move(reply));
  if (const auto kept = put(context, call, *named, *made); !kept) {
    return refuse(context, call, kept.error(), std::move(reply));
  }
  reply(with_sequence(context, call.caller->company(), ok(to_json(*made))));
}

void delete_override(const Context& context, const Call& call, http::Reply reply) {
  const auto named = find_analysis(context, call);
  if (!named) return refuse(context, call, named.error(), std::move(reply));
  const auto& analyzer = named->analysis.analyzer;
  if (std::ranges::find(named->overrides, analyzer, &AnalysisOverride::analyzer) ==
      named->overrides.end()) {
    return reply(failure({ErrorCode::not_found, "this analysis has no override"}, call.request));
  }
  AnalysisOverride none;
  none.analyzer = analyzer;
  if (const auto gone = put(context, call, *named, none); !gone) {
    return refuse(context, call, gone.error(), std::move(reply));
  }
  reply(with_sequence(context, call.caller->company(), done()));
}

}  // namespace samtale::api
