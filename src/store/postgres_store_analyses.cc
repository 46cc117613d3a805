#include <algorithm>
#include <chrono>
#include <tuple>

#include "store/codec.h"
#include "store/cursor.h"
#include "store/postgres_rows.h"
#include "store/postgres_store.h"

namespace samtale {
namespace {

using postgres::Bytes;
using postgres::Row;

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::string_view kColumns =
    "a.conversation, a.analyzer, a.version, a.method, a.revision, a.created_us, a.score, a.labels, "
    "a.result, a.sort_us";

Result<std::pair<ConversationId, StoredAnalysis>> read_analysis(const Row& row) {
  StoredAnalysis analysis;
  SAMTALE_TRY(const auto conversation, read_id(row.bytes(0)));
  analysis.analyzer = row.bytes(1);
  analysis.version = row.integer(2);
  analysis.method = row.bytes(3);
  analysis.revision = row.integer(4);
  analysis.created_at = from_us(row.integer(5));
  if (!row.is_null(6)) analysis.score = row.real(6);
  SAMTALE_TRY(analysis.labels, read_labels(row.bytes(7)));
  SAMTALE_TRY(analysis.result, unpack(row.bytes(8)));
  return std::pair(conversation, std::move(analysis));
}

std::string list_sql(const AnalysisQuery& query) {
  const std::string columns(kColumns);
  if (query.label.empty()) {
    return "SELECT " + columns +
           " FROM analyses AS a WHERE a.company = $1 AND a.analyzer = $2 "
           "AND (a.sort_us, a.conversation) < ($3, $4) AND a.sort_us >= $5 "
           "AND $7 = ''::bytea ORDER BY a.sort_us DESC, a.conversation DESC LIMIT $6";
  }
  return "SELECT " + columns +
         " FROM analysis_labels AS l JOIN analyses AS a ON a.company = l.company "
         "AND a.conversation = l.conversation AND a.analyzer = l.analyzer "
         "WHERE l.company = $1 AND a.company = $1 AND l.analyzer = $2 AND l.label = $7 "
         "AND (l.sort_us, l.conversation) < ($3, $4) AND l.sort_us >= $5 "
         "ORDER BY l.sort_us DESC, l.conversation DESC LIMIT $6";
}

}  // namespace

Result<std::vector<std::vector<StoredAnalysis>>> PostgresStore::analyses_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(
      const auto rows,
      database_->read(
          {.company = company},
          "SELECT " + std::string(kColumns) +
              " FROM unnest($2) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM analyses "
              "WHERE company = $1 AND conversation = w.conversation OFFSET 0) AS a",
          company, column_of(ids)));
  std::unordered_map<ConversationId, std::vector<StoredAnalysis>> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(auto one, read_analysis({rows, i}));
    found[one.first].push_back(std::move(one.second));
  }
  for (auto& [id, analyses] : found) std::ranges::sort(analyses, {}, &StoredAnalysis::analyzer);
  return in_order_of(ids, found);
}

Result<std::vector<std::vector<AnalysisLabel>>> PostgresStore::analysis_labels_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(
      const auto rows,
      database_->read(
          {.company = company},
          "SELECT l.conversation, l.analyzer, l.label, l.score "
          "FROM unnest($2) AS w(conversation) CROSS JOIN LATERAL (SELECT * FROM analysis_labels "
          "WHERE company = $1 AND conversation = w.conversation OFFSET 0) AS l",
          company, column_of(ids)));
  std::unordered_map<ConversationId, std::vector<AnalysisLabel>> found;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SAMTALE_TRY(const auto id, read_id(rows.bytes(i, 0)));
    found[id].push_back(
        {.analyzer = std::string(rows.bytes(i, 1)),
         .label = std::string(rows.bytes(i, 2)),
         .score = rows.is_null(i, 3) ? std::nullopt : std::optional(rows.real(i, 3))});
  }
  for (auto& [id, labels] : found) {
    std::ranges::sort(labels, {},
                      [](const AnalysisLabel& one) { return std::tie(one.analyzer, one.label); });
  }
  return in_order_of(ids, found);
}

Result<AnalysisPage> PostgresStore::list_analyses(CompanyId company,
                                                  const AnalysisQuery& query) const {
  const auto limit = std::clamp<std::size_t>(query.limit, 1, kPageMax);
  SAMTALE_TRY(const auto start, page_start(key_, company, query.cursor, query.to));
  SAMTALE_TRY(
      const auto rows,
      database_->read({.company = company}, list_sql(query), company, query.analyzer,
                      start.before_us, Bytes{start.before_id},
                      query.from ? to_us(*query.from) : INT64_MIN, limit + 1, Bytes{query.label}));
  AnalysisPage page;
  for (std::size_t i = 0; i < std::min(rows.size(), limit); ++i) {
    SAMTALE_TRY(auto one, read_analysis({rows, i}));
    page.analyses.push_back(std::move(one));
  }
  if (rows.size() > limit) {
    page.next_cursor =
        write_cursor(key_, company, {rows.integer(limit - 1, 9), page.analyses.back().first});
  }
  return page;
}

Result<std::vector<AnalysisCount>> PostgresStore::count_analyses(CompanyId company,
                                                                 const AnalysisQuery& query) const {
  // Rounded down also before 1970.
  SAMTALE_TRY(
      const auto rows,
      database_->read({.company = company},
                      "SELECT (sort_us - ((sort_us % $5) + $5) % $5) AS day, label, count(*), "
                      "count(score), coalesce(sum(score), 0) FROM analysis_labels "
                      "WHERE company = $1 AND analyzer = $2 AND sort_us >= $3 AND sort_us < $4 "
                      "AND ($6 = ''::bytea OR label = $6) GROUP BY day, label ORDER BY day, label",
                      company, query.analyzer, query.from ? to_us(*query.from) : INT64_MIN,
                      query.to ? to_us(*query.to) : INT64_MAX, kDayUs, Bytes{query.label}));
  std::vector<AnalysisCount> counts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row(rows, i);
    counts.push_back({.day = from_us(row.integer(0)),
                      .label = std::string(row.bytes(1)),
                      .count = row.integer(2),
                      .scored = row.integer(3),
                      .score_sum = row.real(4)});
  }
  return counts;
}

}  // namespace samtale
