// Goal:   what LmWorker and LmAnalyst promise, with the real scheduler, gate, budget and store.
// Method: only the model is scripted. Unless a script says otherwise it cites the turns it was
// sent.
#include <gmock/gmock.h>

#include "analyze/testing/lm_analyze_test.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using LmWorkerTest = LmAnalyzeTest;

TEST_F(LmWorkerTest, asks_all_analyzers_at_once_and_stores_what_they_say) {
  models_answers(1);
  const auto id = add({"Cancel my contract", "It is cancelled"});

  EXPECT_EQ(step(), 1U);

  ASSERT_THAT(names_of(analyses(id)), ElementsAre("intent", "resolution"));
  EXPECT_EQ(analyses(id)[0].method, kByLanguageModel);
  EXPECT_THAT(analyses(id)[0].labels, ElementsAre("cancel"));
  EXPECT_THAT(model.requests(), SizeIs(1));
  EXPECT_THAT(waiting(), IsEmpty());
  EXPECT_EQ(spent().tokens, 120);  // As the model counted, once.
  EXPECT_EQ(spent().micro_usd, 100 + 80);
}

TEST_F(LmWorkerTest, does_not_ask_again_what_is_known_or_was_paid_for) {
  models_answers(1);
  const auto id = add({"Cancel my contract", "It is cancelled"});
  EXPECT_EQ(step(), 1U);
  enqueue(kLmJob, id);
  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(model.requests(), SizeIs(1));

  // The same words at a later revision.
  scheduler->forget(kAcme);
  add({"Cancel my contract", "It is cancelled"});
  EXPECT_EQ(step(), 1U);

  EXPECT_EQ(analyses(id)[0].revision, 2);
  EXPECT_THAT(model.requests(), SizeIs(1));
  EXPECT_EQ(spent().tokens, 120);
}

TEST_F(LmWorkerTest, sends_no_word_of_a_note_and_none_of_another_conversation) {
  models_answers(2);
  put("other", {"the canary"});
  enqueue(kLmJob, put("foreign", {"the canary"}, "ended", kOther), kOther);
  add({"Cancel my contract"});

  EXPECT_EQ(step(), 1U);
  EXPECT_EQ(step(), 1U);

  for (const auto& request : model.requests()) {
    const bool is_ours = request.messages[1].content.find("contract") != std::string::npos;
    EXPECT_EQ(request.messages[1].content.find("canary") == std::string::npos, is_ours);
  }
}

TEST_F(LmWorkerTest, keeps_what_was_paid_for_when_the_job_is_lost) {
  models_answers(1);
  const auto id = add({"Cancel my contract"});
  const auto taken = store->queue().take(kLmJob, 1, std::chrono::minutes(1)).value();
  const auto found = store->find_conversation(kAcme, id)->value();
  LmOrder order{.company = kAcme, .conversation = &found.conversation};
  order.analyzers = {parsed(R"({"name":"intent"})"), parsed(R"({"name":"resolution"})")};
  ASSERT_THAT(analyst->analyse(order, clock.now() + std::chrono::minutes(1), {}).found, SizeIs(2));
  scheduler->forget(kAcme);  // As after a restart.

  const auto again = analyst->analyse(order, clock.now() + std::chrono::minutes(1), {});

  EXPECT_THAT(again.found, SizeIs(2));
  EXPECT_THAT(model.requests(), SizeIs(1));
  EXPECT_EQ(spent().tokens, 120);
}

TEST_F(LmWorkerTest, reads_a_conversation_that_goes_on_in_segments_once_each) {
  models_answers(20);
  std::vector<std::string> texts(40, "This turn has a good many words of which all are said");
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] += " " + std::to_string(i);
  for (const auto* name : {"intent", "resolution"}) {
    ASSERT_TRUE(catalog->put(
        kAcme, parsed(R"({"name":")" + std::string(name) + R"(","trigger":{"on":"turn"}})")));
  }
  const auto id = add(texts, "open");
  EXPECT_EQ(step(), 1U);
  const auto first = model.requests().size();
  EXPECT_GT(first, 3U);

  texts.emplace_back("One more");
  add(texts, "open");
  EXPECT_EQ(step(), 1U);

  EXPECT_EQ(analyses(id)[0].revision, 2);
  const auto requests = model.requests();
  ASSERT_EQ(requests.size(), first + 1);
  EXPECT_THAT(requests.back().messages[1].content, HasSubstr("note ["));
  EXPECT_THAT(requests.back().messages[1].content, HasSubstr("[40] customer: One more"));
  EXPECT_THAT(requests.back().messages[1].content, Not(HasSubstr("[0] customer")));
}

