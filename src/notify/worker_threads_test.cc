// Goal:   several threads serve several subscriptions: one at a time each, and a slow one holds up
//         nobody.
// Method: real threads; the slow receiver answers only once all others have been told everything.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include "notify/delivery_job.h"
#include "notify/worker.h"
#include "queue/conversation_job.h"
#include "sim/memory_log.h"
#include "sim/sim_random.h"
#include "store/sqlite_registry.h"
#include "store/sqlite_store.h"
#include "sys/testing/fake_http_client.h"

namespace samtale {
namespace {

constexpr CompanyId kAcme{1};
constexpr int kThreads = 3;
constexpr int kEvents = 20;
constexpr int kQuick = 4;

class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "/notify-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path;
};

void happen(Store& store, const std::string& name) {
  StoredConversation stored;
  stored.conversation.id = make_conversation_id(kAcme, "api", name);
  stored.conversation.source = "api";
  stored.conversation.external_id = name;
  const StoredAnalysis analysis{.analyzer = "topics", .revision = 1, .result = "{}"};
  auto job = make_conversation_job(kNotifyJob, kAcme, stored.conversation.id);
  job.payload = R"({"v":1,"conversation":")" + text(stored.conversation.id) +
                R"(","event":"analysis.completed","analyzers":["topics"],"revision":1})";
  ASSERT_TRUE(store.write(Partition{0}, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_conversation(kAcme, stored));
    SAMTALE_TRY_VOID(writer.put_analysis(kAcme, stored.conversation.id, analysis));
    return writer.enqueue(job);
  }));
}

TEST(DeliverThreadsTest, a_slow_subscription_holds_up_no_other_and_none_is_called_twice_at_once) {
  const Folder folder;
  SystemClock clock;
  SystemRandom random;
  MemoryLog log;
  SqliteStoreOptions store_options;
  store_options.folder = folder.path;
  store_options.partitions = 1;
  const auto store = *SqliteStore::open(store_options, clock, random);
  const auto registry = *SqliteRegistry::open({.folder = folder.path, .vfs = {}});
  Subscriptions subscriptions(*registry, clock, random);
  ASSERT_TRUE(subscriptions.create(kAcme, {"https://slow.example/", {}}));
  for (int i = 0; i < kQuick; ++i) {
    ASSERT_TRUE(subscriptions.create(kAcme, {"https://q" + std::to_string(i) + ".example/", {}}));
  }
  for (int i = 0; i < kEvents; ++i) happen(*store, "c" + std::to_string(i));
  NotifyWorker fan_out(store->queue(), *store, subscriptions, random);
  while (*fan_out.step() > 0) continue;

  std::latch quick_are_done(kQuick * kEvents);
  std::latch all_are_done((kQuick + 1) * kEvents);
  std::mutex mutex;
  std::map<std::string, int> at_once;
  int most_at_once = 0;
  FakeHttpClient client([&](const HttpCall& call) -> Result<HttpAnswer> {
    {
      const std::lock_guard lock(mutex);
      most_at_once = std::max(most_at_once, ++at_once[call.url]);
    }
    const bool is_slow = call.url == "https://slow.example/";
    if (is_slow) quick_are_done.wait();
    {
      const std::lock_guard lock(mutex);
      --at_once[call.url];
    }
    if (!is_slow) quick_are_done.count_down();
    all_are_done.count_down();
    return HttpAnswer{200, {}, {}};
  });
  const WebhookSender sender(client, clock, random);
  const auto metrics = make_metrics();
  DeliverWorker worker(store->queue(), *store, subscriptions, sender, *metrics, clock, random, log);

  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&](const std::stop_token& stop) {
      run_worker(
          "deliver", [&] { return worker.step(); }, {}, clock, log, stop);
    });
  }
  all_are_done.wait();
  threads.clear();

  EXPECT_EQ(most_at_once, 1);
  EXPECT_EQ(client.calls().size(), static_cast<std::size_t>((kQuick + 1) * kEvents));
  EXPECT_THAT(*store->queue().waiting(kAcme, 10), testing::IsEmpty());
}

}  // namespace
}  // namespace samtale
