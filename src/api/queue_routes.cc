#include <charconv>

#include "api/answer.h"
#include "api/requests.h"
#include "api/scatter.h"
#include "api/sequence.h"
#include "api/table.h"
#include "ingest/jobs.h"
#include "model/fields.h"

namespace samtale::api {
namespace {

std::int64_t to_ms(Duration length) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
}

json::Value to_json(const std::vector<QueueStats>& stats) {
  json::Array kinds;
  for (const auto& kind : stats) {
    kinds.push_back(json::Object{{"kind", kind.kind},
                                 {"ready", kind.ready},
                                 {"delayed", kind.delayed},
                                 {"leased", kind.leased},
                                 {"dead", kind.dead},
                                 {"oldest_age_ms", to_ms(kind.oldest_age)}});
  }
  return kinds;
}

std::string_view name(Priority priority) {
  switch (priority) {
    case Priority::critical:
      return "critical";
    case Priority::normal:
      return "normal";
    case Priority::bulk:
      return "bulk";
  }
  return "?";
}

std::optional<JobId> parse_job_id(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return JobId{value};
}

json::Value to_json(const DeadLetter& letter) {
  json::Object object{{"id", std::to_string(number(letter.id))},
                      {"kind", letter.kind},
                      {"cause", letter.cause},
                      {"attempts", letter.attempts}};
  const Job job{.kind = letter.kind, .payload = letter.payload, .key = {}};
  if (const auto conversation = conversation_of(job)) {
    object.emplace_back("conversation_id", text(*conversation));
  }
  object.emplace_back("enqueued_at", format_time(letter.enqueued_at));
  object.emplace_back("given_up_at", format_time(letter.given_up_at));
  return object;
}

// Nothing where one of them is not to be had.
IndexSize size_of_slices(const Context& context, const Call& call) {
  Scatter scatter(context, call, nullptr, 0);
  const auto answers = scatter.ask({});
  IndexSize size;
  if (!answers) return size;
  for (const auto& one : *answers) {
    size.conversations += one.conversations;
    size.chunks += one.counts.chunks;
    size.vectors += one.vectors;
    size.bytes += one.bytes;
  }
  return size;
}

}  // namespace

void get_status(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  IndexSize index;
  const bool in_slices = is_in_slices(context, call);
  if (in_slices) {
    index = size_of_slices(context, call);
  } else {
    const auto opened = context.parts.open_index(company);
    if (opened && *opened) index = (*opened)->size();
    if ((!opened || !*opened) && context.parts.elsewhere) {
      // If nobody has its index, it is still to be told what the store has.
      auto answered = context.parts.elsewhere(*call.caller, call.request);
      if (answered && answered->status == 200) return reply(passed_on(*std::move(answered)));
    }
    if (!opened) return reply(not_yet(kNotOpen, call.request));
  }
  const auto stats = context.parts.store.company_stats(company);
  if (!stats) return refuse(context, call, stats.error(), std::move(reply));
  const auto queue = context.parts.queue.stats(company);
  if (!queue) return refuse(context, call, queue.error(), std::move(reply));
  const auto sequence = sequence_now(context, company);
  if (!sequence) return refuse(context, call, sequence.error(), std::move(reply));
  json::Object held{{"conversations", index.conversations},
                    {"chunks", index.chunks},
                    {"vectors", index.vectors},
                    {"bytes", index.bytes}};
  if (!in_slices) {  // Each of which has a graph or none.
    held.emplace_back("graph_vectors", index.graph_vectors);
    held.emplace_back("recall", index.recall);
  }
  auto answer =
      ok(json::Object{{"company", call.caller->company_name()},
                      {"conversations", stats->conversations},
                      {"turns", stats->turns},
                      {"chunks", stats->chunks},
                      {"chunks_without_vector", stats->chunks_without_vector},
                      {"events", stats->events},
                      {"embedder", json::Object{{"model", context.parts.indexes.model()},
                                                {"ready", context.parts.embedder_ready()}}},
                      {"index", std::move(held)},
                      {"queue", to_json(*queue)},
                      {"accepted_total", stats->events},
                      {"indexed_total", index.conversations},
                      {"sequence", *sequence}});
  answer.headers.emplace_back(kSequenceHeader, *sequence);
  reply(std::move(answer));
}

