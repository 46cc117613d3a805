#include "cli/context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ostream>

namespace samtale::cli {

Result<std::string> read_secret(const std::string& path) {
  constexpr std::size_t kLongest = 64 * 1024;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(ErrorCode::invalid_argument, path + ": " + std::strerror(errno));
  struct stat status {};
  std::string text(kLongest + 1, '\0');
  const bool is_known = ::fstat(fd, &status) == 0;
  const auto size = ::read(fd, text.data(), text.size());
  ::close(fd);
  if (!is_known || size < 0) return fail(ErrorCode::invalid_argument, path + ": cannot be read");
  // A pipe from <(...) has no other readers; a file may have.
  if (S_ISREG(status.st_mode) && (status.st_mode & 077U) != 0) {
    return fail(ErrorCode::invalid_argument,
                path + ": is open to other users; run: chmod 600 " + path);
  }
  text.resize(static_cast<std::size_t>(size));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty() || text.size() > kLongest) {
    return fail(ErrorCode::invalid_argument, path + ": must hold one secret of at most 64 KiB");
  }
  return text;
}

std::string Context::option(std::string_view name, std::string_view variable) const {
  if (arguments_.has(name)) return arguments_.text(name);
  const auto* const value = std::getenv(std::string(variable).c_str());
  return value == nullptr ? std::string() : value;
}

Result<LoadedConfig> Context::load() const {
  ConfigSources sources;
  sources.file = option("--config", "SAMTALE_CONFIG");
  sources.environment = samtale_environment();
  for (const auto& pair : arguments_.all("--set")) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos) {
      return usage("--set " + plain(pair) + ": must be KEY=VALUE, such as http.port=9000");
    }
    sources.overrides.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
  }
  constexpr std::pair<std::string_view, std::string_view> kFlags[] = {{"--data", "data_dir"},
                                                                      {"--port", "http.port"},
                                                                      {"--address", "http.address"},
                                                                      {"--role", "cluster.roles"}};
  for (const auto& [flag, key] : kFlags) {
    if (!arguments_.has(flag)) continue;
    sources.overrides.push_back({std::string(key), arguments_.text(flag), std::string(flag)});
  }
  auto loaded = load_config(sources);
  if (!loaded) return usage("the configuration has mistakes:\n" + loaded.error().message);
  return loaded;
}

Result<Api> Context::open(bool needs_server) const {
  const auto url = option("--url", "SAMTALE_URL");
  const auto key_file = option("--key-file", "SAMTALE_KEY_FILE");
  if (url.empty()) {
    if (arguments_.has("--key-file")) return usage("--key-file needs --url");
    SAMTALE_TRY(const auto loaded, load());
    SAMTALE_TRY(auto transport, hooks_.connect(loaded.config, needs_server));
    return Api(std::move(transport), false);
  }
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    return usage("--url " + plain(url) + ": must begin with http:// or https://");
  }
  if (key_file.empty()) {
    return usage("--url needs --key-file FILE (or SAMTALE_KEY_FILE) with an API key");
  }
  SAMTALE_TRY(auto key, read_secret(key_file));
  return Api(make_http_transport(make_http_client(), url, "", std::move(key)), true);
}

Result<const Api*> Context::api(bool needs_server) {
  if (!api_) {
    SAMTALE_TRY(api_, open(needs_server));
  }
  return &*api_;
}

Result<std::string> Context::company() {
  SAMTALE_TRY(const auto* const server, api());
  if (server->is_remote()) return std::string();
  if (auto named = option("--company", "SAMTALE_COMPANY"); !named.empty()) return named;
  SAMTALE_TRY(const auto answer, server->get("/v1/companies", ""));
  const auto& companies = array_at(answer, "companies");
  if (companies.size() == 1) return text_at(companies.front(), "name");
  if (companies.empty()) {
    return fail(ErrorCode::not_found, "there is no company yet; make one: samtale company create");
  }
  constexpr std::size_t kNamed = 5;
  std::string names;
  for (std::size_t i = 0; i < std::min(kNamed, companies.size()); ++i) {
    names += (i == 0 ? "" : ", ") + plain(text_at(companies[i], "name"));
  }
  return usage("--company is missing; there are " + std::to_string(companies.size()) + ": " +
               names + (companies.size() > kNamed ? ", ..." : ""));
}

void Context::print(const json::Value& value) const {
  screen_.out << json::dump_pretty(value) << "\n";
}

}  // namespace samtale::cli
