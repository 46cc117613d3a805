// The table of keys: what drives reading, checking, environment names, `config show` and the
// documentation. Internal to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace samtale {

// Where the value of a key lies.
using ValueAccess =
    std::variant<std::string& (*)(Config&), bool& (*)(Config&), std::size_t& (*)(Config&),
                 std::uint16_t& (*)(Config&), double& (*)(Config&), Duration& (*)(Config&),
                 std::vector<std::string>& (*)(Config&)>;

// What a value is, beyond its C++ type.
enum class Meaning : std::uint8_t {
  plain,
  bytes,        // A number of bytes; may be written "64 MiB".
  file,         // A path that must exist.
  secret_file,  // A path that must exist and be closed to others.
  ip_address,
  url,             // http:// or https://
  port,            // 1 to 65535, as a text.
  network,         // "10.1.0.0/16", "fd00::/8", or one address.
  length_of_time,  // "5s", "30m".
};

struct Key {
  std::string_view name;  // "http.port"
  ValueAccess at;
  std::string_view help;
  double min = 0;  // Of numbers, bytes and milliseconds; both inclusive.
  double max = 0;
  Meaning meaning = Meaning::plain;
  std::string_view choices = {};  // Of texts: "local|open"; empty: any.
};

[[nodiscard]] std::span<const Key> all_keys();
[[nodiscard]] const Key* find_key(std::string_view name);
[[nodiscard]] std::string environment_name(std::string_view key);
// ", did you mean http.port?" or what else helps; empty if nothing is near.
[[nodiscard]] std::string hint_for_unknown(std::string_view name);
// The nearest of `names` to `name`, if it is near at all.
[[nodiscard]] std::string_view nearest(std::string_view name,
                                       std::span<const std::string_view> names);

// A value as a file, a variable or a flag gives it, not checked yet.
using RawValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

// What a variable or a flag says, read as the type of the key.
[[nodiscard]] Result<RawValue> raw_from_text(const Key& key, std::string_view text);
// Checks type and range and sets. Errors: invalid_argument ("must be 0 to 65535; got 70000").
[[nodiscard]] Result<> assign(const Key& key, const RawValue& value, Config& config);

[[nodiscard]] std::string type_text(const Key& key);
[[nodiscard]] std::string range_text(const Key& key);
[[nodiscard]] std::string value_text(const Key& key, const Config& config);

// One key of a TOML text, or what is wrong with it.
struct TomlEntry {
  std::string name;
  std::size_t line = 0;
  bool is_table = false;
  std::variant<std::monostate, RawValue> value;  // Empty: of a type no key has ("date").
  std::string type;
};
// Every leaf, and every table, in the order of the text. Errors: invalid_argument with the line in
// front: "12: expected '='".
[[nodiscard]] Result<std::vector<TomlEntry>> read_toml(std::string_view text);

}  // namespace samtale
