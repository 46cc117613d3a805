// Rooms: json
//
// What is accepted is written back to something that reads as the same value, compact, pretty and
// sorted; and writing is a fixed point.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = samtale::json::parse(text);
  if (!value) return 0;
  const auto written = samtale::json::dump(*value);
  const auto back = samtale::json::parse(written);
  SAMTALE_CHECK(back && *back == *value, "a value survives being written");
  SAMTALE_CHECK(samtale::json::dump(*back) == written, "writing is a fixed point");
  const auto pretty = samtale::json::parse(samtale::json::dump_pretty(*value));
  SAMTALE_CHECK(pretty && *pretty == *value, "also in the form for people");
  const auto sorted = samtale::json::dump_sorted(*value);
  const auto resorted = samtale::json::parse(sorted);
  SAMTALE_CHECK(resorted && samtale::json::dump_sorted(*resorted) == sorted, "sorting is stable");
  return 0;
}
