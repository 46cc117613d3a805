// Goal:   every chunk fits, is whole UTF-8 and says what was said; nothing said is lost.
// Method: the properties are checked for each conversation of this file: the examples, the extreme
//         ones (faults.md F12, F13), and a thousand seeded ones.
#include "text/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/bytes.h"
#include "text/break_iterator.h"
#include "text/testing/texts.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Turn turn(std::string role, std::string text) {
  Turn turn;
  turn.role = std::move(role);
  turn.text = std::move(text);
  return turn;
}

Conversation conversation(std::vector<Turn> turns) {
  Conversation conversation;
  conversation.channel = "chat";
  conversation.turns = std::move(turns);
  return conversation;
}

std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(" \t\r\n\v\f").find(c) == std::string_view::npos) out += c;
  }
  return out;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// All of `text`, in its order, with other things (labels, other turns) between.
bool is_within(std::string_view text, std::string_view all) {
  for (const char c : all) {
    if (!text.empty() && text.front() == c) text.remove_prefix(1);
  }
  return text.empty();
}

// What the header promises of any conversation.
std::vector<Chunk> cut_checked(const Conversation& conversation, const ChunkPolicy& policy = {}) {
  const auto chunks = cut(conversation, policy);
  EXPECT_EQ(chunks, cut(conversation, policy)) << "equal input gives equal chunks";
  EXPECT_LE(chunks.size(), policy.chunks_max);
  std::vector<std::string> said(conversation.turns.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const auto& chunk = chunks[i];
    EXPECT_EQ(chunk.ordinal, i);
    EXPECT_LE(chunk.first_turn, chunk.last_turn);
    EXPECT_LT(chunk.last_turn, conversation.turns.size());
    EXPECT_TRUE(i == 0 || chunk.last_turn >= chunks[i - 1].last_turn);
    EXPECT_FALSE(chunk.text.empty());
    EXPECT_EQ(chunk.policy, policy.name);
    for (auto t = chunk.first_turn; t <= chunk.last_turn; ++t)
      said[t] += without_spaces(chunk.text);
  }
  for (std::size_t t = 0; t < said.size(); ++t) {
    const auto text = without_spaces(conversation.turns[t].text);
    EXPECT_TRUE(is_within(text, said[t])) << "turn " << t << " is not all there";
  }
  return chunks;
}

void expect_fits(const std::vector<Chunk>& chunks, std::size_t tokens_max) {
  for (const auto& chunk : chunks) {
    ASSERT_LE(estimate_tokens(chunk.text), tokens_max) << chunk.text.substr(0, 200);
    ASSERT_TRUE(is_utf8(chunk.text));
    ASSERT_TRUE(is_utf8(chunk.header));
  }
}

TEST(ChunkerTest, writes_who_said_what_under_a_header) {
  auto talk = conversation({turn("customer", "Hvor er min pakke?"), turn("agent", "Et øjeblik.")});
  talk.turns[1].name = "Mette";
  talk.started_at = parse_time("2026-09-14T10:00:00Z");
  talk.title = "Pakke\nvæk";

  const auto chunks = cut_checked(talk);

  ASSERT_THAT(chunks, SizeIs(1));
  EXPECT_EQ(chunks[0].text, "customer: Hvor er min pakke?\nMette: Et øjeblik.\n");
  EXPECT_EQ(chunks[0].header, "chat, 2026-09-14, customer and agent, Pakke væk");
  EXPECT_EQ(chunks[0].last_turn, 1U);
}

TEST(ChunkerTest, cuts_nothing_out_of_nothing) {
  EXPECT_THAT(cut_checked(conversation({})), IsEmpty());
  EXPECT_THAT(cut_checked(conversation({turn("customer", ""), turn("agent", " \n\t ")})),
              IsEmpty());
}

