#include "postgres/connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "postgres/testing/postgres_process.h"
#include "sim/sim_clock.h"

namespace samtale::postgres {
namespace {

class ConnectionTest : public ::testing::Test {
 protected:
  static constexpr Duration kPatience = std::chrono::seconds(30);

  static PostgresProcess& server() { return PostgresProcess::shared(); }
  Result<Rows> query(Connection& connection, const std::string& sql, const auto&... values) {
    SAMTALE_TRY_VOID(connection.send(sql, values...));
    SAMTALE_TRY(auto answers, connection.sync(clock_.now() + kPatience));
    return std::move(answers.back());
  }

  SystemClock clock_;
};

TEST_F(ConnectionTest, gives_back_every_type_as_it_was_given) {
  const auto connection = server().connect();
  const std::string bytes("\0\xff'\\\n", 5);

  const auto rows =
      query(*connection, "SELECT $1, $2, $3, $4, $5, $6, $7, $8::integer", INT64_MIN, UINT64_MAX,
            -0.25, "tekst æ", Bytes{bytes}, Bytes{}, std::optional<double>(), 7);

  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->integer(0, 0), INT64_MIN);
  EXPECT_EQ(static_cast<std::uint64_t>(rows->integer(0, 1)), UINT64_MAX);
  EXPECT_EQ(rows->real(0, 2), -0.25);
  EXPECT_EQ(rows->bytes(0, 3), "tekst æ");
  EXPECT_EQ(rows->bytes(0, 4), bytes);
  EXPECT_EQ(rows->bytes(0, 5), "");
  EXPECT_FALSE(rows->is_null(0, 5));
  EXPECT_TRUE(rows->is_null(0, 6));
  EXPECT_EQ(rows->integer(0, 7), 7);
}

TEST_F(ConnectionTest, makes_rows_of_columns) {
  const auto connection = server().connect();
  auto numbers = Column::numbers();
  auto blobs = Column::blobs();
  auto texts = Column::texts();
  auto reals = Column::reals();
  for (const int number : {-1, 2}) numbers.add(number);
  for (const auto* bytes : {"\xff", ""}) blobs.add(Bytes{bytes});
  for (const auto* text : {"æ", ","}) texts.add(text);
  for (const std::optional<double> real : {std::optional(0.5), std::optional<double>()}) {
    reals.add(real);
  }

  const auto rows =
      query(*connection, "SELECT * FROM unnest($1, $2, $3, $4)", numbers, blobs, texts, reals);
  const auto none = query(*connection, "SELECT * FROM unnest($1)", Column::blobs());

  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->integer(0, 0), -1);
  EXPECT_EQ(rows->bytes(0, 1), "\xff");
  EXPECT_EQ(rows->bytes(0, 2), "æ");
  EXPECT_EQ(rows->real(0, 3), 0.5);
  EXPECT_EQ(rows->integer(1, 0), 2);
  EXPECT_EQ(rows->bytes(1, 1), "");
  EXPECT_FALSE(rows->is_null(1, 1));
  EXPECT_EQ(rows->bytes(1, 2), ",");
  EXPECT_TRUE(rows->is_null(1, 3));
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_TRUE(none->empty());
}

TEST_F(ConnectionTest, answers_each_statement_of_a_pipeline_in_order) {
  const auto connection = server().connect();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(connection->send("SELECT $1", i));

  const auto answers = connection->sync(clock_.now() + kPatience);

  ASSERT_TRUE(answers) << answers.error().message;
  ASSERT_EQ(answers->size(), 1000u);
  EXPECT_EQ((*answers)[999].integer(0, 0), 999);
}

TEST_F(ConnectionTest, prepares_what_is_to_have_a_name_once) {
  const auto connection = server().connect();
  ASSERT_TRUE(connection->name_statements(clock_.now() + kPatience));
  const auto count = [&] {
    return query(*connection, "SELECT count(*) FROM pg_prepared_statements")->integer(0, 0);
  };
  ASSERT_EQ(count(), 1) << "its own";

  for (int i = 0; i < 3; ++i) ASSERT_TRUE(connection->send("SELECT $1", i));
  const auto answers = connection->sync(clock_.now() + kPatience);
  EXPECT_EQ(query(*connection, "SELECT $1", 7)->integer(0, 0), 7);
  EXPECT_EQ(query(*connection, "SELECT $1", Bytes{"other"})->bytes(0, 0), "other");

  ASSERT_TRUE(answers) << answers.error().message;
  ASSERT_EQ(answers->size(), 3u);
  EXPECT_EQ((*answers)[2].integer(0, 0), 2);
  EXPECT_EQ(count(), 2);
}

