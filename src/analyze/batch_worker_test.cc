// Goal:   what BatchWorker promises, whatever becomes of a batch and of the process.
// Method: the real store, budget, scheduler and LmWorker; only the provider is scripted.
#include "analyze/batch_worker.h"

#include "analyze/batch_row.h"
#include "analyze/testing/lm_analyze_test.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

using Requests = std::vector<std::pair<std::string, ChatRequest>>;

// Has each batch under way until a test says otherwise.
class FakeBatches final : public BatchApi {
 public:
  struct Batch {
    std::string name;
    Requests requests;
    BatchStatus status;
    std::vector<BatchLine> lines;
    bool is_cancelled = false;
  };

  Result<std::string> submit(const std::string& name, const Requests& requests,
                             const CallLimits&) override {
    if (submit_fails && !takes_all_the_same) return std::unexpected(*submit_fails);
    all.push_back({.name = name, .requests = requests, .status = {}, .lines = {}});
    if (submit_fails) return std::unexpected(*submit_fails);
    return std::to_string(all.size() - 1);
  }
  Result<std::string> find(const std::string& name, const CallLimits&) override {
    if (is_away) return away();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].name == name) return std::to_string(i);
    }
    return std::string();
  }
  Result<BatchStatus> status(const std::string& id, const CallLimits&) override {
    if (is_away) return away();
    return all.at(std::stoul(id)).status;
  }
  Result<std::vector<BatchLine>> read(const std::string& file, const CallLimits&) override {
    return all.at(std::stoul(file)).lines;
  }
  Result<> cancel(const std::string& id, const CallLimits&) override {
    all.at(std::stoul(id)).is_cancelled = true;
    return {};
  }

  // All requests of the batch are answered as a good model does.
  void complete(std::size_t index) {
    auto& batch = all.at(index);
    for (const auto& [id, request] : batch.requests) {
      batch.lines.push_back({.id = id, .answer = *answer_well(request).answer});
    }
    end(index, BatchStatus::State::done);
  }
  void end(std::size_t index, BatchStatus::State state) {
    all.at(index).status.state = state;
    if (state == BatchStatus::State::done) all[index].status.output_file = std::to_string(index);
  }

  std::vector<Batch> all;
  std::optional<Error> submit_fails;
  bool takes_all_the_same = false;  // Although it fails.
  bool is_away = false;

 private:
  static std::unexpected<Error> away() { return fail(ErrorCode::unavailable, "away"); }
};

class BatchWorkerTest : public LmAnalyzeTest {
 protected:
  BatchWorkerTest() {
    kind = kLmBulkJob;
    batch_options.prices = {.input = 0.5, .cached_input = 0.5, .output = 2};
    batch_options.mask_secret = worker_options.mask_secret;
    restart();
  }

  // As another process that finds what this one left.
  void restart() {
    batch_worker.reset();
    make_lm();
    batch_worker = std::make_unique<BatchWorker>(parts(), *analyst, *scheduler, *budget, batches,
                                                 batch_options);
  }
  ConversationId add_bulk(const std::string& name, const std::vector<std::string>& texts) {
    const auto id = put(name, texts);
    enqueue(kLmBatchJob, id);
    return id;
  }
  void look_later(Duration later = 1min) {
    clock.advance(later);
    EXPECT_TRUE(batch_worker->step({}));
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> out;
    for (const auto& job : waiting()) out.push_back(job.kind);
    return out;
  }
  std::vector<std::pair<CompanyId, LmBatch>> kept() { return store->batches(Partition{0}).value(); }
  Spend held() {
    Spend sum;
    const auto rows = store->spend(kAcme, "2026-01-01", "2026-12-31").value();
    for (const auto& row : rows) {
      sum.tokens += row.held.tokens;
      sum.micro_usd += row.held.micro_usd;
    }
    return sum;
  }
  void erase(const ConversationId& id) {
    EXPECT_TRUE(write([&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(writer.erase_conversation(kAcme, id));
      return {};
    }));
  }
  void set_budget(const std::string& of_company) {
    ASSERT_TRUE(catalog->put_settings(
        kAcme, *parse_settings(*json::parse(R"({"budget":)" + of_company + "}"))));
  }

  FakeBatches batches;
  BatchWorkerOptions batch_options;
  std::unique_ptr<BatchWorker> batch_worker;
};

