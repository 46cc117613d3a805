#include "cache/shared_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <thread>

#include "cache/cache_conformance.h"
#include "cache/sealed_value.h"
#include "cache/testing/redis_process.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::Optional;
using testing::StrEq;

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};

CacheKey key(int number, CompanyId company = kAcme) {
  return {company, {.name = "test", .model = "m", .version = 1}, std::to_string(number)};
}

class SharedCacheTest : public testing::Test {
 protected:
  // What another client of the server does.
  Result<std::optional<std::string>> command(const std::vector<std::string_view>& words) {
    auto connection = RedisConnection::open(redis.address(), clock, clock.now() + kTimeout);
    if (!connection) return std::unexpected(connection.error());
    return (*connection)->call(words, clock.now() + kTimeout);
  }
  // The only name there is.
  std::string name() { return command({"RANDOMKEY"})->value(); }
  void overwrite(std::string_view bytes) { ASSERT_TRUE(command({"SET", name(), bytes})); }

  // A busy machine is no reason to fail, unless a test is about it.
  SharedCacheOptions options(Duration timeout = kTimeout) const {
    return {.address = redis.address(), .timeout = timeout};
  }

  static constexpr Duration kTimeout = std::chrono::seconds(10);
  static constexpr Duration kShort = std::chrono::milliseconds(300);
  RedisProcess redis;
  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  SharedCache cache{clock, random, log, options()};
};

TEST_F(SharedCacheTest, gives_what_was_put_to_every_node) {
  SharedCache other(clock, random, log, options());

  cache.put(key(1), "value");

  EXPECT_THAT(other.get(key(1)), Optional(StrEq("value")));
  EXPECT_EQ(other.get(key(2)), std::nullopt);
  EXPECT_EQ(other.get(key(1, kGlobex)), std::nullopt);
  EXPECT_EQ(other.stats().hits, 1U);
  EXPECT_EQ(other.stats().misses, 2U);
}

TEST_F(SharedCacheTest, lets_what_nobody_asks_for_expire_in_about_a_week) {
  cache.put(key(1), "value");

  const auto script = "return tostring(redis.call('ttl', KEYS[1]))";
  const auto seconds = std::stoi(command({"EVAL", script, "1", name()})->value());

  EXPECT_NEAR(seconds, 7 * 24 * 3600, 7 * 24 * 360 + 10);
}

TEST_F(SharedCacheTest, keeps_alive_what_is_asked_for) {
  cache.put(key(1), "value");
  const auto kept = name();
  ASSERT_TRUE(command({"SET", kept, command({"GET", kept})->value(), "EX", "60"}));

  ASSERT_TRUE(cache.get(key(1)));

  const auto script = "return tostring(redis.call('ttl', KEYS[1]))";
  EXPECT_GT(std::stoi(command({"EVAL", script, "1", kept})->value()), 3600);
}

TEST_F(SharedCacheTest, refuses_a_value_that_was_put_for_another_key_or_company) {
  for (const auto& foreign : {key(2), key(1, kGlobex)}) {
    cache.put(key(1), "value");
    overwrite(seal(foreign, "of another"));

    EXPECT_EQ(cache.get(key(1)), std::nullopt);
    ASSERT_TRUE(command({"FLUSHALL"}));
  }
  EXPECT_EQ(cache.stats().refused, 2U);
  EXPECT_EQ(cache.stats().hits, 0U);
}

TEST_F(SharedCacheTest, refuses_a_value_with_any_byte_changed_or_missing) {
  cache.put(key(1), "value");
  const auto whole = seal(key(1), "value");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    overwrite(changed);
    EXPECT_EQ(cache.get(key(1)), std::nullopt) << "byte " << i;
    overwrite(whole.substr(0, i));
    EXPECT_EQ(cache.get(key(1)), std::nullopt) << "cut after " << i;
  }
  overwrite(whole);
  EXPECT_THAT(cache.get(key(1)), Optional(StrEq("value")));
}

TEST_F(SharedCacheTest, counts_a_refused_command_and_goes_on) {
  cache.put(key(1), "value");
  const auto kept = name();
  ASSERT_TRUE(command({"DEL", kept}).error().message.contains("no answer"));
  ASSERT_TRUE(command({"EVAL", "redis.call('lpush', KEYS[1], 'x') return 'ok'", "1", kept}));

  EXPECT_EQ(cache.get(key(1)), std::nullopt);
  cache.put(key(2), "other");

  EXPECT_EQ(cache.stats().errors, 1U);
  EXPECT_THAT(cache.get(key(2)), Optional(StrEq("other")));
}

