#include "api/answer.h"
#include "api/requests.h"
#include "api/sequence.h"
#include "api/table.h"
#include "ingest/workers.h"
#include "model/fields.h"
#include "providers/provider.h"

namespace samtale::api {
namespace {

Result<ConversationQuery> read_query(const http::Request& request) {
  ConversationQuery query;
  SAMTALE_TRY(const auto limit, query_integer(request, "limit", 50, 1, 200));
  query.limit = static_cast<std::size_t>(limit);
  SAMTALE_TRY(query.from, query_time(request, "from"));
  SAMTALE_TRY(query.to, query_time(request, "to"));
  query.cursor = query_text(request, "cursor");
  query.channel = query_text(request, "channel");
  query.source = query_text(request, "source");
  query.external_id = query_text(request, "external_id");
  return query;
}

bool wants_vcon(const http::Request& request) {
  const auto* accept = request.header("accept");
  return query_text(request, "format") == "vcon" ||
         (accept != nullptr && accept->find("application/vcon+json") != std::string::npos);
}

// Source: draft-ietf-vcon-vcon-core-04, section 4.5 (analysis object).
json::Value to_vcon_analysis(const StoredAnalysis& analysis,
                             std::span<const AnalysisOverride> overrides) {
  const auto said = to_json(analysis, overrides);
  json::Object object{{"type", analysis.analyzer},
                      {"vendor", "samtale"},
                      {"product", analysis.method},
                      {"schema", analysis.analyzer + "-v" + std::to_string(analysis.version)},
                      {"encoding", "json"},
                      {"body", *said.find("result")}};
  if (const auto* override_ = said.find("override")) object.emplace_back("override", *override_);
  return object;
}

// What of the conversation can be found by now. Vectors are read to be counted: only for who asks.
Result<json::Array> chunks_of(const Context& context, CompanyId company, ConversationId id) {
  SAMTALE_TRY(const auto chunks, context.parts.store.chunks(company, id));
  json::Array list;
  for (const auto& [conversation, chunk, embedding, embed_error] : chunks) {
    list.push_back(json::Object{{"ordinal", std::int64_t{chunk.ordinal}},
                                {"first_turn", std::int64_t{chunk.first_turn}},
                                {"last_turn", std::int64_t{chunk.last_turn}},
                                {"has_vector", embedding.has_value()}});
  }
  return list;
}

void write_listed(const ConversationSummary& summary, json::Writer& out) {
  write_summary(summary, out);
  out.member("updated_at", format_time(summary.updated_at));
  out.member("revision", summary.revision);
}

}  // namespace

void get_conversations(const Context& context, const Call& call, http::Reply reply) {
  const auto query = read_query(call.request);
  if (!query) return reply(failure(query.error(), call.request));
  const auto page = context.parts.store.list_conversations(call.caller->company(), *query);
  if (!page) return refuse(context, call, page.error(), std::move(reply));
  http::Response response;
  json::Writer out(response.body);
  out.object([&] {
    write_list("conversations", page->conversations, write_listed, out);
    write_cursor(page->next_cursor, out);
  });
  reply(with_sequence(context, call.caller->company(), std::move(response)));
}

void get_conversation(const Context& context, const Call& call, http::Reply reply) {
  const auto stored = find_named(context, call);
  if (!stored) return refuse(context, call, stored.error(), std::move(reply));
  const auto analyses =
      context.parts.store.analyses(call.caller->company(), stored->conversation.id);
  if (!analyses) return refuse(context, call, analyses.error(), std::move(reply));
  const auto overrides =
      context.parts.store.overrides(call.caller->company(), stored->conversation.id);
  if (!overrides) return refuse(context, call, overrides.error(), std::move(reply));
  if (wants_vcon(call.request)) {
    auto vcon = to_vcon(stored->conversation, stored->received_at, stored->updated_at);
    json::Array list;
    for (const auto& analysis : *analyses) list.push_back(to_vcon_analysis(analysis, *overrides));
    if (!list.empty()) vcon.set("analysis", std::move(list));
    auto response = ok(vcon);
    response.content_type = "application/vcon+json";
    return reply(with_sequence(context, call.caller->company(), std::move(response)));
  }
  auto object = to_json(stored->conversation);
  object.set("revision", stored->revision);
  object.set("received_at", format_time(stored->received_at));
  object.set("updated_at", format_time(stored->updated_at));
  json::Array list;
  for (const auto& analysis : *analyses) list.push_back(to_json(analysis, *overrides));
  object.set("analyses", std::move(list));
  if (query_text(call.request, "chunks") == "true") {
    auto chunks = chunks_of(context, call.caller->company(), stored->conversation.id);
    if (!chunks) return refuse(context, call, chunks.error(), std::move(reply));
    object.set("chunks", *std::move(chunks));
  }
  reply(with_sequence(context, call.caller->company(), ok(object)));
}

void delete_conversation(const Context& context, const Call& call, http::Reply reply) {
  const auto stored = find_named(context, call);
  if (!stored) return refuse(context, call, stored.error(), std::move(reply));
  const auto company = call.caller->company();
  const auto id = stored->conversation.id;
  auto erased = erase_conversation(context.parts.store, company, id);
  // At once from the answers of searches too, not only when the feed comes by.
  const auto refresh = [&](IndexSet& indexes) -> Result<> {
    SAMTALE_TRY_VOID(indexes.refresh(context.parts.store, company, {&id, 1}));
    return {};
  };
  if (erased) erased = refresh(context.parts.indexes);
  auto* slices = context.parts.slices;
  for (std::size_t i = 0; erased && slices != nullptr && i < slices->count(); ++i) {
    erased = refresh(slices->shares(i));
  }
  if (!erased) return refuse(context, call, erased.error(), std::move(reply));
  if (context.parts.forget) context.parts.forget(company);
  context.parts.log.info("api.conversation_deleted", {{"company", call.caller->company_name()},
                                                      {"conversation", text(id)},
                                                      {"key", call.caller->key_id()},
                                                      {"request_id", call.request.id}});
  const json::Object answer{{"id", text(id)}, {"deleted", true}};
  reply(with_sequence(context, company, ok(answer)));
}

}  // namespace samtale::api
