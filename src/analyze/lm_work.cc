#include "analyze/lm_work.h"

#include <algorithm>
#include <utility>

#include "analyze/due.h"
#include "base/bytes.h"

namespace samtale {
namespace {

std::vector<std::string> names_to_mask(const Conversation& conversation,
                                       const AnalysisSettings& settings) {
  auto names = settings.mask_names;
  for (const auto& party : conversation.parties) names.push_back(party.name);
  for (const auto& turn : conversation.turns) names.push_back(turn.name);
  std::erase(names, "");
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace

Result<std::unique_ptr<LmWork>> make_lm_work(const AnalyzeParts& parts, CompanyId company,
                                             const AnalysisJob& asked,
                                             const std::string& mask_secret) {
  SAMTALE_TRY(auto found, parts.store.find_conversation(company, asked.conversation));
  if (!found) return nullptr;  // Deleted since it was queued.
  SAMTALE_TRY(const auto known, parts.store.analyses(company, asked.conversation));
  auto work = std::make_unique<LmWork>();
  work->conversation = *std::move(found);
  const auto& conversation = work->conversation.conversation;
  const auto revision = work->conversation.revision;
  const auto settings = parts.catalog.settings(company);

  auto& order = work->order;
  order.company = company;
  order.conversation = &conversation;
  order.analyzers = chosen(*parts.catalog.of(company), asked.analyzers, conversation);
  std::erase_if(order.analyzers, [&](const Analyzer& one) {
    return is_by_rules(one.kind) || is_known(one, revision, true, known);
  });
  if (order.analyzers.empty()) return nullptr;
  // What was read before and has grown since will grow again.
  order.goes_on =
      conversation.status != "ended" || std::ranges::any_of(known, [&](const StoredAnalysis& one) {
        return one.method == kByLanguageModel && one.revision < revision;
      });
  order.language = settings.language;
  if (settings.mask_pii) {
    work->masker.emplace(hmac_sha256(mask_secret, "pii " + std::to_string(number(company))),
                         names_to_mask(conversation, settings));
    order.masker = &*work->masker;
  }
  return work;
}

}  // namespace samtale