TEST_F(BatchWorkerTest, asks_what_can_wait_in_one_batch_and_at_its_price) {
  const auto first = add_bulk("a", {"Cancel my contract"});
  const auto second = add_bulk("b", {"Where is my parcel?"});

  EXPECT_EQ(batch_worker->step({}), 2U);

  ASSERT_THAT(batches.all, SizeIs(1));
  EXPECT_THAT(batches.all[0].requests, SizeIs(2));
  EXPECT_THAT(kinds(), IsEmpty());
  look_later();
  EXPECT_THAT(kept(), SizeIs(1)) << "it is under way";

  batches.complete(0);
  look_later();
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_EQ(step(), 1U);
  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(names_of(analyses(first)), ElementsAre("intent", "resolution"));
  EXPECT_THAT(names_of(analyses(second)), ElementsAre("intent", "resolution"));
  EXPECT_THAT(model.requests(), IsEmpty());
  EXPECT_EQ(spent(), (Spend{.tokens = 240, .micro_usd = 2 * (50 + 40)}));
  EXPECT_THAT(kinds(), IsEmpty());
}

TEST_F(BatchWorkerTest, makes_a_batch_for_each_company) {
  add_bulk("a", {"Cancel my contract"});
  enqueue(kLmBatchJob, put("a", {"Cancel my contract"}, "ended", kOther), kOther);

  EXPECT_EQ(batch_worker->step({}), 2U);

  ASSERT_THAT(batches.all, SizeIs(2));
  EXPECT_NE(batches.all[0].requests[0].first, batches.all[1].requests[0].first);
}

TEST_F(BatchWorkerTest, reads_a_long_conversation_by_batches_to_its_end) {
  std::vector<std::string> texts(40, "This turn has a good many words of which all are said");
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] += " " + std::to_string(i);
  for (const auto* name : {"intent", "resolution"}) {
    ASSERT_TRUE(catalog->put(
        kAcme, parsed(R"({"name":")" + std::string(name) + R"(","trigger":{"on":"turn"}})")));
  }
  const auto id = put("a", texts, "open");
  enqueue(kLmBatchJob, id);

  EXPECT_EQ(batch_worker->step({}), 1U);
  ASSERT_THAT(batches.all, SizeIs(1));
  EXPECT_GT(batches.all[0].requests.size(), 3U) << "the notes of all segments at once";
  batches.complete(0);
  look_later();
  ASSERT_THAT(batches.all, SizeIs(2));
  EXPECT_THAT(batches.all[1].requests, SizeIs(1)) << "what needed the notes";
  batches.complete(1);
  look_later();
  EXPECT_EQ(step(), 1U);

  EXPECT_THAT(analyses(id), SizeIs(2));
  EXPECT_THAT(model.requests(), IsEmpty());
}

TEST_F(BatchWorkerTest, asks_the_same_question_once) {
  add_bulk("a", {"Cancel my contract"});
  add_bulk("b", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 2U);
  ASSERT_THAT(batches.all, SizeIs(1));
  EXPECT_THAT(batches.all[0].requests, SizeIs(1));

  add_bulk("c", {"Cancel my contract"});
  restart();
  look_later();
  EXPECT_THAT(batches.all, SizeIs(1));
  EXPECT_THAT(kinds(), ElementsAre(kLmBatchJob)) << "it waits for the answer";

  batches.complete(0);
  look_later();
  EXPECT_EQ(spent().tokens, 120);
}

TEST_F(BatchWorkerTest, leaves_to_others_what_is_late_or_known_or_gone) {
  add_bulk("late", {"Cancel my contract"});
  clock.advance(24h);
  const auto gone = add_bulk("gone", {"Cancel it"});
  erase(gone);

  EXPECT_TRUE(batch_worker->step({}));

  EXPECT_THAT(batches.all, IsEmpty());
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob));
}