TEST_F(LmWorkerTest, waits_for_a_model_that_is_away_however_long) {
  for (int i = 0; i < 10; ++i) model.then_fault(ChatFault::away, ErrorCode::unavailable);
  const auto id = add({"Cancel my contract"});
  for (int i = 0; i < 10; ++i) {
    (void)worker->step({});
    clock.advance(std::chrono::hours(2));
  }
  EXPECT_THAT(dead_letters(), IsEmpty());
  EXPECT_THAT(waiting(), SizeIs(1));

  models_answers(10);
  for (int i = 0; i < 10 && analyses(id).empty(); ++i) {
    (void)worker->step({});
    clock.advance(std::chrono::hours(2));
  }

  EXPECT_THAT(analyses(id), SizeIs(2));
}

TEST_F(LmWorkerTest, gives_up_what_stays_wrong_with_its_cause_and_keeps_the_rest) {
  // The resolution is cited from nowhere.
  const auto half_wrong = [](const ChatRequest& request, auto, const auto&) {
    const json::Value wrong = json::Array{json::Object{{"turn", 0}, {"quote", "never said"}}};
    return FakeChatModel::good(
        request, {{"intent", json::Object{{"intents", json::Array()}}},
                  {"resolution",
                   json::Object{{"state", "resolved"}, {"reason", "r"}, {"evidence", wrong}}}});
  };
  model.then(half_wrong);
  const auto id = add({"Cancel my contract"});

  EXPECT_EQ(step(), 1U);

  // There may be no intent; a resolution must stand on something.
  EXPECT_THAT(names_of(analyses(id)), ElementsAre("intent"));
  EXPECT_THAT(analyses(id)[0].labels, IsEmpty());
  ASSERT_THAT(dead_letters(), SizeIs(1));
  EXPECT_THAT(dead_letters()[0].cause, HasSubstr("resolution"));
  EXPECT_THAT(dead_letters()[0].cause, Not(HasSubstr("never said")));

  models_answers(1);
  scheduler->forget(kAcme);
  ASSERT_TRUE(store->queue().redrive(kAcme, {}));
  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(names_of(analyses(id)), ElementsAre("intent", "resolution"));
}

TEST_F(LmWorkerTest, goes_on_without_an_analyzer_whose_budget_is_spent) {
  models_answers(3);
  ASSERT_TRUE(catalog->put(kAcme, parsed(R"({"name":"intent","budget":{"tokens_per_day":10}})")));
  const auto id = add({"Cancel my contract"});

  (void)worker->step({});

  EXPECT_THAT(names_of(analyses(id)), ElementsAre("resolution"));
  EXPECT_THAT(waiting(), SizeIs(1));  // For the day when there is a budget.
  EXPECT_THAT(dead_letters(), IsEmpty());
}

TEST_F(LmWorkerTest, masks_what_is_sent_and_stores_what_was_said) {
  models_answers(1);
  ASSERT_TRUE(catalog->put_settings(kAcme, *parse_settings(*json::parse(R"({"mask_pii":true})"))));
  const auto id = add({"Write to ida@example.dk please"});

  EXPECT_EQ(step(), 1U);

  EXPECT_THAT(model.requests()[0].messages[1].content, Not(HasSubstr("ida@example.dk")));
  ASSERT_THAT(analyses(id), SizeIs(2));
  EXPECT_THAT(analyses(id)[0].result, HasSubstr("Write to ida@example.dk please"));
}

TEST_F(LmWorkerTest, leaves_nothing_of_a_deleted_conversation) {
  const auto id = add({"Cancel my contract"});
  model.then([&](const ChatRequest& request, auto, const auto&) {
    EXPECT_TRUE(write([&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY(const auto positions, writer.erase_conversation(kAcme, id));
      return {};
    }));
    return answer_well(request);
  });

  (void)worker->step({});

  EXPECT_THAT(analyses(id), IsEmpty());
  EXPECT_EQ(spent().tokens, 120);  // It was paid for all the same.
}

}  // namespace
}  // namespace samtale
