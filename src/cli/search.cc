#include <cstdio>
#include <map>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

constexpr std::string_view kBold = "\033[1m";
constexpr std::string_view kFaint = "\033[2m";
constexpr std::string_view kHit = "\033[1;33m";
constexpr std::string_view kOff = "\033[0m";

std::string styled(const Screen& screen, std::string_view style, std::string text) {
  return screen.is_coloured ? std::string(style) + text + std::string(kOff) : text;
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// A filter of one value or several: "da" or {"in":["da","en"]}.
json::Value one_or_in(const std::vector<std::string>& values) {
  if (values.size() == 1) return values.front();
  json::Array list;
  for (const auto& value : values) list.emplace_back(value);
  return json::Object{{"in", std::move(list)}};
}

// "true" and "7" are what JSON means by them; anything else is a text.
json::Value metadata_value(const std::string& text) {
  const auto value = json::parse(text);
  return value && (value->as_bool() || value->as_number()) ? *value : json::Value(text);
}

// NAME=LABEL; a name that comes again may have any of its labels. Labels may have "=" in them.
Result<json::Object> analyses_of(const Arguments& arguments) {
  std::map<std::string, std::vector<std::string>> labels;
  for (const auto& pair : arguments.all("--analysis")) {
    const auto equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return usage("--analysis " + plain(pair) + ": must be NAME=LABEL, such as intent=complain");
    }
    labels[pair.substr(0, equals)].push_back(pair.substr(equals + 1));
  }
  json::Object analyses;
  for (const auto& [name, values] : labels) analyses.emplace_back(name, one_or_in(values));
  return analyses;
}

Result<json::Object> filters_of(const Arguments& arguments) {
  json::Object filters;
  for (const std::string_view name : {"from", "to"}) {
    const auto option = "--" + std::string(name);
    if (arguments.has(option)) filters.emplace_back(name, arguments.text(option));
  }
  for (const std::string_view name : {"channel", "source", "language", "party", "tag"}) {
    const auto values = arguments.all("--" + std::string(name));
    if (!values.empty()) filters.emplace_back(name, one_or_in(values));
  }
  json::Value metadata;
  for (const auto& pair : arguments.all("--metadata")) {
    const auto equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return usage("--metadata " + plain(pair) + ": must be KEY=VALUE, such as plan=pro");
    }
    metadata.set(pair.substr(0, equals), metadata_value(pair.substr(equals + 1)));
  }
  if (!metadata.is_null()) filters.emplace_back("metadata", std::move(metadata));
  SAMTALE_TRY(auto analyses, analyses_of(arguments));
  if (!analyses.empty()) filters.emplace_back("analyses", std::move(analyses));
  return filters;
}

Result<json::Object> search_body(const Arguments& arguments) {
  std::string query;
  for (const auto& word : arguments.words()) query += (query.empty() ? "" : " ") + word;
  json::Object body{{"query", query},
                    {"mode", arguments.text("--mode", "hybrid")},
                    {"limit", arguments.number("--limit", 10)},
                    {"chunks", arguments.number("--chunks", 1)}};
  if (arguments.has("--exact")) body.emplace_back("exact", true);
  if (arguments.has("--cursor")) body.emplace_back("cursor", arguments.text("--cursor"));
  if (arguments.has("--min-sequence")) {
    body.emplace_back("min_sequence", arguments.text("--min-sequence"));
  }
  SAMTALE_TRY(auto filters, filters_of(arguments));
  if (!filters.empty()) body.emplace_back("filters", std::move(filters));
  return body;
}

std::string snippet_text(const Screen& screen, const json::Value& chunk) {
  std::string out;
  for (const auto& piece : array_at(chunk, "snippet")) {
    const auto* const hit = piece.find("hit");
    const bool is_hit = hit != nullptr && hit->as_bool() != nullptr && *hit->as_bool();
    auto text = plain(text_at(piece, "text"));
    out += is_hit && screen.is_coloured ? styled(screen, kHit, text)
           : is_hit                     ? "*" + text + "*"
                                        : text;
  }
  return out;
}

std::string turns_text(const json::Value& chunk) {
  const auto first = int_at(chunk, "first_turn");
  const auto last = int_at(chunk, "last_turn");
  if (first == last) return "turn " + std::to_string(first);
  return "turns " + std::to_string(first) + "-" + std::to_string(last);
}

void print_hit(const Screen& screen, std::size_t rank, const json::Value& hit) {
  auto name = text_at(hit, "external_id");
  if (name.empty()) name = text_at(hit, "id");
  std::string facts;
  for (const std::string_view key : {"channel", "language", "started_at", "source"}) {
    const auto text = text_at(hit, key);
    if (!text.empty()) facts += "  " + text.substr(0, key == "started_at" ? 10 : 32);
  }
  screen.out << "\n" << rank << ". " << styled(screen, kBold, plain(name));
  if (const auto title = text_at(hit, "title"); !title.empty()) screen.out << "  " << plain(title);
  screen.out << styled(screen, kFaint,
                       plain(facts) + "  " + std::to_string(int_at(hit, "turn_count")) +
                           " turns  score " + fixed(number_at(hit, "score"), 3))
             << "\n";
  for (const auto& chunk : array_at(hit, "chunks")) {
    screen.out << "   " << styled(screen, kFaint, turns_text(chunk) + ":") << " "
               << snippet_text(screen, chunk) << "\n";
  }
}

void print_answer(const Screen& screen, const json::Value& answer) {
  const auto& hits = array_at(answer, "hits");
  screen.out << hits.size() << (hits.size() == 1 ? " conversation" : " conversations") << " in "
             << fixed(number_at(answer, "took_ms"), 1) << " ms  (" << plain(text_at(answer, "mode"))
             << ", " << plain(text_at(answer, "model"));
  const auto* const exact = answer.find("exact");
  if (exact != nullptr && exact->as_bool() != nullptr) {
    screen.out << (*exact->as_bool() ? ", exact" : ", approximate");
  }
  screen.out << ")\n";
  if (const auto degraded = text_at(answer, "degraded"); !degraded.empty()) {
    screen.out << styled(screen, kBold, "Answered by words alone: ") << plain(degraded) << "\n";
  }
  std::size_t rank = 0;
  for (const auto& hit : hits) print_hit(screen, ++rank, hit);
  if (const auto cursor = text_at(answer, "next_cursor"); !cursor.empty()) {
    screen.out << "\nMore: the same search with --cursor " << plain(cursor) << "\n";
  }
}

}  // namespace

Result<int> search(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(auto body, search_body(arguments));
  SAMTALE_TRY(const auto* const api, context.api(true));
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->post("/v1/search", company, std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    print_answer(context.screen(), answer);
  }
  return 0;
}

}  // namespace samtale::cli
