// Goal:   any order, repetition and interleaving of a conversation's events builds the same bytes
//         (law 2), and of two statements the one made later holds.
// Method: seeded random events of every provider, parsed by the real parsers, applied in random
//         permutations with random repeats and random reloads of the state; then single rules.
#include "ingest/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kStart = 1'764'000'000;

struct Event {
  std::string key;
  ConversationPatch patch;
};

std::string dumped(const MergeState& state) {
  return json::dump(to_json(state.build(CompanyId{1}, "test", "x")));
}

// Applies the events in this order, each maybe twice, storing and reading the state now and then.
MergeState merged(const std::vector<Event>& events, std::mt19937_64& random) {
  MergeState state;
  for (const auto& event : events) {
    const auto times = 1 + random() % 2;
    for (std::uint64_t i = 0; i < times; ++i) state.apply(event.patch, event.key);
    if (random() % 4 == 0) state = *MergeState::parse(state.serialise());
  }
  return state;
}

class Sender {
 public:
  explicit Sender(std::uint64_t seed) : random_(seed) {}

  std::vector<Event> events(std::string_view kind) {
    std::vector<Event> events;
    const auto count = 2 + pick(7);
    for (std::size_t i = 0; i < count; ++i) {
      const auto which = kind == "mixed" ? kKinds[pick(kKinds.size())] : kind;
      events.push_back(make(which, "event-" + std::to_string(i)));
    }
    return events;
  }

  std::mt19937_64& random() { return random_; }

