// Goal:   every Store keeps what language models left behind as store.h says: answers, spends,
//         overrides, campaigns and batches.
// Method: as store_conformance.h, with the same Harness.
#pragma once

#include <algorithm>

#include "store/store_conformance.h"

namespace samtale {

template <class Harness>
class StoreLmConformance : public StoreConformance<Harness> {
 protected:
  static constexpr const char* kDay = "2026-11-28";

  ConversationId put_new(CompanyId company, const std::string& external_id) {
    const auto stored = this->conversation(company, external_id);
    this->put(company, stored);
    return stored.conversation.id;
  }
  void put_result(CompanyId company, ConversationId id, const std::string& key,
                  const std::string& result) {
    this->write(company, [&](StoreWriter& writer) {
      return writer.put_lm_result(company, id, key, result, from_us(1));
    });
  }
  std::optional<std::string> result(CompanyId company, const std::string& key) {
    return this->store().find_lm_result(company, key).value();
  }
  void add_spend(CompanyId company, const std::vector<SpendChange>& changes) {
    this->write(company, [&](StoreWriter& writer) { return writer.add_spend(company, changes); });
  }
  std::vector<SpendRow> spend(CompanyId company, const char* from = "2000-01-01",
                              const char* to = "2999-12-31") {
    return this->store().spend(company, from, to).value();
  }
  static AnalysisOverride override_of(const std::string& analyzer, const std::string& result) {
    return {.analyzer = analyzer,
            .result = result,
            .by = "key_1",
            .note = "seen it myself",
            .made_at = from_us(9),
            .revision = 3};
  }
  void put_override(CompanyId company, ConversationId id, const AnalysisOverride& override_) {
    this->write(company,
                [&](StoreWriter& writer) { return writer.put_override(company, id, override_); });
  }
  std::vector<AnalysisOverride> overrides(CompanyId company, ConversationId id) {
    return this->store().overrides(company, id).value();
  }
  static Campaign campaign(const std::string& id, const std::string& state,
                           std::int64_t created_us = 1) {
    return {.id = id,
            .filter = R"({"channel":"chat"})",
            .state = state,
            .cursor = "cursor",
            .total = 9,
            .seen = 7,
            .asked = 5,
            .estimate = R"({"tokens":12})",
            .created_at = from_us(created_us),
            .updated_at = from_us(created_us + 1)};
  }
  void put_campaign(CompanyId company, const Campaign& campaign) {
    this->write(company,
                [&](StoreWriter& writer) { return writer.put_campaign(company, campaign); });
  }
  std::vector<std::string> campaign_ids(CompanyId company) {
    std::vector<std::string> ids;
    const auto campaigns = this->store().campaigns(company);
    for (const auto& one : campaigns.value()) ids.push_back(one.id);
    return ids;
  }
  // Over all partitions.
  std::vector<std::pair<CompanyId, std::string>> running() {
    std::vector<std::pair<CompanyId, std::string>> all;
    for (std::size_t i = 0; i < this->store().partitions(); ++i) {
      const auto campaigns = this->store().running_campaigns(static_cast<Partition>(i));
      for (const auto& [company, campaign] : campaigns.value()) {
        EXPECT_EQ(this->store().partition_of(company), static_cast<Partition>(i));
        all.emplace_back(company, campaign.id);
      }
    }
    return all;
  }
  static LmBatch batch(const std::string& name, const std::string& id) {
    return {.name = name,
            .id = id,
            .requests = R"(["a"])",
            .created_at = from_us(1),
            .wanted_by = from_us(2)};
  }
  void put_batch(CompanyId company, const LmBatch& batch) {
    this->write(company, [&](StoreWriter& writer) { return writer.put_batch(company, batch); });
  }
  // Of the partition of the company; it may be that of another, too.
  std::vector<LmBatch> batches(CompanyId company) {
    std::vector<LmBatch> found;
    const auto all = this->store().batches(this->store().partition_of(company));
    for (const auto& [of, batch] : all.value()) {
      if (of == company) found.push_back(batch);
    }
    return found;
  }
};

TYPED_TEST_SUITE_P(StoreLmConformance);

TYPED_TEST_P(StoreLmConformance, keeps_an_answer_by_the_key_of_what_was_asked) {
  const auto id = this->put_new(this->kOne, "a");
  const std::string key("\0\xff'key", 6);
  const std::string answer(10'000, 'x');

  this->put_result(this->kOne, id, key, "{}");
  this->put_result(this->kOne, id, key, answer);

  EXPECT_EQ(this->result(this->kOne, key), answer);
  EXPECT_EQ(this->result(this->kOne, "other"), std::nullopt);
}

TYPED_TEST_P(StoreLmConformance, forgets_the_answers_that_are_no_longer_wanted) {
  const auto id = this->put_new(this->kOne, "a");
  const auto other = this->put_new(this->kOne, "b");
  for (const auto* key : {"k1", "k2", "k3"}) this->put_result(this->kOne, id, key, key);
  this->put_result(this->kOne, other, "k4", "k4");

  this->write(this->kOne, [&](StoreWriter& writer) {
    return writer.keep_lm_results(this->kOne, id, std::vector<std::string>{"k2", "unknown"});
  });

  EXPECT_FALSE(this->result(this->kOne, "k1"));
  EXPECT_EQ(this->result(this->kOne, "k2"), "k2");
  EXPECT_FALSE(this->result(this->kOne, "k3"));
  EXPECT_EQ(this->result(this->kOne, "k4"), "k4");
}

TYPED_TEST_P(StoreLmConformance, lets_an_answer_go_with_the_conversation_asked_of_last) {
  const auto first = this->put_new(this->kOne, "a");
  const auto second = this->put_new(this->kOne, "b");
  this->put_result(this->kOne, first, "k", "old");
  this->put_result(this->kOne, second, "k", "new");

  this->erase(this->kOne, first);
  EXPECT_EQ(this->result(this->kOne, "k"), "new");
  this->erase(this->kOne, second);

  EXPECT_FALSE(this->result(this->kOne, "k"));
}

TYPED_TEST_P(StoreLmConformance, keeps_nothing_of_a_conversation_that_is_not_there) {
  const auto unknown = make_conversation_id(this->kOne, "api", "unknown");
  const auto erased = this->put_new(this->kOne, "erased");
  const auto just_erased = this->put_new(this->kOne, "just erased");
  this->put_result(this->kOne, erased, "before", "x");
  this->put_override(this->kOne, erased, this->override_of("summary", "x"));

  this->erase(this->kOne, erased);
  const auto last = this->changes(this->store().partition_of(this->kOne)).back().sequence;
  for (const auto id : {unknown, erased}) {
    this->put_result(this->kOne, id, "after", "x");
    this->put_override(this->kOne, id, this->override_of("summary", "x"));
  }
  const auto late = this->changes(this->store().partition_of(this->kOne), last);
  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY_VOID(writer.put_lm_result(this->kOne, just_erased, "in it, before", "x", {}));
    SAMTALE_TRY_VOID(
        writer.put_override(this->kOne, just_erased, this->override_of("summary", "x")));
    SAMTALE_TRY_VOID(writer.erase_conversation(this->kOne, just_erased));
    SAMTALE_TRY_VOID(writer.put_lm_result(this->kOne, just_erased, "in it, after", "x", {}));
    return writer.put_override(this->kOne, just_erased, this->override_of("topics", "x"));
  });