TEST_F(SharedCacheTest, does_without_a_server_that_is_dead_and_asks_it_only_once_a_pause) {
  redis.kill();

  for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.get(key(1)), std::nullopt);
  EXPECT_EQ(cache.stats().errors, 1U);
  EXPECT_EQ(cache.stats().skipped, 99U);
  clock.advance(std::chrono::milliseconds(100));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.get(key(1)), std::nullopt);

  EXPECT_EQ(cache.stats().errors, 2U);
}

TEST_F(SharedCacheTest, tells_once_that_a_server_is_away_and_once_that_it_is_back) {
  redis.kill();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(cache.get(key(1)), std::nullopt);
    clock.advance(std::chrono::minutes(1));
  }
  EXPECT_THAT(log.lines(), testing::ElementsAre(testing::StartsWith("cache.redis_away")));

  redis.start();
  cache.put(key(1), "value");
  cache.put(key(1), "value");

  EXPECT_THAT(log.lines(), testing::ElementsAre(testing::_, "cache.redis_back"));
}

TEST_F(SharedCacheTest, uses_a_server_again_that_came_back) {
  cache.put(key(1), "value");
  redis.kill();
  EXPECT_EQ(cache.get(key(1)), std::nullopt);

  redis.start();
  clock.advance(std::chrono::milliseconds(100));
  cache.put(key(1), "new");

  EXPECT_THAT(cache.get(key(1)), Optional(StrEq("new")));
}

TEST_F(SharedCacheTest, does_not_take_a_late_reply_for_the_answer_to_another_question) {
  SharedCache hasty(clock, random, log, options(kShort));
  constexpr int kValues = 5;
  const auto value = [](int number) { return "value " + std::to_string(number % kValues); };
  for (int number = 0; number < kValues; ++number) cache.put(key(number), value(number));
  for (int number = 0; number < kValues; ++number) {
    redis.hang();
    EXPECT_EQ(hasty.get(key(number)), std::nullopt);
    redis.go_on();
    clock.advance(std::chrono::seconds(10));

    EXPECT_THAT(hasty.get(key((number + 1) % kValues)), Optional(StrEq(value(number + 1))));
  }
  EXPECT_EQ(hasty.stats().errors, 5U);
  EXPECT_EQ(hasty.stats().refused, 0U);
}

TEST_F(SharedCacheTest, waits_once_a_pause_for_a_server_that_hangs) {
  SharedCache hasty(clock, random, log, options(kShort));
  hasty.put(key(1), "value");
  redis.hang();

  for (int i = 0; i < 50; ++i) EXPECT_EQ(hasty.get(key(1)), std::nullopt);

  EXPECT_EQ(hasty.stats().errors, 1U);
  EXPECT_EQ(hasty.stats().skipped, 49U);
  redis.go_on();
}

TEST_F(SharedCacheTest, does_not_wait_for_a_server_that_takes_the_connection_and_says_nothing) {
  SharedCache hasty(clock, random, log, options(kShort));
  redis.hang();

  EXPECT_EQ(hasty.get(key(1)), std::nullopt);

  EXPECT_EQ(hasty.stats().errors, 1U);
  redis.go_on();
}

TEST_F(SharedCacheTest, takes_an_emptied_server_for_a_miss) {
  cache.put(key(1), "value");
  ASSERT_TRUE(command({"FLUSHALL"}));

  EXPECT_EQ(cache.get(key(1)), std::nullopt);

  EXPECT_EQ(cache.stats().errors, 0U);
}

TEST_F(SharedCacheTest, mixes_nothing_up_between_threads) {
  SystemClock real;
  SharedCache busy(real, random, log,
                   {.address = redis.address(), .timeout = kTimeout, .connections_max = 3});
  std::atomic<int> found = 0;

  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 300; ++i) {
          const auto number = t * 1'000 + i % 50;
          busy.put(key(number), std::to_string(number));
          const auto value = busy.get(key(number));
          if (!value) continue;
          EXPECT_EQ(*value, std::to_string(number));
          ++found;
        }
      });
    }
  }

  EXPECT_GT(found, 0);
  EXPECT_EQ(busy.stats().refused, 0U);
}

// A server that answers each command with the bytes of a script, a piece every few milliseconds.
class ScriptedServer {
 public:
  struct Piece {
    std::string bytes;
    std::chrono::milliseconds after{};
  };

