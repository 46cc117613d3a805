#include "notify/worker.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "json/json.h"
#include "notify/delivery_job.h"
#include "queue/conversation_job.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"
#include "store/sqlite_store.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Each;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};

std::string header(const HttpCall& call, std::string_view name) {
  const auto found = std::ranges::find(call.headers, name, &HttpHeaders::value_type::first);
  return found == call.headers.end() ? "none" : found->second;
}

class NotifyTest : public testing::Test {
 protected:
  explicit NotifyTest(std::int64_t jobs_max = 1000) {
    std::string folder = testing::TempDir() + "/notify-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    SqliteStoreOptions store_options;
    store_options.folder = folder_;
    store_options.partitions = 1;
    store_options.queue.jobs_per_company_max = jobs_max;
    store = *SqliteStore::open(store_options, clock, random);
    registry_ = *SqliteRegistry::open({.folder = folder_, .vfs = {}});
    subscriptions.emplace(*registry_, clock, random);
    restart();
  }
  ~NotifyTest() override {
    deliver_.reset();
    std::filesystem::remove_all(folder_);
  }

  // As a process that was killed does: what it held stays leased.
  void restart() {
    deliver_.emplace(store->queue(), *store, *subscriptions, sender_, *metrics, clock, random, log,
                     options);
  }

  std::string subscribe(CompanyId company = kAcme, const std::string& host = "a.example") {
    return subscriptions->create(company, {"https://" + host + "/", {}})->id;
  }
  // Something happened: the job that analyses leave.
  ConversationId happen(const std::string& name = "order-1", CompanyId company = kAcme,
                        const std::string& payload = {}) {
    StoredConversation stored;
    stored.conversation.id = make_conversation_id(company, "api", name);
    stored.conversation.source = "api";
    stored.conversation.external_id = name;
    StoredAnalysis analysis{.analyzer = "sentiment",
                            .method = "extractive",
                            .revision = 1,
                            .result = R"({"label":"negative"})",
                            .labels = {"negative"},
                            .score = -0.5};
    auto job = make_conversation_job(kNotifyJob, company, stored.conversation.id);
    job.payload = payload.empty()
                      ? R"({"v":1,"conversation":")" + text(stored.conversation.id) +
                            R"(","event":"analysis.completed","analyzers":["sentiment"],)"
                            R"("revision":1})"
                      : payload;
    EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.put_conversation(company, stored));
      SAMTALE_TRY_VOID(writer.put_analysis(company, stored.conversation.id, analysis));
      return writer.enqueue(job);
    }));
    return stored.conversation.id;
  }
  std::size_t fan_out() {
    return NotifyWorker(store->queue(), *store, *subscriptions, random).step().value();
  }
  void settle() {
    while (fan_out() > 0) continue;
    while (deliver_->step().value() > 0) continue;
  }
  void settle_after(Duration pause) {
    clock.advance(pause);
    settle();
  }
  std::vector<DeadLetter> dead_letters() {
    return *store->queue().dead_letters(kAcme, std::nullopt, 100);
  }
  std::size_t calls_to(const std::string& host) {
    const auto calls = client.calls();
    return static_cast<std::size_t>(std::ranges::count_if(
        calls, [&](const HttpCall& call) { return call.url == "https://" + host + "/"; }));
  }
  static FakeHttpClient::Step answer(int status, HttpHeaders headers = {}) {
    return [=](const HttpCall&) -> Result<HttpAnswer> { return HttpAnswer{status, headers, {}}; };
  }
  void then(std::vector<int> statuses) {
    for (const int status : statuses) client.then(answer(status));
  }

  SimClock clock;
  SimRandom random{1};
  MemoryLog log;
  DeliverOptions options;
  FakeHttpClient client{answer(200)};
  const std::unique_ptr<Metrics> metrics = make_metrics();
  std::unique_ptr<SqliteStore> store;
  std::optional<Subscriptions> subscriptions;

 private:
  std::string folder_;
  std::unique_ptr<SqliteRegistry> registry_;
  WebhookSender sender_{client, clock, random};

 protected:
  std::optional<DeliverWorker> deliver_;
};

TEST_F(NotifyTest, tells_a_subscriber_what_was_concluded) {
  subscribe();
  const auto id = happen("order-1");
  const auto at = format_time(clock.wall_now());

  settle();

  ASSERT_THAT(client.calls(), SizeIs(1));
  EXPECT_EQ(client.calls()[0].body,
            R"({"type":"analysis.completed","timestamp":")" + at +
                R"(","data":{"conversation_id":")" + text(id) +
                R"(","external_id":"order-1","source":"api","revision":1,"analyses":[)"
                R"({"analyzer":"sentiment","version":1,"method":"extractive","revision":1,)"
                R"("labels":["negative"],"score":-0.5,"result":{"label":"negative"}}]}})");
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
  EXPECT_THAT(metrics->text(),
              HasSubstr(R"(samtale_notify_deliveries_total{outcome="delivered"} 1)"));
}