  for (const auto* key : {"before", "after", "in it, before", "in it, after"}) {
    EXPECT_FALSE(this->result(this->kOne, key)) << key;
  }
  for (const auto id : {unknown, erased, just_erased}) {
    EXPECT_TRUE(this->overrides(this->kOne, id).empty());
  }
  EXPECT_TRUE(late.empty());
}

TYPED_TEST_P(StoreLmConformance, adds_up_what_was_spent_by_day_and_analyzer) {
  const SpendChange change{.analyzer = "summary",
                           .day = "2026-11-28",
                           .spent = {.tokens = 100, .micro_usd = 7},
                           .held = {.tokens = 50, .micro_usd = 3},
                           .requests = 1};
  auto next_day = change;
  next_day.day = "2026-11-29";
  auto other = change;
  other.analyzer = "intent";

  this->add_spend(this->kOne, {change, change, other});
  this->add_spend(this->kOne, {next_day, change});

  const auto rows = this->spend(this->kOne);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].analyzer, "intent");
  EXPECT_EQ(rows[1].analyzer, "summary");
  EXPECT_EQ(rows[1].day, "2026-11-28");
  EXPECT_EQ(rows[1].spent, (Spend{.tokens = 300, .micro_usd = 21}));
  EXPECT_EQ(rows[1].held, (Spend{.tokens = 150, .micro_usd = 9}));
  EXPECT_EQ(rows[1].requests, 3);
  EXPECT_EQ(rows[2].day, "2026-11-29");
  EXPECT_EQ(this->spend(this->kOne, "2026-11-28", "2026-11-28").size(), 2u);
  EXPECT_EQ(this->spend(this->kOne, "2026-11-29", "2026-11-30").size(), 1u);
  EXPECT_TRUE(this->spend(this->kOne, "2026-11-30", "2026-11-27").empty());
}

