// Goal:   a company goes to partitions of its own and back while many write, and nothing is lost,
//         doubled, shown to others or kept waiting for long.
// Method: writers know what they wrote; an administrator, whom no policy binds, says where it lies.
#include "store/postgres_partitions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <span>
#include <thread>
#include <vector>

#include "store/postgres_schema.h"
#include "store/testing/postgres_harness.h"

namespace samtale {
namespace {

using postgres::Database;
using postgres::PostgresProcess;

constexpr int kCompanies = 6;  // In two hash partitions, so that some share the giant's.
constexpr CompanyId kGiant{1};

CompanyId company(int i) { return static_cast<CompanyId>(i); }

ConversationId id_of(CompanyId company, int name) {
  return make_conversation_id(company, "api", std::to_string(name));
}

// A conversation with its chunks and something in each of the large tables.
Result<> put(PostgresStore& store, CompanyId company, int name) {
  return store.write(store.partition_of(company), [&](StoreWriter& writer) -> Result<> {
    StoredConversation stored;
    stored.conversation.id = id_of(company, name);
    stored.conversation.source = "api";
    stored.conversation.external_id = std::to_string(name);
    SAMTALE_TRY_VOID(writer.put_conversation(company, stored));
    const std::vector<Chunk> chunks{
        {.ordinal = 0, .header = "", .text = "first", .policy = "p"},
        {.ordinal = 1, .header = "", .text = "second " + std::to_string(name), .policy = "p"}};
    SAMTALE_TRY_VOID(writer.put_chunks(company, id_of(company, name), chunks));
    SAMTALE_TRY_VOID(writer.put_event(
        company,
        {.key = std::to_string(name), .body_hash = "h", .conversation = id_of(company, name)},
        from_us(1)));
    SAMTALE_TRY_VOID(writer.put_analysis(
        company, id_of(company, name),
        {.analyzer = "a", .method = "m", .result = "{}", .labels = {"one", "two"}}));
    return writer.put_lm_result(company, id_of(company, name), std::to_string(name), "{}",
                                from_us(1));
  });
}

Result<> erase(PostgresStore& store, CompanyId company, int name) {
  return store.write(store.partition_of(company), [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.erase_conversation(company, id_of(company, name)));
    return {};
  });
}

// What is there of a company, as a server reads it.
std::string contents(PostgresStore& store, CompanyId company) {
  std::string all;
  for (std::string cursor;;) {
    const auto page = store.list_conversations(company, {.limit = 200, .cursor = cursor}).value();
    for (const auto& summary : page.conversations) {
      all += summary.head.external_id + " revision " + std::to_string(summary.revision) + ":";
      const auto chunks = store.chunks(company, summary.head.id).value();
      for (const auto& chunk : chunks) {
        all += " " + chunk.chunk.text;
      }
      all += store.analyses(company, summary.head.id).value().empty() ? "" : " analysed";
      all += store.find_event(company, summary.head.external_id).value() ? " event" : "";
      all += store.find_lm_result(company, summary.head.external_id).value() ? " answer\n" : "\n";
    }
    if (page.next_cursor.empty()) return all;
    cursor = page.next_cursor;
  }
}

class PostgresPartitionsTest : public ::testing::Test {
 protected:
  PostgresPartitionsTest() {
    for (int i = 1; i <= kCompanies; ++i) {
      for (int name = 0; name < 40; ++name) EXPECT_TRUE(put(store(), company(i), name));
      EXPECT_TRUE(erase(store(), company(i), 39));
    }
  }
  PostgresStore& store() { return harness_.store(); }
  Result<std::vector<PartitionMove>> move(bool to_its_own) {
    PostgresPartitions partitions(store().database(), clock_, [](std::string_view) {});
    return to_its_own ? partitions.promote(kGiant) : partitions.demote(kGiant);
  }
  // As the administrator: "table partition: of whom, how many rows", or whatever is asked.
  std::vector<std::string> ask(const std::string& sql) {
    const auto admin = PostgresProcess::shared().connect("admin");
    EXPECT_TRUE(admin->send("SELECT set_config('search_path', $1, false)", schema_));
    EXPECT_TRUE(admin->send(sql));
    const auto rows = admin->sync(clock_.now() + std::chrono::seconds(30));
    EXPECT_TRUE(rows) << rows.error().message;
    std::vector<std::string> answer;
    for (std::size_t i = 0; rows && i < rows->back().size(); ++i) {
      answer.emplace_back(rows->back().bytes(i, 0));
    }
    return answer;
  }
  std::vector<std::string> partitions_of_giant() {
    std::vector<std::string> all;
    for (const auto* table : kTables) {
      const auto found = ask("SELECT DISTINCT tableoid::regclass::text FROM " + std::string(table) +
                             " WHERE company = 1");
      all.insert(all.end(), found.begin(), found.end());
    }
    return all;
  }
  // What a move makes on its way.
  std::vector<std::string> leftovers() {
    return ask(
        "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
        "AND relkind = 'r' AND relname ~ '_(new|old)_' UNION ALL "
        "SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
        "AND proname ~ '_mirror_' UNION ALL "
        "SELECT polname::text FROM pg_policy JOIN pg_class AS c ON c.oid = polrelid "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relispartition");
  }

  static constexpr const char* kTables[] = {"conversations", "chunks",   "events",
                                            "tombstones",    "analyses", "analysis_labels",
                                            "lm_results"};
  const std::string schema_ = PostgresProcess::shared().fresh_schema();
  SystemClock clock_;
  PostgresHarness<4> harness_{postgres_options(schema_, 4)};
};

TEST_F(PostgresPartitionsTest, moves_a_company_and_what_it_shared_stays_with_the_others) {
  std::map<int, std::string> before;
  for (int i = 1; i <= kCompanies; ++i) before[i] = contents(store(), company(i));

  const auto moved = move(true);
  const auto own = partitions_of_giant();
  const auto again = move(true);

  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->size(), 8u);
  EXPECT_EQ(own, (std::vector<std::string>{"conversations_of_1", "chunks_of_1", "events_of_1",
                                           "tombstones_of_1", "analyses_of_1",
                                           "analysis_labels_of_1", "lm_results_of_1"}));
  EXPECT_EQ(ask("SELECT DISTINCT company::text FROM chunks_of_1"), std::vector<std::string>{"1"});
  EXPECT_TRUE(again && again->empty()) << "it is there already";
  EXPECT_EQ(leftovers(), std::vector<std::string>());
  for (int i = 1; i <= kCompanies; ++i) EXPECT_EQ(contents(store(), company(i)), before[i]);
}

TEST_F(PostgresPartitionsTest, puts_a_company_back_so_that_nothing_tells_it_was_away) {
  const std::string constraints =
      "SELECT conrelid::regclass::text || ' ' || conname FROM pg_constraint "
      "WHERE connamespace = current_schema()::regnamespace AND contype = 'c' ORDER BY 1";
  const auto before = contents(store(), kGiant);
  const auto places = partitions_of_giant();
  const auto checks = ask(constraints);
  ASSERT_TRUE(move(true));

  const auto back = move(false);

  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->size(), 8u);
  EXPECT_EQ(partitions_of_giant(), places);
  EXPECT_EQ(ask(constraints), checks);
  EXPECT_EQ(leftovers(), std::vector<std::string>());
  EXPECT_EQ(contents(store(), kGiant), before);
}

