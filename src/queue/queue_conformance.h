// Goal:   every Queue behaves as queue.h says.
// Method: a typed suite that each implementation instantiates with a Harness:
//           queue()            the implementation, with enqueue(const NewJob&)
//           enqueue_all(jobs)  the same for many jobs of one company, quickly
//           advance(Duration)  moves its clock
//           kJobsMax           the jobs_per_company_max it was made with
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "queue/queue.h"

namespace samtale {

template <class Harness>
class QueueConformance : public ::testing::Test {
 protected:
  static constexpr CompanyId kOne{1};
  static constexpr CompanyId kTwo{2};
  static constexpr Duration kLease = std::chrono::seconds(30);

  void enqueue(NewJob job) { ASSERT_TRUE(harness_.queue().enqueue(job)); }
  void enqueue(CompanyId company, std::string payload) {
    enqueue({.company = company, .kind = "embed", .payload = std::move(payload), .key = ""});
  }
  void enqueue_many(CompanyId company, std::size_t count) {
    const NewJob job{.company = company, .kind = "embed", .payload = "one of many", .key = ""};
    harness_.enqueue_all(std::vector<NewJob>(count, job));
  }
  std::vector<Job> take(std::size_t limit = 100) {
    auto jobs = harness_.queue().take("embed", limit, kLease);
    EXPECT_TRUE(jobs) << jobs.error().message;
    return jobs.value_or(std::vector<Job>());
  }
  // Takes until there is nothing: jobs of several partitions come in several calls.
  std::vector<Job> take_all() {
    std::vector<Job> all;
    for (auto some = take(); !some.empty(); some = take()) {
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }
  static std::vector<std::string> payloads(const std::vector<Job>& jobs) {
    std::vector<std::string> all;
    for (const auto& job : jobs) all.push_back(job.payload);
    return all;
  }
  QueueStats stats(std::optional<CompanyId> company = std::nullopt) {
    const auto all = harness_.queue().stats(company);
    EXPECT_TRUE(all);
    for (const auto& one : *all) {
      if (one.kind == "embed") return one;
    }
    return {};
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(QueueConformance);

TYPED_TEST_P(QueueConformance, hands_out_what_was_put_in) {
  this->enqueue({.company = this->kOne, .kind = "embed", .payload = "a", .key = "k"});

  const auto jobs = this->take();

  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].company, this->kOne);
  EXPECT_EQ(jobs[0].kind, "embed");
  EXPECT_EQ(jobs[0].payload, "a");
  EXPECT_EQ(jobs[0].key, "k");
  EXPECT_EQ(jobs[0].priority, Priority::normal);
  EXPECT_EQ(jobs[0].attempt, 1);
  EXPECT_TRUE(this->take().empty());
}

TYPED_TEST_P(QueueConformance, keeps_kinds_apart) {
  this->enqueue(this->kOne, "a");

  const auto other = this->harness_.queue().take("index", 10, this->kLease);

  EXPECT_TRUE(other.value().empty());
  EXPECT_EQ(this->take().size(), 1u);
}

TYPED_TEST_P(QueueConformance, refuses_a_job_without_a_kind) {
  const auto refused =
      this->harness_.queue().enqueue({.company = this->kOne, .kind = "", .payload = "", .key = ""});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

TYPED_TEST_P(QueueConformance, hands_a_finished_job_out_never_again) {
  this->enqueue(this->kOne, "a");
  const auto jobs = this->take();

  ASSERT_TRUE(this->harness_.queue().finish(jobs));
  this->harness_.advance(2 * this->kLease);

  EXPECT_TRUE(this->take().empty());
  EXPECT_EQ(this->stats().ready + this->stats().leased + this->stats().delayed, 0u);
}

TYPED_TEST_P(QueueConformance, hands_a_job_out_again_when_its_lease_has_ended) {
  this->enqueue(this->kOne, "a");
  const auto first = this->take();

  this->harness_.advance(this->kLease);
  const auto second = this->take();

  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].id, first[0].id);
  EXPECT_EQ(second[0].attempt, 2);
  EXPECT_GT(second[0].fence, first[0].fence);
}

TYPED_TEST_P(QueueConformance, refuses_whoever_lost_the_lease) {
  this->enqueue(this->kOne, "a");
  const auto first = this->take();
  this->harness_.advance(this->kLease);
  const auto second = this->take();
  auto& queue = this->harness_.queue();

  EXPECT_EQ(queue.finish(first).error().code, ErrorCode::conflict);
  EXPECT_EQ(queue.extend(first[0], this->kLease).error().code, ErrorCode::conflict);
  EXPECT_EQ(queue.retry_after(first[0], {}, "").error().code, ErrorCode::conflict);
  EXPECT_EQ(queue.give_up(first[0], "").error().code, ErrorCode::conflict);
  EXPECT_TRUE(queue.finish(second));
}

TYPED_TEST_P(QueueConformance, finishes_the_others_when_one_lease_was_lost) {
  this->enqueue(this->kOne, "a");
  this->enqueue(this->kOne, "b");
  auto jobs = this->take();
  jobs[0].fence += 1;

  EXPECT_EQ(this->harness_.queue().finish(jobs).error().code, ErrorCode::conflict);

  EXPECT_EQ(this->stats().leased, 1u);
}

TYPED_TEST_P(QueueConformance, keeps_an_extended_lease) {
  this->enqueue(this->kOne, "a");
  const auto jobs = this->take();

  this->harness_.advance(this->kLease / 2);
  ASSERT_TRUE(this->harness_.queue().extend(jobs[0], this->kLease));
  this->harness_.advance(this->kLease * 3 / 4);

  EXPECT_TRUE(this->take().empty());
  this->harness_.advance(this->kLease / 4);
  EXPECT_EQ(this->take().size(), 1u);
}

TYPED_TEST_P(QueueConformance, waits_for_a_delay) {
  this->enqueue({.company = this->kOne,
                 .kind = "embed",
                 .payload = "a",
                 .delay = std::chrono::seconds(10),
                 .key = ""});

  EXPECT_TRUE(this->take().empty());
  EXPECT_EQ(this->stats().delayed, 1u);
  this->harness_.advance(std::chrono::seconds(10));
  EXPECT_EQ(this->stats().ready, 1u);
  EXPECT_EQ(this->take().size(), 1u);
}

TYPED_TEST_P(QueueConformance, hands_a_retried_job_out_after_its_pause) {
  this->enqueue(this->kOne, "a");
  const auto first = this->take();

  ASSERT_TRUE(this->harness_.queue().retry_after(first[0], std::chrono::seconds(5), "busy"));

  EXPECT_TRUE(this->take().empty());
  EXPECT_EQ(this->stats().attempts, 1u);
  this->harness_.advance(std::chrono::seconds(5));
  const auto second = this->take();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].attempt, 2);
}

