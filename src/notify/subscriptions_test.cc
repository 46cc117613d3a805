#include "notify/subscriptions.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "base/bytes.h"
#include "notify/public_address.h"
#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"

namespace samtale {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

constexpr CompanyId kAcme{1};
constexpr CompanyId kGlobex{2};

class SubscriptionsTest : public testing::Test {
 protected:
  SubscriptionsTest() {
    std::string folder = testing::TempDir() + "/subscriptions-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
    restart();
  }
  ~SubscriptionsTest() override { std::filesystem::remove_all(folder_); }

  void restart() {
    subscriptions.reset();
    registry_.reset();
    registry_ = *SqliteRegistry::open({.folder = folder_, .vfs = {}});
    subscriptions.emplace(*registry_, clock, random,
                          SubscriptionOptions{.per_company_max = 3, .may_connect = public_or({})});
    ASSERT_TRUE(subscriptions->load());
  }
  SubscriptionRecord create(CompanyId company = kAcme, std::vector<std::string> events = {}) {
    return subscriptions->create(company, {"https://example.com/hook", std::move(events)}).value();
  }

  SimClock clock;
  SimRandom random{1};
  std::optional<Subscriptions> subscriptions;

  std::unique_ptr<SqliteRegistry> registry_;

 private:
  std::string folder_;
};

TEST_F(SubscriptionsTest, see_what_another_process_has_changed) {
  Subscriptions other(*registry_, clock, random, {.may_connect = public_or({})});
  ASSERT_TRUE(other.load());
  const auto made = create();

  ASSERT_TRUE(other.refresh());
  EXPECT_TRUE(other.find(kAcme, made.id));
  ASSERT_TRUE(subscriptions->revoke(kAcme, made.id));
  EXPECT_EQ(other.rotate(kAcme, made.id, {}).error().code, ErrorCode::not_found);
}

TEST_F(SubscriptionsTest, have_a_secret_of_24_bytes_and_survive_a_restart) {
  const auto made = create();
  ASSERT_TRUE(made.secrets.back().secret.starts_with("whsec_"));
  EXPECT_THAT(*unbase64(made.secrets.back().secret.substr(6)), SizeIs(24));

  restart();

  const auto found = subscriptions->find(kAcme, made.id);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->url, made.url);
  EXPECT_EQ(found->secrets.back().secret, made.secrets.back().secret);
}

