#include "store/store.h"

namespace samtale {

Result<std::optional<StoredConversation>> Store::find_conversation(CompanyId company,
                                                                   ConversationId id) const {
  SAMTALE_TRY(auto found, find_conversations(company, {&id, 1}));
  return std::move(found.front());
}

Result<std::optional<ConversationSummary>> Store::find_summary(CompanyId company,
                                                               ConversationId id) const {
  SAMTALE_TRY(auto found, find_summaries(company, {&id, 1}));
  return std::move(found.front());
}

Result<std::vector<StoredChunk>> Store::chunks(CompanyId company, ConversationId id) const {
  SAMTALE_TRY(auto found, chunks_of(company, {&id, 1}));
  return std::move(found.front());
}

Result<std::optional<StoredChunk>> Store::find_chunk(CompanyId company, ConversationId id,
                                                     std::uint32_t ordinal) const {
  const ChunkPlace place{id, ordinal};
  SAMTALE_TRY(auto found, find_chunks(company, {&place, 1}));
  return std::move(found.front());
}

Result<std::vector<StoredAnalysis>> Store::analyses(CompanyId company, ConversationId id) const {
  SAMTALE_TRY(auto found, analyses_of(company, {&id, 1}));
  return std::move(found.front());
}

Result<std::vector<AnalysisLabel>> Store::analysis_labels(CompanyId company,
                                                          ConversationId id) const {
  SAMTALE_TRY(auto found, analysis_labels_of(company, {&id, 1}));
  return std::move(found.front());
}

}  // namespace samtale
