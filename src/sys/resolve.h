// The addresses of a host, as the system looks them up, and not for longer than there is time.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/clock.h"

namespace samtale {

// In the order in which they should be tried; an address is its own. The system's look-up cannot be
// ended: one that is late goes on, for as long as /etc/resolv.conf says, on a thread of its own
// whose answer nobody takes. Errors: unavailable (there is no such name, or nobody who knows),
// deadline_exceeded.
[[nodiscard]] Result<std::vector<std::string>> resolve(const std::string& host, const Clock& clock,
                                                       Instant deadline);

}  // namespace samtale
