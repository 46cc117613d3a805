#include "store/codec.h"
#include "store/rows.h"
#include "store/sqlite_writer.h"

namespace samtale {

using sqlite::Blob;

Result<> SqliteWriter::put_analysis(CompanyId company, ConversationId conversation,
                                    const StoredAnalysis& analysis) {
  check_company(company);
  SAMTALE_TRY(const auto row, find_row(company, conversation));
  if (!row) return {};
  SAMTALE_TRY_VOID(connection_.run(
      "INSERT INTO analyses(company, conversation, analyzer, version, method, revision, sort_us, "
      "created_us, score, labels, result) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
      "ON CONFLICT(company, conversation, analyzer) DO UPDATE SET version = ?4, method = ?5, "
      "revision = ?6, sort_us = ?7, created_us = ?8, score = ?9, labels = ?10, result = ?11 WHERE "
      "revision <= ?6",
      company, blob(conversation), analysis.analyzer, analysis.version, analysis.method,
      analysis.revision, row->sort_us, to_us(analysis.created_at), analysis.score,
      write_labels(analysis.labels), Blob{pack(analysis.result)}));
  if (connection_.changes() == 0) return {};
  SAMTALE_TRY_VOID(erase_labels(company, conversation, analysis.analyzer));
  auto found_by = analysis.labels;
  // A score that has no label is looked for and counted all the same.
  if (found_by.empty() && analysis.score) found_by.emplace_back();
  for (const auto& label : found_by) {
    SAMTALE_TRY_VOID(connection_.run(
        "INSERT INTO analysis_labels(company, analyzer, label, sort_us, conversation, score) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        company, analysis.analyzer, label, row->sort_us, blob(conversation), analysis.score));
  }
  add_change(company, conversation);
  return {};
}

Result<> SqliteWriter::erase_labels(CompanyId company, ConversationId conversation,
                                    std::string_view analyzer) {
  return connection_.run(
      "DELETE FROM analysis_labels INDEXED BY analysis_labels_by_conversation "
      "WHERE company = ?1 AND conversation = ?2 AND analyzer = ?3",
      company, blob(conversation), analyzer);
}

Result<> SqliteWriter::erase_analyses(CompanyId company, ConversationId conversation) {
  SAMTALE_TRY_VOID(
      connection_.run("DELETE FROM analysis_labels INDEXED BY analysis_labels_by_conversation "
                      "WHERE company = ?1 AND conversation = ?2",
                      company, blob(conversation)));
  return connection_.run(
      "DELETE FROM analyses INDEXED BY analyses_by_conversation "
      "WHERE company = ?1 AND conversation = ?2",
      company, blob(conversation));
}

}  // namespace samtale
