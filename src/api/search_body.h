// The body of a search, as it was sent.
#pragma once

#include <string>

#include "base/result.h"
#include "json/json.h"
#include "model/fields.h"
#include "search/search.h"

namespace samtale::api {

struct WantedSearch {
  SearchRequest request;
  std::string min_sequence;  // Empty: as new as the index is.
};

[[nodiscard]] Result<WantedSearch> read_search(const json::Value& body);
// Its member "filters".
void read_filters(Fields& fields, SearchFilters& wanted);

}  // namespace samtale::api
