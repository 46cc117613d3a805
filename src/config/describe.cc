// What the table of keys says about itself: for `samtale config` and for docs/configuration.md.
#include "config/config.h"
#include "config/keys.h"

namespace samtale {
namespace {

std::string_view short_type(const Key& key) {
  if (key.meaning == Meaning::bytes) return "bytes";
  if (key.meaning == Meaning::file || key.meaning == Meaning::secret_file) return "path";
  constexpr std::string_view kNames[] = {"text",   "boolean",      "integer", "integer",
                                         "number", "milliseconds", "list"};
  return kNames[key.at.index()];
}

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string_view section_of(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? "" : name.substr(0, dot);
}

constexpr std::string_view kPreface = R"(# Configuration

<!-- Made from the table in src/config/keys.cc by `samtale config docs`; a test compares them. -->

A value comes from the last of these that sets it:

1. the default;
2. a TOML file: `--config FILE`, else `./samtale.toml`, else `/etc/samtale/samtale.toml`;
3. the environment: the key in upper case with `SAMTALE_` in front, dots as underscores
   (`http.port` is `SAMTALE_HTTP_PORT`); lists are split at spaces;
4. flags: `--set http.port=9000`, or `--data`, `--port` and `--address`.

`samtale config check` reports every mistake at once with file and line; `samtale config show` prints
the value of each key and where it came from. A server refuses to start with a mistake in its
configuration. Secrets are never values: keys that end in `_file`, and `http.tls_key`, name a file
that only its owner may read (mode 0600). Sizes are bytes and may be written `"64 MiB"`. Paths are
relative to the folder the program was started in.

```toml
data_dir = "/var/lib/samtale"

[http]
address = "0.0.0.0"
public_url = "https://samtale.example.com"

[embed]
kind = "openai"
url = "https://api.openai.com/v1"
model = "text-embedding-3-small"
dimension = 1536
api_key_file = "/etc/samtale/openai.key"
```
)";

}  // namespace

std::vector<ConfigKeyInfo> config_keys() {
  std::vector<ConfigKeyInfo> infos;
  const Config defaults;
  for (const auto& key : all_keys()) {
    infos.push_back({std::string(key.name), environment_name(key.name),
                     std::string(short_type(key)), range_text(key), value_text(key, defaults),
                     std::string(key.help)});
  }
  return infos;
}

std::string config_value(const Config& config, std::string_view name) {
  const auto* const key = find_key(name);
  return key == nullptr ? std::string() : value_text(*key, config);
}

std::string config_documentation() {
  std::string out(kPreface);
  std::string_view section = "none yet";
  for (const auto& info : config_keys()) {
    if (section_of(info.name) != section) {
      section = section_of(info.name);
      out += section.empty() ? "\n## Top level\n\n" : "\n## [" + std::string(section) + "]\n\n";
      out += "| Key | Type | Range | Default | What it does |\n|---|---|---|---|---|\n";
    }
    out += "| `" + info.name + "` | " + info.type + " | " + cell(info.range) + " | `" +
           cell(info.default_value) + "` | " + cell(info.help) + " |\n";
  }
  return out;
}

}  // namespace samtale
