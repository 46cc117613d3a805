// Rooms: cli json
//
// Any file of an import, compressed or not, is a bounded number of bounded records or an error;
// each record is one line and their lines do not go back.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include "base/check.h"
#include "cli/records.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kRecordBytesMax = 4096;
  constexpr std::size_t kRecordsMax = 100'000;  // A small file may unpack to very much.
  std::istringstream file(std::string(reinterpret_cast<const char*>(data), size));
  const auto source = samtale::cli::decompressed(file);
  samtale::cli::RecordReader reader(*source, kRecordBytesMax);
  std::size_t line = 1;
  for (std::size_t i = 0; i < kRecordsMax; ++i) {
    const auto record = reader.next();
    if (!record || !*record) return 0;
    SAMTALE_CHECK((*record)->text.find('\n') == std::string::npos, "a record is one line");
    SAMTALE_CHECK((*record)->text.size() <= kRecordBytesMax, "a record is bounded");
    SAMTALE_CHECK((*record)->line >= line, "lines do not go back");
    line = (*record)->line;
  }
  return 0;
}
