// The ready file: tells whoever started the server where it listens.
#pragma once

#include <string>

#include "base/result.h"

namespace samtale {

// {"url":"http://127.0.0.1:8080"} at `path`, there whole or not at all. Nothing for an empty path.
// Errors: unavailable.
Result<> write_ready_file(const std::string& path, const std::string& url);

}  // namespace samtale
