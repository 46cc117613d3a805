#include "cache/cache.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <latch>
#include <random>
#include <thread>
#include <vector>

namespace samtale {
namespace {

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};
constexpr CacheKind kKind{.name = "test", .model = "m", .version = 1};

CacheKey key(int number, CompanyId company = kAcme) {
  return {company, kKind, std::to_string(number)};
}

using Text = std::string;

Cache<Text> cache_of(std::size_t bytes_max) {
  return Cache<Text>(
      {.bytes_max = bytes_max, .bytes_of = [](const Text& text) { return text.capacity() + 1; }});
}

// Counts the times it is called.
struct Counted {
  int calls = 0;
  Cache<Text>::Maker maker(std::string text) {
    return [this, text = std::move(text)]() -> Result<Text> {
      ++calls;
      return text;
    };
  }
};

TEST(CacheKeyTest, is_another_for_another_company_cache_model_version_and_question) {
  const CacheKey one(kAcme, kKind, "question");

  EXPECT_EQ(one.digest(), CacheKey(kAcme, kKind, "question").digest());
  EXPECT_NE(one.digest(), CacheKey(kGlobex, kKind, "question").digest());
  EXPECT_NE(one.digest(), CacheKey(kAcme, {"other", "m", 1}, "question").digest());
  EXPECT_NE(one.digest(), CacheKey(kAcme, {"test", "n", 1}, "question").digest());
  EXPECT_NE(one.digest(), CacheKey(kAcme, {"test", "m", 2}, "question").digest());
  EXPECT_NE(one.digest(), CacheKey(kAcme, kKind, "Question").digest());
  EXPECT_NE(CacheKey(kAcme, {"ab", "c", 1}, "").digest(),
            CacheKey(kAcme, {"a", "bc", 1}, "").digest());
}

TEST(CacheTest, makes_a_value_once) {
  auto cache = cache_of(1 << 20);
  Counted made;

  const auto first = cache.find_or_make(key(1), made.maker("one"));
  const auto second = cache.find_or_make(key(1), made.maker("another"));

  EXPECT_EQ(**first, "one");
  EXPECT_EQ(**second, "one");
  EXPECT_EQ(made.calls, 1);
  EXPECT_EQ(cache.stats().hits, 1U);
  EXPECT_EQ(cache.stats().misses, 1U);
}

TEST(CacheTest, never_finds_what_is_another_companys) {
  auto cache = cache_of(1 << 20);
  Counted made;
  ASSERT_TRUE(cache.find_or_make(key(1, kAcme), made.maker("of acme")));

  EXPECT_EQ(cache.find(key(1, kGlobex)).value, nullptr);
  EXPECT_EQ(**cache.find_or_make(key(1, kGlobex), made.maker("of globex")), "of globex");
}

TEST(CacheTest, keeps_no_error_and_tries_again) {
  auto cache = cache_of(1 << 20);
  const auto failing = []() -> Result<Text> { return fail(ErrorCode::unavailable, "away"); };
  Counted made;

  EXPECT_EQ(cache.find_or_make(key(1), failing).error().message, "away");
  EXPECT_TRUE(cache.find_or_make(key(1), made.maker("one")));
}

TEST(CacheTest, keeps_nothing_without_memory) {
  auto cache = cache_of(0);
  Counted made;

  ASSERT_TRUE(cache.find_or_make(key(1), made.maker("one")));
  ASSERT_TRUE(cache.find_or_make(key(1), made.maker("one")));

  EXPECT_EQ(made.calls, 2);
  EXPECT_EQ(cache.stats().bytes, 0U);
}

TEST(CacheTest, erases_one_value_and_counts_no_byte_of_it) {
  auto cache = cache_of(1 << 20);
  Counted made;
  ASSERT_TRUE(cache.find_or_make(key(1, kAcme), made.maker("a")));
  const auto bytes = cache.stats().bytes;
  ASSERT_TRUE(cache.find_or_make(key(2, kAcme), made.maker("a")));

  cache.erase(key(2, kAcme));
  cache.erase(key(3, kAcme));

  EXPECT_EQ(cache.find(key(2, kAcme)).value, nullptr);
  EXPECT_NE(cache.find(key(1, kAcme)).value, nullptr);
  EXPECT_EQ(cache.stats().bytes, bytes);
}

TEST(CacheTest, forgets_a_company_and_no_other) {
  auto cache = cache_of(1 << 20);
  Counted made;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(cache.find_or_make(key(i, kAcme), made.maker("a")));
    ASSERT_TRUE(cache.find_or_make(key(i, kGlobex), made.maker("g")));
  }

  cache.forget(kAcme);

  EXPECT_EQ(cache.stats().values, 100U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(cache.find(key(i, kAcme)).value, nullptr);
    EXPECT_NE(cache.find(key(i, kGlobex)).value, nullptr);
  }
  cache.forget(kGlobex);
  EXPECT_EQ(cache.stats().bytes, 0U);
}