TYPED_TEST_P(StoreLmConformance, lets_no_spend_fall_below_zero) {
  const SpendChange less{.analyzer = "summary",
                         .day = this->kDay,
                         .spent = {.tokens = -8, .micro_usd = -8},
                         .held = {.tokens = -8, .micro_usd = -8},
                         .requests = -8};
  auto more = less;
  more.spent = {.tokens = 5, .micro_usd = 9};
  more.held = {.tokens = 9, .micro_usd = 5};
  more.requests = 1;

  this->add_spend(this->kOne, {less});
  this->add_spend(this->kOne, {more});
  EXPECT_EQ(this->spend(this->kOne).at(0).spent, more.spent);
  this->add_spend(this->kOne, {less});

  const auto rows = this->spend(this->kOne);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].spent, (Spend{.tokens = 0, .micro_usd = 1}));
  EXPECT_EQ(rows[0].held, (Spend{.tokens = 1, .micro_usd = 0}));
  EXPECT_EQ(rows[0].requests, 0);
  this->add_spend(this->kOne, {less, more});
  EXPECT_EQ(this->spend(this->kOne).at(0).spent, more.spent);
  EXPECT_EQ(this->spend(this->kOne).at(0).held, more.held);
}

TYPED_TEST_P(StoreLmConformance, books_a_spend_with_its_transaction_or_not_at_all) {
  const std::vector<SpendChange> changes = {
      {.analyzer = "summary", .day = this->kDay, .spent = {.tokens = 5}, .held = {}}};

  const auto failed = this->store().write(
      this->store().partition_of(this->kOne), [&](StoreWriter& writer) -> Result<> {
        SAMTALE_TRY_VOID(writer.add_spend(this->kOne, changes));
        SAMTALE_TRY(const auto inside, writer.spend(this->kOne, this->kDay, this->kDay));
        EXPECT_EQ(inside.at(0).spent.tokens, 5);
        return fail(ErrorCode::unavailable, "changed my mind");
      });

  EXPECT_FALSE(failed);
  EXPECT_TRUE(this->spend(this->kOne).empty());
}

