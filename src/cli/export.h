// CSV as spreadsheets read it (RFC 4180), without letting them run what a customer wrote. Internal.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace samtale::cli {

// A cell that begins as a formula does (= + - @, tab, carriage return) gets a ' in front. Source:
// OWASP, "CSV Injection".
[[nodiscard]] std::string csv_cell(std::string_view text);
[[nodiscard]] std::string csv_row(std::span<const std::string> cells);

}  // namespace samtale::cli