TEST_F(PostgresPartitionsTest, keeps_companies_apart_in_a_partition_of_their_own_too) {
  ASSERT_TRUE(move(true));

  for (const auto* table : kTables) {
    const auto own = std::string(table) + "_of_1";
    const auto direct = store().database().read({.company = kGiant}, "SELECT 1 FROM " + own);
    EXPECT_EQ(direct.value().size(), 0u) << own;
    const auto other = store().database().read(
        {.company = company(2)}, "SELECT 1 FROM " + std::string(table) + " WHERE company = 1");
    EXPECT_EQ(other.value().size(), 0u) << table;
  }
  EXPECT_EQ(ask("SELECT relname::text FROM pg_class AS c JOIN pg_attribute ON attrelid = c.oid "
                "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') "
                "AND attname = 'company' AND NOT (relrowsecurity AND relforcerowsecurity)"),
            std::vector<std::string>());
}

// The exchange believes what was checked before: it must not read a table while nobody can use it.
TEST_F(PostgresPartitionsTest, loses_and_doubles_nothing_that_is_written_meanwhile) {
  constexpr int kWriters = 3;
  constexpr std::int64_t kErased = -1;
  std::atomic<bool> is_over = false;
  std::vector<std::map<std::pair<int, int>, std::int64_t>> written(kWriters);
  std::vector<Duration> longest(kWriters);
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      auto& known = written[static_cast<std::size_t>(w)];
      auto& waited = longest[static_cast<std::size_t>(w)];
      for (int n = 0; !is_over || n < 50; ++n) {
        const int of = n % 2 == 0 ? 1 : 2 + n / 2 % (kCompanies - 1);
        // The first writes what is there already; the others something new, and erase some of it.
        const int name = w == 0 ? n / 7 % 39 : 1000 * w + n / 4;
        auto& times = known[{of, name}];
        if (times == kErased) continue;
        const bool is_erased = w != 0 && n % 11 == 10;
        const auto begin = clock_.now();
        const auto done =
            is_erased ? erase(store(), company(of), name) : put(store(), company(of), name);
        waited = std::max(waited, clock_.now() - begin);
        EXPECT_TRUE(done) << done.error().message;
        times = is_erased ? kErased : times + 1;
      }
    });
  }

  const auto there = move(true);
  const auto back = move(false);
  const auto there_again = move(true);
  is_over = true;
  for (auto& writer : writers) writer.join();

  ASSERT_TRUE(there) << there.error().message;
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_TRUE(there_again) << there_again.error().message;
  for (const auto waited : longest) EXPECT_LT(waited, std::chrono::seconds(2));
  for (const auto& moved : *there) EXPECT_LT(moved.exchange, std::chrono::seconds(2));
  for (const auto& some : written) {
    for (const auto& [which, times] : some) {
      const auto& [of, name] = which;
      const auto found = store().find_summary(company(of), id_of(company(of), name)).value();
      const auto was_there = name < 39 ? 1 : 0;
      EXPECT_EQ(found ? found->revision : kErased, times == kErased ? kErased : times + was_there);
      const auto chunks = store().chunks(company(of), id_of(company(of), name)).value();
      EXPECT_EQ(chunks.size(), times == kErased ? 0u : 2u) << of << " " << name;
    }
  }
  for (int i = 1; i <= kCompanies; ++i) {
    const auto counted = store().company_stats(company(i)).value();
    const auto rows =
        ask("SELECT count(*)::text FROM conversations WHERE company = " + std::to_string(i));
    EXPECT_EQ(rows, std::vector{std::to_string(counted.conversations)});
  }
}

