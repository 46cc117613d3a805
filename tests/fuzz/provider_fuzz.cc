// Rooms: providers ingest
//
// Any body is either events or a refusal. What is accepted merges to the same bytes in either
// order, survives its stored forms, and leaves as a vCon that reads back.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "ingest/merge.h"
#include "providers/provider.h"

namespace {

using namespace samtale;

constexpr WallTime kReceived = from_us(1'764'000'000'000'000);

// The first byte picks the format: a provider of the table, then native JSON, then vCon.
std::vector<ConversationPatch> patches_of(std::size_t pick, std::string_view body) {
  const auto table = providers();
  pick %= table.size() + 2;
  if (pick < table.size()) {
    auto event = table[pick].parse({.headers = {}, .body = body}, kReceived);
    return event ? std::move(event->patches) : std::vector<ConversationPatch>{};
  }
  const auto document = json::parse(body);
  if (!document) return {};
  auto patch =
      pick == table.size() ? parse_native(*document, kReceived) : parse_vcon(*document, kReceived);
  if (!patch) return {};
  return {std::move(*patch)};
}

void check_conversation(const MergeState& state, const std::string& external_id) {
  const auto built = state.build(CompanyId{1}, "fuzz", external_id);
  const auto text = json::dump(to_json(built));
  const auto document = json::parse(text);
  SAMTALE_CHECK(document.has_value(), "what we write is JSON");
  const auto back = conversation_from_json(*document);
  SAMTALE_CHECK(back && *back == built, "a conversation survives its stored form");
  const auto again = MergeState::parse(state.serialise());
  SAMTALE_CHECK(again && again->serialise() == state.serialise(), "so does the merge state");

  const auto vcon = to_vcon(built, kReceived, kReceived);
  if (vcon.find("parties")->as_array()->size() > PatchLimits::parties_max) return;
  const auto read = parse_vcon(vcon, kReceived);
  SAMTALE_CHECK(read && read->turns.size() == built.turns.size(), "our vCon reads back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto patches = patches_of(data[0], body);
  if (patches.empty()) return 0;

  // A companion that shares the keys but not the values, so that something collides.
  auto other = patches[0];
  other.time += std::chrono::seconds(1);
  for (auto& turn : other.turns) turn.turn.text += "!";

  MergeState one;
  one.apply(patches[0], "a");
  one.apply(other, "b");
  MergeState two;
  two.apply(other, "b");
  two.apply(patches[0], "a");
  two.apply(other, "b");
  SAMTALE_CHECK(one.serialise() == two.serialise(), "the order of events does not matter");
  check_conversation(one, patches[0].external_id);
  return 0;
}
