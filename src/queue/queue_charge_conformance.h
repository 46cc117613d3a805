// Goal:   every Queue serves a company that was charged so much later, and no other.
// Method: as queue_conformance.h, with the same Harness; jobs are taken one at a time, so that
// turns
//         can be counted.
#pragma once

#include <limits>

#include "queue/queue_conformance.h"

namespace samtale {

template <class Harness>
class QueueChargeConformance : public QueueConformance<Harness> {
 protected:
  void charge(CompanyId company, double jobs) {
    this->harness_.queue().charge("embed", company, jobs);
  }
  std::map<CompanyId, int> turns(int count) {
    std::map<CompanyId, int> served;
    for (int i = 0; i < count; ++i) {
      for (const auto& job : this->take(1)) ++served[job.company];
    }
    return served;
  }
};

TYPED_TEST_SUITE_P(QueueChargeConformance);

TYPED_TEST_P(QueueChargeConformance, passes_a_charged_company_over_for_as_many_turns) {
  this->enqueue_many(this->kOne, 100);
  this->enqueue_many(this->kTwo, 100);
  ASSERT_EQ(this->turns(2).size(), 2u);

  this->charge(this->kOne, 10);

  EXPECT_EQ(this->turns(9)[this->kOne], 0);
  const auto later = this->turns(40);
  EXPECT_NEAR(later.at(this->kOne), 20, 2);
  EXPECT_NEAR(later.at(this->kTwo), 20, 2);
}

TYPED_TEST_P(QueueChargeConformance, charges_by_weight) {
  this->harness_.queue().set_weight(this->kOne, 2);
  this->enqueue_many(this->kOne, 200);
  this->enqueue_many(this->kTwo, 200);

  this->charge(this->kOne, 60);

  // 30 turns of the other, then two turns of three.
  EXPECT_EQ(this->turns(28)[this->kOne], 0);
  EXPECT_NEAR(this->turns(62)[this->kOne], 40, 3);
}

TYPED_TEST_P(QueueChargeConformance, counts_a_batch_against_what_was_charged) {
  this->enqueue_many(this->kOne, 100);
  this->enqueue_many(this->kTwo, 100);
  this->charge(this->kOne, 40);

  std::map<CompanyId, int> served;
  for (int i = 0; i < 10; ++i) {
    for (const auto& job : this->take(10)) ++served[job.company];
  }

  EXPECT_NEAR(served[this->kTwo] - served[this->kOne], 40, 10);
}

TYPED_TEST_P(QueueChargeConformance, remembers_a_charge_while_the_job_is_being_done) {
  this->enqueue(this->kOne, "costly");
  const auto costly = this->take(1);
  ASSERT_EQ(costly.size(), 1u);
  this->charge(this->kOne, 10);
  ASSERT_TRUE(this->harness_.queue().finish(costly));

  this->enqueue_many(this->kTwo, 100);
  this->enqueue(this->kOne, "the next");

  EXPECT_EQ(this->turns(10)[this->kOne], 0);
  EXPECT_EQ(this->turns(4)[this->kOne], 1);
}

TYPED_TEST_P(QueueChargeConformance, serves_a_charged_company_at_once_where_no_other_waits) {
  this->enqueue_many(this->kOne, 3);

  this->charge(this->kOne, std::numeric_limits<double>::infinity());

  EXPECT_EQ(this->turns(3)[this->kOne], 3);
}

TYPED_TEST_P(QueueChargeConformance, forgets_what_a_company_without_jobs_was_charged) {
  this->charge(this->kOne, 1000);  // Nobody has had a job of this kind.
  this->enqueue_many(this->kTwo, 100);
  ASSERT_EQ(this->turns(10)[this->kTwo], 10);
  this->charge(this->kOne, 1000);
  this->enqueue_many(this->kOne, 100);

  EXPECT_NEAR(this->turns(20)[this->kOne], 10, 1);
}

TYPED_TEST_P(QueueChargeConformance, charges_one_company_and_kind_only) {
  const CompanyId third{3};
  for (const auto company : {this->kOne, this->kTwo, third}) this->enqueue_many(company, 100);
  this->harness_.queue().charge("index", this->kTwo, 50);

  this->charge(this->kOne, 50);

  const auto served = this->turns(20);
  EXPECT_EQ(served.count(this->kOne), 0u);
  EXPECT_EQ(served.at(this->kTwo), 10);
  EXPECT_EQ(served.at(third), 10);
}

TYPED_TEST_P(QueueChargeConformance, takes_no_charge_that_is_not_a_number_of_jobs) {
  this->enqueue_many(this->kOne, 100);
  this->enqueue_many(this->kTwo, 100);
  ASSERT_EQ(this->turns(2).size(), 2u);

  this->charge(this->kOne, -50);
  this->charge(this->kOne, std::numeric_limits<double>::quiet_NaN());

  EXPECT_EQ(this->turns(40)[this->kOne], 20);
}

REGISTER_TYPED_TEST_SUITE_P(QueueChargeConformance, passes_a_charged_company_over_for_as_many_turns,
                            charges_by_weight, counts_a_batch_against_what_was_charged,
                            remembers_a_charge_while_the_job_is_being_done,
                            serves_a_charged_company_at_once_where_no_other_waits,
                            forgets_what_a_company_without_jobs_was_charged,
                            charges_one_company_and_kind_only,
                            takes_no_charge_that_is_not_a_number_of_jobs);

}  // namespace samtale
