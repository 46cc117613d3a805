#include <chrono>
#include <map>

#include "api/answer.h"
#include "api/requests.h"
#include "api/sequence.h"
#include "api/table.h"
#include "model/fields.h"

namespace samtale::api {
namespace {

constexpr std::int64_t kWeekDays = 7;

Result<AnalysisQuery> read_query(const http::Request& request) {
  AnalysisQuery query;
  query.analyzer = query_text(request, "analyzer");
  if (query.analyzer.empty()) {
    return fail(ErrorCode::invalid_argument,
                "?analyzer: is needed: a name of GET /v1/analyzers, like \"sentiment\"");
  }
  query.label = query_text(request, "label");
  SAMTALE_TRY(const auto limit, query_integer(request, "limit", 50, 1, 200));
  query.limit = static_cast<std::size_t>(limit);
  query.cursor = query_text(request, "cursor");
  SAMTALE_TRY(query.from, query_time(request, "from"));
  SAMTALE_TRY(query.to, query_time(request, "to"));
  return query;
}

using Days = std::chrono::sys_days;

Days day_of(WallTime time) {
  return std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(to_us(time))));
}

std::string date_of(Days day) {
  return format_time(
             from_us(std::chrono::duration_cast<std::chrono::microseconds>(day.time_since_epoch())
                         .count()))
      .substr(0, 10);
}

// The first day of the bucket a day is in. Weeks begin on Mondays (ISO 8601).
Result<Days> bucket_of(Days day, std::string_view bucket) {
  if (bucket.empty() || bucket == "day") return day;
  if (bucket == "week") {
    const std::chrono::weekday weekday(day);
    return day - std::chrono::days((weekday.c_encoding() + kWeekDays - 1) % kWeekDays);
  }
  if (bucket == "month") {
    const std::chrono::year_month_day date(day);
    return Days(date.year() / date.month() / 1);
  }
  return fail(ErrorCode::invalid_argument,
              "?bucket: must be \"day\", \"week\" or \"month\"; got \"" +
                  std::string(bucket.substr(0, 40)) + "\"");
}

struct Bucket {
  json::Object counts;
  std::int64_t count = 0;
  std::int64_t scored = 0;
  double score_sum = 0;
};

}  // namespace

void get_analyses(const Context& context, const Call& call, http::Reply reply) {
  const auto query = read_query(call.request);
  if (!query) return reply(failure(query.error(), call.request));
  const auto page = context.parts.store.list_analyses(call.caller->company(), *query);
  if (!page) return refuse(context, call, page.error(), std::move(reply));
  json::Array list;
  for (const auto& [conversation, analysis] : page->analyses) {
    const auto overrides = context.parts.store.overrides(call.caller->company(), conversation);
    if (!overrides) return refuse(context, call, overrides.error(), std::move(reply));
    auto object = to_json(analysis, *overrides);
    object.set("conversation_id", text(conversation));
    list.push_back(std::move(object));
  }
  const json::Object answer{
      {"analyses", std::move(list)},
      {"next_cursor", page->next_cursor.empty() ? json::Value() : json::Value(page->next_cursor)}};
  reply(with_sequence(context, call.caller->company(), ok(answer)));
}

void get_trends(const Context& context, const Call& call, http::Reply reply) {
  const auto query = read_query(call.request);
  if (!query) return reply(failure(query.error(), call.request));
  const auto size = query_text(call.request, "bucket");
  if (const auto known = bucket_of(Days(), size); !known) {
    return reply(failure(known.error(), call.request));
  }
  const auto counts = context.parts.store.count_analyses(call.caller->company(), *query);
  if (!counts) return refuse(context, call, counts.error(), std::move(reply));
  std::map<Days, std::map<std::string, AnalysisCount>> buckets;
  for (const auto& day : *counts) {
    auto& sum = buckets[*bucket_of(day_of(day.day), size)][day.label];
    sum.count += day.count;
    sum.scored += day.scored;
    sum.score_sum += day.score_sum;
  }
  json::Array list;
  for (const auto& [first_day, labels] : buckets) {
    Bucket bucket;
    for (const auto& [label, sum] : labels) {
      if (!label.empty()) bucket.counts.emplace_back(label, sum.count);
      bucket.count += sum.count;
      bucket.scored += sum.scored;
      bucket.score_sum += sum.score_sum;
    }
    json::Object object{{"from", date_of(first_day)}, {"count", bucket.count}};
    if (bucket.scored > 0) {
      object.emplace_back("score", bucket.score_sum / static_cast<double>(bucket.scored));
    }
    object.emplace_back("labels", std::move(bucket.counts));
    list.emplace_back(std::move(object));
  }
  reply(ok(json::Object{{"analyzer", query->analyzer},
                        {"bucket", size.empty() ? "day" : size},
                        {"buckets", std::move(list)}}));
}

}  // namespace samtale::api
