// Goal:   whatever happens while the graph grows or is made anew, each vector is in every answer
//         that it belongs to, and is scanned for a short time only.
// Method: the work in the background is done step by step, and changes between its steps.
#include "index/vector_tiers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <utility>

#include "index/testing/vectors.h"

namespace samtale {
namespace {

class VectorTiersTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimension = 24;
  static constexpr std::size_t kFirst = 1'280;
  // From so many on the graph grows by them.
  static constexpr std::size_t kFew = kFirst / 128;

  using Owner = VectorTiers::Owner;

  struct All final : VectorTiers::Sink {
    bool allows(Owner /*owner*/) const override { return true; }
    float score_min() const override { return -2; }
    void offer(Owner owner, float /*score*/) override { owners.push_back(owner); }
    std::vector<Owner> owners;
  };

  void SetUp() override {
    add(kFirst);
    ASSERT_TRUE(does_what_is_due());
    ASSERT_EQ(tiers.graph_size(), kFirst);
  }

  void add(std::size_t count) {
    for (; count > 0; --count) {
      const auto owner = static_cast<Owner>(vectors.size());
      vectors.push_back(clustered(random, kDimension));
      ASSERT_TRUE(tiers.make_room(1));
      places[owner] = tiers.add(owner, vectors.back());
    }
  }
  void remove(Owner owner) {
    if (const auto moved = tiers.remove(places.at(owner))) places[moved->owner] = moved->place;
    places.erase(owner);
  }
  void remove_some(std::size_t count) {
    for (; count > 0; --count) remove(std::next(places.begin(), random() % places.size())->first);
  }

  bool finish(VectorTiers::Work& work, const GoesOn& goes_on) {
    if (!VectorTiers::run_work(work, goes_on)) return false;
    const auto ended = tiers.end_work(work);
    for (const auto& moved : ended->moved) places[moved.owner] = moved.place;
    return true;
  }
  bool does_what_is_due() {
    const auto work = tiers.begin_work();
    return work && finish(*work, [] { return true; });
  }
  bool grows() {
    const auto work = tiers.begin_growth();
    return work && finish(*work, [] { return true; });
  }

  // Each that is there lies where its owner thinks, and an exact search finds it, once.
  void expect_all_there() {
    EXPECT_EQ(tiers.size(), places.size());
    for (const auto& [owner, place] : places) EXPECT_TRUE(tiers.holds(place, vectors[owner]));
    All all;
    EXPECT_TRUE(tiers.nearest(vectors[0], places.size(), 1, true, all));
    std::ranges::sort(all.owners);
    ASSERT_EQ(all.owners.size(), places.size());
    EXPECT_TRUE(std::ranges::equal(all.owners, places, {}, {},
                                   &std::pair<const Owner, VectorTiers::Place>::first));
  }
  // Of those that are there a search by the graph finds nearly each by itself.
  void expect_found_by_graph() {
    std::size_t found = 0;
    for (const auto& [owner, place] : places) {
      All some;
      EXPECT_FALSE(tiers.nearest(vectors[owner], 10, 1, false, some));
      found += std::ranges::count(some.owners, owner) > 0 ? 1 : 0;
    }
    EXPECT_GE(found, places.size() * 98 / 100);
  }

