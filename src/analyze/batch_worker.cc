#include "analyze/batch_worker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "analyze/batch_row.h"
#include "analyze/jobs.h"
#include "analyze/lm_work.h"
#include "base/bytes.h"

namespace samtale {
namespace {

constexpr std::size_t kNameBytes = 10;

std::size_t size_of(const ChatRequest& request) {
  constexpr std::size_t kSchemaAndEnvelope = 4096;
  std::size_t size = kSchemaAndEnvelope;
  for (const auto& message : request.messages) size += message.content.size();
  return size;
}

Result<json::Value> no_answer() {
  return fail(ErrorCode::unavailable, "it was not answered by the batch");
}

NewJob bulk_job(std::string_view kind, CompanyId company, const AnalysisJob& asked) {
  auto job = make_analysis_job(kind, company, asked);
  job.priority = Priority::bulk;
  return job;
}

}  // namespace

// One batch while it is made.
struct BatchWorker::Draft {
  struct Question {
    std::string id;
    LmTask task;  // Without its check.
    ChatRequest request;
  };

  BatchRow row;
  std::vector<std::pair<std::string, ChatRequest>> requests;
  std::set<std::string, std::less<>> ids;
  std::size_t bytes = 0;
  std::vector<Job> settled;             // Once the row is kept.
  std::vector<AnalysisJob> not_for_it;  // To be asked one by one.
};

BatchWorker::BatchWorker(AnalyzeParts parts, const LmAnalyst& analyst, const LmScheduler& scheduler,
                         Budget& budget, BatchApi& api, const BatchWorkerOptions& options)
    : parts_(std::move(parts)),
      analyst_(analyst),
      scheduler_(scheduler),
      budget_(budget),
      api_(api),
      options_(options),
      answered_(parts_.metrics.counter("samtale_lm_batch_requests_total",
                                       "Requests of batches that have ended.",
                                       {{"outcome", "answered"}})),
      unusable_(parts_.metrics.counter("samtale_lm_batch_requests_total",
                                       "Requests of batches that have ended.",
                                       {{"outcome", "unusable"}})),
      unanswered_(parts_.metrics.counter("samtale_lm_batch_requests_total",
                                         "Requests of batches that have ended.",
                                         {{"outcome", "unanswered"}})) {}

Result<std::size_t> BatchWorker::step(const std::stop_token& stop) {
  stop_ = stop;
  if (parts_.clock.now() >= next_look_) {
    next_look_ = parts_.clock.now() + options_.poll;
    const auto looked = look_after_all();
    is_away_ = !looked && retryable(looked.error().code);
    SAMTALE_TRY_VOID(looked);
  }
  if (is_away_ || open_ >= options_.open_max) return 0;
  SAMTALE_TRY(auto jobs, parts_.queue.take(kLmBatchJob, options_.jobs_max, options_.lease));
  std::ranges::stable_sort(jobs, {}, &Job::company);
  for (auto begin = jobs.begin(); begin != jobs.end() && !stop.stop_requested();) {
    const auto end = std::find_if(begin, jobs.end(),
                                  [&](const Job& job) { return job.company != begin->company; });
    SAMTALE_TRY_VOID(hand_in(begin->company, {begin, end}));
    begin = end;
  }
  return jobs.size();
}

// Making batches.

Result<> BatchWorker::hand_in(CompanyId company, std::span<const Job> jobs) {
  Draft draft;
  for (const auto& job : jobs) {
    if (const auto added = add(job, draft); !added) {
      SAMTALE_TRY_VOID(
          settle_failure(parts_.queue, job, added.error(), options_.retry, parts_.random));
    }
    if (draft.bytes < options_.bytes_max) continue;
    SAMTALE_TRY_VOID(send(company, draft));
    draft = {};
  }
  return send(company, draft);
}

Result<> BatchWorker::add(const Job& job, Draft& draft) {
  SAMTALE_TRY(auto asked, read_analysis_job(job));
  SAMTALE_TRY(const auto work, make_lm_work(parts_, job.company, asked, options_.mask_secret));
  if (work == nullptr) {
    draft.settled.push_back(job);
    return {};
  }
  std::vector<Draft::Question> questions;
  bool is_under_way = false;
  analyst_.rehearse(work->order, [&](const LmTask& task, const Sha256& key) {
    auto id = hex(view(key));
    is_under_way = is_under_way || under_way_.contains({job.company, id});
    auto kept = task;
    kept.check = {};
    questions.push_back(
        {std::move(id), std::move(kept), with_nonce(task.request, answer_nonce(key))});
    return no_answer();
  });
  // The batch that has the same question brings its answer.
  if (is_under_way) return parts_.queue.retry_after(job, options_.poll, "a batch asks the same");
  const bool is_late = job.enqueued_at + options_.window <= parts_.clock.wall_now();
  if (questions.empty() || is_late) {
    draft.not_for_it.push_back(std::move(asked));
    draft.settled.push_back(job);
    return {};
  }
  std::vector<BatchRow::Request> booked;
  for (const auto& [id, task, request] : questions) {
    if (draft.ids.contains(id)) continue;
    const auto input = estimate_input_tokens(request);
    const auto output = static_cast<std::int64_t>(request.output_tokens_max);
    auto reservation = budget_.reserve(
        job.company, in_equal_shares(task.analyzers, {.tokens = input + output,
                                                      .micro_usd = cost_micro_usd(
                                                          options_.prices, input, 0, output)}));
    if (!reservation) {
      for (const auto& one : booked) budget_.cancel(one.reservation);
      return parts_.queue.retry_after(job, options_.budget_pause, reservation.error().message);
    }
    booked.push_back({.id = id, .input_tokens = input, .reservation = *std::move(reservation)});
  }
  for (auto& [id, task, request] : questions) {
    if (!draft.ids.insert(id).second) continue;
    draft.bytes += size_of(request);
    draft.requests.emplace_back(id, std::move(request));
  }
  std::ranges::move(booked, std::back_inserter(draft.row.requests));
  draft.row.jobs.push_back(std::move(asked));
  draft.settled.push_back(job);
  return {};
}

// First kept, then handed in: what the provider has is known to us, whatever happens.
Result<> BatchWorker::send(CompanyId company, Draft& draft) {
  if (draft.settled.empty()) return {};
  const auto now = parts_.clock.wall_now();
  LmBatch batch{.name = "samtale-" + base32(parts_.random.bytes(kNameBytes)),
                .id = {},
                .requests = write_batch_row(draft.row),
                .created_at = now,
                .wanted_by = now + std::chrono::floor<std::chrono::microseconds>(options_.window)};
  const auto partition = parts_.store.partition_of(company);
  const auto put = [&] {
    return parts_.store.write(
        partition, [&](StoreWriter& writer) { return writer.put_batch(company, batch); });
  };
  const auto kept = parts_.store.write(partition, [&](StoreWriter& writer) -> Result<> {
    if (!draft.requests.empty()) SAMTALE_TRY_VOID(writer.put_batch(company, batch));
    for (const auto& asked : draft.not_for_it) {
      SAMTALE_TRY_VOID(writer.enqueue(bulk_job(kLmBulkJob, company, asked)));
    }
    return writer.finish(draft.settled);
  });
  if (!kept) {
    for (const auto& one : draft.row.requests) budget_.cancel(one.reservation);
    for (const auto& job : draft.settled) {
      SAMTALE_TRY_VOID(
          settle_failure(parts_.queue, job, kept.error(), options_.retry, parts_.random));
    }
    return {};
  }
  if (draft.requests.empty()) return {};
  ++open_;
  for (const auto& id : draft.ids) under_way_.emplace(company, id);
  auto id = api_.submit(batch.name, draft.requests, limits());
  if (id) {
    batch.id = *std::move(id);
    return put();
  }
  // It will never be taken as it is: one by one each is refused for itself, or answered.
  if (id.error().code == ErrorCode::invalid_argument) {
    return settle(company, batch, draft.row, {}, false);
  }
  return {};  // Perhaps it was taken: find_lost() will know.
}

// Looking after them.

Result<> BatchWorker::look_after_all() {
  open_ = 0;
  under_way_.clear();
  Result<> all;
  for (std::uint32_t i = 0; i < parts_.store.partitions(); ++i) {
    SAMTALE_TRY(auto batches, parts_.store.batches(Partition{i}));
    for (auto& [company, batch] : batches) {
      ++open_;
      // One that cannot be looked after keeps no other back.
      if (auto seen = look_after(company, std::move(batch)); !seen) all = std::move(seen);
    }
  }
  return all;
}

Result<> BatchWorker::look_after(CompanyId company, LmBatch batch) {
  SAMTALE_TRY(const auto row, read_batch_row(company, batch.requests));
  for (const auto& request : row.requests) under_way_.emplace(company, request.id);
  if (batch.id.empty()) return find_lost(company, std::move(batch), row);
  const auto now = parts_.clock.wall_now();
  const bool is_late = now >= batch.wanted_by;
  const bool is_given_up = now >= batch.wanted_by + options_.cancel_grace;
  const auto status = api_.status(batch.id, limits());
  if (!status) {
    if (is_given_up) return settle(company, batch, row, {}, true);
    return std::unexpected(status.error());
  }
  switch (status->state) {
    case BatchStatus::State::running:
      if (is_given_up) return settle(company, batch, row, {}, true);
      return is_late ? api_.cancel(batch.id, limits()) : Result<>();
    case BatchStatus::State::failed:
    case BatchStatus::State::gone:
      return settle(company, batch, row, {}, false);
    case BatchStatus::State::done:
      break;
  }
  Lines lines;
  if (!status->output_file.empty()) {
    auto read = api_.read(status->output_file, limits());
    if (!read) {
      if (is_given_up) return settle(company, batch, row, {}, true);
      return std::unexpected(std::move(read).error());
    }
    for (auto& line : *read) lines.emplace(line.id, std::move(line));
  }
  return settle(company, batch, row, lines, false);
}

// Between its keeping and the answer to its handing in, something went wrong.
Result<> BatchWorker::find_lost(CompanyId company, LmBatch batch, const BatchRow& row) {
  const auto now = parts_.clock.wall_now();
  auto id = api_.find(batch.name, limits());
  if (id && !id->empty()) {
    batch.id = *std::move(id);
    return parts_.store.write(parts_.store.partition_of(company), [&](StoreWriter& writer) {
      return writer.put_batch(company, batch);
    });
  }
  // Lists of what was made a moment ago may be behind.
  if (id && now >= batch.created_at + options_.find_grace) {
    return settle(company, batch, row, {}, false);
  }
  if (now >= batch.wanted_by + options_.cancel_grace) {
    return settle(company, batch, row, {}, true);
  }
  if (!id) return std::unexpected(std::move(id).error());
  return {};
}

Result<> BatchWorker::settle(CompanyId company, const LmBatch& batch, const BatchRow& row,
                             const Lines& lines, bool may_have_cost) {
  struct Proven {
    ConversationId conversation;
    std::string key;
    std::string value;
  };
  std::set<std::string_view> asked_ids;
  for (const auto& request : row.requests) asked_ids.insert(request.id);
  const bool has_time =
      parts_.clock.wall_now() < batch.created_at + (batch.wanted_by - batch.created_at) / 2;
  std::vector<Proven> proven;
  std::vector<NewJob> next;
  std::size_t unusable = 0;
  for (const auto& asked : row.jobs) {
    SAMTALE_TRY(const auto work, make_lm_work(parts_, company, asked, options_.mask_secret));
    if (work == nullptr) continue;
    bool is_whole = true;       // All that was asked of it is answered.
    bool asks_further = false;  // What could not be asked before.
    analyst_.rehearse(work->order, [&](const LmTask& task, const Sha256& key) {
      const auto id = hex(view(key));
      if (!asked_ids.contains(id)) {
        asks_further = true;
        return no_answer();
      }
      const auto line = lines.find(id);
      if (line == lines.end() || !line->second.answer) {
        is_whole = false;
        return no_answer();
      }
      auto value = judge_answer(task, key, *line->second.answer);
      if (value) {
        proven.push_back({asked.conversation, std::string(view(key)), json::dump(*value)});
      } else {
        is_whole = false;
        ++unusable;
      }
      return value;
    });
    const bool goes_on = is_whole && asks_further && has_time;
    next.push_back(bulk_job(goes_on ? kLmBatchJob : kLmBulkJob, company, asked));
  }
  std::vector<SpendChange> spend;
  std::size_t answers = 0;
  for (const auto& request : row.requests) {
    const auto line = lines.find(request.id);
    const bool is_answered = line != lines.end() && line->second.answer.has_value();
    TokenUsage used;
    if (is_answered) {
      ++answers;
      used = line->second.answer->usage;
      if (used.input == 0) used.input = request.input_tokens;  // This provider does not count.
    } else if (may_have_cost) {
      used.input = request.input_tokens;
    }
    std::vector<std::string> analyzers;
    for (const auto& booking : request.reservation.bookings) analyzers.push_back(booking.analyzer);
    const auto cost = cost_micro_usd(options_.prices, used.input, used.cached_input, used.output);
    std::ranges::move(budget_.settle(request.reservation,
                                     in_equal_shares(analyzers, {.tokens = used.input + used.output,
                                                                 .micro_usd = cost}),
                                     is_answered || may_have_cost ? 1 : 0),
                      std::back_inserter(spend));
  }
  SAMTALE_TRY_VOID(
      parts_.store.write(parts_.store.partition_of(company), [&](StoreWriter& writer) -> Result<> {
        for (const auto& [conversation, key, value] : proven) {
          SAMTALE_TRY_VOID(
              writer.put_lm_result(company, conversation, key, value, parts_.clock.wall_now()));
        }
        SAMTALE_TRY_VOID(writer.add_spend(company, spend));
        for (const auto& job : next) SAMTALE_TRY_VOID(writer.enqueue(job));
        return writer.erase_batch(company, batch.name);
      }));
  --open_;
  for (const auto& request : row.requests) under_way_.erase({company, request.id});
  answered_.add(static_cast<double>(answers - std::min(answers, unusable)));
  unusable_.add(static_cast<double>(unusable));
  unanswered_.add(static_cast<double>(row.requests.size() - answers));
  return {};
}

}  // namespace samtale