TEST(ChunkerTest, repeats_a_short_turn_in_the_next_window_but_not_a_long_one) {
  const ChunkPolicy policy{.tokens_max = 16, .overlap_turns = 1, .overlap_tokens_max = 5};

  const auto chunks =
      cut_checked(conversation({turn("", "one two three four five six seven eight nine ten"),
                                turn("", "short one"), turn("", "a b c d e f g h i j k l"),
                                turn("", "m n o p q r s t u v")}),
                  policy);

  ASSERT_THAT(chunks, SizeIs(3));
  EXPECT_THAT(chunks[0].text, HasSubstr("ten\nshort one\n"));
  EXPECT_EQ(chunks[1].text, "short one\na b c d e f g h i j k l\n");
  EXPECT_EQ(chunks[2].text, "m n o p q r s t u v\n");
}

TEST(ChunkerTest, cuts_a_long_turn_at_sentences_and_names_who_said_each) {
  const auto text = repeated("Pakken kom d. 3. marts kl. 14, f.eks. til Aarhus. ", 40);

  const auto chunks = cut_checked(conversation({turn("customer", text)}));

  ASSERT_GT(chunks.size(), 1U);
  expect_fits(chunks, ChunkPolicy{}.tokens_max);
  for (const auto& chunk : chunks) {
    EXPECT_TRUE(chunk.text.starts_with("customer: Pakken kom")) << chunk.text;
    EXPECT_TRUE(chunk.text.ends_with("til Aarhus.\n")) << chunk.text;
  }
}

TEST(ChunkerTest, cuts_a_sentence_that_is_too_long_at_words) {
  const auto chunks = cut_checked(conversation({turn("", repeated("ord, ", 2000))}));

  ASSERT_GT(chunks.size(), 1U);
  expect_fits(chunks, ChunkPolicy{}.tokens_max);
  for (const auto& chunk : chunks) EXPECT_TRUE(chunk.text.ends_with("ord,\n"));
}

TEST(ChunkerTest, cuts_emoji_without_spaces_between_them_only) {
  const std::string_view family = "👩‍👩‍👧";
  const auto text = repeated(family, 64 * 1024 / family.size());

  const auto chunks = cut_checked(conversation({turn("customer", text)}));

  ASSERT_GT(chunks.size(), 1U);
  expect_fits(chunks, ChunkPolicy{}.tokens_max);
  for (const auto& chunk : chunks) {
    const auto said = chunk.text.size() - std::string_view("customer: \n").size();
    EXPECT_EQ(said % family.size(), 0U);
  }
}

