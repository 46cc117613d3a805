#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_writer.h"

namespace samtale {

using postgres::Bytes;

Result<> PostgresWriter::put_analysis(CompanyId company, ConversationId conversation,
                                      const StoredAnalysis& analysis) {
  SAMTALE_TRY(const auto head, find_head(company, conversation));
  if (!head) return {};
  SAMTALE_TRY(const auto put,
              transaction_.run(
                  "INSERT INTO analyses AS old(company, conversation, analyzer, version, method, "
                  "revision, sort_us, created_us, score, labels, result) "
                  "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
                  "ON CONFLICT (company, conversation, analyzer) DO UPDATE SET version = $4, "
                  "method = $5, revision = $6, sort_us = $7, created_us = $8, score = $9, "
                  "labels = $10, result = $11 WHERE old.revision <= $6",
                  company, blob(conversation), analysis.analyzer, analysis.version, analysis.method,
                  analysis.revision, head->sort_us, to_us(analysis.created_at), analysis.score,
                  Bytes{write_labels(analysis.labels)}, Bytes{pack(analysis.result)}));
  if (put == 0) return {};
  SAMTALE_TRY_VOID(
      transaction_.later("DELETE FROM analysis_labels WHERE company = $1 AND "
                         "conversation = $2 AND analyzer = $3",
                         company, blob(conversation), analysis.analyzer));
  auto found_by = analysis.labels;
  // A score that has no label is looked for and counted all the same.
  if (found_by.empty() && analysis.score) found_by.emplace_back();
  for (const auto& label : found_by) {
    SAMTALE_TRY_VOID(transaction_.later(
        "INSERT INTO analysis_labels(company, analyzer, label, sort_us, conversation, score) "
        "VALUES($1, $2, $3, $4, $5, $6)",
        company, analysis.analyzer, Bytes{label}, head->sort_us, blob(conversation),
        analysis.score));
  }
  add_change(company, conversation);
  return {};
}

Result<> PostgresWriter::erase_analyses(CompanyId company, ConversationId conversation) {
  for (const auto* sql : {"DELETE FROM analysis_labels WHERE company = $1 AND conversation = $2",
                          "DELETE FROM analyses WHERE company = $1 AND conversation = $2"}) {
    SAMTALE_TRY_VOID(transaction_.later(sql, company, blob(conversation)));
  }
  return {};
}

}  // namespace samtale
