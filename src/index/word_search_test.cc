// Goal:   the rows found are those with the greatest sums over all their postings; the bits of a
//         score do not depend on how many are wanted.
// Method: seeded rows of words as common as in any language, in several windows and blocks, some of
//         them gone, some not wanted; limits from none to all.
#include "index/word_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "index/top_rows.h"

namespace samtale {
namespace {

struct EarlierFirst {
  bool operator()(std::uint32_t a, std::uint32_t b) const { return a < b; }
};

class Wanted final : public RowSink {
 public:
  Wanted(std::size_t limit, std::function<bool(std::uint32_t)> is_wanted)
      : is_wanted_(std::move(is_wanted)), top_(limit, {}) {}
  bool wants(std::uint32_t row) override { return is_wanted_(row); }
  float offer(const ScoredRow& row) override {
    ++offers;
    top_.offer(row);
    return top_.score_min();
  }
  std::vector<ScoredRow> take() { return std::move(top_).take(); }
  std::size_t offers = 0;

 private:
  std::function<bool(std::uint32_t)> is_wanted_;
  TopRows<EarlierFirst> top_;
};

class WordSearchTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kWords = 300;
  static constexpr float kWeightsMax = 200;

  // The r-th of the words is in a row with a chance of about 1/r.
  void add_rows(std::uint32_t count, std::mt19937& random) {
    std::uniform_real_distribution<double> uniform(0, std::log(kWords));
    for (std::uint32_t r = 0; r < count; ++r) {
      std::vector<std::uint16_t> counts(kWords);
      const auto words = static_cast<std::uint16_t>(1 + random() % 60);
      for (int i = 0; i < words; ++i) ++counts[static_cast<std::size_t>(std::exp(uniform(random)))];
      for (std::size_t w = 0; w < kWords; ++w) {
        if (counts[w] > 0) words_[w].add({rows_, counts[w], words});
      }
      ++rows_;
    }
  }
  [[nodiscard]] std::vector<WeighedWord> asked(std::span<const std::size_t> words) const {
    std::vector<WeighedWord> weighed;
    for (const auto w : words) {
      const auto having = static_cast<float>(words_[w].all().size());
      weighed.push_back({&words_[w], std::log1p((static_cast<float>(rows_) + 1) / (having + 1))});
    }
    return weighed;
  }
  // Over every posting; 0: not wanted, or has none of the words.
  [[nodiscard]] std::vector<double> sums(
      std::span<const WeighedWord> words,
      const std::function<bool(std::uint32_t)>& is_wanted) const {
    std::vector<double> scores(rows_);
    for (const auto& word : words) {
      for (const auto& [row, count, length] : word.postings->all()) {
        if (is_wanted(row)) scores[row] += double{word.weight} * saturation_.of(count, length);
      }
    }
    return scores;
  }
  static void expect_best(const std::vector<ScoredRow>& found, std::vector<double> sums,
                          std::size_t limit) {
    for (const auto& [row, score] : found) ASSERT_NEAR(score, sums[row], 1e-5) << row;
    std::erase(sums, 0);
    std::ranges::sort(sums, std::ranges::greater{});
    if (sums.size() > limit) sums.resize(limit);
    ASSERT_EQ(found.size(), sums.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i].score, sums[i], 1e-5) << i;
    }
  }
  [[nodiscard]] std::vector<ScoredRow> search(
      std::span<const WeighedWord> words, std::size_t limit,
      const std::function<bool(std::uint32_t)>& is_wanted) const {
    Wanted wanted(limit, is_wanted);
    search_words(words, kWeightsMax, saturation_, wanted);
    return wanted.take();
  }
  static std::vector<std::pair<std::uint32_t, float>> pairs(const std::vector<ScoredRow>& rows) {
    std::vector<std::pair<std::uint32_t, float>> all;
    for (const auto& [row, score] : rows) all.emplace_back(row, score);
    return all;
  }

  std::vector<Postings> words_ = std::vector<Postings>(kWords);
  std::uint32_t rows_ = 0;
  Saturation saturation_{30};
};

TEST_F(WordSearchTest, finds_what_adding_up_every_posting_finds) {
  std::mt19937 random(1);
  add_rows(20'000, random);
  std::uniform_real_distribution<double> uniform(0, std::log(kWords));
  for (int round = 0; round < 300; ++round) {
    std::vector<std::size_t> words;
    for (auto n = 1 + random() % 12; n > 0; --n) {
      const auto w = static_cast<std::size_t>(std::exp(uniform(random)));
      if (std::ranges::find(words, w) == words.end()) words.push_back(w);
    }
    const auto one_in = std::array{1U, 3U, 500U}[random() % 3];
    const auto is_wanted = [&](std::uint32_t row) { return row % one_in == 0; };
    const auto limit = std::array<std::size_t, 5>{0, 1, 10, 300, 20'000}[random() % 5];
    const auto weighed = asked(words);

    const auto found = search(weighed, limit, is_wanted);

    SCOPED_TRACE(round);
    expect_best(found, sums(weighed, is_wanted), limit);
    if (HasFatalFailure()) return;
    auto all = search(weighed, rows_, is_wanted);
    all.resize(std::min(all.size(), limit));
    ASSERT_EQ(pairs(found), pairs(all));
  }
}

TEST_F(WordSearchTest, offers_few_of_the_rows_that_have_a_word) {
  std::mt19937 random(2);
  add_rows(20'000, random);
  const std::size_t words[] = {1, 2, 3, 150};
  Wanted wanted(10, [](std::uint32_t) { return true; });

  search_words(asked(words), kWeightsMax, saturation_, wanted);

  EXPECT_LT(wanted.offers, 1'000U);
}

TEST_F(WordSearchTest, finds_the_same_after_rows_are_gone_and_renumbered) {
  std::mt19937 random(3);
  add_rows(10'000, random);
  constexpr std::uint32_t kGone = 0xFFFF'FFFF;
  std::vector<std::uint32_t> new_rows(rows_, kGone);
  std::uint32_t kept = 0;
  for (std::uint32_t r = 0; r < rows_; ++r) {
    if (random() % 3 != 0) new_rows[r] = kept++;
  }
  for (auto& postings : words_) postings.renumber(new_rows, kGone);
  rows_ = kept;
  add_rows(1'000, random);
  const auto all = [](std::uint32_t) { return true; };
  const std::size_t words[] = {1, 5, 40, 200};
  const auto weighed = asked(words);

  expect_best(search(weighed, 20, all), sums(weighed, all), 20);
}

TEST(CeilingTest, is_never_below_a_posting_whatever_the_mean) {
  std::mt19937 random(4);
  for (int round = 0; round < 1'000; ++round) {
    std::vector<Posting> postings(1 + random() % 20);
    Ceiling ceiling;
    for (auto& posting : postings) {
      posting.count = static_cast<std::uint16_t>(1 + random() % (random() % 9 == 0 ? 65'000 : 6));
      posting.words = static_cast<std::uint16_t>(posting.count + random() % 100);
      ceiling.add(posting);
    }
    const Saturation saturation(static_cast<float>(1 + random() % 500));
    float most = 0;
    for (const auto& [row, count, words] : postings) {
      most = std::max(most, saturation.of(count, words));
    }
    ASSERT_GE(ceiling.of(saturation), most * (1 - 1e-6F));
    ASSERT_LE(ceiling.of(saturation), 1);
  }
}

TEST(CeilingTest, of_nothing_is_nothing) { EXPECT_EQ(Ceiling().of(Saturation(10)), 0); }

}  // namespace
}  // namespace samtale