TEST_F(BatchWorkerTest, asks_one_by_one_what_came_back_without_a_usable_answer) {
  const auto id = add_bulk("a", {"Cancel my contract"});
  const auto other = add_bulk("b", {"Where is my parcel?"});
  const auto third = add_bulk("c", {"I want my money back"});
  EXPECT_EQ(batch_worker->step({}), 3U);
  auto& batch = batches.all[0];
  // The first two answers are swapped; the third is missing.
  batch.lines.push_back(
      {.id = batch.requests[0].first, .answer = *answer_well(batch.requests[1].second).answer});
  batch.lines.push_back(
      {.id = batch.requests[1].first, .answer = *answer_well(batch.requests[0].second).answer});
  batch.lines.push_back(
      {.id = "nobody's", .answer = *answer_well(batch.requests[0].second).answer});
  batches.end(0, BatchStatus::State::done);

  look_later();

  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob, kLmBulkJob, kLmBulkJob));
  EXPECT_EQ(spent().tokens, 240) << "of no use, and paid";
  models_answers(3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(step(), 1U);
  for (const auto& one : {id, other, third}) EXPECT_THAT(analyses(one), SizeIs(2));
  EXPECT_THAT(model.requests(), SizeIs(3));
}

TEST_F(BatchWorkerTest, asks_one_by_one_what_a_failed_or_vanished_batch_was_about) {
  for (const auto state : {BatchStatus::State::failed, BatchStatus::State::gone}) {
    add_bulk("a" + std::to_string(batches.all.size()), {"Cancel my contract"});
    EXPECT_EQ(batch_worker->step({}), 1U);
    batches.end(batches.all.size() - 1, state);
    look_later();
  }

  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob, kLmBulkJob));
  EXPECT_EQ(spent().tokens, 0);
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(BatchWorkerTest, pulls_back_what_is_late_and_takes_what_it_brought) {
  const auto id = add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);
  look_later(24h);
  EXPECT_TRUE(batches.all[0].is_cancelled);
  EXPECT_THAT(kept(), SizeIs(1)) << "it may still bring something";

  batches.complete(0);
  look_later();

  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(analyses(id), SizeIs(2));
  EXPECT_THAT(model.requests(), IsEmpty());
}

TEST_F(BatchWorkerTest, waits_for_no_batch_that_does_not_end_though_cancelled) {
  add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);

  look_later(24h);
  look_later(10min);

  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob));
  EXPECT_GT(spent().tokens, 0) << "the provider may well bill its input";
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(BatchWorkerTest, finds_a_batch_whose_taking_nobody_heard_of) {
  const auto id = add_bulk("a", {"Cancel my contract"});
  batches.submit_fails = Error{ErrorCode::deadline_exceeded, "no answer"};
  batches.takes_all_the_same = true;
  EXPECT_EQ(batch_worker->step({}), 1U);

  restart();
  look_later();
  batches.complete(0);
  look_later();

  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(analyses(id), SizeIs(2));
  EXPECT_THAT(batches.all, SizeIs(1));
}

TEST_F(BatchWorkerTest, asks_one_by_one_what_was_never_taken) {
  add_bulk("a", {"Cancel my contract"});
  batches.submit_fails = Error{ErrorCode::unavailable, "connection refused"};
  EXPECT_EQ(batch_worker->step({}), 1U);

  look_later();
  EXPECT_THAT(kept(), SizeIs(1)) << "lists may be behind";
  look_later(10min);

  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob));
  EXPECT_EQ(spent().tokens, 0);
}