TEST_F(NotifyTest, tells_each_subscription_of_the_company_once_and_no_other_company) {
  subscribe(kAcme, "a.example");
  subscribe(kAcme, "b.example");
  subscribe(kGlobex, "globex.example");

  happen();
  settle();
  settle_after(std::chrono::hours(24));

  EXPECT_EQ(calls_to("a.example"), 1U);
  EXPECT_EQ(calls_to("b.example"), 1U);
  EXPECT_EQ(calls_to("globex.example"), 0U);
  EXPECT_NE(header(client.calls()[0], "webhook-id"), header(client.calls()[1], "webhook-id"));
}

TEST_F(NotifyTest, tries_by_the_schedule_under_one_id_and_then_gives_up) {
  subscribe();
  options.lane_pause_max = std::chrono::hours(24);
  restart();
  client.then_answer(500, "");
  happen();
  settle();
  for (const auto pause : options.retry_schedule) {
    EXPECT_THAT(dead_letters(), IsEmpty());
    client.then_answer(500, "");
    const auto before = client.calls().size();
    settle_after(pause - 1ms);
    EXPECT_EQ(client.calls().size(), before) << "earlier than the schedule";
    settle_after(pause / 5 + 2ms);
    EXPECT_EQ(client.calls().size(), before + 1);
  }

  ASSERT_THAT(client.calls(), SizeIs(10));
  std::vector<std::string> ids;
  for (const auto& call : client.calls()) ids.push_back(header(call, "webhook-id"));
  EXPECT_THAT(ids, Each(ids[0]));
  ASSERT_THAT(dead_letters(), SizeIs(1));
  EXPECT_EQ(dead_letters()[0].cause, "10 attempts failed, at last: answered 500");

  EXPECT_EQ(store->queue().redrive(kAcme, {}).value(), 1U);
  client.then_answer(500, "");
  settle_after(std::chrono::hours(25));
  EXPECT_THAT(dead_letters(), IsEmpty()) << "put back, it begins anew";
  settle_after(std::chrono::hours(25));
  ASSERT_THAT(client.calls(), SizeIs(12));
  EXPECT_EQ(header(client.calls()[11], "webhook-id"), ids[0]);
}

TEST_F(NotifyTest, sends_nothing_inside_a_retry_after_window) {
  subscribe();
  client.then(answer(429, {{"retry-after", "3600"}}));
  happen("one");
  settle();

  happen("two");
  settle_after(3599s);
  EXPECT_THAT(client.calls(), SizeIs(1));

  settle_after(2s);
  settle_after(2s);
  EXPECT_THAT(client.calls(), SizeIs(3));
}

TEST_F(NotifyTest, revokes_a_subscription_whose_receiver_is_gone) {
  const auto id = subscribe();
  client.then_answer(410, "");
  happen("one");
  happen("two");

  settle();

  EXPECT_THAT(client.calls(), SizeIs(1));
  EXPECT_EQ(subscriptions->find(kAcme, id), nullptr);
  EXPECT_EQ(subscriptions->list(kAcme)[0].paused_why, "the receiver answered 410 Gone");
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
  EXPECT_THAT(dead_letters(), IsEmpty());
}

TEST_F(NotifyTest, does_not_tell_what_was_erased_meanwhile) {
  subscribe();
  const auto erased = happen("one");
  happen("two");
  EXPECT_EQ(fan_out(), 2U);
  EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto positions, writer.erase_conversation(kAcme, erased));
    return {};
  }));

  settle();

  ASSERT_THAT(client.calls(), SizeIs(1));
  EXPECT_THAT(client.calls()[0].body, HasSubstr("\"two\""));
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
}

TEST_F(NotifyTest, a_failing_subscription_does_not_hold_up_another_of_the_same_company) {
  subscribe(kAcme, "down.example");
  subscribe(kAcme, "well.example");
  for (int i = 0; i < 50; ++i) happen("c" + std::to_string(i));
  FakeHttpClient::Step by_host = [](const HttpCall& call) -> Result<HttpAnswer> {
    return HttpAnswer{call.url == "https://well.example/" ? 200 : 500, {}, {}};
  };
  for (int i = 0; i < 1000; ++i) client.then(by_host);

  settle();
  for (int i = 0; i < 20; ++i) settle_after(1s);

  EXPECT_EQ(calls_to("well.example"), 50U);
  EXPECT_THAT(calls_to("down.example"), AllOf(Ge(2U), Le(4U))) << "it is left alone, not hammered";
}

TEST_F(NotifyTest, delivers_all_to_a_receiver_that_comes_back) {
  subscribe();
  then({500, 500, 500});
  for (int i = 0; i < 30; ++i) happen("c" + std::to_string(i));

  for (int i = 0; i < 60; ++i) settle_after(std::chrono::minutes(1));

  std::set<std::string> ids;
  for (const auto& call : client.calls()) ids.insert(header(call, "webhook-id"));
  EXPECT_THAT(ids, SizeIs(30));
  EXPECT_THAT(client.calls(), SizeIs(33));
  EXPECT_FALSE(subscriptions->list(kAcme)[0].failing_since);
}

