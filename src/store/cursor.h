// Cursors of list_conversations: a place in one company's list, signed, so that nobody can make one
// up or use another company's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"

namespace samtale {

struct ListPlace {
  std::int64_t sort_us = 0;
  ConversationId id;
};

// Letters and digits only. `key` is the store's.
[[nodiscard]] std::string write_cursor(std::string_view key, CompanyId company,
                                       const ListPlace& place);
// Errors: invalid_argument, the same for a forged and a foreign one.
[[nodiscard]] Result<ListPlace> read_cursor(std::string_view key, CompanyId company,
                                            std::string_view cursor);

}  // namespace samtale
