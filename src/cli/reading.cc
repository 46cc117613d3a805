// show, delete and status.
#include <istream>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

void print_conversation(std::ostream& out, const json::Value& conversation) {
  for (const std::string_view key :
       {"id", "external_id", "source", "channel", "language", "title", "status", "started_at"}) {
    const auto text = text_at(conversation, key);
    if (!text.empty()) {
      out << key << std::string(13 - key.size(), ' ') << plain(text) << "\n";
    }
  }
  for (const auto& tag : array_at(conversation, "tags")) {
    if (tag.as_string() != nullptr) out << "tag          " << plain(*tag.as_string()) << "\n";
  }
  out << "\n";
  std::size_t number = 0;
  for (const auto& turn : array_at(conversation, "turns")) {
    auto speaker = text_at(turn, "name");
    if (speaker.empty()) speaker = text_at(turn, "speaker");
    const auto* const hidden = turn.find("private");
    const bool is_private = hidden != nullptr && hidden->as_bool() != nullptr && *hidden->as_bool();
    out << number++ << "  " << plain(speaker) << (is_private ? " (internal)" : "") << ": "
        << plain_lines(text_at(turn, "text")) << "\n";
  }
}

}  // namespace

Result<std::string> resolve_conversation(const Api& api, const std::string& company,
                                         const std::string& id) {
  if (id.starts_with("cnv_")) return id;
  ApiCall call;
  call.path = "/v1/conversations";
  call.company = company;
  call.query = {{"external_id", id}, {"limit", "2"}};
  SAMTALE_TRY(const auto answer, api.call(call));
  const auto& found = array_at(answer, "conversations");
  if (found.empty()) {
    return fail(ErrorCode::not_found, "no conversation has the id " + plain(id));
  }
  if (found.size() > 1) {
    return fail(ErrorCode::conflict, "conversations of several sources have the id " + plain(id) +
                                         "; name it by its cnv_... id");
  }
  return text_at(found.front(), "id");
}

Result<int> show(Context& context, const Arguments& arguments) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto id, resolve_conversation(*api, company, arguments.words().front()));
  SAMTALE_TRY(const auto answer, api->get("/v1/conversations/" + escaped(id), company));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    print_conversation(context.screen().out, answer);
  }
  return 0;
}

Result<int> delete_conversation(Context& context, const Arguments& arguments) {
  auto& screen = context.screen();
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto id, resolve_conversation(*api, company, arguments.words().front()));
  if (!arguments.has("--yes")) {
    if (!screen.err_is_terminal) return usage("delete asks first; without a terminal give --yes");
    screen.err << "Delete " << plain(id) << " for good? [y/N] " << std::flush;
    std::string answer;
    std::getline(screen.in, answer);
    if (answer != "y" && answer != "yes") {
      return fail(ErrorCode::conflict, "nothing was deleted");
    }
  }
  ApiCall call;
  call.method = "DELETE";
  call.path = "/v1/conversations/" + escaped(id);
  call.company = company;
  SAMTALE_TRY(const auto answer, api->call(call));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    screen.out << plain(id) << " deleted\n";
  }
  return 0;
}

Result<int> status(Context& context, const Arguments&) {
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->get("/v1/status", company));
  if (context.wants_json()) {
    context.print(answer);
    return 0;
  }
  auto& out = context.screen().out;
  out << "company        " << plain(text_at(answer, "company")) << "\nconversations  "
      << int_at(answer, "conversations") << " with " << int_at(answer, "turns")
      << " turns\nchunks         " << int_at(answer, "chunks") << ", of which "
      << int_at(answer, "chunks_without_vector") << " wait for a vector\n";
  if (const auto* const embedder = answer.find("embedder")) {
    const auto* const ready = embedder->find("ready");
    out << "embedder       " << plain(text_at(*embedder, "model"))
        << (ready != nullptr && *ready == json::Value(true) ? "" : " (not ready)") << "\n";
  }
  Table table({"WORK", "READY", "DELAYED", "RUNNING", "GIVEN UP", "OLDEST"});
  for (const auto& kind : array_at(answer, "queue")) {
    table.add({text_at(kind, "kind"), std::to_string(int_at(kind, "ready")),
               std::to_string(int_at(kind, "delayed")), std::to_string(int_at(kind, "leased")),
               std::to_string(int_at(kind, "dead")),
               std::to_string(int_at(kind, "oldest_age_ms") / 1000) + " s"});
  }
  out << "\n" << table.text();
  return 0;
}

}  // namespace samtale::cli