TEST(ChunkerTest, holds_combining_bombs_and_right_to_left_text_to_the_window) {
  const auto bomb = "a" + repeated("\u0301\u0323", 100'000);
  const auto hebrew = repeated("שלום עולם\u202E ", 2'000);
  const auto one_cluster = repeated("👩\u200D", 20'000);

  const auto chunks = cut_checked(
      conversation({turn("customer", bomb), turn("agent", hebrew), turn("bot", one_cluster)}));

  expect_fits(chunks, ChunkPolicy{}.tokens_max);
}

TEST(ChunkerTest, cuts_a_meeting_of_thousands_of_turns) {
  std::vector<Turn> turns;
  for (int i = 0; i < 1'831; ++i) {
    turns.push_back(
        turn("phd_" + std::to_string(i % 7), "Turn " + std::to_string(i) + " , yeah ."));
  }

  const auto chunks = cut_checked(conversation(std::move(turns)));

  expect_fits(chunks, ChunkPolicy{}.tokens_max);
  EXPECT_EQ(chunks.back().last_turn, 1'830U);
  EXPECT_THAT(chunks[0].header, HasSubstr("phd_3 and others"));
}

TEST(ChunkerTest, cuts_turns_that_are_all_the_same) {
  const auto chunks = cut_checked(conversation(std::vector<Turn>(5'000, turn("bot", "OK"))));

  expect_fits(chunks, ChunkPolicy{}.tokens_max);
}

TEST(ChunkerTest, grows_the_windows_of_ten_megabytes_to_keep_within_the_number_of_chunks) {
  const auto text = repeated("Dette er en sætning om en faktura, nummer 4711. ", 200'000);

  const auto chunks = cut(conversation({turn("customer", text)}), ChunkPolicy{});

  EXPECT_LE(chunks.size(), ChunkPolicy{}.chunks_max);
  EXPECT_GT(chunks.size(), ChunkPolicy{}.chunks_max / 2);
}

TEST(ChunkerTest, keeps_within_any_number_of_chunks) {
  const auto talk = conversation(std::vector<Turn>(300, turn("bot", "one two three four five")));
  for (const std::size_t chunks_max : {1, 2, 3, 10, 100}) {
    const ChunkPolicy policy{.tokens_max = 8, .chunks_max = chunks_max};

    const auto chunks = cut_checked(talk, policy);

    EXPECT_EQ(chunks.back().last_turn, 299U);
  }
}

TEST(ChunkerTest, does_not_let_a_name_crowd_out_what_was_said) {
  auto talk = conversation({turn("customer", repeated("word ", 500))});
  talk.turns[0].name = repeated("A very long name ", 10'000);

  const auto chunks = cut_checked(talk);

  expect_fits(chunks, ChunkPolicy{}.tokens_max);
  EXPECT_LT(chunks.size(), 6U);
}

TEST(ChunkerTest, keeps_what_it_promises_for_any_conversation) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 1'000; ++i) {
    std::vector<Turn> turns;
    for (auto left = random() % 12; left > 0; --left) {
      turns.push_back(turn(testing_texts::random_text(random, 3),
                           testing_texts::random_text(random, random() % 8 == 0 ? 300 : 20)));
    }
    const ChunkPolicy policy{.tokens_max = 8 + random() % 60,
                             .overlap_turns = random() % 3,
                             .overlap_tokens_max = random() % 20};

    const auto chunks = cut_checked(conversation(std::move(turns)), policy);

    expect_fits(chunks, policy.tokens_max);
    ASSERT_FALSE(testing::Test::HasFailure()) << "round " << i;
  }
}

TEST(ChunkerTest, loses_and_repeats_nothing_of_a_turn_in_pieces) {
  std::mt19937_64 random(10);
  for (int i = 0; i < 1'000; ++i) {
    const auto text = testing_texts::random_text(random, 300);

    std::string pieces;
    for (const auto& chunk : cut_checked(conversation({turn("", text)}), {.tokens_max = 20})) {
      pieces += chunk.text;
    }

    ASSERT_EQ(without_spaces(pieces), without_spaces(text));
  }
}

TEST(ChunkerTest, survives_bytes_that_are_no_text) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 2'000; ++i) {
    const auto talk = conversation(
        {turn(testing_texts::random_bytes(random, 3), testing_texts::random_bytes(random, 100))});

    cut_checked(talk, {.tokens_max = 10});
  }
}

TEST(ChunkerTest, finds_policies_by_name) {
  ASSERT_NE(find_chunk_policy("turns-v1"), nullptr);
  EXPECT_EQ(find_chunk_policy("turns-v1")->tokens_max, ChunkPolicy{}.tokens_max);
  EXPECT_EQ(find_chunk_policy("turns-v0"), nullptr);
}

TEST(EstimateTokensTest, is_near_what_models_make_of_text) {
  EXPECT_EQ(estimate_tokens(""), 0U);
  EXPECT_EQ(estimate_tokens("Where is my parcel?"), 5U);
  EXPECT_EQ(estimate_tokens("kundeservicemedarbejderne"), 5U);
  EXPECT_EQ(estimate_tokens("我想取消订单"), 4U);
}

TEST(EstimateTokensTest, of_lines_is_the_sum_of_the_lines) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 2'000; ++i) {
    const auto a = testing_texts::random_text(random, 20);
    const auto b = testing_texts::random_text(random, 20);

    EXPECT_EQ(estimate_tokens(a + "\n" + b), estimate_tokens(a) + estimate_tokens(b));
    EXPECT_LE(estimate_tokens(a), estimate_tokens(a + b));
  }
}

}  // namespace
}  // namespace samtale