TEST_F(ConnectionTest, prepares_again_what_a_failed_pipeline_has_left_out) {
  const auto connection = server().connect();
  ASSERT_TRUE(connection->name_statements(clock_.now() + kPatience));
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSERT_TRUE(connection->send("SELECT 1 / $1", 0));
    ASSERT_TRUE(connection->send("SELECT 2 + $1", 1));
    ASSERT_FALSE(connection->sync(clock_.now() + kPatience));
  }
  ASSERT_FALSE(query(*connection, "SELECT no_column"));

  EXPECT_EQ(query(*connection, "SELECT 2 + $1", 1)->integer(0, 0), 3);
  EXPECT_EQ(query(*connection, "SELECT 1 / $1", 1)->integer(0, 0), 1);
  EXPECT_FALSE(query(*connection, "SELECT no_column"));
  EXPECT_TRUE(connection->is_quiet());
}

TEST_F(ConnectionTest, is_of_no_more_use_where_what_it_has_prepared_is_gone) {
  const auto connection = server().connect();
  ASSERT_TRUE(connection->name_statements(clock_.now() + kPatience));
  ASSERT_TRUE(query(*connection, "SELECT $1", 1));
  ASSERT_TRUE(query(*connection, "DEALLOCATE ALL"));

  const auto failed = query(*connection, "SELECT $1", 1);

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(connection->is_usable());
}

TEST_F(ConnectionTest, plans_anew_a_minute_later_what_was_planned_for_an_empty_table) {
  SimClock clock;
  const auto connection =
      Connection::open(server().address(), clock, clock.now() + kPatience).value();
  const auto ask = [&](const std::string& sql, const auto&... values) {
    EXPECT_TRUE(connection->send(sql, values...));
    auto answers = connection->sync(clock.now() + kPatience);
    EXPECT_TRUE(answers) << answers.error().message;
    return std::move(answers->back());
  };
  ask("SET plan_cache_mode = force_generic_plan");
  ask("CREATE TEMPORARY TABLE t(n bigint PRIMARY KEY)");
  ask("VACUUM t");  // Else it is taken to be about to grow.
  ASSERT_TRUE(connection->name_statements(clock.now() + kPatience));
  ask("SELECT FROM t WHERE n = $1", 7);
  const auto name = std::string(
      ask("SELECT name FROM pg_prepared_statements WHERE statement LIKE 'SELECT FROM t%'")
          .bytes(0, 0));
  const auto plan = [&] {
    const auto rows = ask("EXPLAIN EXECUTE " + name + "(7)");
    return std::string(rows.bytes(0, 0));
  };
  ask("INSERT INTO t SELECT * FROM generate_series(1, 10000)");
  ASSERT_TRUE(plan().starts_with("Seq Scan")) << plan();

  clock.advance(std::chrono::minutes(1));

  EXPECT_EQ(ask("SELECT FROM t WHERE n = $1", 7).size(), 1u);
  EXPECT_TRUE(plan().starts_with("Index Only Scan")) << plan();
}

// Both sides have more to say than the socket holds: who only writes waits for ever.
TEST_F(ConnectionTest, reads_while_it_writes) {
  const auto connection = server().connect();
  const std::string large(1 << 20, 'x');
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(connection->send("SELECT $1", Bytes{large}));

  const auto answers = connection->sync(clock_.now() + kPatience);

  ASSERT_TRUE(answers) << answers.error().message;
  EXPECT_EQ(answers->back().bytes(0, 0), large);
}

TEST_F(ConnectionTest, undoes_a_pipeline_whose_last_statement_fails) {
  const auto connection = server().connect();
  const auto schema = server().fresh_schema();
  ASSERT_TRUE(query(*connection, "CREATE SCHEMA " + schema));
  ASSERT_TRUE(query(*connection, "CREATE TABLE " + schema + ".t(n bigint PRIMARY KEY)"));

  ASSERT_TRUE(connection->send("INSERT INTO " + schema + ".t VALUES(1)"));
  ASSERT_TRUE(connection->send("INSERT INTO " + schema + ".t VALUES(1)"));
  ASSERT_TRUE(connection->send("INSERT INTO " + schema + ".t VALUES(2)"));
  const auto failed = connection->sync(clock_.now() + kPatience);

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::conflict);
  EXPECT_TRUE(connection->is_quiet());
  EXPECT_EQ(query(*connection, "SELECT count(*) FROM " + schema + ".t")->integer(0, 0), 0);
}

