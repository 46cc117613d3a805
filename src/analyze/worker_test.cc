#include "analyze/worker.h"

#include "analyze/testing/analyze_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AnalyzeWorkerTest : public AnalyzeTest {
 protected:
  ConversationId add(const std::string& name, const std::string& text,
                     const std::string& status = "ended") {
    const auto id = put(name, {text}, status);
    enqueue(kAnalyzeJob, id);
    return id;
  }
  AnalyzeWorker worker{parts(), no_words, false};
  AnalyzeWorker worker_with_model{parts(), no_words, true};
};

TEST_F(AnalyzeWorkerTest, concludes_from_a_conversation_that_has_ended) {
  const auto id = add("a", "The lamp of ida@example.dk arrived broken.");

  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_THAT(names_of(analyses(id)),
              ElementsAre("manipulation", "pii", "sentiment", "summary", "topics"));
  EXPECT_EQ(analyses(id)[0].method, "rules");
  EXPECT_EQ(analyses(id)[1].method, "rules");
  EXPECT_EQ(analyses(id)[2].method, "extractive");
  EXPECT_EQ(analyses(id)[2].revision, 1);
  EXPECT_THAT(waiting(), IsEmpty());
}

TEST_F(AnalyzeWorkerTest, waits_for_the_companys_words_however_long_that_takes) {
  bool are_known = false;
  AnalyzeWorker waiting_worker(
      parts(),
      [&](CompanyId) -> Result<std::shared_ptr<const WordStatistics>> {
        if (!are_known) return fail(ErrorCode::unavailable, "the index is being opened");
        return nullptr;
      },
      false);
  const auto id = add("a", "The lamp arrived broken.");

  for (int look = 0; look < 20; ++look) {
    ASSERT_EQ(waiting_worker.step().value(), 1U);
    clock.advance(std::chrono::minutes(1));
  }
  EXPECT_THAT(analyses(id), IsEmpty());
  are_known = true;
  ASSERT_EQ(waiting_worker.step().value(), 1U);

  EXPECT_FALSE(analyses(id).empty());
}

TEST_F(AnalyzeWorkerTest, leaves_alone_what_is_open_deleted_or_known) {
  const auto open = add("open", "The lamp arrived broken.", "open");
  const auto deleted = add("deleted", "The lamp arrived broken.");
  EXPECT_TRUE(write([&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto positions, writer.erase_conversation(kAcme, deleted));
    return writer.enqueue(make_conversation_job(kAnalyzeJob, kAcme, deleted));
  }));
  EXPECT_EQ(worker.step().value(), 2U);
  EXPECT_THAT(analyses(open), IsEmpty());
  EXPECT_THAT(analyses(deleted), IsEmpty());

  const auto known = add("known", "The lamp arrived broken.");
  EXPECT_EQ(worker.step().value(), 1U);
  const auto made_at = analyses(known)[0].created_at;
  clock.advance(std::chrono::hours(1));
  enqueue(kAnalyzeJob, known);
  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(analyses(known)[0].created_at, made_at);
}

TEST_F(AnalyzeWorkerTest, concludes_anew_from_a_later_revision) {
  const auto id = add("a", "The lamp arrived broken.");
  EXPECT_EQ(worker.step().value(), 1U);

  add("a", "The lamp arrived. Wonderful lamp!");
  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_EQ(analyses(id)[2].revision, 2);
  EXPECT_EQ(analyses(id)[2].labels.at(0), "positive");
}

TEST_F(AnalyzeWorkerTest, parks_a_job_of_a_newer_version_and_does_the_others) {
  EXPECT_TRUE(write([&](StoreWriter& writer) {
    NewJob job;
    job.company = kAcme;
    job.kind = kAnalyzeJob;
    job.payload = R"({"v":2})";
    return writer.enqueue(job);
  }));
  const auto id = add("a", "The lamp arrived broken.");

  EXPECT_EQ(worker.step().value(), 2U);

  EXPECT_THAT(analyses(id), SizeIs(5));
  EXPECT_THAT(*store->queue().dead_letters(kAcme, std::nullopt, 10), SizeIs(1));
}

TEST_F(AnalyzeWorkerTest, makes_what_the_company_wants_under_the_names_it_gave) {
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"mood","kind":"sentiment"})")));
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"topics","active":false})")));
  const auto id = add("a", "The lamp arrived broken.");

  EXPECT_EQ(worker.step().value(), 1U);

  EXPECT_THAT(names_of(analyses(id)),
              ElementsAre("manipulation", "mood", "pii", "sentiment", "summary"));
}