// Versions up to 3 had hash partitions only.
TEST(PostgresPartitionsSchemaTest, takes_over_what_an_older_version_wrote) {
  const auto options = postgres_options(PostgresProcess::shared().fresh_schema(), 1).database;
  const auto all = postgres_store_schema(2);
  SystemClock clock;
  const auto rows_of = [](Database& database, int of) {
    const postgres::Scope scope{.company = company(of)};
    return database.read(scope, "SELECT count(*), max(position) FROM events").value();
  };
  const auto older = Database::open(options, clock, std::span(all).first(3)).value();
  for (int i = 1; i <= kCompanies; ++i) {
    const auto written = older->read({.company = company(i)},
                                     "INSERT INTO events SELECT $1, n::text::bytea, 'c', 1, n, 0, "
                                     "'h' FROM generate_series(1, 100) AS n",
                                     company(i));
    ASSERT_TRUE(written) << written.error().message;
  }

  const auto newer = Database::open(options, clock, all).value();

  for (int i = 1; i <= kCompanies; ++i) {
    EXPECT_EQ(rows_of(*newer, i).integer(0, 0), 100);
    EXPECT_EQ(rows_of(*newer, i).integer(0, 1), 100);
  }
  EXPECT_EQ(newer->read({}, "SELECT count(*) FROM events_shared").value().integer(0, 0), 0);
}

TEST_F(PostgresPartitionsTest, does_anew_what_was_cut_short) {
  const auto shared = ask("SELECT DISTINCT tableoid::regclass::text FROM events WHERE company = 1");
  const std::string other = shared.at(0) == "events_0" ? "events_1" : "events_0";
  auto impatient = postgres_options(schema_, 4).database;
  impatient.lock_timeout = std::chrono::milliseconds(10);
  impatient.migration_timeout = std::chrono::minutes(1);
  SimClock clock;
  const auto database = Database::open(impatient, clock, postgres_store_schema(2)).value();
  {
    // Keeps out who must check that no row there is the company's.
    auto keeper = store().database().begin({}).value();
    ASSERT_TRUE(keeper.run("LOCK TABLE " + other + " IN ACCESS SHARE MODE"));
    const auto cut_short =
        PostgresPartitions(*database, clock, [](std::string_view) {}).promote(kGiant);
    ASSERT_FALSE(cut_short);
  }
  ASSERT_NE(leftovers(), std::vector<std::string>());
  ASSERT_TRUE(put(store(), kGiant, 3));
  ASSERT_TRUE(erase(store(), kGiant, 4));
  const auto before = contents(store(), kGiant);

  const auto moved = move(true);

  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(moved->size(), 6u) << "two had been moved before";
  EXPECT_EQ(leftovers(), std::vector<std::string>());
  EXPECT_EQ(contents(store(), kGiant), before);
}

}  // namespace
}  // namespace samtale
