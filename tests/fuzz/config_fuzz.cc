// Rooms: config
//
// Any text is either a configuration or a list of mistakes; what is accepted reads back as itself,
// and no mistake carries a byte that could drive a terminal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = samtale::parse_config(text, "fuzz.toml");
  if (!loaded) {
    for (const char c : loaded.error().message) {
      const auto byte = static_cast<unsigned char>(c);
      SAMTALE_CHECK(c == '\n' || (byte >= 0x20 && byte != 0x7f), "mistakes are plain text");
    }
    return 0;
  }
  for (const auto& key : samtale::config_keys()) {
    const auto value = samtale::config_value(loaded->config, key.name);
    const auto dot = key.name.find('.');
    const auto again = samtale::parse_config(
        dot == std::string::npos
            ? key.name + " = " + value
            : "[" + key.name.substr(0, dot) + "]\n" + key.name.substr(dot + 1) + " = " + value,
        "again.toml");
    // Alone, a value may lack its companion (tls, embed): only the one it has must agree.
    if (again) {
      SAMTALE_CHECK(samtale::config_value(again->config, key.name) == value,
                    "what is shown reads back as itself");
    }
  }
  return 0;
}
