// LmAnalyzeTest: analyses by a scripted language model, with the real scheduler, gate, budget and
// store. Of the analyzers only "intent" and "resolution" are active.
#pragma once

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "analyze/prompt.h"
#include "analyze/testing/analyze_test.h"
#include "lm/testing/fake_chat_model.h"

namespace samtale {

// The number and the text of a line of the transcript in the request; the last one, without notes.
inline std::pair<std::int64_t, std::string> last_line(const ChatRequest& request) {
  const auto& text = request.messages[1].content;
  const auto begin = text.rfind('\n', text.size() - 2) + 1;
  const auto colon = text.find(": ", begin);
  return {std::stoll(text.substr(begin + 1)), text.substr(colon + 2, text.size() - colon - 3)};
}

inline json::Value cited(const ChatRequest& request) {
  const auto [turn, quote] = last_line(request);
  return json::Array{json::Object{{"turn", turn}, {"quote", quote}}};
}

// As a good model answers: it cites the turns it was sent, for each analyzer that the schema asks
// for.
inline ChatOutcome answer_well(const ChatRequest& request) {
  json::Object members;
  for (const auto& [name, schema] : *request.schema.value().find("properties")->as_object()) {
    const auto evidence = cited(request);
    if (name == "notes") {
      const auto [turn, quote] = last_line(request);
      members.emplace_back(name, json::Array{json::Object{
                                     {"turn", turn}, {"quote", quote}, {"says", "it went on"}}});
    } else if (name == "intent") {
      members.emplace_back(
          name, json::Object{{"intents", json::Array{json::Object{{"name", "cancel"},
                                                                  {"evidence", evidence}}}}});
    } else if (name == "resolution") {
      members.emplace_back(
          name, json::Object{{"state", "resolved"}, {"reason", "it was"}, {"evidence", evidence}});
    }
  }
  return FakeChatModel::good(request, std::move(members));
}

class LmAnalyzeTest : public AnalyzeTest {
 protected:
  LmAnalyzeTest() {
    // Two analyzers are enough to see that they go together.
    for (const auto* name :
         {"summary", "sentiment", "topics", "action_items", "pii", "manipulation"}) {
      EXPECT_TRUE(
          catalog->put(kAcme, parsed(R"({"name":")" + std::string(name) + R"(","active":false})")));
    }
    worker_options.mask_secret = std::string(32, 's');
    make_lm();
  }

  // Anew, as after a restart: only the store remembers.
  void make_lm() {
    worker.reset();
    analyst.reset();
    scheduler.reset();
    LmSchedulerOptions options;
    options.hedge_critical = false;
    options.tries_max = 1;
    budget = std::make_unique<Budget>(*store, *catalog, clock);
    scheduler = std::make_unique<LmScheduler>(
        std::vector<LmAccount>{{.model = &model, .gate = &gate, .prices = {1, 1, 4}}}, *budget,
        *metrics, clock, random, options);
    LmAnalystOptions analyst_options;
    analyst_options.segment_tokens = 200;
    analyst = std::make_unique<LmAnalyst>(*scheduler, *store, clock, analyst_options);
    worker = std::make_unique<LmWorker>(parts(), *analyst, kind, worker_options);
  }

  void models_answers(int count) {
    for (int i = 0; i < count; ++i) {
      model.then(
          [](const ChatRequest& request, auto, const auto&) { return answer_well(request); });
    }
  }
  ConversationId add(const std::vector<std::string>& texts, const std::string& status = "ended") {
    const auto id = put("a", texts, status);
    enqueue(kLmJob, id);
    return id;
  }
  std::size_t step() { return worker->step({}).value(); }
  std::vector<DeadLetter> dead_letters() {
    return store->queue().dead_letters(kAcme, std::nullopt, 10).value();
  }
  Spend spent() {
    Spend sum;
    const auto rows = store->spend(kAcme, "2026-01-01", "2026-12-31").value();
    for (const auto& row : rows) {
      sum.tokens += row.spent.tokens;
      sum.micro_usd += row.spent.micro_usd;
    }
    return sum;
  }

  FakeChatModel model;
  Gate gate{{}, clock};
  std::unique_ptr<Budget> budget;
  std::unique_ptr<LmScheduler> scheduler;
  std::unique_ptr<LmAnalyst> analyst;
  std::string_view kind = kLmJob;  // That the worker takes; from make_lm() on.
  LmWorkerOptions worker_options;
  std::unique_ptr<LmWorker> worker;
};

}  // namespace samtale
