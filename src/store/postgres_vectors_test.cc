// Goal:   what a company's search by pgvector finds is what the store has of it at that moment: no
//         more, no less, whoever else is in the same partition.
// Method: vectors go in as servers write them; small ones whose nearest are plain to see, and many
//         random ones whose nearest a loop over all of them tells.
#include "store/postgres_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sim/memory_log.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using postgres::PostgresProcess;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};
constexpr Partition kOnly{0};

ConversationId id_of(CompanyId company, int name) {
  return make_conversation_id(company, "api", std::to_string(name));
}

Chunk chunk(std::uint32_t ordinal, const std::string& text) {
  return {.ordinal = ordinal, .header = "", .text = text, .policy = "p"};
}

auto is(const ConversationId& id, std::uint32_t ordinal, float score) {
  return AllOf(Field(&FoundVector::conversation, id), Field(&FoundVector::ordinal, ordinal),
               Field(&FoundVector::score, testing::FloatNear(score, 1e-6F)));
}

std::vector<float> random_vector(std::mt19937_64& random, std::size_t dimension) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimension);
  float length = 0;
  for (auto& value : vector) {
    value = normal(random);
    length += value * value;
  }
  for (auto& value : vector) value /= std::sqrt(length);
  return vector;
}

class PostgresVectorsTest : public ::testing::Test {
 protected:
  // Each text with its vector.
  using Texts = std::vector<std::pair<std::string, std::vector<float>>>;

  PostgresStore& store() { return harness_.store(); }
  std::unique_ptr<PostgresVectors> open(const std::string& model, std::size_t dimension) {
    return PostgresVectors::open(store().database(),
                                 {.model = model, .dimension = dimension, .partitions = 1}, log_)
        .value();
  }
  static void put(PostgresStore& store, CompanyId company, int name, const Texts& texts,
                  const std::string& model = "m") {
    const auto done = store.write(kOnly, [&](StoreWriter& writer) -> Result<> {
      StoredConversation stored;
      stored.conversation.id = id_of(company, name);
      SAMTALE_TRY_VOID(writer.put_conversation(company, stored));
      std::vector<Chunk> chunks;
      for (const auto& [text, vector] : texts) {
        chunks.push_back(chunk(static_cast<std::uint32_t>(chunks.size()), text));
      }
      SAMTALE_TRY_VOID(writer.put_chunks(company, id_of(company, name), chunks));
      for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].second.empty()) continue;
        SAMTALE_TRY_VOID(writer.put_embedding(company, id_of(company, name), chunks[i],
                                              {.model = model, .vector = texts[i].second}));
      }
      return {};
    });
    ASSERT_TRUE(done) << done.error().message;
  }
  static void erase(PostgresStore& store, CompanyId company, int name) {
    ASSERT_TRUE(store.write(kOnly, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.erase_conversation(company, id_of(company, name)));
      return {};
    }));
  }
  std::vector<FoundVector> scan(CompanyId company, const std::vector<float>& vector,
                                std::size_t limit = 10,
                                const std::vector<ConversationId>* only = nullptr) {
    const auto found = vectors_->scan(company, {.vector = vector, .limit = limit}, only);
    EXPECT_TRUE(found) << found.error().message;
    return found.value_or(std::vector<FoundVector>());
  }
  // As the administrator.
  std::string ask(const std::string& sql) {
    SystemClock clock;
    const auto admin = PostgresProcess::shared().connect("admin");
    EXPECT_TRUE(admin->send("SELECT set_config('search_path', $1, false)", schema_));
    EXPECT_TRUE(admin->send(sql));
    const auto rows = admin->sync(clock.now() + std::chrono::seconds(30));
    EXPECT_TRUE(rows) << sql << ": " << rows.error().message;
    return rows && !rows->back().empty() ? std::string(rows->back().bytes(0, 0)) : "";
  }
  static void make_graph(VectorSearch& vectors, CompanyId company) {
    for (bool is_there = false; !is_there;) {
      const auto made = vectors.make_graph(company);
      ASSERT_TRUE(made) << made.error().message;
      is_there = *made;
    }
  }

  const std::string schema_ = PostgresProcess::shared().fresh_schema();
  PgvectorHarness<1> harness_{pgvector_options(schema_, 1)};
  MemoryLog log_;
  std::unique_ptr<PostgresVectors> vectors_ = open("m", 2);
};

