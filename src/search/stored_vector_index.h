// A CompanyIndex that holds words only: its vectors are found where the store keeps them.
#pragma once

#include <cstddef>
#include <memory>

#include "index/company_index.h"
#include "model/ids.h"
#include "store/vector_search.h"

namespace samtale {

// Of vectors it only counts those that are put, which the store has. `options.graph_from` says from
// how many on the company's graph is walked, and `recall_target` how much that finds, measured by
// maintain() on questions that were asked; `changed_since` knows nothing: an answer is never
// brought up to date. `vectors` must outlive it.
[[nodiscard]] std::unique_ptr<CompanyIndex> make_stored_vector_index(std::size_t dimension,
                                                                     const IndexOptions& options,
                                                                     CompanyId company,
                                                                     VectorSearch& vectors);

}  // namespace samtale
