#include "server/ready_file.h"

#include <cstdio>
#include <fstream>

namespace samtale {

Result<> write_ready_file(const std::string& path, const std::string& url) {
  if (path.empty()) return {};
  const auto fresh = path + ".new";
  std::ofstream file(fresh);
  file << R"({"url":")" << url << "\"}\n";
  file.close();
  if (file.fail() || std::rename(fresh.c_str(), path.c_str()) != 0) {
    return fail(ErrorCode::unavailable, "cannot write the ready file " + path);
  }
  return {};
}

}  // namespace samtale
