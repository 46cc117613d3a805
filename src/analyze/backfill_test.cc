#include "analyze/backfill.h"

#include "analyze/testing/analyze_test.h"

namespace samtale {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class BackfillTest : public AnalyzeTest {
 protected:
  BackfillTest() {
    options.page = 2;
    options.waiting_max = 4;
  }
  std::unique_ptr<Backfills> make() {
    return std::make_unique<Backfills>(*store, store->queue(), *catalog, nullptr, clock, random,
                                       options);
  }
  std::string state_of(const std::string& id) {
    return make()->find(kAcme, id).value().campaign.state;
  }

  BackfillOptions options;
};

TEST_F(BackfillTest, asks_for_each_conversation_once_page_by_page) {
  for (int i = 0; i < 7; ++i) put("c" + std::to_string(i), {"hello"});
  put("open", {"hello"}, "open");
  put("foreign", {"hello"}, "ended", kOther);
  const auto backfills = make();
  const auto campaign = backfills->start(kAcme, {}).value();
  EXPECT_EQ(campaign.total, 7);

  AnalyzeWorker worker(parts(), no_words, false);
  for (int i = 0; i < 20 && state_of(campaign.id) == "running"; ++i) {
    ASSERT_TRUE(backfills->step());
    EXPECT_LE(waiting().size(), options.waiting_max + options.page);
    ASSERT_TRUE(worker.step());
  }

  const auto done = backfills->find(kAcme, campaign.id).value();
  EXPECT_EQ(done.campaign.state, "done");
  EXPECT_EQ(done.campaign.seen, 8);
  EXPECT_EQ(done.campaign.asked, 7);
  EXPECT_EQ(done.waiting, 0);
  for (int i = 0; i < 7; ++i) {
    EXPECT_THAT(analyses(make_conversation_id(kAcme, "api", "c" + std::to_string(i))), SizeIs(5));
  }
  EXPECT_THAT(waiting(kOther), IsEmpty());
}

TEST_F(BackfillTest, goes_on_where_it_was_after_a_restart) {
  for (int i = 0; i < 6; ++i) put("c" + std::to_string(i), {"hello"});
  options.waiting_max = 100;
  const auto id = make()->start(kAcme, {})->id;
  ASSERT_TRUE(make()->step());
  EXPECT_THAT(waiting(), SizeIs(2));

  for (int i = 0; i < 5; ++i) ASSERT_TRUE(make()->step());

  EXPECT_THAT(waiting(), SizeIs(6));
  EXPECT_EQ(state_of(id), "done");
}

TEST_F(BackfillTest, stands_still_while_paused_and_ends_when_cancelled) {
  for (int i = 0; i < 6; ++i) put("c" + std::to_string(i), {"hello"});
  options.waiting_max = 100;
  const auto backfills = make();
  const auto id = backfills->start(kAcme, {})->id;
  ASSERT_TRUE(backfills->step());

  ASSERT_TRUE(backfills->change(kAcme, id, Backfills::Action::pause));
  ASSERT_TRUE(backfills->step());
  EXPECT_THAT(waiting(), SizeIs(2));
  ASSERT_TRUE(backfills->change(kAcme, id, Backfills::Action::resume));
  ASSERT_TRUE(backfills->step());
  EXPECT_THAT(waiting(), SizeIs(4));
  ASSERT_TRUE(backfills->change(kAcme, id, Backfills::Action::cancel));
  ASSERT_TRUE(backfills->step());
  EXPECT_THAT(waiting(), SizeIs(4));

  EXPECT_EQ(backfills->change(kAcme, id, Backfills::Action::resume).error().code,
            ErrorCode::conflict);
  EXPECT_EQ(backfills->change(kOther, id, Backfills::Action::pause).error().code,
            ErrorCode::not_found);
}

TEST_F(BackfillTest, takes_the_conversations_and_analyzers_it_is_asked_for) {
  put("c1", {"hello"});
  const auto backfills = make();
  BackfillFilter filter;
  filter.analyzers = {"topics"};
  filter.source = "elsewhere";
  EXPECT_EQ(backfills->estimate(kAcme, filter)->conversations, 0);
  filter.source = "api";
  EXPECT_EQ(backfills->estimate(kAcme, filter)->conversations, 1);
  filter.analyzers = {"horoscope"};
  EXPECT_THAT(backfills->start(kAcme, filter).error().message, HasSubstr("horoscope"));
  filter.analyzers = {"topics"};

  ASSERT_TRUE(backfills->start(kAcme, filter));
  ASSERT_TRUE(backfills->step());

  ASSERT_THAT(waiting(), SizeIs(1));
  EXPECT_THAT(waiting()[0].payload, HasSubstr(R"("analyzers":["topics"])"));
  EXPECT_EQ(waiting()[0].priority, Priority::bulk);
}

TEST_F(BackfillTest, is_refused_where_too_many_run) {
  options.running_max = 1;
  const auto backfills = make();
  const auto id = backfills->start(kAcme, {})->id;
  EXPECT_EQ(backfills->start(kAcme, {}).error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(backfills->start(kOther, {}));
  ASSERT_TRUE(backfills->change(kAcme, id, Backfills::Action::cancel));

  EXPECT_TRUE(backfills->start(kAcme, {}));
}

TEST_F(BackfillTest, starts_by_itself_what_has_a_schedule) {
  put("c1", {"hello"});
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"daily","kind":"topics",
                                             "trigger":{"on":"schedule","every_s":86400}})")));
  const auto backfills = make();

  ASSERT_TRUE(backfills->step());
  ASSERT_TRUE(backfills->step());
  EXPECT_THAT(backfills->list(kAcme).value(), SizeIs(1));
  EXPECT_THAT(waiting(), SizeIs(1));
  clock.advance(std::chrono::hours(24));
  ASSERT_TRUE(backfills->step());

  EXPECT_THAT(backfills->list(kAcme).value(), SizeIs(2));
}

TEST(BackfillFilterTest, reads_back_what_it_wrote) {
  const auto value = *json::parse(
      R"({"analyzers":["topics"],"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z",)"
      R"("channel":"chat","source":"retell"})");

  EXPECT_EQ(to_json(*parse_backfill_filter(value)), value);
  EXPECT_THAT(parse_backfill_filter(*json::parse(R"({"form":1})")).error().message,
              HasSubstr("/form"));
}

}  // namespace
}  // namespace samtale