TYPED_TEST_P(QueueConformance, replaces_a_waiting_job_of_the_same_key) {
  const NewJob job{.company = this->kOne, .kind = "embed", .payload = "old", .key = "k"};
  this->enqueue(job);
  auto newer = job;
  newer.payload = "new";
  newer.priority = Priority::critical;
  auto other_company = job;
  other_company.company = this->kTwo;

  this->enqueue(newer);
  this->enqueue(other_company);

  const auto jobs = this->take_all();
  EXPECT_THAT(this->payloads(jobs), ::testing::UnorderedElementsAre("new", "old"));
}

TYPED_TEST_P(QueueConformance, lets_a_new_job_join_a_leased_one_of_the_same_key) {
  NewJob job{.company = this->kOne, .kind = "embed", .payload = "old", .key = "k"};
  this->enqueue(job);
  const auto leased = this->take();
  job.payload = "new";

  this->enqueue(job);

  EXPECT_EQ(this->payloads(this->take()), std::vector<std::string>{"new"});
  EXPECT_TRUE(this->harness_.queue().finish(leased));
}

TYPED_TEST_P(QueueConformance, drops_a_retried_job_for_a_newer_one_of_its_key) {
  NewJob job{.company = this->kOne, .kind = "embed", .payload = "old", .key = "k"};
  this->enqueue(job);
  const auto leased = this->take();
  job.payload = "new";
  this->enqueue(job);

  ASSERT_TRUE(this->harness_.queue().retry_after(leased[0], {}, "busy"));

  EXPECT_EQ(this->payloads(this->take()), std::vector<std::string>{"new"});
}

TYPED_TEST_P(QueueConformance, keeps_a_dead_letter_with_its_cause) {
  this->enqueue(this->kOne, "a");
  const auto jobs = this->take();

  ASSERT_TRUE(this->harness_.queue().give_up(jobs[0], "too long"));
  this->harness_.advance(2 * this->kLease);

  EXPECT_TRUE(this->take().empty());
  const auto letters = this->harness_.queue().dead_letters(this->kOne, std::nullopt, 10);
  ASSERT_EQ(letters.value().size(), 1u);
  EXPECT_EQ(letters->at(0).id, jobs[0].id);
  EXPECT_EQ(letters->at(0).cause, "too long");
  EXPECT_EQ(letters->at(0).payload, "a");
  EXPECT_EQ(letters->at(0).attempts, 1);
  EXPECT_EQ(this->stats().dead, 1u);
}