TEST_F(SubscriptionsTest, are_refused_for_a_url_or_an_event_that_is_wrong) {
  const auto url = subscriptions->create(kAcme, {"https://user@example.com/", {}});
  EXPECT_EQ(url.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(url.error().message.starts_with("/url: ")) << url.error().message;
  EXPECT_FALSE(subscriptions->create(kAcme, {"https://127.0.0.1/", {}}));

  const auto event = subscriptions->create(kAcme, {"https://example.com/", {"all"}});

  EXPECT_EQ(event.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(subscriptions->list(kAcme), IsEmpty());
}

TEST_F(SubscriptionsTest, are_so_many_and_no_more_until_one_is_revoked) {
  const auto first = create();
  create();
  create();
  const auto fourth = subscriptions->create(kAcme, {"https://example.com/", {}});
  EXPECT_EQ(fourth.error().code, ErrorCode::resource_exhausted);

  EXPECT_TRUE(subscriptions->revoke(kAcme, first.id));

  EXPECT_TRUE(subscriptions->create(kAcme, {"https://example.com/", {}}));
  EXPECT_TRUE(subscriptions->create(kGlobex, {"https://example.com/", {}}));
}

TEST_F(SubscriptionsTest, of_another_company_are_not_there) {
  const auto id = create(kAcme).id;

  EXPECT_EQ(subscriptions->find(kGlobex, id), nullptr);
  EXPECT_THAT(subscriptions->list(kGlobex), IsEmpty());
  EXPECT_EQ(subscriptions->revoke(kGlobex, id).error().code, ErrorCode::not_found);
  EXPECT_EQ(subscriptions->rotate(kGlobex, id, 1h).error().code, ErrorCode::not_found);
  EXPECT_EQ(subscriptions->resume(kGlobex, id).error().code, ErrorCode::not_found);
  EXPECT_EQ(subscriptions->note_failed(kGlobex, id).error().code, ErrorCode::not_found);
  EXPECT_FALSE(subscriptions->has_active(kGlobex));
  EXPECT_TRUE(subscriptions->has_active(kAcme));
}

TEST_F(SubscriptionsTest, listen_to_what_they_asked_for) {
  const auto all = create(kAcme, {});
  const auto one = create(kAcme, {"analysis.completed"});

  EXPECT_THAT(subscriptions->listening(kAcme, "analysis.completed"), SizeIs(2));
  ASSERT_THAT(subscriptions->listening(kAcme, "something.new"), SizeIs(1));
  EXPECT_EQ(subscriptions->listening(kAcme, "something.new")[0]->id, all.id);
}

TEST_F(SubscriptionsTest, sign_with_two_secrets_for_a_while_after_a_rotation) {
  const auto made = create();
  const auto once = subscriptions->rotate(kAcme, made.id, 1h).value();
  ASSERT_THAT(once.secrets, SizeIs(2));
  EXPECT_EQ(once.secrets[0].secret, made.secrets[0].secret);
  EXPECT_EQ(once.secrets[0].expires_at, clock.wall_now() + 1h);
  EXPECT_FALSE(once.secrets[1].expires_at);

  const auto twice = subscriptions->rotate(kAcme, made.id, 2h).value();

  ASSERT_THAT(twice.secrets, SizeIs(2));
  EXPECT_EQ(twice.secrets[0].secret, once.secrets[1].secret);
}

TEST_F(SubscriptionsTest, that_are_paused_listen_to_nothing_until_resumed) {
  const auto id = create().id;
  EXPECT_TRUE(subscriptions->note_failed(kAcme, id));
  EXPECT_TRUE(subscriptions->pause(kAcme, id, "nothing but failures"));
  restart();
  EXPECT_FALSE(subscriptions->has_active(kAcme));
  EXPECT_THAT(subscriptions->listening(kAcme, "analysis.completed"), IsEmpty());
  EXPECT_EQ(subscriptions->find(kAcme, id)->paused_why, "nothing but failures");

  EXPECT_TRUE(subscriptions->resume(kAcme, id));

  EXPECT_TRUE(subscriptions->has_active(kAcme));
  EXPECT_FALSE(subscriptions->find(kAcme, id)->failing_since);
}

TEST_F(SubscriptionsTest, remember_since_when_they_fail_across_a_restart) {
  const auto id = create().id;
  const auto begin = clock.wall_now();
  EXPECT_EQ(subscriptions->note_failed(kAcme, id).value(), begin);
  clock.advance(1h);
  restart();

  EXPECT_EQ(subscriptions->note_failed(kAcme, id).value(), begin);
  EXPECT_TRUE(subscriptions->note_delivered(kAcme, id));
  restart();
  EXPECT_EQ(subscriptions->note_failed(kAcme, id).value(), begin + 1h);
}

TEST_F(SubscriptionsTest, that_are_revoked_stay_listed_without_a_secret) {
  const auto id = create().id;

  EXPECT_TRUE(subscriptions->revoke(kAcme, id, "the receiver answered 410 Gone"));

  EXPECT_EQ(subscriptions->find(kAcme, id), nullptr);
  ASSERT_THAT(subscriptions->list(kAcme), SizeIs(1));
  EXPECT_THAT(subscriptions->list(kAcme)[0].secrets, IsEmpty());
  EXPECT_EQ(subscriptions->list(kAcme)[0].paused_why, "the receiver answered 410 Gone");
  EXPECT_EQ(subscriptions->revoke(kAcme, id).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace samtale