TEST_F(PostgresVectorsTest, finds_the_nearest_with_the_commit_that_stored_them) {
  put(store(), kAcme, 1, {{"east", {1, 0}}, {"north", {0, 1}}, {"none yet", {}}});
  put(store(), kAcme, 2, {{"north east", {0.6F, 0.8F}}});

  EXPECT_THAT(scan(kAcme, {1, 0}),
              ElementsAre(is(id_of(kAcme, 1), 0, 1), is(id_of(kAcme, 2), 0, 0.6F),
                          is(id_of(kAcme, 1), 1, 0)));
  EXPECT_THAT(scan(kAcme, {1, 0}, 1), SizeIs(1));
}

TEST_F(PostgresVectorsTest, gives_back_the_bits_of_a_vector) {
  EXPECT_EQ(pgvector_text(std::vector<float>{0.1F, -1e-30F, 1}), "[0.1,-1e-30,1]");
}

TEST_F(PostgresVectorsTest, forgets_with_the_commit_that_deletes) {
  put(store(), kAcme, 1, {{"east", {1, 0}}});
  put(store(), kAcme, 2, {{"east", {1, 0}}, {"north", {0, 1}}});

  erase(store(), kAcme, 1);
  put(store(), kAcme, 2, {{"north", {}}});

  EXPECT_THAT(scan(kAcme, {1, 0}), ElementsAre(is(id_of(kAcme, 2), 0, 0)));
  EXPECT_EQ(ask("SELECT count(*)::text FROM embeddings"), "1");
}

TEST_F(PostgresVectorsTest, never_finds_another_companys) {
  put(store(), kAcme, 1, {{"east", {1, 0}}});
  const std::vector only{id_of(kAcme, 1)};

  EXPECT_THAT(scan(kGlobex, {1, 0}), IsEmpty());
  EXPECT_THAT(scan(kGlobex, {1, 0}, 10, &only), IsEmpty());
  EXPECT_THAT(
      vectors_->walk(kGlobex, {.vector = std::vector<float>{1, 0}, .limit = 10}, 10).value(),
      IsEmpty());
}

TEST_F(PostgresVectorsTest, compares_vectors_of_one_model_only) {
  put(store(), kAcme, 1, {{"east", {1, 0, 0}}}, "another");
  put(store(), kAcme, 2, {{"east", {1, 0}}});

  EXPECT_THAT(scan(kAcme, {1, 0}), SizeIs(1));
  put(store(), kAcme, 1, {{"east", {0, 1}}});
  EXPECT_THAT(scan(kAcme, {1, 0}), SizeIs(2));
}

TEST_F(PostgresVectorsTest, compares_only_the_conversations_that_are_named) {
  for (int name = 1; name <= 3; ++name) put(store(), kAcme, name, {{"east", {1, 0}}});
  const std::vector only{id_of(kAcme, 3), id_of(kAcme, 4)};

  EXPECT_THAT(scan(kAcme, {1, 0}, 10, &only), ElementsAre(is(id_of(kAcme, 3), 0, 1)));
}

TEST_F(PostgresVectorsTest, puts_in_what_was_stored_by_a_server_without_it) {
  PostgresHarness<1> without(postgres_options(schema_, 1));
  put(without.store(), kAcme, 1, {{"east", {1, 0}}, {"none yet", {}}});
  put(without.store(), kAcme, 2, {{"east", {1, 0, 0}}}, "another");
  const std::vector both{id_of(kAcme, 1), id_of(kAcme, 2)};
  ASSERT_THAT(scan(kAcme, {1, 0}), IsEmpty());

  for (int i = 0; i < 2; ++i) ASSERT_TRUE(vectors_->fill(kAcme, both));

  EXPECT_THAT(scan(kAcme, {1, 0}), ElementsAre(is(id_of(kAcme, 1), 0, 1)));
}

TEST_F(PostgresVectorsTest, holds_nothing_outdated_of_what_a_server_without_it_has_changed) {
  PostgresHarness<1> without(postgres_options(schema_, 1));
  for (int name = 1; name <= 2; ++name) put(store(), kAcme, name, {{"east", {1, 0}}});

  put(without.store(), kAcme, 1, {{"east", {0, 1}}});
  erase(without.store(), kAcme, 2);

  EXPECT_THAT(scan(kAcme, {1, 0}), IsEmpty());
  ASSERT_TRUE(vectors_->fill(kAcme, std::vector{id_of(kAcme, 1), id_of(kAcme, 2)}));
  EXPECT_THAT(scan(kAcme, {1, 0}), ElementsAre(is(id_of(kAcme, 1), 0, 0)));
}

