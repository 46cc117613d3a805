#include "api/search_body.h"

namespace samtale::api {
namespace {

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

}  // namespace

void read_filters(Fields& fields, SearchFilters& wanted) {
  const auto* object = fields.object("filters");
  if (object == nullptr) return;
  Fields filters(*object, "/filters");
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
  read_filters(fields, request.filters);
  SAMTALE_TRY_VOID(fields.done());
  return read;
}

}  // namespace samtale::api
