#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "config/config.h"
#include "config/keys.h"

namespace samtale {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{1}
                                      << 20;  // A hundred times the longest sane one.

// Variables of the command line and of the search kernels, which are no keys.
constexpr std::string_view kReservedVariables[] = {
    "SAMTALE_CONFIG", "SAMTALE_URL", "SAMTALE_KEY_FILE", "SAMTALE_COMPANY", "SAMTALE_SIMD"};

// Collects every mistake, so that an operator mends them in one go.
class Reader {
 public:
  void apply_toml(std::string_view text, std::string_view file) {
    const auto entries = read_toml(text);
    if (!entries) {
      mistakes_.push_back(std::string(file) + ":" + entries.error().message);
      return;
    }
    std::string skipped;  // An unknown section is told once, not for each of its keys.
    for (const auto& entry : *entries) {
      const auto where = std::string(file) + ":" + std::to_string(entry.line);
      if (!skipped.empty() && entry.name.starts_with(skipped)) continue;
      if (entry.is_table) {
        if (!check_section(entry.name, where)) skipped = entry.name + ".";
        continue;
      }
      apply(entry, where);
    }
  }

  void apply_text(std::string_view key_name, std::string_view text, const std::string& origin) {
    const auto* const key = find_key(key_name);
    if (key == nullptr) return unknown(origin, key_name);
    const auto raw = raw_from_text(*key, text);
    settle(*key, raw ? assign(*key, *raw, loaded_.config) : Result<>(std::unexpected(raw.error())),
           origin);
  }

  void apply_environment(const std::map<std::string, std::string>& environment) {
    for (const auto& [name, value] : environment) {
      if (std::ranges::find(kReservedVariables, name) != std::end(kReservedVariables)) continue;
      const auto keys = all_keys();
      const auto key =
          std::ranges::find(keys, name, [](const Key& k) { return environment_name(k.name); });
      if (key == keys.end()) {
        unknown_variable(name);
      } else {
        apply_text(key->name, value, name);
      }
    }
  }

  // What only shows when all values are known.
  void check_together() {
    const auto& config = loaded_.config;
    if (config.http.tls_certificate.empty() != config.http.tls_key.empty()) {
      const auto* const missing =
          config.http.tls_key.empty() ? "http.tls_key" : "http.tls_certificate";
      const auto* const present =
          config.http.tls_key.empty() ? "http.tls_certificate" : "http.tls_key";
      mistake(present, std::string("is set without ") + missing + "; set both, or neither");
    }
    if (config.data_dir.empty()) mistake("data_dir", "must not be empty; ./data is the default");
    if (config.queue.retry_longest < config.queue.retry_base) {
      mistake("queue.retry_longest_ms", "must not be less than queue.retry_base_ms; raise it");
    }
    check_store(config.store);
    if (config.search.backend == "pgvector" && config.store.kind != "postgres") {
      mistake("search.backend",
              "pgvector is an extension of PostgreSQL: it needs store.kind = \"postgres\"");
    }
    check_queue(config);
    check_cluster(config);
    check_embedder(config.embed);
    check_language_model("lm", config.lm);
    check_language_model("lm_fallback", config.lm_fallback);
    if (config.lm.url.empty() && !config.lm_fallback.url.empty()) {
      mistake("lm_fallback.url", "is used beside lm.url only: set that one");
    }
  }

  void check_files() {
    for (const auto& key : all_keys()) {
      if (key.meaning != Meaning::file && key.meaning != Meaning::secret_file) continue;
      const auto path = std::get<std::string& (*)(Config&)>(key.at)(loaded_.config);
      if (!path.empty()) check_file(key, path);
    }
  }

  void set_file(std::string file) { loaded_.file = std::move(file); }
  void add_mistake(std::string text) { mistakes_.push_back(std::move(text)); }