TEST_F(PostgresVectorsTest, brings_back_nothing_that_is_deleted_while_it_is_put_in) {
  PostgresHarness<1> without(postgres_options(schema_, 1));
  constexpr int kNames = 40;
  std::vector<ConversationId> all;
  for (int name = 0; name < kNames; ++name) all.push_back(id_of(kAcme, name));
  std::atomic<bool> is_over = false;
  std::thread filler([&] {
    while (!is_over) EXPECT_TRUE(vectors_->fill(kAcme, all));
  });

  for (int name = 0; name < kNames; ++name) {
    put(without.store(), kAcme, name, {{"east", {1, 0}}, {"north", {0, 1}}});
    if (name % 2 == 0) put(without.store(), kAcme, name, {{"east", {0, 1}}});
    if (name % 4 != 0) erase(without.store(), kAcme, name);
  }
  is_over = true;
  filler.join();

  ASSERT_TRUE(vectors_->fill(kAcme, all));
  const auto found = scan(kAcme, {0, 1}, 100);
  EXPECT_EQ(found.size(), static_cast<std::size_t>(kNames / 4));
  for (const auto& one : found) EXPECT_EQ(one.score, 1);
  EXPECT_EQ(ask("SELECT count(*)::text FROM embeddings"), std::to_string(kNames / 4));
}

TEST_F(PostgresVectorsTest, keeps_vectors_beside_their_rows) {
  std::mt19937_64 random(1);
  put(store(), kAcme, 1, {{"large", random_vector(random, 1024)}}, "1024");
  put(store(), kAcme, 2, {{"larger", random_vector(random, 1900)}}, "1900");

  const auto out_of_line =
      ask("SELECT sum(pg_relation_size(reltoastrelid))::text FROM pg_class "
          "WHERE relname LIKE 'embeddings__' AND relkind = 'r' "
          "AND relnamespace = current_schema()::regnamespace");

  EXPECT_EQ(out_of_line, "0");
  put(store(), kAcme, 3, {{"largest", random_vector(random, 3072)}}, "3072");
  EXPECT_THAT(open("3072", 3072)
                  ->scan(kAcme, {.vector = random_vector(random, 3072), .limit = 1}, nullptr)
                  .value(),
              SizeIs(1))
      << "which no page has room for";
}

// The reference of what goes wrong: one graph of all, asked for one company's, finds none of them.
TEST_F(PostgresVectorsTest, a_company_of_one_percent_gets_all_it_asks_for_beside_a_large_one) {
  constexpr std::size_t kDimension = 32;
  constexpr std::size_t kWanted = 20;
  std::mt19937_64 random(1);
  const auto near = open("m", kDimension);
  std::vector<std::vector<float>> of_small;
  for (int name = 0; name < 100; ++name) {
    Texts texts;
    for (int i = 0; i < 100; ++i) {
      texts.emplace_back(std::to_string(i), random_vector(random, kDimension));
    }
    put(store(), kAcme, name, texts);
    of_small.push_back(random_vector(random, kDimension));
    put(store(), kGlobex, name, {{"t", of_small.back()}});
  }
  ask("ANALYZE embeddings");
  for (const auto company : {kAcme, kGlobex}) make_graph(*near, company);

  std::size_t found = 0;
  for (int query = 0; query < 20; ++query) {
    const auto vector = random_vector(random, kDimension);
    std::vector<float> scores;
    for (const auto& one : of_small) {
      scores.push_back(std::inner_product(one.begin(), one.end(), vector.begin(), 0.0F));
    }
    std::ranges::sort(scores, std::greater());
    const VectorQuestion question{.vector = vector, .limit = kWanted};

    const auto scanned = near->scan(kGlobex, question, nullptr).value();
    const auto walked = near->walk(kGlobex, question, 2 * kWanted).value();
    const auto of_large = near->walk(kAcme, question, 2 * kWanted).value();

    ASSERT_EQ(scanned.size(), kWanted);
    for (std::size_t i = 0; i < kWanted; ++i) EXPECT_NEAR(scanned[i].score, scores[i], 1e-5);
    EXPECT_EQ(walked.size(), kWanted);
    EXPECT_EQ(of_large.size(), kWanted);
    for (const auto& one : walked) found += one.score > scores[kWanted - 1] - 1e-5F ? 1 : 0;
  }
  EXPECT_GE(static_cast<double>(found) / (20 * kWanted), 0.95);
}