TYPED_TEST_P(StoreLmConformance, keeps_what_a_person_says_whatever_the_machine_says_later) {
  const auto id = this->put_new(this->kOne, "a");
  this->put_override(this->kOne, id, this->override_of("topics", "first"));
  this->put_override(this->kOne, id, this->override_of("topics", R"({"labels":["refund"]})"));
  this->put_override(this->kOne, id, this->override_of("summary", "{}"));

  this->analyse(this->kOne, id, this->analysis("topics", {"parcel"}, {}, 9));

  const auto found = this->overrides(this->kOne, id);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].analyzer, "summary");
  EXPECT_EQ(found[1].result, R"({"labels":["refund"]})");
  EXPECT_EQ(found[1].by, "key_1");
  EXPECT_EQ(found[1].note, "seen it myself");
  EXPECT_EQ(found[1].made_at, from_us(9));
  EXPECT_EQ(found[1].revision, 3);
  EXPECT_EQ(this->store().analyses(this->kOne, id)->at(0).labels.at(0), "parcel");
}

TYPED_TEST_P(StoreLmConformance, tells_of_an_override_and_of_its_removal) {
  const auto id = this->put_new(this->kOne, "a");
  const auto partition = this->store().partition_of(this->kOne);
  const auto before = this->changes(partition).size();
  this->put_override(this->kOne, id, this->override_of("topics", "{}"));
  this->put_override(this->kOne, id, this->override_of("summary", "{}"));

  this->put_override(this->kOne, id, this->override_of("topics", ""));

  ASSERT_EQ(this->overrides(this->kOne, id).size(), 1u);
  EXPECT_EQ(this->overrides(this->kOne, id)[0].analyzer, "summary");
  EXPECT_EQ(this->changes(partition).size(), before + 3);
  EXPECT_EQ(this->changes(partition).back().conversation, id);
}

TYPED_TEST_P(StoreLmConformance, keeps_campaigns_newest_first_as_they_last_were) {
  this->put_campaign(this->kOne, this->campaign("bf_b", "running", 1));
  this->put_campaign(this->kOne, this->campaign("bf_a", "running", 2));
  auto changed = this->campaign("bf_b", "paused", 1);
  changed.cursor = "further";
  changed.asked = 6;

  this->put_campaign(this->kOne, changed);

  EXPECT_EQ(this->campaign_ids(this->kOne), (std::vector<std::string>{"bf_a", "bf_b"}));
  this->write(this->kOne, [&](StoreWriter& writer) -> Result<> {
    SAMTALE_TRY(const auto found, writer.find_campaign(this->kOne, "bf_b"));
    EXPECT_TRUE(found.has_value());
    if (!found) return {};
    EXPECT_EQ(found->state, "paused");
    EXPECT_EQ(found->cursor, "further");
    EXPECT_EQ(found->filter, R"({"channel":"chat"})");
    EXPECT_EQ(found->estimate, R"({"tokens":12})");
    EXPECT_EQ((std::vector{found->total, found->seen, found->asked}),
              (std::vector<std::int64_t>{9, 7, 6}));
    EXPECT_EQ(found->created_at, from_us(1));
    EXPECT_EQ(found->updated_at, from_us(2));
    SAMTALE_TRY(const auto unknown, writer.find_campaign(this->kOne, "bf_c"));
    EXPECT_FALSE(unknown.has_value());
    return {};
  });
}

TYPED_TEST_P(StoreLmConformance, moves_a_campaign_on_together_with_its_jobs) {
  this->put_campaign(this->kOne, this->campaign("bf_a", "running"));
  auto moved = this->campaign("bf_a", "running");
  moved.cursor = "page 2";
  const NewJob job{.company = this->kOne, .kind = "analyze", .payload = "", .key = "c"};
  const auto move = [&](bool fails) {
    return this->store().write(this->store().partition_of(this->kOne),
                               [&](StoreWriter& writer) -> Result<> {
                                 SAMTALE_TRY_VOID(writer.put_campaign(this->kOne, moved));
                                 SAMTALE_TRY_VOID(writer.enqueue(job));
                                 if (fails) return fail(ErrorCode::unavailable, "no");
                                 return {};
                               });
  };

  ASSERT_FALSE(move(true));
  EXPECT_EQ(this->store().campaigns(this->kOne)->at(0).cursor, "cursor");
  EXPECT_TRUE(this->harness_.queue().waiting(this->kOne, 9)->empty());
  ASSERT_TRUE(move(false));

  EXPECT_EQ(this->store().campaigns(this->kOne)->at(0).cursor, "page 2");
  EXPECT_EQ(this->harness_.queue().waiting(this->kOne, 9)->size(), 1u);
}