TEST_F(BatchWorkerTest, asks_one_by_one_what_is_refused_as_a_batch) {
  add_bulk("a", {"Cancel my contract"});
  batches.submit_fails = Error{ErrorCode::invalid_argument, "no batches of this model"};

  EXPECT_EQ(batch_worker->step({}), 1U);

  EXPECT_THAT(kinds(), ElementsAre(kLmBulkJob));
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(BatchWorkerTest, hands_in_nothing_while_the_provider_is_away) {
  add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);
  batches.is_away = true;
  add_bulk("b", {"Where is my parcel?"});

  clock.advance(1min);
  EXPECT_EQ(batch_worker->step({}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(batch_worker->step({}), 0U);
  EXPECT_THAT(kinds(), ElementsAre(kLmBatchJob));

  batches.is_away = false;
  look_later();
  EXPECT_THAT(batches.all, SizeIs(2));
}

TEST_F(BatchWorkerTest, holds_the_budget_of_a_batch_until_its_end_across_processes) {
  set_budget(R"({"tokens_per_day":100000})");
  add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);
  restart();
  EXPECT_GT(held().tokens, 1'000);
  EXPECT_EQ(spent().tokens, 0);

  batches.complete(0);
  look_later();
  make_lm();  // What it held ahead is given back.

  EXPECT_EQ(held(), Spend{});
  EXPECT_EQ(spent().tokens, 120);
}

TEST_F(BatchWorkerTest, waits_where_a_company_may_spend_no_more) {
  set_budget(R"({"tokens_per_day":100})");
  add_bulk("a", {"Cancel my contract"});

  EXPECT_EQ(batch_worker->step({}), 1U);

  EXPECT_THAT(batches.all, IsEmpty());
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_THAT(kinds(), ElementsAre(kLmBatchJob));
}

TEST_F(BatchWorkerTest, keeps_nothing_of_a_conversation_deleted_meanwhile) {
  const auto id = add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);
  EXPECT_FALSE(kept()[0].second.requests.contains("contract"));
  erase(id);
  batches.complete(0);

  look_later();

  EXPECT_THAT(kinds(), IsEmpty());
  EXPECT_FALSE(store->find_lm_result(kAcme, *unhex(batches.all[0].requests[0].first))->has_value());
  EXPECT_EQ(spent().tokens, 120) << "paid all the same";
}

TEST_F(BatchWorkerTest, makes_several_batches_of_what_is_too_large_for_one) {
  batch_options.bytes_max = 1;
  restart();
  add_bulk("a", {"Cancel my contract"});
  add_bulk("b", {"Where is my parcel?"});

  EXPECT_EQ(batch_worker->step({}), 2U);

  EXPECT_THAT(batches.all, SizeIs(2));
}

TEST_F(BatchWorkerTest, takes_no_more_while_many_are_under_way) {
  batch_options.open_max = 1;
  restart();
  add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}), 1U);
  add_bulk("b", {"Where is my parcel?"});
  EXPECT_EQ(batch_worker->step({}), 0U);

  batches.complete(0);
  look_later();

  EXPECT_THAT(batches.all, SizeIs(2));
}

TEST_F(BatchWorkerTest, looks_after_the_others_beside_one_it_cannot_read) {
  EXPECT_TRUE(write([&](StoreWriter& writer) {
    return writer.put_batch(kAcme, {.name = "a", .id = "theirs", .requests = R"({"v":2})"});
  }));
  const auto id = add_bulk("a", {"Cancel my contract"});
  EXPECT_EQ(batch_worker->step({}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(batch_worker->step({}), 1U);
  batches.complete(0);
  clock.advance(1min);

  EXPECT_FALSE(batch_worker->step({}));

  EXPECT_EQ(step(), 1U);
  EXPECT_THAT(analyses(id), SizeIs(2));
  EXPECT_THAT(kept(), SizeIs(1)) << "for a binary that can";
}

TEST(BatchRowTest, is_read_as_it_was_written) {
  BatchRow row;
  row.jobs.push_back(
      {.conversation = make_conversation_id(CompanyId{1}, "api", "a"), .analyzers = {"intent"}});
  row.requests.push_back({.id = "ab", .input_tokens = 7, .reservation = {}});
  row.requests[0].reservation = {.company = CompanyId{1},
                                 .day = "2026-11-28",
                                 .bookings = {{"intent", {.tokens = 3, .micro_usd = 4}}},
                                 .is_held = true};

  const auto read = read_batch_row(CompanyId{1}, write_batch_row(row));

  ASSERT_TRUE(read);
  EXPECT_EQ(write_batch_row(*read), write_batch_row(row));
  EXPECT_EQ(read->requests[0].reservation.bookings[0].amount.micro_usd, 4);
  EXPECT_EQ(read->requests[0].reservation.company, CompanyId{1});
}

TEST(BatchRowTest, refuses_what_is_broken_or_newer) {
  BatchRow row;
  row.requests.push_back({.id = "ab", .input_tokens = 7, .reservation = {}});
  row.requests[0].reservation.bookings = {{"intent", {.tokens = 3, .micro_usd = 4}}};
  const auto whole = write_batch_row(row);

  for (const auto* word : {"jobs", "requests", "\"v\"", "input_tokens", "bookings", "micro_usd"}) {
    auto broken = whole;
    broken.replace(broken.find(word) + 1, 1, "_");
    EXPECT_EQ(read_batch_row(CompanyId{1}, broken).error().code, ErrorCode::corrupt) << word;
  }
  EXPECT_EQ(read_batch_row(CompanyId{1}, whole.substr(1)).error().code, ErrorCode::corrupt);
  EXPECT_EQ(read_batch_row(CompanyId{1}, R"({"v":2})").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace samtale