TEST_F(PostgresVectorsTest, goes_on_where_the_first_candidates_of_a_graph_are_too_few) {
  std::mt19937_64 random(1);
  const auto near = open("m", 16);
  Texts texts;
  for (int i = 0; i < 500; ++i) texts.emplace_back(std::to_string(i), random_vector(random, 16));
  put(store(), kAcme, 1, texts);
  make_graph(*near, kAcme);

  const auto found =
      near->walk(kAcme, {.vector = random_vector(random, 16), .limit = 400}, 40).value();

  EXPECT_EQ(found.size(), 400u);
}

TEST_F(PostgresVectorsTest,
       makes_a_graph_again_that_was_cut_short_and_drops_that_of_another_model) {
  put(store(), kAcme, 1, {{"east", {1, 0}}});
  make_graph(*open("another", 2), kAcme);
  const auto graphs = [this] {
    return ask(
        "SELECT count(*)::text FROM pg_indexes WHERE schemaname = current_schema() "
        "AND indexname LIKE 'embeddings_near_%'");
  };

  make_graph(*vectors_, kAcme);
  ASSERT_EQ(graphs(), "1");
  ask("UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT oid FROM pg_class "
      "WHERE relname LIKE 'embeddings_near_%' AND relnamespace = current_schema()::regnamespace)");

  EXPECT_FALSE(vectors_->make_graph(kAcme).value());
  EXPECT_TRUE(vectors_->make_graph(kAcme).value());
  EXPECT_EQ(graphs(), "1");
  EXPECT_FALSE(open("wide", 4001)->make_graph(kAcme).value()) << "more than halfvec takes";
}

TEST_F(PostgresVectorsTest, tells_the_owner_how_to_make_a_graph_where_we_are_not_the_owner) {
  put(store(), kAcme, 1, {{"east", {1, 0}}});
  for (const auto* leaf : {"embeddings_0", "embeddings_1"}) {
    ask("ALTER TABLE " + std::string(leaf) + " OWNER TO admin");
  }

  for (int i = 0; i < 3; ++i) EXPECT_FALSE(vectors_->make_graph(kAcme).value());
  ASSERT_THAT(log_.lines(), SizeIs(1));
  auto line = log_.lines().front();
  line.erase(line.find("CONCURRENTLY "), 13);  // Which only a statement by itself may be.
  ask(line.substr(line.find("CREATE INDEX")));

  EXPECT_TRUE(vectors_->make_graph(kAcme).value());
}

TEST_F(PostgresVectorsTest, names_the_extension_and_the_remedy_where_it_is_missing_or_too_old) {
  const auto opened = [&] {
    SystemClock clock;
    SystemRandom random;
    return PostgresStore::open(pgvector_options(schema_, 1), clock, random);
  };
  ask("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'");
  const auto old = opened();
  ask("UPDATE pg_extension SET extversion = '0.8.0', extname = 'vector_' WHERE extname = 'vector'");
  auto options = postgres_options(schema_, 1);
  options.has_pgvector = true;
  SystemClock clock;
  SystemRandom random;
  const auto missing = PostgresStore::open(options, clock, random);
  ask("UPDATE pg_extension SET extname = 'vector' WHERE extname = 'vector_'");

  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(old.error().message, AllOf(HasSubstr("0.7.4"), HasSubstr("ALTER EXTENSION vector")));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("CREATE EXTENSION vector"));
  EXPECT_TRUE(opened());
}

TEST_F(PostgresVectorsTest, a_server_that_may_not_change_tables_says_who_should) {
  auto options = pgvector_options(PostgresProcess::shared().fresh_schema(), 1);
  options.has_pgvector = false;
  PostgresHarness<1> without(options);
  options.has_pgvector = true;
  options.database.migrate = false;
  SystemClock clock;
  SystemRandom random;

  const auto refused = PostgresStore::open(options, clock, random);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("samtale migrate"));
}

}  // namespace
}  // namespace samtale