// Of one in slices: the shares that this node has.
void post_reindex(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  bool renews = false;
  if (is_in_slices(context, call)) {
    for (std::size_t i = 0; i < context.parts.slices->count(); ++i) {
      renews |= context.parts.slices->shares(i).renew_graph(company);
    }
  } else {
    const auto opened = context.parts.open_index(company);
    if (!opened) return reply(not_yet(kNotOpen, call.request));
    if (!*opened && context.parts.elsewhere) {
      auto answered = context.parts.elsewhere(*call.caller, call.request);
      if (!answered) return refuse(context, call, answered.error(), std::move(reply));
      return reply(passed_on(*std::move(answered)));
    }
    renews = context.parts.indexes.renew_graph(company);
  }
  reply(ok(json::Object{{"company", call.caller->company_name()}, {"reindexing", renews}}, 202));
}

void get_whoami(const Context&, const Call& call, http::Reply reply) {
  json::Array scopes;
  for (const auto scope : kScopes) {
    if (call.caller->allows(scope)) scopes.emplace_back(samtale::name(scope));
  }
  reply(ok(json::Object{{"company", call.caller->company_name()},
                        {"key", call.caller->key_id()},
                        {"label", call.caller->label()},
                        {"scopes", std::move(scopes)}}));
}

void get_jobs(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  const auto limit = query_integer(call.request, "limit", 50, 1, 500);
  if (!limit) return reply(failure(limit.error(), call.request));
  const auto stats = context.parts.queue.stats(company);
  if (!stats) return refuse(context, call, stats.error(), std::move(reply));
  const auto jobs = context.parts.queue.waiting(company, static_cast<std::size_t>(*limit));
  if (!jobs) return refuse(context, call, jobs.error(), std::move(reply));
  json::Array waiting;
  for (const auto& job : *jobs) {
    waiting.push_back(json::Object{{"id", std::to_string(number(job.id))},
                                   {"kind", job.kind},
                                   {"attempt", job.attempt},
                                   {"priority", name(job.priority)},
                                   {"enqueued_at", format_time(job.enqueued_at)}});
  }
  reply(ok(json::Object{{"kinds", to_json(*stats)}, {"waiting", std::move(waiting)}}));
}

void get_dead_letters(const Context& context, const Call& call, http::Reply reply) {
  const auto limit = query_integer(call.request, "limit", 50, 1, 200);
  if (!limit) return reply(failure(limit.error(), call.request));
  std::optional<JobId> before;
  if (const auto cursor = query_text(call.request, "cursor"); !cursor.empty()) {
    before = parse_job_id(cursor);
    if (!before) {
      return reply(
          failure({ErrorCode::invalid_argument, "?cursor: is not a next_cursor"}, call.request));
    }
  }
  const auto wanted = static_cast<std::size_t>(*limit);
  const auto letters = context.parts.queue.dead_letters(call.caller->company(), before, wanted);
  if (!letters) return refuse(context, call, letters.error(), std::move(reply));
  json::Array list;
  for (const auto& letter : *letters) list.push_back(to_json(letter));
  json::Value next;
  if (letters->size() == wanted) next = std::to_string(number(letters->back().id));
  reply(ok(json::Object{{"dead_letters", std::move(list)}, {"next_cursor", std::move(next)}}));
}

void post_redrive(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  Fields fields(*body);
  std::vector<JobId> ids;
  const bool names_some = body->find("ids") != nullptr;
  for (const auto& text : fields.strings("ids")) {
    if (const auto id = parse_job_id(text)) {
      ids.push_back(*id);
    } else {
      const json::Value got(text);
      fields.mistake("ids", "must hold ids of dead letters", &got);
    }
  }
  if (auto done = fields.done(); !done) return reply(failure(done.error(), call.request));
  // No ids at all means all; an empty list of ids means none.
  if (names_some && ids.empty()) return reply(ok(json::Object{{"redriven", 0}}));
  const auto redriven = context.parts.queue.redrive(call.caller->company(), ids);
  if (!redriven) return refuse(context, call, redriven.error(), std::move(reply));
  reply(ok(json::Object{{"redriven", *redriven}}));
}

}  // namespace samtale::api
