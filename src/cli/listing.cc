#include "cli/listing.h"

#include <ostream>

namespace samtale::cli {

std::string cell(const json::Value& item, std::string_view key) {
  const auto* const value = item.find(key);
  if (value == nullptr || value->is_null()) return "-";
  if (const auto* const text = value->as_string()) return text->empty() ? "-" : *text;
  const auto* const list = value->as_array();
  if (list == nullptr) return json::dump(*value);
  std::string all;
  for (const auto& part : *list) {
    const auto* const text = part.as_string();
    all += (all.empty() ? "" : ",") + (text != nullptr ? *text : json::dump(part));
  }
  return all.empty() ? "-" : all;
}

void print_list(const Context& context, const json::Value& answer, std::string_view member,
                std::span<const Column> columns) {
  if (context.wants_json()) return context.print(answer);
  std::vector<std::string> header;
  for (const auto& column : columns) header.emplace_back(column.title);
  Table table(std::move(header));
  for (const auto& item : array_at(answer, member)) {
    std::vector<std::string> row;
    for (const auto& column : columns) row.push_back(cell(item, column.key));
    table.add(std::move(row));
  }
  context.screen().out << table.text();
  if (const auto cursor = text_at(answer, "next_cursor"); !cursor.empty()) {
    context.screen().out << "more: --cursor " << plain(cursor) << "\n";
  }
}

Result<int> list(Context& context, const std::string& path, std::string_view member,
                 std::span<const Column> columns) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->get(path, company));
  print_list(context, answer, member, columns);
  return 0;
}

}  // namespace samtale::cli
