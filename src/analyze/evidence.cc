#include "analyze/evidence.h"

#include <algorithm>

#include "analyze/transcript.h"

namespace samtale {
namespace {

bool is_citation(const json::Value& value) {
  return value.find("turn") != nullptr && value.find("quote") != nullptr;
}

bool check_citation(json::Value& value, const Conversation& conversation) {
  const auto* turn = value.find("turn")->as_int();
  const auto* quote = value.find("quote")->as_string();
  if (turn == nullptr || quote == nullptr || *turn < 0 ||
      static_cast<std::size_t>(*turn) >= conversation.turns.size()) {
    return false;
  }
  const auto& said = conversation.turns[static_cast<std::size_t>(*turn)];
  if (!is_of_people(said)) return false;
  const auto found = find_quote(said.text, *quote);
  if (!found) return false;
  value.set("quote", *found);
  return true;
}

class Judge {
 public:
  explicit Judge(const Conversation& conversation) : conversation_(conversation) {}

  bool holds(json::Value& value) {
    if (auto* array = value.as_array()) {
      prune(*array);
      return true;
    }
    auto* object = value.as_object();
    if (object == nullptr) return true;
    if (is_citation(value)) {
      const bool stands = check_citation(value, conversation_);
      dropped_ += stands ? 0 : 1;
      return stands;
    }
    bool stands = true;
    for (auto& [key, member] : *object) {
      auto* array = member.as_array();
      const bool had_citations = array != nullptr && std::ranges::any_of(*array, is_citation);
      stands = holds(member) && stands;
      if (had_citations && array->empty()) stands = false;
    }
    return stands;
  }

  [[nodiscard]] std::size_t dropped() const { return dropped_; }

 private:
  void prune(json::Array& array) {
    std::erase_if(array, [&](json::Value& item) { return !holds(item); });
  }

  const Conversation& conversation_;
  std::size_t dropped_ = 0;
};

}  // namespace

Verdict hold_against(json::Value& value, const Conversation& conversation) {
  Judge judge(conversation);
  const bool holds = judge.holds(value);
  return {.holds = holds, .dropped = judge.dropped()};
}

}  // namespace samtale
