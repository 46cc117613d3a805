// What a store must show of many rows at once: nothing else than of one after the other.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "store/store_conformance.h"

namespace samtale {

template <class Harness>
class StoreBatchConformance : public StoreConformance<Harness> {
 protected:
  using StoreConformance<Harness>::kOne;
  using StoreConformance<Harness>::kTwo;
  using Step = std::function<Result<>(StoreWriter&)>;

  // One random write about one of few conversations, so that they meet.
  Step step(std::mt19937& chance, CompanyId company) {
    const auto pick = [&](int below) { return static_cast<int>(chance() % unsigned(below)); };
    const auto name = std::string(1, static_cast<char>('a' + pick(3)));
    const auto id = make_conversation_id(company, "api", name);
    const auto some_chunk = this->chunk(static_cast<std::uint32_t>(pick(3)),
                                        std::string("text ") + std::to_string(pick(3)));
    switch (pick(8)) {
      case 0:
      case 1: {
        auto stored = this->conversation(company, name, 1000 + pick(5));
        stored.conversation.title = std::to_string(pick(100));
        return [=](StoreWriter& writer) { return writer.put_conversation(company, stored); };
      }
      case 2: {
        std::vector<Chunk> chunks;
        for (int i = 0, count = pick(4); i < count; ++i) {
          chunks.push_back(this->chunk(static_cast<std::uint32_t>(i),
                                       std::string("text ") + std::to_string(pick(3))));
        }
        return [=](StoreWriter& writer) { return writer.put_chunks(company, id, chunks); };
      }
      case 3:
      case 4: {
        const Embedding embedding{.model = "m", .vector = {static_cast<float>(pick(100)), 0}};
        return [=](StoreWriter& writer) {
          return writer.put_embedding(company, id, some_chunk, embedding);
        };
      }
      case 5:
        return [=](StoreWriter& writer) {
          return writer.put_embed_error(company, id, some_chunk, "too long");
        };
      case 6: {
        const auto analysis = this->analysis(pick(2) == 0 ? "mood" : "topics",
                                             {"label " + std::to_string(pick(3))}, 0.5, pick(4));
        return [=](StoreWriter& writer) { return writer.put_analysis(company, id, analysis); };
      }
      default:
        if (pick(10) != 0) {
          const auto known = this->event(company, "key " + std::to_string(pick(5)), "hash");
          return [=](StoreWriter& writer) -> Result<> {
            SAMTALE_TRY(const auto state, writer.put_event(company, known, from_us(5)));
            if (state != EventState::fresh) return {};
            return writer.enqueue(
                {.company = company, .kind = "embed", .payload = known.key, .key = "all"});
          };
        }
        return [=](StoreWriter& writer) -> Result<> {
          SAMTALE_TRY_VOID(writer.erase_conversation(company, id));
          return {};
        };
    }
  }