TEST(CacheTest, does_not_keep_what_was_begun_before_its_company_was_forgotten) {
  auto cache = cache_of(1 << 20);

  const auto made = cache.make(key(1), [&]() -> Result<Text> {
    cache.forget(kAcme);
    return Text("of before");
  });
  const auto found = cache.find(key(2));
  cache.forget(kAcme);
  cache.put(key(2), "of before", found.moment);

  EXPECT_EQ(*made->value, "of before");
  EXPECT_EQ(cache.stats().values, 0U);
}

TEST(CacheTest, makes_a_value_once_for_all_who_ask_at_the_same_time) {
  constexpr int kPeople = 8;
  auto cache = cache_of(1 << 20);
  std::atomic<int> calls = 0;
  std::latch begun(1);
  const auto slow = [&]() -> Result<Text> {
    ++calls;
    begun.count_down();
    while (cache.stats().joined < kPeople - 1) std::this_thread::yield();
    return Text("one");
  };

  std::vector<std::jthread> people;
  people.emplace_back([&] { EXPECT_EQ(**cache.find_or_make(key(1), slow), "one"); });
  begun.wait();
  for (int i = 1; i < kPeople; ++i) {
    people.emplace_back([&] { EXPECT_EQ(**cache.find_or_make(key(1), slow), "one"); });
  }
  people.clear();

  EXPECT_EQ(calls, 1);
}

TEST(CacheTest, lets_nobody_wait_for_ever_where_a_maker_throws) {
  auto cache = cache_of(1 << 20);
  std::latch begun(1);

  std::jthread first([&] {
    EXPECT_THROW((void)cache.make(key(1),
                                  [&]() -> Result<Text> {
                                    begun.count_down();
                                    while (cache.stats().joined == 0) std::this_thread::yield();
                                    throw std::bad_alloc();
                                  }),
                 std::bad_alloc);
  });
  begun.wait();
  const auto joined = cache.make(key(1), []() -> Result<Text> { return Text("never called"); });

  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().code, ErrorCode::unavailable);
}

TEST(CacheTest, is_never_larger_than_it_may_be) {
  constexpr std::size_t kBytes = 100'000;
  auto cache = cache_of(kBytes);
  std::mt19937_64 random(1);
  for (int step = 0; step < 20'000; ++step) {
    const CompanyId company{static_cast<std::int64_t>(random() % 5)};
    const auto of = key(static_cast<int>(random() % 300), company);
    const auto found = cache.find(of);
    if (!found.value || random() % 4 == 0) {
      cache.put(of, Text(random() % 3'000, 'x'), found.moment);
    }
    if (random() % 1'000 == 0) cache.forget(company);
    ASSERT_LE(cache.stats().bytes, kBytes);
  }
  EXPECT_GT(cache.stats().evictions, 1'000U);
  EXPECT_GT(cache.stats().bytes, kBytes / 2);
}

TEST(CacheTest, counts_its_bytes_as_malloc_does) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's malloc counts otherwise";
#endif
  const auto before = ::mallinfo2().uordblks;
  auto cache = cache_of(std::size_t{32} << 20);
  for (int i = 0; i < 40'000; ++i) {
    cache.put(key(i, CompanyId{i % 100}), Text(static_cast<std::size_t>(500 + i % 1'000), 'x'), {});
  }

  const auto counted = static_cast<double>(cache.stats().bytes);
  const auto held = static_cast<double>(::mallinfo2().uordblks - before);

  EXPECT_GT(counted, 0.9 * (32 << 20));
  EXPECT_NEAR(counted / held, 1, 0.05);
}

TEST(S3FifoTest, a_scan_moves_nothing_that_is_asked_for_again) {
  S3Fifo<Text> cache(1 << 20);
  const auto value = std::make_shared<const Text>("x");
  const auto touch = [&](int number) {
    if (cache.find(key(number)) != nullptr) return true;
    cache.put(key(number), value, 1'000);
    return false;
  };
  for (int round = 0; round < 10; ++round) {
    for (int wanted = 0; wanted < 100; ++wanted) touch(wanted);
  }

  for (int once = 1'000; once < 50'000; ++once) touch(once);

  int found = 0;
  for (int wanted = 0; wanted < 100; ++wanted) found += touch(wanted) ? 1 : 0;
  EXPECT_EQ(found, 100);
}

TEST(S3FifoTest, who_comes_back_soon_after_leaving_stays) {
  S3Fifo<Text> cache(100'000);
  const auto value = std::make_shared<const Text>("x");
  int next = 1;
  const auto scan = [&](int count) {
    for (int i = 0; i < count; ++i) cache.put(key(next++), value, 1'000);
  };
  cache.put(key(0), value, 1'000);
  scan(90);
  ASSERT_EQ(cache.find(key(0)), nullptr) << "it has left a ghost";

  cache.put(key(0), value, 1'000);
  scan(60);

  EXPECT_NE(cache.find(key(0)), nullptr);
}

}  // namespace
}  // namespace samtale
