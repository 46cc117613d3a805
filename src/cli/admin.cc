// Companies, keys, endpoints, dead letters and replay: each a request and a few lines about it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ostream>

#include "cli/listing.h"

namespace samtale::cli {
namespace {

Result<json::Value> remove(Context& context, const std::string& path) {
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.method = "DELETE";
  call.path = path;
  SAMTALE_TRY(call.company, context.company());
  return api->call(call);
}

Result<int> revoke(Context& context, const std::string& path, std::string_view what) {
  SAMTALE_TRY(const auto answer, remove(context, path));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << what << " revoked\n";
  }
  return 0;
}

// A new file that only its owner may read.
Result<> save_secret(const std::string& path, const std::string& secret) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fail(ErrorCode::invalid_argument, path + ": " + std::strerror(errno));
  const auto line = secret + "\n";
  const auto put = ::write(fd, line.data(), line.size());
  if (::close(fd) != 0 || put != static_cast<ssize_t>(line.size())) {
    return fail(ErrorCode::unavailable, path + ": cannot be written");
  }
  return {};
}

}  // namespace

Result<int> company_create(Context& context, const Arguments& arguments) {
  const auto& name = arguments.words().front();
  json::Object body{{"name", name}};
  if (arguments.has("--weight")) {
    const auto text = arguments.text("--weight");
    const auto weight = json::parse(text);
    if (!weight || !weight->as_number()) {
      return usage("--weight " + plain(text) + ": must be a number such as 1 or 2.5");
    }
    body.emplace_back("weight", *weight);
  }
  if (const auto rate = arguments.number("--events-per-second", 0); rate != 0) {
    body.emplace_back("events_per_second_max", rate);
  }
  if (const auto quota = arguments.number("--conversations-max", 0); quota != 0) {
    body.emplace_back("conversations_max", quota);
  }
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto answer, api->post("/v1/companies", "", std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "company " << plain(name)
                         << " made; next: samtale key create --company " << plain(name) << "\n";
  }
  return 0;
}

Result<int> company_list(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {{"NAME", "name"},
                                 {"WEIGHT", "weight"},
                                 {"EVENTS/S", "events_per_second_max"},
                                 {"CONVERSATIONS MAX", "conversations_max"},
                                 {"MADE", "created_at"}};
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto answer, api->get("/v1/companies", ""));
  print_list(context, answer, "companies", kColumns);
  return 0;
}

namespace {

Result<int> set_split(Context& context, const Arguments& arguments, bool is_split) {
  const auto& name = arguments.words().front();
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto answer,
              api->post("/v1/companies/" + escaped(name) + (is_split ? "/split" : "/join"), "",
                        json::Object{}));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << plain(name) << (is_split ? " is split" : " is whole")
                         << " where LAYOUT is " << json::dump(*answer.find("layout"))
                         << "; see: samtale cluster status\n";
  }
  return 0;
}

}  // namespace

Result<int> company_split(Context& context, const Arguments& arguments) {
  return set_split(context, arguments, true);
}

Result<int> company_join(Context& context, const Arguments& arguments) {
  return set_split(context, arguments, false);
}

Result<int> cluster_status(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {{"NODE", "node"},
                                 {"URL", "url"},
                                 {"ROLES", "roles"},
                                 {"LEADS", "leads"},
                                 {"PARTITIONS", "partitions"},
                                 {"SLICES", "slices"},
                                 {"LAYOUT", "layout"},
                                 {"LAG", "lag"},
                                 {"REQUESTS/S", "requests_per_second"}};
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto answer, api->get("/v1/cluster", ""));
  print_list(context, answer, "nodes", kColumns);
  const auto* split = answer.find("split_companies");
  if (context.wants_json() || split == nullptr || split->as_array() == nullptr) return 0;
  std::string names;
  for (const auto& name : *split->as_array()) {
    names += (names.empty() ? "" : ", ") + plain(name.as_string() ? *name.as_string() : "");
  }
  if (names.empty()) return 0;
  context.screen().out << "split, all of it loaded where LAYOUT is "
                       << json::dump(*answer.find("layout")) << ": " << names << "\n";
  return 0;
}

Result<int> key_create(Context& context, const Arguments& arguments) {
  json::Array scopes;
  for (const auto& scope : arguments.all("--scope")) scopes.emplace_back(scope);
  if (scopes.empty()) scopes = {json::Value("search"), json::Value("read")};
  json::Object body{{"label", arguments.text("--label")}, {"scopes", std::move(scopes)}};
  if (arguments.has("--expires")) body.emplace_back("expires_at", arguments.text("--expires"));
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(auto answer, api->post("/v1/keys", company, std::move(body)));
  const auto key = text_at(answer, "key");
  if (arguments.has("--save")) {
    const auto path = arguments.text("--save");
    if (auto saved = save_secret(path, key); !saved) {
      // A key that nobody has is of no use: end it.
      const auto ended = remove(context, "/v1/keys/" + escaped(text_at(answer, "id")));
      return std::unexpected(
          std::move(saved).error().during(ended ? "no key was kept" : "revoke the key by hand"));
    }
    answer.set("key", nullptr);
    answer.set("key_file", path);
  }
  if (context.wants_json()) {
    context.print(answer);
  } else if (arguments.has("--save")) {
    context.screen().out << "key " << plain(text_at(answer, "id")) << " is in "
                         << plain(arguments.text("--save")) << "\n";
  } else {
    context.screen().out << plain(key) << "\n";
    context.screen().err << "Shown this once; keep it secret.\n";
  }
  return 0;
}

