// Lists: an array of the API's answer as a table for people. Internal.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/context.h"

namespace samtale::cli {

struct Column {
  std::string_view title;
  std::string_view key;
};

// "-" for what is not there.
[[nodiscard]] std::string cell(const json::Value& item, std::string_view key);

// Of the array `member`, or the answer as it is for --json.
void print_list(const Context& context, const json::Value& answer, std::string_view member,
                std::span<const Column> columns);

// Asks for it first.
[[nodiscard]] Result<int> list(Context& context, const std::string& path, std::string_view member,
                               std::span<const Column> columns);

}  // namespace samtale::cli
