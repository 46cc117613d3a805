// Slices: which part of its partition's index a company, or a conversation, is in; and which
// companies are split over them (docs/adr/0040-split-companies.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "model/ids.h"

namespace samtale {

// Where all of a company is that is not split: its home.
[[nodiscard]] std::size_t home_slice(CompanyId company, std::size_t slices);
// Where a conversation is of a company that is split.
[[nodiscard]] std::size_t slice_of(const ConversationId& conversation, std::size_t slices);

// Which companies are split, as a node knows it: what the store's changes of it have come to.
struct Layout {
  struct Change {
    bool is_split = false;
    std::uint64_t number = 0;  // They are counted from 1.
  };
  std::map<CompanyId, Change> changes;  // The last of each company that was ever split.
  std::uint64_t last = 0;               // Number.
  // Up to which change nobody asks any more for what was before it.
  std::uint64_t settled = 0;
};

}  // namespace samtale