  // Everything that is there of the company, but for ids and times of its rows.
  std::string state_of(CompanyId company) {
    std::string all;
    for (const auto* name : {"a", "b", "c"}) {
      const auto id = make_conversation_id(company, "api", name);
      const auto found = this->store().find_conversation(company, id).value();
      all += std::string("\n") + name;
      if (found) all += " " + std::to_string(found->revision) + " " + found->conversation.title;
      const auto chunks = this->chunks(company, id);
      for (const auto& stored : chunks) {
        all += "\n chunk " + std::to_string(stored.chunk.ordinal) + " " + stored.chunk.text + " " +
               stored.embed_error;
        if (stored.embedding) all += " " + std::to_string(stored.embedding->vector[0]);
      }
      const auto analyses = this->store().analyses(company, id).value();
      for (const auto& one : analyses) {
        all += "\n " + one.analyzer + " " + std::to_string(one.revision) + " " + one.labels[0];
      }
      const auto labels = this->store().analysis_labels(company, id).value();
      for (const auto& one : labels) {
        all += "\n " + one.analyzer + " is " + one.label;
      }
    }
    const auto stats = this->store().company_stats(company).value();
    all += "\ncounts " + std::to_string(stats.conversations) + " " + std::to_string(stats.turns) +
           " " + std::to_string(stats.chunks) + " " + std::to_string(stats.chunks_without_vector) +
           " " + std::to_string(stats.events);
    const auto jobs = this->harness_.queue().waiting(company, 10).value();
    for (const auto& job : jobs) {
      all += "\njob " + job.payload;
    }
    return all;
  }
};

TYPED_TEST_SUITE_P(StoreBatchConformance);

TYPED_TEST_P(StoreBatchConformance, reads_many_in_the_order_they_are_asked_for) {
  const auto a = this->conversation(this->kOne, "a").conversation.id;
  const auto b = this->conversation(this->kOne, "b").conversation.id;
  const auto none = this->conversation(this->kOne, "none").conversation.id;
  for (const auto* name : {"a", "b"}) this->put(this->kOne, this->conversation(this->kOne, name));
  this->put_chunks(this->kOne, b, {this->chunk(0, "first of b"), this->chunk(1, "second of b")});
  this->put_chunks(this->kOne, a, {this->chunk(0, "of a")});
  this->embed(this->kOne, b, this->chunk(1, "second of b"), 7);
  this->analyse(this->kOne, b, this->analysis("mood", {"good"}));
  const std::vector asked{b, none, a, b};

  const auto conversations = this->store().find_conversations(this->kOne, asked).value();
  const auto summaries = this->store().find_summaries(this->kOne, asked).value();
  const auto chunks = this->store().chunks_of(this->kOne, asked).value();
  const auto analyses = this->store().analyses_of(this->kOne, asked).value();
  const auto labels = this->store().analysis_labels_of(this->kOne, asked).value();
  const std::vector<ChunkPlace> places{{b, 1}, {a, 1}, {a, 0}, {b, 1}};
  const auto found = this->store().find_chunks(this->kOne, places).value();

  ASSERT_EQ(conversations.size(), 4u);
  EXPECT_EQ(conversations[0]->conversation.id, b);
  EXPECT_FALSE(conversations[1]);
  EXPECT_EQ(conversations[2]->conversation.id, a);
  EXPECT_EQ(conversations[3]->conversation.id, b);
  ASSERT_EQ(summaries.size(), 4u);
  EXPECT_EQ(summaries[0]->head.id, b);
  EXPECT_FALSE(summaries[1]);
  EXPECT_EQ(summaries[2]->head.id, a);
  EXPECT_EQ(summaries[3]->head.id, b);
  ASSERT_EQ(chunks.size(), 4u);
  ASSERT_EQ(chunks[0].size(), 2u);
  EXPECT_EQ(chunks[0][0].chunk.text, "first of b");
  EXPECT_EQ(chunks[0][1].embedding->vector[0], 7);
  EXPECT_TRUE(chunks[1].empty());
  EXPECT_EQ(chunks[2].size(), 1u);
  EXPECT_EQ(chunks[3].size(), 2u);
  ASSERT_EQ(analyses.size(), 4u);
  EXPECT_EQ(analyses[0].at(0).analyzer, "mood");
  EXPECT_TRUE(analyses[2].empty());
  EXPECT_EQ(labels[3].at(0).label, "good");
  EXPECT_TRUE(labels[1].empty());
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0]->chunk.text, "second of b");
  EXPECT_FALSE(found[1]);
  EXPECT_EQ(found[2]->chunk.text, "of a");
  EXPECT_EQ(found[3]->chunk.text, "second of b");
  EXPECT_TRUE(this->store().find_conversations(this->kOne, {})->empty());
}

// The same steps for two companies: for one in a transaction each, for the other all in one, of
// which some are announced.
TYPED_TEST_P(StoreBatchConformance, writes_the_same_in_one_transaction_as_in_many) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto one = static_cast<CompanyId>(100 + 2 * seed);
    const auto two = static_cast<CompanyId>(101 + 2 * seed);
    constexpr int kSteps = 30;
    std::mt19937 chance(seed);
    for (int i = 0; i < kSteps; ++i) this->write(one, this->step(chance, one));

    chance.seed(seed);
    this->write(two, [&](StoreWriter& writer) -> Result<> {
      auto again = chance;
      const std::vector<std::string> keys{"key 1", "key 2"};
      const std::vector ids{make_conversation_id(two, "api", "a")};
      if (seed % 2 == 0) SAMTALE_TRY_VOID(writer.expect(two, keys, ids));
      for (int i = 0; i < kSteps; ++i) SAMTALE_TRY_VOID(this->step(again, two)(writer));
      return {};
    });

    ASSERT_EQ(this->state_of(one), this->state_of(two));
  }
}

TYPED_TEST_P(StoreBatchConformance, keeps_what_is_there_of_a_conversation_that_is_announced_twice) {
  auto stored = this->conversation(this->kOne, "c");
  stored.state = "what was said so far";
  this->put(this->kOne, stored);
  const auto id = stored.conversation.id;

  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.expect(this->kOne, std::vector<std::string>{"k", "k"},
                                   std::vector<ConversationId>{id, id}));
    SAMTALE_TRY(const auto found, writer.find_conversation(this->kOne, id));
    EXPECT_EQ(found->state, "what was said so far");
    EXPECT_EQ(found->revision, 1);
    return {};
  });
}

REGISTER_TYPED_TEST_SUITE_P(StoreBatchConformance, reads_many_in_the_order_they_are_asked_for,
                            keeps_what_is_there_of_a_conversation_that_is_announced_twice,
                            writes_the_same_in_one_transaction_as_in_many);

}  // namespace samtale
