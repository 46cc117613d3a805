// Rooms: analyze base json model text
//
// Any UTF-8 as what people said: nothing crashes, every quote is verbatim in the turn it names,
// findings are UTF-8, labels have no doubles, scores lie in their range, and the same gives the
// same.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "analyze/extractive.h"
#include "analyze/manipulation.h"
#include "base/bytes.h"
#include "base/check.h"
#include "json/json.h"

namespace samtale {
namespace {

// The first byte of a turn says who speaks; a zero byte ends it.
Conversation read(std::string_view bytes) {
  static constexpr const char* kRoles[] = {"customer", "agent", "bot", "system", ""};
  Conversation conversation;
  if (!bytes.empty() && bytes.front() == 'd') conversation.language = "da";
  while (!bytes.empty()) {
    Turn turn;
    turn.role = kRoles[static_cast<unsigned char>(bytes.front()) % 5];
    turn.is_private = bytes.front() == 'p';
    bytes.remove_prefix(1);
    const auto end = std::min(bytes.find('\0'), bytes.size());
    turn.text = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (!is_utf8(turn.text)) turn.text.clear();  // What is stored is UTF-8.
    conversation.turns.push_back(std::move(turn));
  }
  return conversation;
}

void check_quotes(const Conversation& conversation, const json::Value& value) {
  if (const auto* list = value.as_array()) {
    for (const auto& item : *list) check_quotes(conversation, item);
  }
  const auto* object = value.as_object();
  if (object == nullptr) return;
  for (const auto& [key, member] : *object) check_quotes(conversation, member);
  const auto* quote = value.find("quote");
  if (quote == nullptr) return;
  const auto at = static_cast<std::size_t>(*value.find("turn")->as_int());
  SAMTALE_CHECK(at < conversation.turns.size(), "a finding names a turn that is there");
  const auto& turn = conversation.turns[at];
  SAMTALE_CHECK(turn.text.find(*quote->as_string()) != std::string::npos, "a quote is verbatim");
  SAMTALE_CHECK(!turn.is_private && turn.role != "system", "a quote is of what may be shown");
}

void check(const Conversation& conversation, const Analysis& analysis, const Analysis& again) {
  SAMTALE_CHECK(is_utf8(json::dump(analysis.result)), "a result is UTF-8");
  SAMTALE_CHECK(analysis.result == again.result, "the same gives the same");
  check_quotes(conversation, analysis.result);
  const std::set<std::string> labels(analysis.labels.begin(), analysis.labels.end());
  SAMTALE_CHECK(labels.size() == analysis.labels.size(), "no label twice");
  for (const auto& label : labels) SAMTALE_CHECK(is_utf8(label), "a label is UTF-8");
  if (analysis.score) SAMTALE_CHECK(*analysis.score >= -1 && *analysis.score <= 1, "-1 to 1");
}

}  // namespace
}  // namespace samtale

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace samtale;
  const auto conversation = read({reinterpret_cast<const char*>(data), size});
  check(conversation, summarise(conversation), summarise(conversation));
  check(conversation, measure_sentiment(conversation), measure_sentiment(conversation));
  check(conversation, find_topics(conversation, nullptr), find_topics(conversation, nullptr));
  check(conversation, report_manipulation(conversation), report_manipulation(conversation));
  return 0;
}
