// Rooms: search
//
// Whatever a node is told by another: it is an answer within the limits, or it is none.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "search/slice_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  constexpr SliceAnswerLimits kLimits{.hits = 4, .terms = 3};
  const auto answer = decode_slice_answer(bytes, kLimits);
  if (!answer) return 0;
  SAMTALE_CHECK(encode(*answer) == bytes, "the same answer again");
  SAMTALE_CHECK(answer->counts.having.size() <= kLimits.terms, "no more terms than were asked for");
  for (const auto* hits : {&answer->near, &answer->worded}) {
    SAMTALE_CHECK(hits->size() <= kLimits.hits, "no more hits than were asked for");
    for (std::size_t i = 0; i < hits->size(); ++i) {
      SAMTALE_CHECK(std::isfinite((*hits)[i].score), "a score");
      SAMTALE_CHECK(i == 0 || ranks_before((*hits)[i - 1], (*hits)[i]),
                    "in their order, each once");
    }
  }
  return 0;
}
