// Reads about many conversations of many companies, asked for once a company.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace samtale {

// What `read` gives of each conversation, in their order. `read` takes a company and ids, and gives
// as many values as ids (Store::find_conversations and its like). Where it fails and another try
// would not help, each conversation is read alone: one that is damaged stands for itself.
template <class T>
[[nodiscard]] std::vector<Result<T>> read_by_company(
    std::span<const std::pair<CompanyId, ConversationId>> wanted, const auto& read) {
  std::map<CompanyId, std::vector<std::size_t>> places;
  for (std::size_t i = 0; i < wanted.size(); ++i) places[wanted[i].first].push_back(i);
  std::vector<Result<T>> found(wanted.size());
  for (const auto& [company, theirs] : places) {
    std::vector<ConversationId> ids;
    for (const auto place : theirs) ids.push_back(wanted[place].second);
    Result<std::vector<T>> values = read(company, std::span<const ConversationId>(ids));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      auto& one = found[theirs[i]];
      if (values) {
        one = std::move((*values)[i]);
      } else if (ids.size() == 1 || retryable(values.error().code)) {
        one = std::unexpected(values.error());
      } else {
        Result<std::vector<T>> alone = read(company, std::span<const ConversationId>(&ids[i], 1));
        one = alone ? Result<T>(std::move(alone->front())) : std::unexpected(alone.error());
      }
    }
  }
  return found;
}

}  // namespace samtale