TEST_F(AnalyzeWorkerTest, leaves_to_a_language_model_what_it_can_say_better) {
  const auto id = add("a", "The lamp arrived broken.");

  EXPECT_EQ(worker_with_model.step().value(), 1U);

  EXPECT_THAT(analyses(id), SizeIs(5));  // At once, and kept until there is something better.
  ASSERT_THAT(waiting(), SizeIs(1));
  EXPECT_EQ(waiting()[0].kind, kLmJob);
  EXPECT_EQ(waiting()[0].priority, Priority::normal);
}

TEST_F(AnalyzeWorkerTest, hurries_for_a_critical_analyzer_and_not_for_history) {
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"intent","priority":"critical"})")));
  add("now", "Cancel my contract");
  EXPECT_EQ(worker_with_model.step().value(), 1U);
  ASSERT_THAT(waiting(), SizeIs(1));
  EXPECT_EQ(waiting()[0].kind, kLmCriticalJob);

  const auto old = put("old", {"Cancel my contract"});
  EXPECT_TRUE(write([&](StoreWriter& writer) {
    auto job = make_conversation_job(kAnalyzeJob, kAcme, old);
    job.priority = Priority::bulk;
    return writer.enqueue(job);
  }));
  EXPECT_EQ(worker_with_model.step().value(), 1U);

  const auto taken = store->queue().take(kLmBulkJob, 2, std::chrono::minutes(1)).value();
  ASSERT_THAT(taken, SizeIs(1));
  EXPECT_EQ(taken[0].priority, Priority::bulk);
}

TEST_F(AnalyzeWorkerTest, leaves_to_a_batch_what_can_wait_so_long) {
  auto with_batches = parts();
  with_batches.batch_window = std::chrono::hours(24);
  AnalyzeWorker worker_with_batches(with_batches, no_words, true);
  const auto kind_of_bulk = [&](const std::string& name, const std::string& deadline) {
    EXPECT_TRUE(catalog->put(kAcme, parsed(R"({"name":"intent","deadline_s":)" + deadline + "}")));
    const auto id = put(name, {"Cancel my contract"});
    EXPECT_TRUE(write([&](StoreWriter& writer) {
      auto job = make_conversation_job(kAnalyzeJob, kAcme, id);
      job.priority = Priority::bulk;
      return writer.enqueue(job);
    }));
    EXPECT_EQ(worker_with_batches.step().value(), 1U);
    const auto jobs = waiting();
    return std::ranges::find_if(jobs, [&](const Job& job) { return *conversation_of(job) == id; })
        ->kind;
  };

  EXPECT_EQ(kind_of_bulk("a", "3600"), kLmBulkJob);
  EXPECT_EQ(kind_of_bulk("b", "100000"), kLmBatchJob);
  add("now", "Cancel my contract");
  EXPECT_EQ(worker_with_batches.step().value(), 1U);
  const auto jobs = waiting();
  const auto urgent = std::ranges::find(jobs, Priority::normal, &Job::priority);
  ASSERT_NE(urgent, jobs.end());
  EXPECT_EQ(urgent->kind, kLmJob) << "people look at what has just ended";
}

TEST_F(AnalyzeWorkerTest, waits_for_a_pause_where_turns_are_the_trigger) {
  ASSERT_TRUE(
      catalog->put(kAcme, parsed(R"({"name":"intent","trigger":{"on":"turn","quiet_s":30}})")));
  add("open", "Cancel my contract", "open");

  EXPECT_EQ(worker_with_model.step().value(), 1U);

  EXPECT_THAT(store->queue().take(kLmJob, 1, std::chrono::minutes(1)).value(), IsEmpty());
  clock.advance(std::chrono::seconds(30));
  EXPECT_THAT(store->queue().take(kLmJob, 1, std::chrono::minutes(1)).value(), SizeIs(1));
}

TEST_F(AnalyzeWorkerTest, tells_who_wants_to_know) {
  add("a", "The lamp arrived broken.");
  EXPECT_EQ(worker.step().value(), 1U);
  EXPECT_THAT(waiting(), IsEmpty());

  wants_news = true;
  add("b", "The lamp arrived broken.");
  EXPECT_EQ(worker.step().value(), 1U);

  ASSERT_THAT(waiting(), SizeIs(1));
  EXPECT_EQ(waiting()[0].kind, kNotifyJob);
  EXPECT_THAT(waiting()[0].payload, HasSubstr("\"analyzers\":[\"manipulation\",\"pii\""));
  EXPECT_THAT(waiting()[0].payload, testing::Not(HasSubstr("lamp")));
}

}  // namespace
}  // namespace samtale