TYPED_TEST_P(QueueConformance, lists_dead_letters_newest_first_in_pages) {
  for (const auto* payload : {"a", "b", "c"}) this->enqueue(this->kOne, payload);
  for (const auto& job : this->take_all()) {
    ASSERT_TRUE(this->harness_.queue().give_up(job, "x"));
  }
  auto& queue = this->harness_.queue();

  const auto first = queue.dead_letters(this->kOne, std::nullopt, 2);
  const auto second = queue.dead_letters(this->kOne, first->back().id, 2);

  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ(first->at(0).payload, "c");
  ASSERT_EQ(second->size(), 1u);
  EXPECT_EQ(second->at(0).payload, "a");
}

TYPED_TEST_P(QueueConformance, puts_dead_letters_back_with_fresh_attempts) {
  this->enqueue(this->kOne, "a");
  this->enqueue(this->kOne, "b");
  auto jobs = this->take_all();
  for (const auto& job : jobs) ASSERT_TRUE(this->harness_.queue().give_up(job, "x"));
  const std::vector ids = {jobs[0].id};

  EXPECT_EQ(this->harness_.queue().redrive(this->kOne, ids).value(), 1u);
  const auto again = this->take_all();
  EXPECT_EQ(this->harness_.queue().redrive(this->kOne, {}).value(), 1u);

  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].payload, jobs[0].payload);
  EXPECT_EQ(again[0].attempt, 1);
  EXPECT_GT(again[0].fence, jobs[0].fence);
  EXPECT_EQ(this->stats().dead, 0u);
}

TYPED_TEST_P(QueueConformance, gives_up_a_job_whose_lease_ended_five_times) {
  this->enqueue(this->kOne, "poison");
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(this->take().size(), 1u);
    this->harness_.advance(this->kLease);
  }

  EXPECT_TRUE(this->take().empty());

  const auto letters = this->harness_.queue().dead_letters(this->kOne, std::nullopt, 10);
  ASSERT_EQ(letters.value().size(), 1u);
  EXPECT_EQ(letters->at(0).cause, "worker died or timed out 5 times");
  EXPECT_EQ(letters->at(0).attempts, 5);
}

// A worker that dies of one job of each batch it is handed, and finishes what it has alone.
TYPED_TEST_P(QueueConformance, does_not_condemn_the_batch_of_a_poisonous_job) {
  for (int i = 0; i < 20; ++i) this->enqueue(this->kOne, i == 7 ? "poison" : "good");

  for (int i = 0; i < 100; ++i) {
    const auto jobs = this->take();
    bool dies = false;
    for (const auto& job : jobs) dies = dies || job.payload == "poison";
    if (!dies) {
      ASSERT_TRUE(this->harness_.queue().finish(jobs));
    }
    this->harness_.advance(this->kLease);
  }

  const auto letters = this->harness_.queue().dead_letters(this->kOne, std::nullopt, 100);
  ASSERT_EQ(letters.value().size(), 1u);
  EXPECT_EQ(letters->at(0).payload, "poison");
  EXPECT_EQ(this->stats().ready + this->stats().leased, 0u);
}

TYPED_TEST_P(QueueConformance, serves_urgent_work_first_and_then_the_older) {
  const auto put = [&](const char* payload, Priority priority) {
    this->enqueue({.company = this->kOne,
                   .kind = "embed",
                   .payload = payload,
                   .priority = priority,
                   .key = ""});
    this->harness_.advance(std::chrono::milliseconds(1));
  };
  put("bulk", Priority::bulk);
  put("normal 1", Priority::normal);
  put("normal 2", Priority::normal);
  put("critical", Priority::critical);

  EXPECT_THAT(this->payloads(this->take_all()),
              ::testing::ElementsAre("critical", "normal 1", "normal 2", "bulk"));
}

TYPED_TEST_P(QueueConformance, moves_waiting_work_up_by_a_priority_a_minute) {
  this->enqueue({.company = this->kOne,
                 .kind = "embed",
                 .payload = "bulk",
                 .priority = Priority::bulk,
                 .key = ""});
  this->harness_.advance(std::chrono::minutes(2));
  this->enqueue({.company = this->kOne,
                 .kind = "embed",
                 .payload = "critical",
                 .priority = Priority::critical,
                 .key = ""});

  EXPECT_THAT(this->payloads(this->take_all()), ::testing::ElementsAre("bulk", "critical"));
}