  static constexpr std::array<std::string_view, 6> kKinds{"native",     "vcon",  "retell",
                                                          "elevenlabs", "slack", "intercom"};

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }
  // Few values, so that events collide on keys, times and ids.
  std::string word() { return std::string(1, static_cast<char>('a' + pick(5))); }
  std::string second() { return std::to_string(kStart + static_cast<std::int64_t>(pick(6))); }
  std::string time() {
    return format_time(from_us((kStart + static_cast<std::int64_t>(pick(6))) * 1'000'000));
  }
  std::string flag() { return pick(2) == 0 ? "true" : "false"; }

  Event make(std::string_view kind, const std::string& key) {
    const auto received = from_us((kStart + 100 + static_cast<std::int64_t>(pick(3))) * 1'000'000);
    if (kind == "native") {
      const auto patch = parse_native(*json::parse(native()), received);
      EXPECT_TRUE(patch.has_value()) << patch.error().message;
      return {key, *patch};
    }
    const auto body = kind == "vcon"         ? vcon()
                      : kind == "retell"     ? retell()
                      : kind == "elevenlabs" ? elevenlabs()
                      : kind == "slack"      ? slack()
                                             : intercom();
    const auto event = find_provider(kind)->parse({.headers = {}, .body = body}, received);
    EXPECT_TRUE(event.has_value()) << event.error().message << body;
    EXPECT_EQ(event->patches.size(), 1U) << body;
    return {key, event->patches[0]};
  }

  std::string native() {
    std::string turns;
    std::string ids;
    for (std::size_t i = pick(4); i > 0; --i) {
      if (!turns.empty()) turns += ",";
      turns += "{";
      if (const auto id = word(); pick(2) == 0 && ids.find(id) == std::string::npos) {
        turns += R"("id":")" + id + R"(",)";
        ids += id;
      }
      if (pick(2) == 0) turns += R"("at":")" + time() + R"(",)";
      turns += R"("speaker":")" + word() + R"(","text":")" + word() + R"("})";
    }
    std::string text = R"({"id":"x","append":)" + flag() + R"(,"turns":[)" + turns + "]";
    if (pick(2) == 0) text += R"(,"version":)" + std::to_string(pick(3));
    if (pick(2) == 0) text += R"(,"updated_at":")" + time() + "\"";
    if (pick(2) == 0) text += R"(,"title":")" + word() + "\"";
    if (pick(2) == 0) text += R"(,"ended_at":")" + time() + "\"";
    if (pick(2) == 0) text += std::string(R"(,"status":")") + (pick(2) == 0 ? "open\"" : "ended\"");
    if (pick(2) == 0) text += R"(,"tags":[")" + word() + R"(",")" + word() + R"("])";
    text += R"(,"metadata":{")" + word() + R"(":)" + (pick(3) == 0 ? "null" : second()) + "}";
    // The same members in another order are another value.
    text += pick(2) == 0 ? R"(,"labels":{"p":1,"q":2})" : R"(,"labels":{"q":2,"p":1})";
    text += R"(,"parties":[{"id":"a/)" + word() + R"(","name":")" + word() +
            R"("},{"id":"a","role":")" + word() + R"("}])";
    return text + "}";
  }

  std::string vcon() {
    return R"({"vcon":"0.3.0","uuid":"x","created_at":")" + time() + R"(","subject":")" + word() +
           R"(","parties":[{"name":")" + word() + R"("}],"dialog":[{"type":"text","start":")" +
           time() + R"(","parties":0,"body":")" + word() + R"("}],"analysis":[{"type":")" + word() +
           R"(","body":")" + word() + R"("}]})";
  }

  std::string retell() {
    const std::string event = pick(2) == 0 ? "call_ended" : "call_analyzed";
    return R"({"event":")" + event + R"(","call":{"call_id":"x","end_timestamp":)" + second() +
           R"(000,"transcript_object":[{"role":"user","content":")" + word() +
           R"(","words":[]}],"call_analysis":{")" + word() + R"(":)" + flag() + "}}}";
  }

  std::string elevenlabs() {
    return R"({"type":"post_call_transcription","event_timestamp":)" + second() +
           R"(,"data":{"conversation_id":"x","transcript":[{"role":"user","message":")" + word() +
           R"(","time_in_call_secs":1}],"metadata":{"start_time_unix_secs":)" + second() +
           R"(,"termination_reason":")" + word() + R"("}}})";
  }

  std::string slack() {
    const auto ts = second() + ".00000" + std::to_string(pick(3));
    const auto event_ts = second() + ".000009";
    std::string event = R"({"type":"message","channel":"x",)";
    if (const auto what = pick(3); what == 0) {
      event += R"("user":"U","text":")" + word() + R"(","thread_ts":"1","ts":")" + ts + R"("})";
    } else if (what == 1) {
      event += R"("subtype":"message_changed","event_ts":")" + event_ts +
               R"(","message":{"user":"U","text":")" + word() + R"(","thread_ts":"1","ts":")" + ts +
               R"("}})";
    } else {
      event += R"("subtype":"message_deleted","event_ts":")" + event_ts + R"(","deleted_ts":")" +
               ts + R"(","previous_message":{"thread_ts":"1"}})";
    }
    return R"({"type":"event_callback","event_id":"e","event":)" + event + "}";
  }

  std::string intercom() {
    const std::array<std::string, 4> topics{"user.replied", "admin.replied", "admin.closed",
                                            "admin.opened"};
    const auto topic = topics[pick(topics.size())];
    return R"({"id":"n","topic":"conversation.)" + topic + R"(","created_at":)" + second() +
           R"(,"data":{"item":{"id":"x","created_at":1763999999,"source":{"id":"1","body":"first",
           "author":{"id":"7","type":"user"}},"conversation_parts":{"conversation_parts":[{"id":")" +
           std::to_string(8 + pick(4)) + R"(","body":"<p>)" + word() + R"(</p>","redacted":)" +
           (pick(4) == 0 ? "true" : "false") + R"(,"created_at":)" + second() +
           R"(,"author":{"id":"7","type":"user","name":")" + word() + R"("}}]}}}})";
  }

  std::mt19937_64 random_;
};

class MergeLawTest : public testing::TestWithParam<std::string_view> {};

TEST_P(MergeLawTest, any_order_repetition_and_interleaving_builds_the_same_bytes) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Sender sender(seed);
    auto events = sender.events(GetParam());
    const auto first = merged(events, sender.random());
    for (int order = 0; order < 5; ++order) {
      std::ranges::shuffle(events, sender.random());

      const auto other = merged(events, sender.random());

      ASSERT_EQ(dumped(first), dumped(other)) << "seed " << seed;
      ASSERT_EQ(first.serialise(), other.serialise()) << "seed " << seed;
    }
  }
}

