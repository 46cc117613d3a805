#include "store/codec.h"
#include "store/postgres_rows.h"
#include "store/postgres_writer.h"

namespace samtale {

using postgres::Bytes;

Result<> PostgresWriter::put_analysis(CompanyId company, ConversationId conversation,
                                      const StoredAnalysis& analysis) {
  SAMTALE_TRY(auto* rows, gather(company, Pending::analyses, analysis.result.size()));
  auto& put_off = rows->new_analyses[{conversation, analysis.analyzer}];
  if (put_off.revision <= analysis.revision) put_off = analysis;
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
