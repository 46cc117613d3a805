#include <algorithm>
#include <array>

#include "providers/presets.h"

namespace samtale {

std::span<const Provider> providers() {
  static const std::array kTable{
      elevenlabs_provider(), intercom_provider(),          retell_provider(),
      slack_provider(),      standard_webhooks_provider(), vcon_provider(),
  };
  return kTable;
}

const Provider* find_provider(std::string_view name) {
  const auto table = providers();
  const auto found = std::ranges::find(table, name, &Provider::name);
  return found == table.end() ? nullptr : &*found;
}

}  // namespace samtale
