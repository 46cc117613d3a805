#include "api/answer.h"
#include "api/requests.h"
#include "api/sequence.h"
#include "api/table.h"
#include "model/fields.h"

namespace samtale::api {
namespace {

constexpr std::string_view kDegraded = "the embedder is away, so this was searched by words alone";

// {"intent": "cancel order", "quality": {"gte": 0.5}}: a label, some, or a range of the score.
void read_analyses(Fields& filters, SearchFilters& wanted) {
  const auto* object = filters.object("analyses");
  if (object == nullptr) return;
  Fields members(*object, "/filters/analyses");
  for (const auto& [name, value] : *object->as_object()) {
    AnalysisFilter filter;
    filter.analyzer = name;
    if (value.find("gte") == nullptr && value.find("lte") == nullptr) {
      filter.labels = members.values_of(value, name);
    } else {
      Fields bounds(value, "/filters/analyses/" + json::pointer_token(name));
      filter.score_min = bounds.number("gte");
      filter.score_max = bounds.number("lte");
      [[maybe_unused]] const auto read = bounds.done();
      members.add_mistakes(bounds);
    }
    wanted.analyses.push_back(std::move(filter));
  }
  filters.add_mistakes(members);
}

// The short words for what nearly everybody looks for.
void read_short_forms(Fields& filters, SearchFilters& wanted) {
  AnalysisFilter sentiment{.analyzer = "sentiment", .labels = filters.any_of("sentiment")};
  if (const auto* score = filters.object("sentiment_score")) {
    Fields bounds(*score, "/filters/sentiment_score");
    sentiment.score_min = bounds.number("min");
    sentiment.score_max = bounds.number("max");
    [[maybe_unused]] const auto read = bounds.done();
    filters.add_mistakes(bounds);
  }
  if (!sentiment.labels.empty() || sentiment.score_min || sentiment.score_max) {
    wanted.analyses.push_back(std::move(sentiment));
  }
  AnalysisFilter topics{.analyzer = "topics", .labels = filters.any_of("topic")};
  if (!topics.labels.empty()) wanted.analyses.push_back(std::move(topics));
}

struct WantedSearch {
  SearchRequest request;
  std::string min_sequence;  // Empty: as new as the index is.
};

Result<WantedSearch> read_search(const json::Value& body) {
  WantedSearch read;
  auto& request = read.request;
  Fields fields(body);
  request.query = fields.string("query").value_or("");
  request.vector = fields.floats("vector");
  const auto mode = fields.string("mode");
  request.mode = request.vector.empty() ? SearchMode::hybrid : SearchMode::vector;
  if (mode) {
    if (*mode == "hybrid") {
      request.mode = SearchMode::hybrid;
    } else if (*mode == "vector") {
      request.mode = SearchMode::vector;
    } else if (*mode == "keyword") {
      request.mode = SearchMode::keyword;
    } else {
      const json::Value got(*mode);
      fields.mistake("mode", "must be \"hybrid\", \"vector\" or \"keyword\"", &got);
    }
  }
  request.limit = static_cast<std::size_t>(fields.integer("limit", 1, 100).value_or(10));
  request.chunks = static_cast<std::size_t>(fields.integer("chunks", 1, 10).value_or(3));
  request.cursor = fields.string("cursor").value_or("");
  request.exact = fields.boolean("exact").value_or(false);
  read.min_sequence = fields.string("min_sequence").value_or("");
  if (const auto* object = fields.object("filters")) {
    Fields filters(*object, "/filters");
    auto& wanted = request.filters;
    wanted.from = filters.time("from");
    wanted.to = filters.time("to");
    wanted.channels = filters.any_of("channel");
    wanted.sources = filters.any_of("source");
    wanted.languages = filters.any_of("language");
    wanted.parties = filters.any_of("party");
    wanted.tags = filters.any_of("tag");
    if (const auto* metadata = filters.object("metadata")) {
      Fields members(*metadata, "/filters/metadata");
      for (const auto& [key, value] : *metadata->as_object()) {
        wanted.metadata.emplace_back(key, members.values_of(value, key));
      }
      filters.add_mistakes(members);
    }
    read_short_forms(filters, wanted);
    read_analyses(filters, wanted);
    [[maybe_unused]] const auto noted = filters.done();
    fields.add_mistakes(filters);
  }
  SAMTALE_TRY_VOID(fields.done());
  return read;
}

std::string_view name(SearchMode mode) {
  switch (mode) {
    case SearchMode::hybrid:
      return "hybrid";
    case SearchMode::vector:
      return "vector";
    case SearchMode::keyword:
      return "keyword";
  }
  return "?";
}

json::Value to_json(const SearchChunk& chunk) {
  json::Array snippet;
  for (const auto& part : chunk.snippet) {
    json::Object object{{"text", part.text}};
    if (part.is_hit) object.emplace_back("hit", true);
    snippet.emplace_back(std::move(object));
  }
  return json::Object{{"ordinal", std::int64_t{chunk.ordinal}},
                      {"first_turn", std::int64_t{chunk.first_turn}},
                      {"last_turn", std::int64_t{chunk.last_turn}},
                      {"score", double{chunk.score}},
                      {"vector_score", double{chunk.vector_score}},
                      {"word_score", double{chunk.word_score}},
                      {"snippet", std::move(snippet)}};
}

json::Value to_json(const SearchHit& hit) {
  json::Array chunks;
  for (const auto& chunk : hit.chunks) chunks.push_back(to_json(chunk));
  auto object = summary_of(hit.summary);
  object.set("score", double{hit.score});
  object.set("chunks", std::move(chunks));
  return object;
}

std::uint64_t index_generation(const Context& context, CompanyId company) {
  return context.parts.index_generation ? context.parts.index_generation(company) : 1;
}

void search_elsewhere(const Context& context, const Call& call, http::Reply reply) {
  auto answered = context.parts.elsewhere(*call.caller, call.request);
  if (!answered) return refuse(context, call, answered.error(), std::move(reply));
  reply(passed_on(*std::move(answered)));
}

// Waits until the index here is as new as `min_sequence`; whether it is. Errors: invalid_argument,
// unavailable.
Result<bool> catch_up(const Context& context, const Call& call, const std::string& min_sequence) {
  if (min_sequence.empty()) return true;
  const auto company = call.caller->company();
  SAMTALE_TRY(const auto wanted, unseal_sequence(context, company, min_sequence));
  if (context.parts.wait_applied(company, 0) >= wanted) return true;
  const auto& store = context.parts.store;
  SAMTALE_TRY(const auto last, store.last_change(store.partition_of(company)));
  if (last < wanted) {
    return fail(ErrorCode::invalid_argument,
                "/min_sequence: the store is older than that; it may have been restored since");
  }
  const auto applied = context.parts.wait_applied(company, wanted);
  if (applied >= wanted) return true;
  // How many changes lie between, also other companies', is the operator's business.
  context.parts.log.warn("api.search_behind", {{"request_id", call.request.id},
                                               {"wanted", std::to_string(wanted)},
                                               {"applied", std::to_string(applied)}});
  return false;
}

// Another node's index may be newer.
void refuse_as_behind(const Context& context, const Call& call, http::Reply reply) {
  if (context.parts.elsewhere && !call.caller->is_sent_on()) {
    return search_elsewhere(context, call, std::move(reply));
  }
  const Error behind{ErrorCode::unavailable, {}};
  auto value = error_value(behind);
  value.set("message", "the index is not yet as new as /min_sequence asks; try again");
  value.set("request_id", call.request.id);
  auto response = ok(value, http_status(behind.code));
  response.headers.emplace_back("Retry-After", "1");
  reply(std::move(response));
}

json::Value to_json(const SearchAnswer& answer) {
  json::Array hits;
  for (const auto& hit : answer.hits) hits.push_back(to_json(hit));
  const std::chrono::duration<double, std::milli> took = answer.took;
  return json::Object{
      {"hits", std::move(hits)},
      {"next_cursor", answer.next_cursor.empty() ? json::Value() : json::Value(answer.next_cursor)},
      {"mode", name(answer.mode)},
      {"model", answer.model},
      {"exact", answer.is_exact},
      {"degraded", answer.degraded.empty() ? json::Value() : json::Value(kDegraded)},
      {"took_ms", took.count()}};
}

}  // namespace

void post_search(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  const auto generation = index_generation(context, company);
  if (generation == 0) return search_elsewhere(context, call, std::move(reply));
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto wanted = read_search(*body);
  if (!wanted) return reply(failure(wanted.error(), call.request));
  const auto is_new_enough = catch_up(context, call, wanted->min_sequence);
  if (!is_new_enough) return refuse(context, call, is_new_enough.error(), std::move(reply));
  if (!*is_new_enough) return refuse_as_behind(context, call, std::move(reply));
  const auto applied = context.parts.wait_applied(company, 0);
  const auto answer = context.parts.searcher.search(company, wanted->request);
  // It went away or came anew meanwhile: part of it may be all that was searched.
  if (index_generation(context, company) != generation) {
    return search_elsewhere(context, call, std::move(reply));
  }
  if (!answer) return refuse(context, call, answer.error(), std::move(reply));
  // Why may name the embedder's address: that is for the operator.
  if (!answer->degraded.empty()) {
    context.parts.log.warn("api.search_degraded",
                           {{"request_id", call.request.id}, {"why", answer->degraded}});
  }
  auto response = ok(to_json(*answer));
  response.headers.emplace_back(kSequenceHeader, seal_sequence(context, company, applied));
  reply(std::move(response));
}

}  // namespace samtale::api
