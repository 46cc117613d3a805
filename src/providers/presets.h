// The rows of the provider table, one function a file. Not a front door.
#pragma once

#include "providers/provider.h"

namespace samtale {

[[nodiscard]] Provider elevenlabs_provider();
[[nodiscard]] Provider intercom_provider();
[[nodiscard]] Provider retell_provider();
[[nodiscard]] Provider slack_provider();
[[nodiscard]] Provider standard_webhooks_provider();
[[nodiscard]] Provider vcon_provider();

}  // namespace samtale