  explicit ScriptedServer(std::vector<Piece> script) : script_(std::move(script)) {
    ::signal(SIGPIPE, SIG_IGN);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    SAMTALE_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                      ::listen(listener_, 16) == 0,
                  "a test may listen on a socket");
    thread_ = std::jthread([this] {
      for (;;) {
        const int peer = ::accept(listener_, nullptr, nullptr);
        if (peer < 0) return;
        ++connections;
        answer(peer);
        ::close(peer);
      }
    });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] std::string path() const { return folder_ + "/socket"; }

  std::atomic<int> connections = 0;

 private:
  static std::string make_folder() {
    std::string name = testing::TempDir() + "/scripted-XXXXXX";
    SAMTALE_CHECK(::mkdtemp(name.data()) != nullptr, "the folder for temporary files is writable");
    return name;
  }

  // Until the other side closes.
  void answer(int peer) {
    char request[4096];
    while (::read(peer, request, sizeof request) > 0) {
      for (const auto& piece : script_) {
        std::this_thread::sleep_for(piece.after);
        if (::write(peer, piece.bytes.data(), piece.bytes.size()) < 0) return;
      }
    }
  }

  const std::vector<Piece> script_;
  const std::string folder_ = make_folder();
  const int listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::jthread thread_;
};

std::string bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}

class HostileServerTest : public testing::Test {
 protected:
  SharedCache cache_at(const ScriptedServer& server, Duration timeout = std::chrono::seconds(10)) {
    return SharedCache(clock, random, log,
                       {.address = {.unix_socket = server.path()}, .timeout = timeout});
  }
  SystemClock clock;
  SimRandom random{1};
  MemoryLog log;
};

TEST_F(HostileServerTest, is_waited_for_no_longer_where_it_drips_bytes) {
  std::vector<ScriptedServer::Piece> drops;
  for (const char byte : bulk(std::string(200, 'x'))) {
    drops.push_back({std::string(1, byte), std::chrono::milliseconds(20)});
  }
  const ScriptedServer server(std::move(drops));
  auto cache = cache_at(server, std::chrono::milliseconds(30));
  const auto begin = clock.now();

  EXPECT_EQ(cache.get(key(1)), std::nullopt);

  EXPECT_LT(clock.now() - begin, std::chrono::seconds(2)) << "it drips for four";
  EXPECT_EQ(cache.stats().errors, 1U);
}

TEST_F(HostileServerTest, loses_its_connection_where_it_answers_twice) {
  const ScriptedServer server({{bulk(seal(key(1), "one")) + bulk(seal(key(2), "stray"))}});
  auto cache = cache_at(server);

  EXPECT_THAT(cache.get(key(1)), Optional(StrEq("one")));
  EXPECT_THAT(cache.get(key(1)), Optional(StrEq("one"))) << "not the stray one";

  EXPECT_EQ(server.connections, 2);
  EXPECT_EQ(cache.stats().refused, 0U);
}

TEST_F(HostileServerTest, loses_its_connection_where_it_answers_another_question) {
  const ScriptedServer server({{bulk(seal(key(2), "of another"))}});
  auto cache = cache_at(server);

  EXPECT_EQ(cache.get(key(1)), std::nullopt);
  EXPECT_EQ(cache.get(key(1)), std::nullopt);

  EXPECT_EQ(server.connections, 2);
  EXPECT_EQ(cache.stats().refused, 2U);
}

TEST_F(HostileServerTest, is_a_miss_whatever_it_says) {
  for (const auto& answer :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("$-5\r\n"),
        std::string("$99999999999999999999\r\n"), std::string("*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        std::string(":7\r\n"), std::string("*-1\r\n"), std::string("%1\r\n"), bulk(""),
        bulk("SCV1"), std::string("+OK\r\n"), std::string(6 << 20, 'x'),
        "$6291456\r\n" + std::string(6 << 20, 'x')}) {
    const ScriptedServer server({{answer}});
    auto cache = cache_at(server, std::chrono::milliseconds(300));

    EXPECT_EQ(cache.get(key(1)), std::nullopt) << answer.substr(0, 20);
  }
}

