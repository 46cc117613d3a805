// Rooms: accept sim
// Goal: no bytes in a segment's file crash the opening or reading of a log, or make it read on for
// ever; what opens takes another event and gives it back.
// Method: the bytes replace the first segment's; so that they get past its checksums, records are
// also laid out from them as the log itself would write them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "accept/accept_log.h"
#include "accept/record.h"
#include "base/bytes.h"
#include "base/check.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

constexpr std::uint32_t kSalt = 7;
constexpr std::size_t kSegmentBytes = 8192;
const std::string kPath = "log/0000000000000000.log";

void open_and_read(std::string bytes) {
  SimRandom random(1);
  SimFiles files(random);
  SimClock clock;
  MemoryLog lines;
  static_cast<void>(files.make_folder("log"));
  files.replace(kPath, std::move(bytes));
  const AcceptLogOptions options{.segment_bytes = kSegmentBytes, .record_bytes_max = 1024};
  auto log = open_accept_log(files, "log", options, clock, lines);
  if (!log) return;
  bool is_accepted = false;
  (*log)->append("one more", [&](const auto& position) { is_accepted = position.has_value(); });
  while ((*log)->step() > 0) {
  }
  SAMTALE_CHECK(is_accepted, "a log that opens takes events");
  std::string last;
  for (LogPosition from{};;) {
    const auto entries = (*log)->read(from, 4096);
    if (!entries) return;
    if (entries->empty()) break;
    SAMTALE_CHECK(entries->back().next > from, "reading goes on");
    from = entries->back().next;
    last = entries->back().payload;
  }
  SAMTALE_CHECK(last == "one more", "the last event is the one appended");
}

// Each byte is an instruction: a good record, one with something wrong, or ground left blank.
std::string lay_out(std::string_view script) {
  std::string bytes;
  append(SegmentHeader{.base = 0, .bytes = kSegmentBytes, .salt = kSalt}, bytes);
  std::uint64_t sequence = 1;
  std::uint32_t index = 0;
  for (const char c : script) {
    const auto byte = static_cast<unsigned char>(c);
    const std::string payload((byte >> 4U) * std::size_t{24}, static_cast<char>('a' + (byte & 7U)));
    if (bytes.size() + record_bytes(payload.size()) > kSegmentBytes) break;
    const auto start = bytes.size();
    index = (byte & 1U) != 0 ? index + 1 : 0;
    append({.is_erased = (byte & 15U) == 3,
            .is_segment_end = (byte & 15U) == 5,
            .payload_bytes = static_cast<std::uint32_t>(payload.size()) + ((byte & 15U) == 7),
            .payload_crc = crc32c(payload) + ((byte & 15U) == 9),
            .sequence = sequence++ + ((byte & 15U) == 11),
            .group_index = index},
           kSalt, start, bytes);
    bytes.append(payload);
    bytes.resize(start + record_bytes(payload.size()), '\0');
    if ((byte & 15U) == 13) bytes.replace(start, 32, 32, '\0');
  }
  bytes.resize(kSegmentBytes, '\0');
  return bytes;
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  samtale::open_and_read(std::string(input));
  samtale::open_and_read(samtale::lay_out(input));
  return 0;
}