Result<int> key_list(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {{"ID", "id"},           {"LABEL", "label"},
                                 {"SCOPES", "scopes"},   {"MADE", "created_at"},
                                 {"ENDS", "expires_at"}, {"REVOKED", "revoked_at"}};
  return list(context, "/v1/keys", "keys", kColumns);
}

Result<int> key_revoke(Context& context, const Arguments& arguments) {
  return revoke(context, "/v1/keys/" + escaped(arguments.words().front()), "key");
}

Result<int> endpoint_create(Context& context, const Arguments& arguments) {
  json::Object body{{"preset", arguments.text("--preset", "standard-webhooks")}};
  if (arguments.has("--source")) body.emplace_back("source", arguments.text("--source"));
  if (arguments.has("--secret-file")) {
    SAMTALE_TRY(auto secret, read_secret(arguments.text("--secret-file")));
    body.emplace_back("secret", std::move(secret));
  }
  if (const auto idle = arguments.number("--idle-timeout", 0); idle != 0) {
    body.emplace_back("idle_timeout_s", idle);
  }
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->post("/v1/endpoints", company, std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    const auto url = text_at(answer, "url");
    context.screen().out << "url     " << plain(url) << "\nsecret  "
                         << plain(text_at(answer, "secret")) << "\n";
    if (url.starts_with('/')) {
      context.screen().err << "Put in front what the provider reaches this server by; "
                              "http.public_url does it for you.\n";
    }
  }
  return 0;
}

Result<int> endpoint_list(Context& context, const Arguments&) {
  constexpr Column kColumns[] = {
      {"ID", "id"},           {"PRESET", "preset"},      {"SOURCE", "source"},
      {"MADE", "created_at"}, {"REVOKED", "revoked_at"}, {"URL", "url"}};
  return list(context, "/v1/endpoints", "endpoints", kColumns);
}

Result<int> endpoint_rotate(Context& context, const Arguments& arguments) {
  json::Object body;
  if (arguments.has("--secret-file")) {
    SAMTALE_TRY(auto secret, read_secret(arguments.text("--secret-file")));
    body.emplace_back("secret", std::move(secret));
  }
  if (arguments.has("--keep-old")) {
    body.emplace_back("keep_old_s", arguments.number("--keep-old", 0));
  }
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  const auto path = "/v1/endpoints/" + escaped(arguments.words().front()) + "/rotate";
  SAMTALE_TRY(const auto answer, api->post(path, company, std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << "secret  " << plain(text_at(answer, "secret")) << "\n";
  }
  return 0;
}

Result<int> endpoint_revoke(Context& context, const Arguments& arguments) {
  return revoke(context, "/v1/endpoints/" + escaped(arguments.words().front()), "endpoint");
}

Result<int> dead_letter_list(Context& context, const Arguments& arguments) {
  constexpr Column kColumns[] = {{"ID", "id"},
                                 {"KIND", "kind"},
                                 {"TRIES", "attempts"},
                                 {"GIVEN UP", "given_up_at"},
                                 {"CONVERSATION", "conversation_id"},
                                 {"CAUSE", "cause"}};
  SAMTALE_TRY(const auto* const api, context.api());
  ApiCall call;
  call.path = "/v1/dead-letters";
  SAMTALE_TRY(call.company, context.company());
  call.query.emplace_back("limit", std::to_string(arguments.number("--limit", 50)));
  if (arguments.has("--cursor")) call.query.emplace_back("cursor", arguments.text("--cursor"));
  SAMTALE_TRY(const auto answer, api->call(call));
  print_list(context, answer, "dead_letters", kColumns);
  return 0;
}

Result<int> dead_letter_redrive(Context& context, const Arguments& arguments) {
  json::Object body;
  json::Array ids;
  for (const auto& id : arguments.words()) ids.emplace_back(id);
  if (!ids.empty()) body.emplace_back("ids", std::move(ids));
  SAMTALE_TRY(const auto* const api, context.api());
  SAMTALE_TRY(const auto company, context.company());
  SAMTALE_TRY(const auto answer, api->post("/v1/dead-letters/redrive", company, std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << int_at(answer, "redriven") << " put back\n";
  }
  return 0;
}

Result<int> replay(Context& context, const Arguments& arguments) {
  json::Object body;
  if (arguments.has("--from")) body.emplace_back("from", arguments.text("--from"));
  if (arguments.has("--to")) body.emplace_back("to", arguments.text("--to"));
  SAMTALE_TRY(const auto* const api, context.api(true));
  SAMTALE_TRY(const auto answer, api->post("/v1/replay", "", std::move(body)));
  if (context.wants_json()) {
    context.print(answer);
  } else {
    context.screen().out << int_at(answer, "replayed") << " events replayed\n";
  }
  return 0;
}

}  // namespace samtale::cli