TEST(SharedCacheLoginTest, logs_in_and_selects_the_database) {
  RedisProcess redis({"--requirepass", "secret"});
  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  auto address = redis.address();
  address.password = "secret";
  address.database = 3;
  constexpr auto kTimeout = std::chrono::seconds(10);
  SharedCache cache(clock, random, log, {.address = address, .timeout = kTimeout});
  address.database = 4;
  SharedCache elsewhere(clock, random, log, {.address = address, .timeout = kTimeout});
  address.password = "wrong";
  SharedCache stranger(clock, random, log, {.address = address, .timeout = kTimeout});

  cache.put(key(1), "value");

  EXPECT_THAT(cache.get(key(1)), Optional(StrEq("value")));
  EXPECT_EQ(elsewhere.get(key(1)), std::nullopt);
  EXPECT_EQ(stranger.get(key(1)), std::nullopt);
  EXPECT_EQ(stranger.stats().errors, 1U);
}

TEST(SharedCacheLoginTest, does_without_a_database_that_is_not_there) {
  RedisProcess redis;
  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  auto address = redis.address();
  address.database = 999;
  SharedCache cache(clock, random, log, {.address = address});

  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cache.get(key(1)), std::nullopt);
    clock.advance(std::chrono::minutes(1));
  }

  EXPECT_EQ(cache.stats().errors, 3U);
}

TEST(RedisUrlTest, names_a_host_or_a_socket) {
  const auto host = parse_redis_url("redis://cache.test:6380/2");
  const auto bare = parse_redis_url("redis://me@[::1]");
  const auto socket = parse_redis_url("unix:///run/redis.sock?db=5");

  EXPECT_EQ(host->host, "cache.test");
  EXPECT_EQ(host->port, 6380);
  EXPECT_EQ(host->database, 2);
  EXPECT_EQ(bare->host, "::1");
  EXPECT_EQ(bare->port, 6379);
  EXPECT_EQ(bare->user, "me");
  EXPECT_EQ(socket->unix_socket, "/run/redis.sock");
  EXPECT_EQ(socket->database, 5);
}

TEST(RedisUrlTest, says_what_is_wrong_and_never_quotes_a_password) {
  const auto error = [](std::string_view url) { return parse_redis_url(url).error().message; };

  EXPECT_THAT(error("http://one"), HasSubstr("redis:// or unix://"));
  EXPECT_THAT(error("rediss://one"), HasSubstr("TLS"));
  EXPECT_THAT(error("redis://one:99999"), HasSubstr("1 to 65535"));
  EXPECT_THAT(error("redis://one/-1"), HasSubstr("number"));
  EXPECT_THAT(error("redis://one/x"), HasSubstr("number"));
  EXPECT_THAT(error("unix://socket"), HasSubstr("path"));
  EXPECT_THAT(error("unix:///socket?x=1"), HasSubstr("?db="));
  EXPECT_THAT(error("redis://me:hunter2@one"), HasSubstr("redis_password_file"));
  EXPECT_THAT(error("redis://me:hunter2@one"), testing::Not(HasSubstr("hunter2")));
}

struct InMemory {
  SharedCache* shared() { return nullptr; }
};

struct WithRedis {
  SharedCache* shared() { return &cache; }
  RedisProcess redis;
  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  SharedCache cache{
      clock, random, log, {.address = redis.address(), .timeout = std::chrono::seconds(5)}};
};

struct WithDeadRedis : WithRedis {
  WithDeadRedis() { redis.kill(); }
};

}  // namespace

namespace cache_conformance {
INSTANTIATE_TYPED_TEST_SUITE_P(InMemory, CacheConformance, InMemory);
INSTANTIATE_TYPED_TEST_SUITE_P(WithRedis, CacheConformance, WithRedis);
INSTANTIATE_TYPED_TEST_SUITE_P(WithDeadRedis, CacheConformance, WithDeadRedis);

using TwoNodes = CacheConformance<WithRedis>;
TEST_F(TwoNodes, make_a_value_once_between_them) {
  Cache<Text> other(options(levels_.shared()));

  EXPECT_EQ(found_or_made(key(1), "one"), "one");
  const auto there = other.find_or_make(key(1), []() -> Result<Text> { return Text("another"); });

  EXPECT_EQ(**there, "one");
}

TEST_F(TwoNodes, make_a_value_anew_where_the_shared_one_is_of_another_kind) {
  levels_.shared()->put(key(1), "not such a value");
  auto picky = options(levels_.shared());
  picky.shared->decode = [](std::string_view) { return std::optional<Text>(); };
  Cache<Text> node(std::move(picky));

  const auto made = node.find_or_make(key(1), []() -> Result<Text> { return Text("one"); });

  EXPECT_EQ(**made, "one");
  EXPECT_EQ(levels_.shared()->stats().refused, 1U);
}
}  // namespace cache_conformance

}  // namespace samtale