TYPED_TEST_P(QueueConformance, serves_a_small_company_beside_a_large_one) {
  this->enqueue_many(this->kOne, 10'000);
  ASSERT_EQ(this->take(32).size(), 32u);
  for (int i = 0; i < 5; ++i) this->enqueue(this->kTwo, "small");

  std::map<CompanyId, int> served;
  for (int i = 0; i < 3; ++i) {
    for (const auto& job : this->take(32)) ++served[job.company];
  }

  EXPECT_EQ(served[this->kTwo], 5);
  EXPECT_GT(served[this->kOne], 0);
}

TYPED_TEST_P(QueueConformance, shares_by_weight) {
  this->harness_.queue().set_weight(this->kOne, 3);
  this->enqueue_many(this->kOne, 1000);
  this->enqueue_many(this->kTwo, 1000);

  std::map<CompanyId, int> served;
  for (int i = 0; i < 400; ++i) {
    for (const auto& job : this->take(1)) ++served[job.company];
  }

  EXPECT_NEAR(served[this->kOne], 300, 4);
  EXPECT_NEAR(served[this->kTwo], 100, 4);
}

TYPED_TEST_P(QueueConformance, lets_no_company_touch_anothers_jobs) {
  this->enqueue(this->kOne, "one");
  auto jobs = this->take();
  auto& queue = this->harness_.queue();
  auto forged = jobs[0];
  forged.company = this->kTwo;

  EXPECT_FALSE(queue.finish(std::vector{forged}));
  EXPECT_FALSE(queue.extend(forged, this->kLease));
  EXPECT_FALSE(queue.retry_after(forged, {}, ""));
  EXPECT_FALSE(queue.give_up(forged, ""));
  ASSERT_TRUE(queue.give_up(jobs[0], "secret cause"));
  EXPECT_TRUE(queue.dead_letters(this->kTwo, std::nullopt, 10).value().empty());
  EXPECT_EQ(queue.redrive(this->kTwo, std::vector{jobs[0].id}).value(), 0u);
  EXPECT_EQ(queue.redrive(this->kTwo, {}).value(), 0u);
  EXPECT_EQ(this->stats(this->kTwo).dead, 0u);
  EXPECT_EQ(this->stats(this->kTwo).attempts, 0u);
  EXPECT_EQ(this->stats(this->kOne).dead, 1u);
  this->enqueue(this->kOne, "more");
  EXPECT_TRUE(queue.waiting(this->kTwo, 10).value().empty());
  EXPECT_EQ(this->payloads(queue.waiting(this->kOne, 10).value()),
            std::vector<std::string>{"more"});
}

TYPED_TEST_P(QueueConformance, refuses_more_jobs_than_a_company_may_hold) {
  this->enqueue_many(this->kOne, TypeParam::kJobsMax);
  const NewJob more{.company = this->kOne, .kind = "embed", .payload = "", .key = ""};
  auto& queue = this->harness_.queue();

  const auto refused = queue.enqueue(more);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  this->enqueue(this->kTwo, "others go on");
  std::vector<Job> jobs;
  while (jobs.empty() || jobs[0].company != this->kOne) jobs = this->take(1);
  ASSERT_TRUE(queue.finish(jobs));
  EXPECT_TRUE(queue.enqueue(more));
}

TYPED_TEST_P(QueueConformance, tells_the_age_of_the_oldest_ready_job) {
  this->enqueue(this->kOne, "a");
  this->harness_.advance(std::chrono::seconds(7));
  this->enqueue(this->kOne, "b");

  EXPECT_EQ(this->stats().oldest_age, std::chrono::seconds(7));
  const auto jobs = this->take_all();
  EXPECT_EQ(this->stats().oldest_age, Duration::zero());
  EXPECT_EQ(this->stats().leased, 2u);
}

REGISTER_TYPED_TEST_SUITE_P(
    QueueConformance, hands_out_what_was_put_in, keeps_kinds_apart, refuses_a_job_without_a_kind,
    hands_a_finished_job_out_never_again, hands_a_job_out_again_when_its_lease_has_ended,
    refuses_whoever_lost_the_lease, finishes_the_others_when_one_lease_was_lost,
    keeps_an_extended_lease, waits_for_a_delay, hands_a_retried_job_out_after_its_pause,
    replaces_a_waiting_job_of_the_same_key, lets_a_new_job_join_a_leased_one_of_the_same_key,
    drops_a_retried_job_for_a_newer_one_of_its_key, keeps_a_dead_letter_with_its_cause,
    lists_dead_letters_newest_first_in_pages, puts_dead_letters_back_with_fresh_attempts,
    gives_up_a_job_whose_lease_ended_five_times, does_not_condemn_the_batch_of_a_poisonous_job,
    serves_urgent_work_first_and_then_the_older, moves_waiting_work_up_by_a_priority_a_minute,
    serves_a_small_company_beside_a_large_one, shares_by_weight,
    lets_no_company_touch_anothers_jobs, refuses_more_jobs_than_a_company_may_hold,
    tells_the_age_of_the_oldest_ready_job);

}  // namespace samtale
