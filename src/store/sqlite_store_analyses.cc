#include <algorithm>
#include <chrono>

#include "store/codec.h"
#include "store/cursor.h"
#include "store/rows.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

using sqlite::Blob;
using sqlite::Statement;

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::string_view kColumns =
    "a.conversation, a.analyzer, a.version, a.method, a.revision, a.created_us, a.score, a.labels, "
    "a.result, a.sort_us";

Result<std::pair<ConversationId, StoredAnalysis>> read_analysis(const Statement& row) {
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
           " FROM analyses AS a INDEXED BY analyses_by_time WHERE a.company = ?1 "
           "AND a.analyzer = ?2 AND (a.sort_us, a.conversation) < (?3, ?4) AND a.sort_us >= ?5 "
           "AND ?7 = '' ORDER BY a.sort_us DESC, a.conversation DESC LIMIT ?6";
  }
  return "SELECT " + columns +
         " FROM analysis_labels AS l CROSS JOIN analyses AS a INDEXED BY analyses_by_conversation "
         "ON a.company = l.company AND a.conversation = l.conversation AND a.analyzer = l.analyzer "
         "WHERE l.company = ?1 AND l.analyzer = ?2 AND l.label = ?7 "
         "AND (l.sort_us, l.conversation) < (?3, ?4) AND l.sort_us >= ?5 "
         "ORDER BY l.sort_us DESC, l.conversation DESC LIMIT ?6";
}

}  // namespace

Result<std::vector<std::vector<StoredAnalysis>>> SqliteStore::analyses_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::vector<StoredAnalysis>> found(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SAMTALE_TRY(auto rows, snapshot.connection().prepare(
                               "SELECT " + std::string(kColumns) +
                               " FROM analyses AS a INDEXED BY analyses_by_conversation "
                               "WHERE company = ?1 AND conversation = ?2 ORDER BY analyzer"));
    SAMTALE_TRY_VOID(rows.bind(company, blob(ids[i])));
    while (true) {
      SAMTALE_TRY(const bool more, rows.step());
      if (!more) break;
      SAMTALE_TRY(auto one, read_analysis(rows));
      found[i].push_back(std::move(one.second));
    }
  }
  return found;
}

Result<std::vector<std::vector<AnalysisLabel>>> SqliteStore::analysis_labels_of(
    CompanyId company, std::span<const ConversationId> ids) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  std::vector<std::vector<AnalysisLabel>> found(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SAMTALE_TRY(auto rows,
                snapshot.connection().prepare(
                    "SELECT analyzer, label, score FROM analysis_labels "
                    "INDEXED BY analysis_labels_by_conversation "
                    "WHERE company = ?1 AND conversation = ?2 ORDER BY analyzer, label"));
    SAMTALE_TRY_VOID(rows.bind(company, blob(ids[i])));
    while (true) {
      SAMTALE_TRY(const bool more, rows.step());
      if (!more) break;
      found[i].push_back({.analyzer = std::string(rows.bytes(0)),
                          .label = std::string(rows.bytes(1)),
                          .score = rows.is_null(2) ? std::nullopt : std::optional(rows.real(2))});
    }
  }
  return found;
}

Result<AnalysisPage> SqliteStore::list_analyses(CompanyId company,
                                                const AnalysisQuery& query) const {
  const auto limit = std::clamp<std::size_t>(query.limit, 1, kPageMax);
  SAMTALE_TRY(const auto start, page_start(key_, company, query.cursor, query.to));
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  SAMTALE_TRY(auto rows, snapshot.connection().prepare(list_sql(query)));
  SAMTALE_TRY_VOID(rows.bind(company, query.analyzer, start.before_us, Blob{start.before_id},
                             query.from ? to_us(*query.from) : INT64_MIN, limit + 1, query.label));
  AnalysisPage page;
  std::int64_t last_us = 0;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return page;
    if (page.analyses.size() == limit) break;
    SAMTALE_TRY(auto one, read_analysis(rows));
    page.analyses.push_back(std::move(one));
    last_us = rows.integer(9);
  }
  page.next_cursor = write_cursor(key_, company, {last_us, page.analyses.back().first});
  return page;
}

Result<std::vector<AnalysisCount>> SqliteStore::count_analyses(CompanyId company,
                                                               const AnalysisQuery& query) const {
  SAMTALE_TRY(const auto snapshot, snapshot_of(company));
  // Rounded down also before 1970.
  SAMTALE_TRY(auto rows,
              snapshot.connection().prepare(
                  "SELECT (sort_us - ((sort_us % ?5) + ?5) % ?5) AS day, label, count(*), "
                  "count(score), "
                  "total(score) FROM analysis_labels INDEXED BY analysis_labels_by_time "
                  "WHERE company = ?1 AND analyzer = ?2 AND sort_us >= ?3 AND sort_us < ?4 "
                  "AND (?6 = '' OR label = ?6) GROUP BY day, label ORDER BY day, label"));
  SAMTALE_TRY_VOID(rows.bind(company, query.analyzer, query.from ? to_us(*query.from) : INT64_MIN,
                             query.to ? to_us(*query.to) : INT64_MAX, kDayUs, query.label));
  std::vector<AnalysisCount> counts;
  while (true) {
    SAMTALE_TRY(const bool found, rows.step());
    if (!found) return counts;
    counts.push_back({.day = from_us(rows.integer(0)),
                      .label = std::string(rows.bytes(1)),
                      .count = rows.integer(2),
                      .scored = rows.integer(3),
                      .score_sum = rows.real(4)});
  }
}

}  // namespace samtale