  Result<LoadedConfig> finish() && {
    if (mistakes_.empty()) return std::move(loaded_);
    std::string all;
    for (auto& text : mistakes_) {
      // Keys and values may hold anything: none may drive the operator's terminal.
      std::ranges::replace_if(
          text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
      all += (all.empty() ? "" : "\n") + text;
    }
    return fail(ErrorCode::invalid_argument, std::move(all));
  }

 private:
  void mistake(std::string_view key, std::string_view what) {
    const auto origin = loaded_.origins.find(key);
    mistakes_.push_back((origin == loaded_.origins.end() ? "default" : origin->second) + ": " +
                        std::string(key) + ": " + std::string(what));
  }

  void unknown(const std::string& origin, std::string_view name) {
    mistakes_.push_back(origin + ": " + std::string(name) + ": unknown key" +
                        hint_for_unknown(name));
  }

  void unknown_variable(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& key : all_keys()) names.push_back(environment_name(key.name));
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto near = nearest(name, views);
    mistakes_.push_back(
        name + ": no key has this variable" +
        (near.empty() ? std::string("; unset it") : "; did you mean " + std::string(near) + "?"));
  }

  bool check_section(const std::string& name, const std::string& where) {
    std::vector<std::string_view> sections;
    for (const auto& key : all_keys()) {
      const auto dot = key.name.find('.');
      if (dot != std::string_view::npos) sections.push_back(key.name.substr(0, dot));
    }
    if (std::ranges::find(sections, name) != sections.end()) return true;
    const auto near = nearest(name, sections);
    mistakes_.push_back(
        where + ": " + name + ": unknown section" +
        (near.empty() ? std::string() : "; did you mean " + std::string(near) + "?"));
    return false;
  }

  void apply(const TomlEntry& entry, const std::string& where) {
    const auto* const key = find_key(entry.name);
    if (key == nullptr) return unknown(where, entry.name);
    const auto* const value = std::get_if<RawValue>(&entry.value);
    if (value == nullptr) {
      mistakes_.push_back(where + ": " + entry.name + ": must be " + type_text(*key) + "; got " +
                          entry.type);
      return;
    }
    settle(*key, assign(*key, *value, loaded_.config), where);
  }

  void settle(const Key& key, const Result<>& assigned, const std::string& origin) {
    if (assigned) {
      loaded_.origins[std::string(key.name)] = origin;
    } else {
      mistakes_.push_back(origin + ": " + std::string(key.name) + ": " + assigned.error().message);
    }
  }

  void check_language_model(const std::string& section, const LmConfig& lm) {
    if (!lm.url.empty() && lm.model.empty()) {
      mistake(section + ".model", "must name the model that " + section + ".url is asked for");
    }
  }

  void check_store(const StoreConfig& store) {
    if (store.kind == "postgres" && store.url.empty()) {
      mistake("store.url",
              "must be set for store.kind = \"postgres\", such as "
              "postgresql://samtale@127.0.0.1:5432/samtale");
    }
    // It would show in `config show` and in the list of processes.
    const auto user = store.url.substr(0, store.url.find('@'));
    if (user.size() < store.url.size() && std::ranges::count(user, ':') > 1) {
      mistake("store.url", "must not hold a password; put it into a file: store.password_file");
    }
    if (store.kind != "postgres" && !store.url.empty()) {
      mistake("store.url",
              "is used by store.kind = \"postgres\" only; set that too, or unset this");
    }
  }

  void check_queue(const Config& config) {
    const auto& queue = config.queue;
    const bool has_broker = queue.kind == "rabbitmq";
    if (has_broker && config.store.kind != "postgres") {
      mistake("queue.kind",
              "rabbitmq is for servers that share a store: it needs store.kind = \"postgres\"");
    }
    if (has_broker && queue.url.empty()) {
      mistake("queue.url",
              "must be set for queue.kind = \"rabbitmq\", such as amqp://samtale@127.0.0.1:5672");
    }
    if (!has_broker && config.accept.ack == "replicated") {
      mistake("accept.ack",
              "replicated needs a broker: set queue.kind = \"rabbitmq\" too, or leave this out");
    }
    if (!has_broker && !queue.url.empty()) {
      mistake("queue.url",
              "is used by queue.kind = \"rabbitmq\" only; set that too, or unset this");
    }
  }