TYPED_TEST_P(StoreLmConformance, finds_the_running_campaigns_of_all_companies) {
  this->put_campaign(this->kOne, this->campaign("bf_a", "running"));
  this->put_campaign(this->kOne, this->campaign("bf_b", "paused"));
  this->put_campaign(this->kOne, this->campaign("bf_c", "running"));
  this->put_campaign(this->kTwo, this->campaign("bf_a", "running"));

  this->put_campaign(this->kOne, this->campaign("bf_c", "done"));

  using Found = std::pair<CompanyId, std::string>;
  EXPECT_THAT(this->running(), ::testing::UnorderedElementsAre(Found{this->kOne, "bf_a"},
                                                               Found{this->kTwo, "bf_a"}));
}

TYPED_TEST_P(StoreLmConformance, drops_the_oldest_ended_campaign_for_the_101st) {
  for (int i = 0; i < 100; ++i) {
    const auto* state = i == 5 ? "cancelled" : i == 9 ? "done" : "paused";
    this->put_campaign(this->kOne, this->campaign("bf_" + std::to_string(i), state, i));
  }
  this->put_campaign(this->kOne, this->campaign("bf_9", "done", 9));
  EXPECT_EQ(this->campaign_ids(this->kOne).size(), 100u) << "one that is there needs no room";

  this->put_campaign(this->kOne, this->campaign("bf_new", "running", 200));
  this->put_campaign(this->kTwo, this->campaign("bf_theirs", "running", 1));

  const auto ids = this->campaign_ids(this->kOne);
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(ids.front(), "bf_new");
  EXPECT_EQ(std::ranges::count(ids, "bf_5"), 0);
  EXPECT_EQ(std::ranges::count(ids, "bf_9"), 1);
}

TYPED_TEST_P(StoreLmConformance, refuses_a_campaign_while_100_have_not_ended) {
  for (int i = 0; i < 100; ++i) {
    this->put_campaign(this->kOne, this->campaign("bf_" + std::to_string(i), "running", i));
  }

  const auto refused =
      this->store().write(this->store().partition_of(this->kOne), [&](StoreWriter& writer) {
        return writer.put_campaign(this->kOne, this->campaign("bf_new", "running", 200));
      });

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(this->campaign_ids(this->kOne).size(), 100u);
}

TYPED_TEST_P(StoreLmConformance, keeps_a_batch_until_it_is_erased) {
  this->put_batch(this->kOne, this->batch("b1", ""));
  this->put_batch(this->kOne, this->batch("b2", "theirs 2"));

  this->put_batch(this->kOne, this->batch("b1", "theirs 1"));

  const auto found = this->batches(this->kOne);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "b1");
  EXPECT_EQ(found[0].id, "theirs 1");
  EXPECT_EQ(found[0].requests, R"(["a"])");
  EXPECT_EQ(found[0].created_at, from_us(1));
  EXPECT_EQ(found[0].wanted_by, from_us(2));
  this->write(this->kOne,
              [&](StoreWriter& writer) { return writer.erase_batch(this->kOne, "b1"); });
  ASSERT_EQ(this->batches(this->kOne).size(), 1u);
  EXPECT_EQ(this->batches(this->kOne)[0].name, "b2");
}