TEST_F(NotifyTest, pauses_after_days_of_nothing_but_failures) {
  const auto id = subscribe();
  for (int i = 0; i < 2000; ++i) client.then(answer(500));
  happen("one");
  settle();
  for (int day = 1; day <= 4; ++day) {
    settle_after(std::chrono::hours(24));
    happen("later" + std::to_string(day));
    settle();
    EXPECT_TRUE(subscriptions->has_active(kAcme)) << day;
  }

  settle_after(std::chrono::hours(24));

  EXPECT_THAT(subscriptions->find(kAcme, id)->paused_why,
              HasSubstr("nothing but failures since 2026-01-01T00:00:00"));
  const auto sent = client.calls().size();
  happen("unheard");
  settle_after(std::chrono::hours(24));
  settle_after(std::chrono::hours(24));
  EXPECT_EQ(client.calls().size(), sent);
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
  ASSERT_THAT(dead_letters(), SizeIs(5));
  EXPECT_THAT(dead_letters()[0].cause, HasSubstr("its subscription is paused"));
}

TEST_F(NotifyTest, after_a_resume_what_was_given_up_can_be_told) {
  const auto id = subscribe();
  happen();
  fan_out();
  EXPECT_TRUE(subscriptions->pause(kAcme, id, "by a test"));
  settle();
  ASSERT_THAT(dead_letters(), SizeIs(1));

  EXPECT_TRUE(subscriptions->resume(kAcme, id));
  EXPECT_EQ(store->queue().redrive(kAcme, {}).value(), 1U);
  settle();

  EXPECT_THAT(client.calls(), SizeIs(1));
}

TEST_F(NotifyTest, a_delivery_that_was_cut_off_is_made_again_under_the_same_id) {
  subscribe();
  client.then([](const HttpCall&) -> Result<HttpAnswer> { throw std::runtime_error("cut off"); });
  happen();
  fan_out();
  EXPECT_EQ(deliver_->step().value(), 1U);
  EXPECT_THROW((void)deliver_->step(), std::runtime_error);

  settle_after(options.lease + 1s);

  ASSERT_THAT(client.calls(), SizeIs(2));
  EXPECT_EQ(header(client.calls()[0], "webhook-id"), header(client.calls()[1], "webhook-id"));
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), IsEmpty());
}

TEST_F(NotifyTest, puts_back_what_it_holds_when_it_ends) {
  subscribe();
  happen("one");
  happen("two");
  fan_out();
  EXPECT_EQ(deliver_->step().value(), 2U);

  deliver_->stop();
  EXPECT_EQ(deliver_->step().value(), 0U);
  restart();
  settle();

  EXPECT_THAT(client.calls(), SizeIs(2)) << "without waiting for a lease to end";
}

TEST_F(NotifyTest, a_job_of_a_newer_version_is_parked_and_the_others_done) {
  subscribe();
  happen("new", kAcme, R"({"v":2})");
  happen("old");

  settle();

  EXPECT_THAT(client.calls(), SizeIs(1));
  EXPECT_THAT(dead_letters(), SizeIs(1));
}

TEST_F(NotifyTest, jobs_that_lack_a_part_are_parked) {
  subscribe();
  const auto id = text(make_conversation_id(kAcme, "api", "c"));
  for (const auto* rest : {"", R"(,"event":7,"analyzers":[])", R"(,"event":"analysis.completed")",
                           R"(,"event":"analysis.completed","analyzers":[7])"}) {
    happen("c", kAcme, R"({"v":1,"conversation":")" + id + "\"" + rest + "}");
    settle();
  }
  EXPECT_THAT(dead_letters(), SizeIs(4));

  EXPECT_TRUE(store->write(Partition{0}, [&](StoreWriter& writer) {
    return writer.enqueue({.company = kAcme,
                           .kind = std::string(kDeliverJob),
                           .payload = R"({"v":1,"conversation":")" + id +
                                      R"(","event":"analysis.completed","analyzers":[]})"});
  }));
  settle();

  EXPECT_THAT(dead_letters(), SizeIs(5));
  EXPECT_THAT(client.calls(), IsEmpty());
}

class FullQueueTest : public NotifyTest {
 protected:
  FullQueueTest() : NotifyTest(2) {}
};

TEST_F(FullQueueTest, fans_out_when_there_is_room_again) {
  subscribe(kAcme, "a.example");
  subscribe(kAcme, "b.example");
  subscribe(kAcme, "c.example");
  happen();
  EXPECT_EQ(fan_out(), 1U);
  EXPECT_THAT(client.calls(), IsEmpty());
  const auto others = subscriptions->list(kAcme);
  EXPECT_TRUE(subscriptions->revoke(kAcme, others[0].id));
  EXPECT_TRUE(subscriptions->revoke(kAcme, others[1].id));

  settle_after(10s);

  EXPECT_EQ(calls_to("c.example"), 1U);
}

}  // namespace
}  // namespace samtale