TEST_P(MergeLawTest, an_event_that_is_known_changes_nothing) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Sender sender(seed);
    const auto events = sender.events(GetParam());
    auto state = merged(events, sender.random());
    const auto before = state.serialise();

    for (const auto& event : events) {
      EXPECT_FALSE(state.apply(event.patch, event.key)) << "seed " << seed;
    }

    ASSERT_EQ(state.serialise(), before);
  }
}

TEST_P(MergeLawTest, what_is_built_survives_its_json_form) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Sender sender(seed);
    const auto built =
        merged(sender.events(GetParam()), sender.random()).build(CompanyId{1}, "test", "x");

    const auto back = conversation_from_json(*json::parse(json::dump(to_json(built))));

    ASSERT_TRUE(back.has_value()) << back.error().message;
    ASSERT_EQ(*back, built);
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, MergeLawTest,
                         testing::Values("native", "vcon", "retell", "elevenlabs", "slack",
                                         "intercom", "mixed"),
                         [](const auto& kind) { return std::string(kind.param); });

// A patch of time `second` (and version) with one turn, whole or added.
ConversationPatch said(std::int64_t second, std::string id, std::string text, bool is_complete) {
  ConversationPatch patch;
  patch.external_id = "x";
  patch.time = from_us(second * 1'000'000);
  patch.is_complete = is_complete;
  TurnPatch turn;
  turn.turn.id = std::move(id);
  turn.turn.role = "customer";
  turn.turn.text = std::move(text);
  turn.time = patch.time;
  patch.turns.push_back(std::move(turn));
  return patch;
}

Conversation built(const std::vector<ConversationPatch>& patches) {
  MergeState state;
  int key = 0;
  for (const auto& patch : patches) state.apply(patch, std::to_string(key++));
  return state.build(CompanyId{1}, "test", "x");
}

std::vector<std::string> texts(const Conversation& conversation) {
  std::vector<std::string> texts;
  for (const auto& turn : conversation.turns) texts.push_back(turn.text);
  return texts;
}

TEST(MergeTest, a_newer_whole_transcript_replaces_an_older_one) {
  const auto older = said(1, "", "old", true);
  const auto newer = said(2, "", "new", true);

  EXPECT_THAT(texts(built({newer, older})), ElementsAre("new"));
}

TEST(MergeTest, of_two_transcripts_of_the_same_moment_the_longer_holds) {
  auto grown = said(1, "", "a", true);
  grown.turns.push_back(grown.turns[0]);

  EXPECT_THAT(texts(built({grown, said(1, "", "z", true)})), ElementsAre("a", "a"));
  EXPECT_THAT(texts(built({said(1, "", "z", true), grown})), ElementsAre("a", "a"));
}

TEST(MergeTest, a_greater_version_beats_a_later_time) {
  auto versioned = said(1, "", "version 2", true);
  versioned.version = 2;

  EXPECT_THAT(texts(built({versioned, said(9, "", "later", true)})), ElementsAre("version 2"));
}

TEST(MergeTest, turns_newer_than_the_transcript_change_it_or_follow_it) {
  const auto transcript = said(5, "a", "whole", true);

  EXPECT_THAT(texts(built({said(6, "b", "after", false), transcript})),
              ElementsAre("whole", "after"));
  EXPECT_THAT(texts(built({said(6, "a", "edited", false), transcript})), ElementsAre("edited"));
  EXPECT_THAT(texts(built({said(4, "b", "before", false), transcript})), ElementsAre("whole"));
  EXPECT_THAT(texts(built({transcript, said(4, "a", "stale", false)})), ElementsAre("whole"));
}

TEST(MergeTest, a_deletion_that_overtakes_its_turn_still_deletes_it) {
  auto deletion = said(3, "a", "", false);
  deletion.turns[0].is_deleted = true;

  EXPECT_THAT(texts(built({deletion, said(1, "a", "secret", false)})), IsEmpty());
}