TYPED_TEST_P(StoreLmConformance, shows_no_company_anything_of_another) {
  const auto id = this->put_new(this->kOne, "a");
  const std::vector<SpendChange> changes = {
      {.analyzer = "summary", .day = this->kDay, .spent = {.tokens = 5}, .held = {}}};
  this->put_result(this->kOne, id, "k", "one");
  this->put_override(this->kOne, id, this->override_of("summary", "one"));
  this->add_spend(this->kOne, changes);
  this->put_campaign(this->kOne, this->campaign("bf_a", "running"));
  this->put_batch(this->kOne, this->batch("b", "one"));

  EXPECT_FALSE(this->result(this->kTwo, "k"));
  EXPECT_TRUE(this->overrides(this->kTwo, id).empty());
  EXPECT_TRUE(this->spend(this->kTwo).empty());
  EXPECT_TRUE(this->campaign_ids(this->kTwo).empty());
  EXPECT_TRUE(this->batches(this->kTwo).empty());
  // The other company names exactly what belongs to the first.
  this->write(this->kTwo, [&](StoreWriter& writer) -> Result<> {
    EXPECT_FALSE(writer.find_campaign(this->kTwo, "bf_a")->has_value());
    EXPECT_TRUE(writer.spend(this->kTwo, this->kDay, this->kDay)->empty());
    SAMTALE_TRY_VOID(writer.keep_lm_results(this->kTwo, id, {}));
    SAMTALE_TRY_VOID(writer.put_lm_result(this->kTwo, id, "k", "two", {}));
    SAMTALE_TRY_VOID(writer.put_override(this->kTwo, id, this->override_of("summary", "")));
    SAMTALE_TRY_VOID(writer.put_override(this->kTwo, id, this->override_of("topics", "two")));
    SAMTALE_TRY_VOID(writer.add_spend(this->kTwo, changes));
    SAMTALE_TRY_VOID(writer.put_campaign(this->kTwo, this->campaign("bf_a", "cancelled")));
    SAMTALE_TRY_VOID(writer.put_batch(this->kTwo, this->batch("b", "two")));
    return writer.erase_batch(this->kTwo, "b");
  });
  this->erase(this->kTwo, id);

  EXPECT_EQ(this->result(this->kOne, "k"), "one");
  EXPECT_FALSE(this->result(this->kTwo, "k"));
  ASSERT_EQ(this->overrides(this->kOne, id).size(), 1u);
  EXPECT_EQ(this->overrides(this->kOne, id)[0].result, "one");
  EXPECT_TRUE(this->overrides(this->kTwo, id).empty());
  EXPECT_EQ(this->spend(this->kOne).at(0).spent.tokens, 5);
  EXPECT_EQ(this->store().campaigns(this->kOne)->at(0).state, "running");
  ASSERT_EQ(this->batches(this->kOne).size(), 1u);
  EXPECT_EQ(this->batches(this->kOne)[0].id, "one");
}

REGISTER_TYPED_TEST_SUITE_P(
    StoreLmConformance, keeps_an_answer_by_the_key_of_what_was_asked,
    forgets_the_answers_that_are_no_longer_wanted,
    lets_an_answer_go_with_the_conversation_asked_of_last,
    keeps_nothing_of_a_conversation_that_is_not_there, adds_up_what_was_spent_by_day_and_analyzer,
    lets_no_spend_fall_below_zero, books_a_spend_with_its_transaction_or_not_at_all,
    keeps_what_a_person_says_whatever_the_machine_says_later,
    tells_of_an_override_and_of_its_removal, keeps_campaigns_newest_first_as_they_last_were,
    moves_a_campaign_on_together_with_its_jobs, finds_the_running_campaigns_of_all_companies,
    drops_the_oldest_ended_campaign_for_the_101st, refuses_a_campaign_while_100_have_not_ended,
    keeps_a_batch_until_it_is_erased, shows_no_company_anything_of_another);

}  // namespace samtale
