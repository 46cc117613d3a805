// LmAnalyst: has a language model conclude from one conversation what its company wants to know,
// with as few tokens as it takes.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "analyze/analyzer.h"
#include "analyze/extractive.h"
#include "analyze/transcript.h"
#include "base/bytes.h"
#include "base/result.h"
#include "lm/scheduler.h"
#include "model/conversation.h"
#include "model/ids.h"
#include "pii/pii.h"
#include "store/store.h"
#include "sys/clock.h"

namespace samtale {

inline constexpr std::string_view kByLanguageModel = "lm";  // StoredAnalysis::method.

struct LmAnalystOptions {
  std::size_t analyzers_per_request = 8;
  // A conversation that goes on, or is longer than whole_tokens_max, is read in segments of so many
  // tokens: of each whole segment notes are made, once; they and the last lines are what is
  // analysed. So one more turn costs the last lines and the notes, not the conversation.
  std::int64_t segment_tokens = 1'000;
  std::int64_t whole_tokens_max = 12'000;
};

struct LmOrder {
  CompanyId company{};
  const Conversation* conversation = nullptr;
  std::vector<Analyzer> analyzers;  // None by rules.
  bool goes_on = false;             // More turns are to be expected: read in segments.
  std::string language;             // Of what is written; empty: the conversation's.
  PiiMasker* masker = nullptr;      // If not null, masks what is sent.
  Priority priority = Priority::normal;
  std::optional<Instant> wanted_by;
};

struct LmFindings {
  struct Found {
    std::string analyzer;
    std::int64_t version = 1;
    Analysis analysis;
  };
  struct Failed {
    std::string analyzer;
    Error error;
  };
  std::vector<Found> found;
  std::vector<Failed> failed;
  std::size_t dropped = 0;             // Citations that did not hold.
  std::int64_t tokens = 0;             // That were paid for, in and out.
  std::vector<std::string> used_keys;  // Of the store's lm_results: the others may go.
};

// Every answer is stored with its cost before it is used, in one transaction: what was paid for is
// not asked again, whatever happens. Threads: any method from any thread. What is passed in must
// outlive it.
class LmAnalyst {
 public:
  LmAnalyst(LmScheduler& scheduler, Store& store, const Clock& clock,
            const LmAnalystOptions& options = {});

  // An analyzer that fails takes no other along; so does an error of the store.
  [[nodiscard]] LmFindings analyse(const LmOrder& order, Instant deadline,
                                   const std::stop_token& stop) const;

  // Answers what analyse() would ask next, in place of the scheduler. `key` is the task's. An
  // error: no answer. The task, its check too, lives as long as the call.
  using Answer = std::function<Result<json::Value>(const LmTask& task, const Sha256& key)>;
  // Goes through what analyse() asks and no stored answer answers, as far as `answer` does: nothing
  // is sent, stored or concluded.
  void rehearse(const LmOrder& order, const Answer& answer) const;

  // Input tokens that analyse() would send at the most, nothing being stored: for estimates.
  [[nodiscard]] std::int64_t estimate_tokens(const LmOrder& order) const;

 private:
  struct Reading {
    std::string text;
    bool has_notes = false;
  };
  struct Session {
    const LmOrder& order;
    const Instant deadline;
    const std::stop_token& stop;
    const Answer* rehearsal = nullptr;  // Null: what is asked is sent.
    LmFindings findings;
  };

  [[nodiscard]] std::vector<TranscriptLine> lines_of(const LmOrder& order) const;
  [[nodiscard]] bool is_segmented(const LmOrder& order, std::int64_t tokens) const;
  void run(Session& session) const;
  [[nodiscard]] Result<Reading> read(Session& session,
                                     const std::vector<TranscriptLine>& lines) const;
  // The notes of all segments, in order.
  [[nodiscard]] Result<std::vector<TranscriptLine>> condense(
      Session& session, const std::vector<TranscriptLine>& lines,
      std::span<const Segment> segments) const;
  [[nodiscard]] Result<std::vector<TranscriptLine>> condense_one(
      Session& session, const std::vector<TranscriptLine>& lines, Segment segment) const;
  using Check = std::function<Result<>(const json::Value&)>;
  [[nodiscard]] Result<json::Value> ask(Session& session, ChatRequest request,
                                        std::span<const Analyzer> booked_on, Check check) const;
  void conclude_group(Session& session, const Reading& reading,
                      std::span<const Analyzer> group) const;

  LmScheduler& scheduler_;
  Store& store_;
  const Clock& clock_;
  const LmAnalystOptions options_;
};

}  // namespace samtale
