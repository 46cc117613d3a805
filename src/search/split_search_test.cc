// Goal:   a company that is split over slices is searched as if it were not, to the bit; and what a
//         slice has follows who is split, without a moment when neither way has an answer.
// Method: one store, followed into one index and into three slices. Between them lie the bytes that
//         nodes send each other.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "search/testing/native_search.h"
#include "text/words.h"

namespace samtale {
namespace {

constexpr std::size_t kSlices = 3;

// Its queries depend on how rare their words are, to the last bit.
class WeighingEmbedder final : public Embedder {
 public:
  const std::string& model_id() const override { return embedder_.model_id(); }
  std::size_t dimension() const override { return embedder_.dimension(); }
  std::size_t batch_max() const override { return 1; }
  bool needs_text_alone() const override { return false; }
  Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts, EmbedRole role,
                                                const WordStatistics* statistics,
                                                Duration timeout) override {
    std::vector<std::string> weighed(texts.begin(), texts.end());
    for (auto& text : weighed) {
      auto asked = words(text);
      asked.emplace_back();  // How rare is a word that nobody has?
      for (const auto& word : asked) {
        text += " " + std::to_string(std::bit_cast<std::uint64_t>(
                          statistics->inverse_document_frequency(word)));
      }
    }
    return embedder_.embed(weighed, role, nullptr, timeout);
  }

 private:
  FakeEmbedder embedder_;
};

class SplitSearchTest : public SearchFixture {
 protected:
  using Part = IndexFollower::Part;

  // One slice, as a node has it.
  struct Slice {
    Slice(SplitSearchTest& test, std::size_t number)
        : wholes(test.embedder.model_id(), test.embedder.dimension()),
          shares(test.embedder.model_id(), test.embedder.dimension(), {}, nullptr,
                 [&test](CompanyId company) { test.near_cache.forget(company); }),
          follower(test.store, Partition{0}, wholes,
                   {.number = number, .of = kSlices, .shares = &shares, .layout = [&test] {
                      return test.layout;
                    }}) {}
    IndexSet wholes;
    IndexSet shares;
    IndexFollower follower;
  };

  SplitSearchTest() : SearchFixture(NativeBackend::make()) {
    for (std::size_t i = 0; i < kSlices; ++i) slices.push_back(std::make_unique<Slice>(*this, i));
  }
  void set_split(bool is_split, std::uint64_t settled) {
    auto next = *layout;
    next.changes[kAcme] = {.is_split = is_split, .number = ++next.last};
    next.settled = settled;
    layout = std::make_shared<Layout>(std::move(next));
  }
  void settle() {
    auto next = *layout;
    next.settled = next.last;
    layout = std::make_shared<Layout>(std::move(next));
  }
  void follow() {
    for (auto& slice : slices) {
      while (*slice->follower.step() > 0) continue;
    }
  }
  Result<std::vector<SliceAnswer>> ask(const Searcher& searcher, const SliceQuestion& question) {
    std::vector<SliceAnswer> answers;
    for (std::size_t i = 0; i < kSlices; ++i) {
      const auto index = open(slices[i]->follower, kAcme, Part::share);
      SAMTALE_TRY(const auto answer, searcher.ask_slice(kAcme, slices[i]->shares, i, question));
      auto sent = decode_slice_answer(encode(answer), searcher.limits_of(question));
      EXPECT_TRUE(sent);
      answers.push_back(*std::move(sent));
    }
    return answers;
  }
  Result<SearchAnswer> search_slices(const Searcher& searcher, const SearchRequest& request) {
    return searcher.search_slices(
        kAcme, request, [&](const SliceQuestion& question) { return ask(searcher, question); });
  }
  std::size_t holding(bool whole) const {
    return static_cast<std::size_t>(std::ranges::count_if(slices, [&](const auto& slice) {
      return (whole ? slice->wholes : slice->shares).find(kAcme) != nullptr;
    }));
  }
  void expect_same(const Searcher& searcher, SearchRequest request) {
    for (int page = 0; page < 3; ++page) {
      const auto whole = searcher.search(kAcme, request);
      const auto split = search_slices(searcher, request);
      ASSERT_TRUE(whole && split);
      ASSERT_EQ(shown(*split), shown(*whole));
      ASSERT_EQ(split->is_exact, whole->is_exact);
      if (whole->next_cursor.empty()) return;
      request.cursor = whole->next_cursor;
    }
  }

