// Rooms: lm
//
// Whatever the output file of a batch holds: each id at most once, with an answer or a failure.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "lm/batch_lines.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  std::set<std::string> ids;
  for (const auto& line : samtale::read_batch_lines(file, 4096)) {
    SAMTALE_CHECK(ids.insert(line.id).second, "an id has one line");
    SAMTALE_CHECK(samtale::is_utf8(line.id), "UTF-8");
    if (line.answer) {
      SAMTALE_CHECK(line.answer->usage.output >= 0, "nothing is counted below nothing");
    } else {
      SAMTALE_CHECK(line.answer.error().error.message.size() < 300, "an error stays short");
    }
  }
  return 0;
}