  void check_cluster(const Config& config) {
    const auto& address = config.http.address;
    if (config.store.kind == "postgres" && config.cluster.url.empty() &&
        (address == "0.0.0.0" || address == "::")) {
      mistake("cluster.url", "must be set where http.address is " + address +
                                 ": the servers that share the store reach this one there");
    }
    if (config.store.kind == "sqlite" && config.cluster.slices != 1) {
      mistake("cluster.slices", "must be 1 where one server has the store alone");
    }
    if (config.store.kind == "sqlite" && config.cluster.roles != "all") {
      mistake("cluster.roles", "one server alone does all; several need store.kind = \"postgres\"");
    }
  }

  void check_embedder(const EmbedConfig& embed) {
    if (embed.kind == "builtin") return;
    if (embed.model.empty()) {
      mistake("embed.model", "must name the model for embed.kind = \"" + embed.kind + "\"");
    }
    if (embed.dimension == 0) {
      mistake("embed.dimension",
              "must be the length of the model's vectors, such as 384 or 1536; got 0");
    }
    if (embed.kind == "openai" && embed.url.empty()) {
      mistake("embed.url",
              "must be set for embed.kind = \"openai\", such as https://api.openai.com/v1");
    }
    if (embed.kind == "managed" && std::ranges::none_of(embed.command, [](const auto& word) {
          return word.find("{port}") != std::string::npos;
        })) {
      mistake("embed.command", "must name a program and hold {port} for embed.kind = \"managed\"");
    }
  }

  void check_file(const Key& key, const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
      return mistake(key.name, path + ": " + std::strerror(errno) + "; make it or unset the key");
    }
    if (!S_ISREG(status.st_mode)) return mistake(key.name, path + " is no regular file");
    if (::access(path.c_str(), R_OK) != 0) {
      return mistake(key.name, path + " cannot be read by this user; change its owner");
    }
    if (key.meaning == Meaning::secret_file && (status.st_mode & 077U) != 0) {
      mistake(key.name, path + " is open to other users; run: chmod 600 " + path);
    }
  }

  LoadedConfig loaded_;
  std::vector<std::string> mistakes_;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(ErrorCode::invalid_argument,
                path + ": cannot be read (" + std::strerror(errno) + "); check --config");
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return fail(ErrorCode::invalid_argument, path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax) {
    return fail(ErrorCode::invalid_argument,
                path + ": is longer than 1 MiB; no configuration is, check what wrote it");
  }
  return text;
}

std::string file_to_read(const ConfigSources& sources) {
  if (!sources.file.empty()) return sources.file;
  for (const auto candidate : kConfigFiles) {
    if (::access(std::string(candidate).c_str(), F_OK) == 0) return std::string(candidate);
  }
  return {};
}

}  // namespace

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  Reader reader;
  const auto file = file_to_read(sources);
  if (!file.empty()) {
    if (const auto text = read_file(file); text) {
      reader.apply_toml(*text, file);
      reader.set_file(file);
    } else {
      reader.add_mistake(text.error().message);
    }
  }
  reader.apply_environment(sources.environment);
  for (const auto& [key, value, flag] : sources.overrides) reader.apply_text(key, value, flag);
  reader.check_together();
  reader.check_files();
  return std::move(reader).finish();
}

Result<LoadedConfig> parse_config(std::string_view toml, std::string_view file_name) {
  Reader reader;
  reader.apply_toml(toml, file_name);
  reader.set_file(std::string(file_name));
  reader.check_together();
  return std::move(reader).finish();
}

std::map<std::string, std::string> samtale_environment() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (text.starts_with("SAMTALE_") && equals != std::string_view::npos) {
      found.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return found;
}

}  // namespace samtale