TEST_F(ConnectionTest, says_nothing_of_the_values_in_an_error) {
  const auto connection = server().connect();

  const auto failed = query(*connection, "SELECT $1::text::bytea", "\\secret");

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(failed.error().message.contains("secret")) << failed.error().message;
}

TEST_F(ConnectionTest, tells_a_refusal_from_a_failure) {
  const auto connection = server().connect();

  const auto refused = query(*connection, "SELECT pg_read_file('/etc/hostname')");
  const auto nonsense = query(*connection, "SELECT 1 FROM nowhere");

  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(nonsense.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(connection->is_usable());
}

TEST_F(ConnectionTest, gives_up_at_the_deadline_and_is_of_no_more_use) {
  const auto holder = server().connect();
  ASSERT_TRUE(query(*holder, "SELECT pg_advisory_lock(1)"));
  const auto connection = server().connect();
  ASSERT_TRUE(connection->send("SELECT pg_advisory_lock(1)"));

  const auto late = connection->sync(clock_.now() + std::chrono::milliseconds(50));

  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(connection->is_usable());
  EXPECT_FALSE(connection->send("SELECT 1"));
}

TEST_F(ConnectionTest, notices_that_the_server_ended_the_session) {
  const auto connection = server().connect();
  const auto other = server().connect();
  const auto pid = query(*connection, "SELECT pg_backend_pid()")->integer(0, 0);

  ASSERT_TRUE(query(*other, "SELECT pg_terminate_backend($1::integer, 30000)", pid));

  EXPECT_FALSE(connection->is_quiet());
  EXPECT_FALSE(connection->is_usable());
}

TEST_F(ConnectionTest, is_unavailable_where_the_server_ends_in_the_middle) {
  const auto holder = server().connect();
  ASSERT_TRUE(query(*holder, "SELECT pg_advisory_lock(2)"));
  const auto connection = server().connect();
  const auto pid = query(*connection, "SELECT pg_backend_pid()")->integer(0, 0);
  ASSERT_TRUE(connection->send("SELECT pg_advisory_lock(2)"));
  std::thread killer([&] {
    // Once it waits: until then there is nothing in the middle.
    while (query(*holder, "SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted", pid)->empty()) {
    }
    EXPECT_TRUE(query(*holder, "SELECT pg_terminate_backend($1::integer)", pid));
  });

  const auto cut = connection->sync(clock_.now() + kPatience);
  killer.join();

  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::unavailable);
  EXPECT_FALSE(connection->is_usable());
}

TEST_F(ConnectionTest, cannot_connect_where_nobody_listens) {
  const auto opened = Connection::open({.url = "host=/nonexistent user=samtale", .password = ""},
                                       clock_, clock_.now() + kPatience);

  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
}

// It listens, and nobody takes its connections: as a machine that has gone without a word.
TEST_F(ConnectionTest, goes_on_to_the_next_host_where_one_says_nothing) {
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof at;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&at), size), 0);
  ASSERT_EQ(::listen(silent, 8), 0);
  ASSERT_EQ(::getsockname(silent, reinterpret_cast<sockaddr*>(&at), &size), 0);
  const auto folder = std::filesystem::path(server().socket_path()).parent_path().string();

  const auto opened = Connection::open(
      {.url = "host=127.0.0.1," + folder + " port=" + std::to_string(ntohs(at.sin_port)) +
              ",5432 user=samtale dbname=postgres",
       .password = ""},
      clock_, clock_.now() + std::chrono::seconds(2));
  ::close(silent);

  EXPECT_TRUE(opened) << opened.error().message;
}

TEST(CodeOf, says_what_can_be_done_about_an_sqlstate) {
  EXPECT_EQ(code_of("40001"), ErrorCode::unavailable);  // serialization_failure
  EXPECT_EQ(code_of("57014"), ErrorCode::unavailable);  // statement_timeout
  EXPECT_EQ(code_of("53100"), ErrorCode::unavailable);  // disk_full
  EXPECT_EQ(code_of("25006"), ErrorCode::unavailable);  // read-only: it is a standby
  EXPECT_EQ(code_of("23505"), ErrorCode::conflict);
  EXPECT_EQ(code_of("22021"), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of("42501"), ErrorCode::permission_denied);
  EXPECT_EQ(code_of("42P01"), ErrorCode::corrupt);  // undefined_table
  EXPECT_EQ(code_of("XX001"), ErrorCode::corrupt);  // data_corrupted
}

}  // namespace
}  // namespace samtale::postgres
