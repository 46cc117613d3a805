// What the handlers share: reading a request, refusing it, describing a conversation.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/table.h"
#include "base/result.h"
#include "json/json.h"

namespace samtale::api {

// The body as JSON. invalid_argument (for malformed()) also if the content type says otherwise.
[[nodiscard]] Result<json::Value> read_json(const http::Request& request);
// The same, an empty body being {}.
[[nodiscard]] Result<json::Value> read_optional_json(const http::Request& request);

// A query parameter as an integer from `least` to `most`; `otherwise` if it is not there.
[[nodiscard]] Result<std::int64_t> query_integer(const http::Request& request,
                                                 std::string_view name, std::int64_t otherwise,
                                                 std::int64_t least, std::int64_t most);
[[nodiscard]] Result<std::optional<WallTime>> query_time(const http::Request& request,
                                                         std::string_view name);
// "2026-11-28"; `otherwise` if it is not there.
[[nodiscard]] Result<std::string> query_date(const http::Request& request, std::string_view name,
                                             std::string otherwise);
[[nodiscard]] std::string query_text(const http::Request& request, std::string_view name);

// Answers with the error, and tells the log what only the operator may know.
void refuse(const Context& context, const Call& call, const Error& error, http::Reply reply);

// The member `name`: a list of objects, whose members `write` writes.
template <class Item>
void write_list(std::string_view name, const std::vector<Item>& items,
                void (*write)(const Item&, json::Writer&), json::Writer& out) {
  out.key(name);
  out.array([&] {
    for (const auto& item : items) out.object([&] { write(item, out); });
  });
}

// What lists show of a conversation: members of an object.
void write_summary(const ConversationSummary& summary, json::Writer& out);
// The member "next_cursor": null where there is no more.
void write_cursor(std::string_view cursor, json::Writer& out);

// An analysis, but for the conversation it is of, with the one of `overrides` that is of it.
[[nodiscard]] json::Value to_json(const StoredAnalysis& analysis,
                                  std::span<const AnalysisOverride> overrides);
[[nodiscard]] json::Value to_json(const AnalysisOverride& override_);

// The conversation that the path names. Errors: not_found.
[[nodiscard]] Result<StoredConversation> find_named(const Context& context, const Call& call);

// The address of the peer, without its port.
[[nodiscard]] std::string address_of(const http::Request& request);

}  // namespace samtale::api
