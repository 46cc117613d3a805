// Goal:   with a shared cache or without, a Cache makes what is not there, keeps what it has made
// and
//         mixes nothing up.
//
// A pair of levels joins with INSTANTIATE_TYPED_TEST_SUITE_P(Name, CacheConformance, Levels), where
// SetUp has shared(), a SharedCache* or null.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "cache/cache.h"

namespace samtale::cache_conformance {

using Text = std::string;

template <class Levels>
class CacheConformance : public testing::Test {
 protected:
  static Cache<Text>::Options options(SharedCache* shared) {
    Cache<Text>::Options options{.bytes_max = std::size_t{1} << 20,
                                 .bytes_of = [](const Text& text) { return text.capacity() + 1; }};
    if (shared != nullptr) {
      options.shared.emplace(
          *shared, [](const Text& text) { return text; },
          [](std::string_view bytes) { return std::optional(Text(bytes)); });
    }
    return options;
  }

  static CacheKey key(int number, CompanyId company = CompanyId{1}) {
    return {company, {.name = "test", .model = "m", .version = 1}, std::to_string(number)};
  }

  Text found_or_made(const CacheKey& of, const Text& text) {
    return **cache_.find_or_make(of, [&]() -> Result<Text> {
      ++made_;
      return text;
    });
  }

  Levels levels_;
  Cache<Text> cache_{options(levels_.shared())};
  int made_ = 0;
};
TYPED_TEST_SUITE_P(CacheConformance);

TYPED_TEST_P(CacheConformance, makes_a_value_once) {
  EXPECT_EQ(this->found_or_made(this->key(1), "one"), "one");
  EXPECT_EQ(this->found_or_made(this->key(1), "another"), "one");
  EXPECT_EQ(this->made_, 1);
}

TYPED_TEST_P(CacheConformance, keeps_companies_apart) {
  EXPECT_EQ(this->found_or_made(this->key(1, CompanyId{1}), "acme"), "acme");
  EXPECT_EQ(this->found_or_made(this->key(1, CompanyId{2}), "globex"), "globex");
  EXPECT_EQ(this->found_or_made(this->key(1, CompanyId{1}), "other"), "acme");
}

TYPED_TEST_P(CacheConformance, passes_errors_on_and_keeps_none) {
  const auto failed = this->cache_.find_or_make(
      this->key(1), []() -> Result<Text> { return fail(ErrorCode::unavailable, "away"); });

  EXPECT_EQ(failed.error().message, "away");
  EXPECT_EQ(this->found_or_made(this->key(1), "one"), "one");
}

TYPED_TEST_P(CacheConformance, keeps_bytes_of_any_kind_and_length) {
  for (int number = 0; const auto& text :
                       {Text(), Text("\0\r\n$-1\r\n", 9), Text(100'000, '\xff'), Text("*3\r\n")}) {
    EXPECT_EQ(this->found_or_made(this->key(++number), text), text);
    EXPECT_EQ(this->found_or_made(this->key(number), "other"), text);
  }
}

// What is forgotten may be in the shared cache still: then it is what was made.
TYPED_TEST_P(CacheConformance, gives_what_was_made_for_the_key_through_anything) {
  std::mt19937_64 random(1);
  for (int step = 0; step < 3'000; ++step) {
    const auto number = static_cast<int>(random() % 200);
    const CompanyId company{static_cast<std::int64_t>(random() % 3)};
    const auto text = std::to_string(number) + " of " + std::to_string(samtale::number(company)) +
                      Text(random() % 20'000, 'x').substr(0, number * 100);
    const auto got = this->found_or_made(this->key(number, company), text);
    ASSERT_EQ(got.substr(0, got.find('x')), text.substr(0, text.find('x')));
    if (random() % 100 == 0) this->cache_.forget(company);
  }
}

REGISTER_TYPED_TEST_SUITE_P(CacheConformance, makes_a_value_once, keeps_companies_apart,
                            passes_errors_on_and_keeps_none, keeps_bytes_of_any_kind_and_length,
                            gives_what_was_made_for_the_key_through_anything);

}  // namespace samtale::cache_conformance