  std::shared_ptr<const Layout> layout = std::make_shared<Layout>();
  std::vector<std::unique_ptr<Slice>> slices;
};

TEST_F(SplitSearchTest, finds_what_one_index_that_has_it_all_finds) {
  set_split(true, 0);
  WeighingEmbedder weighing;
  QueryVectors weighed(weighing, 0);
  const auto plain = searcher();
  const Searcher weighted(indexes, hydration, weighed, near_cache, clock, {.cursor_key = "a key"});
  constexpr std::array kWords = {"parcel", "invoice", "refund", "angry",
                                 "thanks", "broken",  "late"};
  const auto some_words = [&](std::size_t count) {
    std::string text;
    while (count-- > 0) text += std::string(kWords[random.below(kWords.size())]) + " ";
    return text;
  };
  std::vector<std::string> names;
  for (int step = 0; step < 150; ++step) {
    const auto place = names.empty() ? 0 : random.below(names.size());
    if (!names.empty() && random.one_in(4)) {
      remove(kAcme, make_conversation_id(kAcme, "api", names[place]));
      names.erase(names.begin() + static_cast<std::ptrdiff_t>(place));
    } else {
      const bool is_known = !names.empty() && random.one_in(5);
      if (!is_known) names.push_back("c" + std::to_string(step));
      const auto id = add(kAcme, is_known ? names[place] : names.back(),
                          some_words(1 + random.below(12)), random.one_in(3) ? "voice" : "chat");
      if (random.one_in(3)) conclude(kAcme, id, "intent", {"complain"}, 0.5);
    }
    if (step % 3 != 0) continue;
    follow();
    for (const auto mode : {SearchMode::keyword, SearchMode::vector, SearchMode::hybrid}) {
      SearchRequest request{.query = some_words(1 + random.below(4)), .mode = mode, .limit = 5};
      expect_same(plain, request);
      expect_same(weighted, request);
      request.filters.channels = {"voice"};
      expect_same(plain, request);
      request.filters.analyses = {{.analyzer = "intent", .labels = {"complain"}}};
      expect_same(weighted, request);
    }
    std::vector<float> vector(embedder.dimension(), 0.1F);
    vector[random.below(vector.size())] = 1;
    expect_same(plain, {.vector = vector, .mode = SearchMode::vector, .limit = 7});
  }
  EXPECT_GT(names.size(), 30U);
}

TEST_F(SplitSearchTest, divides_the_conversations_and_nothing_of_them_is_twice) {
  for (int i = 0; i < 60; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  set_split(true, 0);
  follow();

  std::size_t sum = 0;
  for (const auto& slice : slices) {
    EXPECT_GT(slice->shares.size(kAcme).conversations, 8U);
    sum += slice->shares.size(kAcme).conversations;
  }
  EXPECT_EQ(sum, 60U);
}

TEST_F(SplitSearchTest, has_an_answer_one_way_or_the_other_while_a_company_is_split_and_joined) {
  for (int i = 0; i < 600; ++i) add(kAcme, "c" + std::to_string(i), "zebra " + std::to_string(i));
  add(kGlobex, "other", "the other lion");
  follow();
  ASSERT_EQ(holding(true), 1U) << "its home";
  ASSERT_EQ(holding(false), 0U);
  const auto home = home_slice(kAcme, kSlices);
  const auto whole = slices[home]->wholes.find(kAcme);
  ASSERT_NE(whole, nullptr);

  set_split(true, 0);
  for (auto& slice : slices) {
    ASSERT_GT(*slice->follower.step(), 0U);
    EXPECT_TRUE(slice->shares.has(kAcme)) << "some pages are not all";
    EXPECT_EQ(slice->follower.layout(), 0U);
    EXPECT_FALSE(slice->follower.has(kAcme, Part::share));
  }
  add(kAcme, "meanwhile", "zebra in the middle of it");
  remove(kAcme, make_conversation_id(kAcme, "api", "c5"));
  follow();
  EXPECT_EQ(holding(false), kSlices);
  EXPECT_EQ(slices[home]->wholes.find(kAcme), whole) << "others may still ask";
  for (const auto& slice : slices) EXPECT_EQ(slice->follower.layout(), 1U);
  expect_same(searcher(), {.query = "zebra middle", .limit = 100});

  settle();
  follow();
  EXPECT_EQ(holding(true), 0U);
  EXPECT_EQ(slices[home]->wholes.find(kAcme), nullptr);
  EXPECT_EQ(holding(false), kSlices);

  set_split(false, 1);
  follow();
  EXPECT_EQ(holding(true), 1U);
  EXPECT_EQ(holding(false), kSlices) << "others may still ask";
  EXPECT_EQ(slices[home]->wholes.size(kAcme).conversations, 600U);

  settle();
  follow();
  EXPECT_EQ(holding(false), 0U);
  for (const auto& slice : slices) EXPECT_EQ(slice->shares.find(kAcme), nullptr);
  EXPECT_NE(slices[home_slice(kGlobex, kSlices)]->wholes.find(kGlobex), nullptr);
}

TEST_F(SplitSearchTest, a_slice_that_is_loaded_anew_has_what_is_asked_for_now) {
  for (int i = 0; i < 20; ++i) add(kAcme, "c" + std::to_string(i), "the same zebra");
  set_split(true, 0);
  follow();
  const auto before = slices[0]->shares.find(kAcme);
  ASSERT_NE(before, nullptr);

  slices[0]->follower.drop();
  EXPECT_FALSE(slices[0]->follower.has(kAcme, Part::share));
  follow();

  EXPECT_NE(slices[0]->shares.find(kAcme), nullptr);
  EXPECT_NE(slices[0]->shares.find(kAcme), before);
  EXPECT_FALSE(slices[0]->follower.has(kAcme, Part::whole));
  EXPECT_EQ(slices[0]->follower.layout(), 1U);
  expect_same(searcher(), {.query = "zebra", .limit = 50});
}

TEST_F(SplitSearchTest, a_change_that_is_taken_back_half_way_leaves_nothing) {
  for (int i = 0; i < 600; ++i) add(kAcme, "c" + std::to_string(i), "zebra " + std::to_string(i));
  follow();
  set_split(true, 0);
  for (auto& slice : slices) ASSERT_TRUE(slice->follower.step());

  set_split(false, 0);
  follow();

  EXPECT_EQ(holding(true), 1U);
  EXPECT_EQ(holding(false), 0U);
  for (const auto& slice : slices) {
    EXPECT_EQ(slice->shares.find(kAcme), nullptr);
    EXPECT_EQ(slice->follower.layout(), 2U);
  }
}

TEST(SliceAnswerTest, is_read_as_it_was_written_and_not_beyond_its_limits) {
  const ConversationId a{.bytes = {1}};
  const ConversationId b{.bytes = {2}};
  const SliceAnswer answer{.applied = 7,
                           .is_exact = false,
                           .near = {{a, 3, 0.5F}, {b, 1, -0.25F}},
                           .worded = {{b, 1, 12.5F}},
                           .counts = {.chunks = 9, .words = 80, .having = {2, 0, 9}},
                           .conversations = 4,
                           .vectors = 8,
                           .bytes = 1000};
  const auto bytes = encode(answer);

  const auto read = decode_slice_answer(bytes, {.hits = 2, .terms = 3});
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), bytes);
  EXPECT_EQ(read->near[1].score, -0.25F);
  EXPECT_EQ(read->counts, answer.counts);
  EXPECT_FALSE(decode_slice_answer(bytes, {.hits = 1, .terms = 3}));
  EXPECT_FALSE(decode_slice_answer(bytes, {.hits = 2, .terms = 2}));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_slice_answer(bytes.substr(0, length), {.hits = 2, .terms = 3}));
  }
  EXPECT_FALSE(decode_slice_answer(bytes + "x", {.hits = 2, .terms = 3}));
  auto wrong = answer;
  std::swap(wrong.near[0], wrong.near[1]);
  EXPECT_FALSE(decode_slice_answer(encode(wrong), {.hits = 2, .terms = 3})) << "out of order";
}

}  // namespace
}  // namespace samtale