TEST(MergeTest, forgets_the_words_of_a_deleted_turn) {
  MergeState state;
  auto deletion = said(3, "a", "", false);
  deletion.turns[0].is_deleted = true;
  state.apply(said(1, "a", "secret", false), "1");
  state.apply(deletion, "2");

  EXPECT_EQ(state.serialise().find("secret"), std::string::npos);
}

TEST(MergeTest, turns_that_come_alone_stand_by_time_and_then_by_number) {
  const auto turn = [](std::int64_t second, const char* id) { return said(second, id, id, false); };

  EXPECT_THAT(texts(built({turn(2, "10"), turn(2, "9"), turn(3, "1"), turn(1, "z")})),
              ElementsAre("z", "9", "10", "1"));
}

TEST(MergeTest, the_same_words_in_two_events_are_two_turns) {
  EXPECT_THAT(texts(built({said(1, "", "ok", false), said(1, "", "ok", false)})),
              ElementsAre("ok", "ok"));
}

TEST(MergeTest, the_end_wins_over_open_unless_something_newer_opens_again) {
  const auto stated = [](std::int64_t second, const char* status) {
    auto patch = said(second, "a", "a", false);
    patch.status = status;
    if (*patch.status == "ended") patch.end_reason = "closed";
    return patch;
  };

  EXPECT_EQ(built({stated(1, "ended"), stated(1, "open")}).status, "ended");
  EXPECT_EQ(built({stated(2, "open"), stated(1, "ended")}).status, "open");
  EXPECT_EQ(built({stated(2, "open"), stated(1, "ended")}).end_reason, "");
  EXPECT_EQ(built({said(3, "b", "b", false), stated(1, "ended")}).status, "ended");
}

TEST(MergeTest, a_bare_id_does_not_take_a_known_name_away) {
  auto named = said(1, "a", "a", false);
  named.parties = {{"p/1", "Mette", "customer", ""}};
  auto bare = said(2, "b", "b", false);
  bare.parties = {{"p/1", "", "", ""}, {"p", "", "agent", ""}};

  EXPECT_THAT(built({named, bare}).parties,
              testing::UnorderedElementsAre(Party{"p/1", "Mette", "customer", ""},
                                            Party{"p", "", "agent", ""}));
}

TEST(MergeTest, a_later_tag_list_replaces_the_earlier_and_null_removes_metadata) {
  auto first = said(1, "a", "a", false);
  first.tags = {"x", "y"};
  first.metadata = {{"plan", "pro"}, {"n", 1}};
  auto second = said(2, "b", "b", false);
  second.tags = {"z", "z"};
  second.metadata = {{"plan", nullptr}};

  EXPECT_THAT(built({second, first}).tags, ElementsAre("z"));
  EXPECT_EQ(json::dump(built({second, first}).metadata), R"({"n":1})");
}

TEST(MergeTest, a_conversation_that_says_only_its_id_is_there) {
  ConversationPatch patch;
  patch.external_id = "x";
  MergeState state;

  EXPECT_TRUE(state.apply(patch, "1"));
  EXPECT_FALSE(state.apply(patch, "1"));
  EXPECT_FALSE(MergeState::parse(state.serialise())->apply(patch, "2"));
}

TEST(MergeTest, refuses_a_state_it_did_not_write) {
  for (const auto* text :
       {"x", "{}", R"({"format":2,"facts":{}})", R"({"format":1,"facts":{"title":[0,0,7]}})",
        R"({"format":1,"facts":{"is_ended":[0,0,null]}})",
        R"({"format":1,"facts":{"title":["0",0,"a"]}})",
        R"({"format":1,"facts":{},"transcript":[0,0,{}]})",
        R"({"format":1,"facts":{},"turns":[]})"}) {
    const auto state = MergeState::parse(text);
    ASSERT_FALSE(state.has_value()) << text;
    EXPECT_EQ(state.error().code, ErrorCode::corrupt);
  }
}

}  // namespace
}  // namespace samtale
