// Cursors of list_conversations: a place in one company's list, signed, so that nobody can make one
// up or use another company's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "sys/clock.h"

namespace samtale {

constexpr std::size_t kPageMax = 200;  // Rows of one page.

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

// What a page lies before: a place in the list, or a time.
struct PageStart {
  std::int64_t before_us = 0;
  std::string before_id;  // Empty, it comes before every id.
};
// The cursor's place (where there is a cursor) or `to`, whichever is earlier. Errors:
// read_cursor's.
[[nodiscard]] Result<PageStart> page_start(std::string_view key, CompanyId company,
                                           std::string_view cursor, std::optional<WallTime> to);

}  // namespace samtale