  std::mt19937_64 random{11};
  VectorTiers tiers{kDimension, {.graph_from = 800, .recall_target = 0.98}, nullptr};
  std::vector<std::vector<float>> vectors;  // By owner.
  std::map<Owner, VectorTiers::Place> places;
};

TEST_F(VectorTiersTest, its_graph_grows_by_a_few) {
  add(kFew - 1);
  EXPECT_FALSE(does_what_is_due());

  add(1);
  EXPECT_TRUE(does_what_is_due());

  EXPECT_EQ(tiers.graph_size(), kFirst + kFew);
  EXPECT_FALSE(does_what_is_due());
  expect_all_there();
  expect_found_by_graph();
}

TEST_F(VectorTiersTest, its_graph_grows_to_twice_its_size) {
  for (std::size_t more = 0; more < kFirst; more += 2 * kFew) {
    add(2 * kFew);
    ASSERT_TRUE(does_what_is_due());
  }

  EXPECT_EQ(tiers.graph_size(), 2 * kFirst);
  expect_all_there();
  expect_found_by_graph();
}

TEST_F(VectorTiersTest, a_graph_whose_walks_find_too_little_is_given_up) {
  VectorTiers demanding{kDimension, {.graph_from = kFirst, .recall_target = 1.01}, nullptr};
  ASSERT_TRUE(demanding.make_room(kFirst));
  for (Owner owner = 0; owner < kFirst; ++owner) demanding.add(owner, vectors[owner]);
  const auto does = [&](auto work) {
    EXPECT_TRUE(VectorTiers::run_work(*work, [] { return true; }));
    EXPECT_TRUE(demanding.end_work(*work));
  };
  does(demanding.begin_work());
  ASSERT_EQ(demanding.graph_size(), kFirst);

  // Its own vectors say too little; when it has been asked often enough it is measured again.
  for (int i = 0; i < 2'000; ++i) {
    All all;
    demanding.nearest(vectors[random() % vectors.size()], 10, 1, false, all);
  }
  does(demanding.begin_work());
  does(demanding.begin_work());

  EXPECT_EQ(demanding.graph_size(), 0);
  EXPECT_EQ(demanding.recall(), 1);
  All all;
  EXPECT_TRUE(demanding.nearest(vectors[0], 10, 1, false, all));
  EXPECT_EQ(all.owners.size(), kFirst);
  EXPECT_FALSE(demanding.begin_work()) << "not tried again for as many";
}

TEST_F(VectorTiersTest, a_graph_is_not_measured_all_the_time) {
  const auto ask = [&](int times) {
    for (; times > 0; --times) {
      All all;
      tiers.nearest(vectors[random() % vectors.size()], 10, 1, false, all);
    }
  };
  ask(1'000);
  EXPECT_FALSE(does_what_is_due());
  ask(100);
  EXPECT_TRUE(does_what_is_due()) << "by what was really asked";

  // It has looked for 128 of them twice, at two limits, at the least.
  ask(4'000);

  EXPECT_FALSE(does_what_is_due());
}

class MeasuredTiersTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimension = 512;

  // What an index does before it looks for work.
  static bool graph_is_due(std::size_t vectors, Duration exact_within) {
    VectorTiers tiers(kDimension, {.exact_within = exact_within}, nullptr);
    std::mt19937_64 random{12};
    for (std::size_t i = 0; i < vectors; ++i) {
      tiers.add(static_cast<VectorTiers::Owner>(i), clustered(random, kDimension));
    }
    if (const auto seconds = tiers.measured_scan(0)) tiers.scans_take(*seconds);
    return tiers.begin_work() != nullptr;
  }
};

TEST_F(MeasuredTiersTest, a_graph_is_made_of_so_many_that_a_scan_of_them_takes_too_long) {
  EXPECT_TRUE(graph_is_due(5'000, std::chrono::microseconds(1)));
  EXPECT_FALSE(graph_is_due(5'000, std::chrono::hours(1)));
  EXPECT_FALSE(graph_is_due(5'000, std::chrono::microseconds(0))) << "never";
  EXPECT_FALSE(graph_is_due(1'000, std::chrono::microseconds(1))) << "hardly worth one";
}

TEST_F(VectorTiersTest, changes_while_its_graph_grows) {
  add(kFew);
  const auto growth = tiers.begin_work();
  ASSERT_TRUE(growth);
  bool is_asked = false;
  const auto changes = [&] {
    is_asked = true;
    EXPECT_FALSE(grows()) << "that is what it does";
    remove(0);
    remove(kFirst);
    add(3);
    remove(kFirst + kFew);
    expect_all_there();
    return true;
  };

  ASSERT_TRUE(finish(*growth, changes));

  EXPECT_TRUE(is_asked);
  EXPECT_EQ(tiers.graph_size(), kFirst + kFew - 2);
  expect_all_there();
  while (tiers.clear_removed(1)) expect_all_there();
}

TEST_F(VectorTiersTest, grows_again_if_that_was_stopped) {
  add(kFew);
  const auto stopped = tiers.begin_work();
  ASSERT_FALSE(VectorTiers::run_work(*stopped, [] { return false; }));
  add(2 * kFew);
  expect_all_there();

  EXPECT_TRUE(does_what_is_due());
  EXPECT_EQ(tiers.graph_size(), kFirst + kFew);
  EXPECT_TRUE(does_what_is_due());
  EXPECT_EQ(tiers.graph_size(), kFirst + 3 * kFew);
  expect_all_there();
}

TEST_F(VectorTiersTest, its_graph_goes_on_growing_while_it_is_made_anew) {
  remove_some(kFirst / 3);
  add(kFew / 2);
  const auto anew = tiers.begin_work();
  ASSERT_TRUE(anew);
  std::size_t grown = 0;
  std::size_t left = 4;  // While its nodes are put in.
  const auto changes = [&] {
    if (left == 0) return true;
    --left;
    add(kFew);
    remove_some(kFew / 3);
    grown += grows() ? 1 : 0;
    EXPECT_EQ(tiers.graph_size(), tiers.size());
    return true;
  };

  ASSERT_TRUE(finish(*anew, changes));

  EXPECT_EQ(grown, 4U);
  EXPECT_EQ(tiers.graph_size(), tiers.size()) << "it has caught up";
  expect_all_there();
  expect_found_by_graph();
}

TEST_F(VectorTiersTest, what_a_graph_that_is_made_anew_has_missed_is_scanned_until_it_grows) {
  remove_some(kFirst / 3);
  const auto anew = tiers.begin_work();
  ASSERT_TRUE(anew);
  std::size_t asked = 0;
  const auto changes_late = [&] {
    if (++asked != 100) return true;  // While it is measured.
    add(2 * kFew);
    EXPECT_TRUE(grows());
    remove_some(kFew);
    return true;
  };

  ASSERT_TRUE(finish(*anew, changes_late));

  EXPECT_LT(tiers.graph_size(), tiers.size());
  expect_all_there();
  ASSERT_TRUE(does_what_is_due());
  EXPECT_EQ(tiers.graph_size(), tiers.size());
  expect_all_there();
  expect_found_by_graph();
}

TEST_F(VectorTiersTest, keeps_what_was_to_make_the_graph_grow_that_is_no_more) {
  remove_some(kFirst / 3);
  const auto anew = tiers.begin_work();
  ASSERT_TRUE(anew);
  bool is_first = true;
  const auto stops_growing = [&] {
    if (!std::exchange(is_first, false)) return true;
    add(kFew);
    const auto growth = tiers.begin_growth();
    EXPECT_TRUE(growth);
    EXPECT_FALSE(VectorTiers::run_work(*growth, [] { return false; }));
    EXPECT_FALSE(tiers.begin_growth()) << "not before what is under way has ended";
    remove(kFirst);
    return true;
  };

  ASSERT_TRUE(finish(*anew, stops_growing));

  expect_all_there();
  ASSERT_TRUE(does_what_is_due());
  EXPECT_EQ(tiers.graph_size(), tiers.size());
  expect_all_there();
}

TEST_F(VectorTiersTest, many_new_ones_are_merged_into_a_new_graph) {
  add(kFirst);
  const auto merge = tiers.begin_work();
  ASSERT_TRUE(merge);
  const auto changes = [&] {
    add(kFew);
    EXPECT_FALSE(grows()) << "the graph is at an end";
    return true;
  };

  ASSERT_TRUE(finish(*merge, changes));

  EXPECT_EQ(tiers.graph_size(), 2 * kFirst);
  expect_all_there();
}

}  // namespace
}  // namespace samtale
