#include "api/answer.h"
#include "api/requests.h"
#include "api/scatter.h"
#include "api/search_body.h"
#include "api/sequence.h"
#include "api/table.h"

namespace samtale::api {
namespace {

constexpr std::string_view kDegraded = "the embedder is away, so this was searched by words alone";

constexpr std::string_view kBehind = "the index is not yet as new as /min_sequence asks; try again";

std::string_view name(SearchMode mode) {
  switch (mode) {
    case SearchMode::hybrid:
      return "hybrid";
    case SearchMode::vector:
      return "vector";
    case SearchMode::keyword:
      return "keyword";
  }
  return "?";
}

void write_part(const SnippetPart& part, json::Writer& out) {
  out.member("text", part.text);
  if (part.is_hit) out.member("hit", true);
}

void write_chunk(const SearchChunk& chunk, json::Writer& out) {
  out.member("ordinal", std::int64_t{chunk.ordinal});
  out.member("first_turn", std::int64_t{chunk.first_turn});
  out.member("last_turn", std::int64_t{chunk.last_turn});
  out.member("score", double{chunk.score});
  out.member("vector_score", double{chunk.vector_score});
  out.member("word_score", double{chunk.word_score});
  write_list("snippet", chunk.snippet, write_part, out);
}

void write_hit(const SearchHit& hit, json::Writer& out) {
  write_summary(*hit.summary, out);
  out.member("score", double{hit.score});
  write_list("chunks", hit.chunks, write_chunk, out);
}

void search_elsewhere(const Context& context, const Call& call, http::Reply reply) {
  if (!context.parts.elsewhere) {
    return refuse(context, call, {ErrorCode::unavailable, "the index here is being loaded"},
                  std::move(reply));
  }
  auto answered = context.parts.elsewhere(*call.caller, call.request);
  if (!answered) return refuse(context, call, answered.error(), std::move(reply));
  reply(passed_on(*std::move(answered)));
}

Result<> check_reached(const Context& context, CompanyId company, std::uint64_t sequence) {
  const auto& store = context.parts.store;
  SAMTALE_TRY(const auto last, store.last_change(store.partition_of(company)));
  if (last.sequence >= sequence) return {};
  return fail(ErrorCode::invalid_argument,
              "/min_sequence: the store is older than that; it may have been restored since");
}

// Waits until the index here is as new as `min_sequence`; whether it is. Errors: invalid_argument,
// unavailable.
Result<bool> catch_up(const Context& context, const Call& call, const std::string& min_sequence) {
  if (min_sequence.empty()) return true;
  const auto company = call.caller->company();
  SAMTALE_TRY(const auto wanted, unseal_sequence(context, company, min_sequence));
  if (context.parts.wait_applied(company, 0) >= wanted) return true;
  SAMTALE_TRY_VOID(check_reached(context, company, wanted));
  const auto applied = context.parts.wait_applied(company, wanted);
  if (applied >= wanted) return true;
  // How many changes lie between, also other companies', is the operator's business.
  context.parts.log.warn("api.search_behind", {{"request_id", call.request.id},
                                               {"wanted", std::to_string(wanted)},
                                               {"applied", std::to_string(applied)}});
  return false;
}

// Another node's index may be newer, or open.
void refuse_as_not_yet(const Context& context, const Call& call, std::string_view message,
                       http::Reply reply) {
  if (context.parts.elsewhere && !call.caller->is_sent_on()) {
    return search_elsewhere(context, call, std::move(reply));
  }
  reply(not_yet(message, call.request));
}

void write_answer(const SearchAnswer& answer, json::Writer& out) {
  const std::chrono::duration<double, std::milli> took = answer.took;
  write_list("hits", answer.hits, write_hit, out);
  write_cursor(answer.next_cursor, out);
  out.member("mode", name(answer.mode));
  out.member("model", answer.model);
  out.member("exact", answer.is_exact);
  out.key("degraded");
  answer.degraded.empty() ? out.value(nullptr) : out.value(kDegraded);
  out.member("took_ms", took.count());
}

// Why a hybrid was answered by words alone may name the embedder's address: that is for the
// operator.
void reply_with(const Context& context, const Call& call, const SearchAnswer& answer,
                std::uint64_t applied, http::Reply reply) {
  if (!answer.degraded.empty()) {
    context.parts.log.warn("api.search_degraded",
                           {{"request_id", call.request.id}, {"why", answer.degraded}});
  }
  http::Response response;
  json::Writer out(response.body);
  out.object([&] { write_answer(answer, out); });
  response.headers.emplace_back(kSequenceHeader,
                                seal_sequence(context, call.caller->company(), applied));
  reply(std::move(response));
}

// Where the index is whole, here or at another node.
void search_whole(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto wanted = read_search(*body);
  if (!wanted) return reply(failure(wanted.error(), call.request));
  const auto index = context.parts.open_index(company);
  if (!index) return refuse_as_not_yet(context, call, kNotOpen, std::move(reply));
  if (!*index) return search_elsewhere(context, call, std::move(reply));
  const auto is_new_enough = catch_up(context, call, wanted->min_sequence);
  if (!is_new_enough) return refuse(context, call, is_new_enough.error(), std::move(reply));
  if (!*is_new_enough) return refuse_as_not_yet(context, call, kBehind, std::move(reply));
  const auto applied = context.parts.wait_applied(company, 0);
  const auto answer = context.parts.searcher.search(company, wanted->request);
  // It went away or came anew meanwhile: another may be what was searched.
  if (context.parts.indexes.find(company) != *index) {
    return search_elsewhere(context, call, std::move(reply));
  }
  if (!answer) return refuse(context, call, answer.error(), std::move(reply));
  reply_with(context, call, *answer, applied, std::move(reply));
}

// Where the index lies in slices. Where one of them is not to be had it may still be whole.
void search_slices(const Context& context, const Call& call, http::Reply reply) {
  const auto company = call.caller->company();
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto wanted = read_search(*body);
  if (!wanted) return reply(failure(wanted.error(), call.request));
  std::uint64_t least = 0;
  if (!wanted->min_sequence.empty()) {
    const auto sequence = unseal_sequence(context, company, wanted->min_sequence);
    if (!sequence) return refuse(context, call, sequence.error(), std::move(reply));
    const auto reached = check_reached(context, company, *sequence);
    if (!reached) return refuse(context, call, reached.error(), std::move(reply));
    least = *sequence;
  }
  Scatter scatter(context, call, body->find("filters"), least);
  const auto answer = context.parts.searcher.search_slices(
      company, wanted->request,
      [&](const SliceQuestion& question) { return scatter.ask(question); });
  if (!answer && scatter.has_failed()) return search_whole(context, call, std::move(reply));
  if (!answer) return refuse(context, call, answer.error(), std::move(reply));
  reply_with(context, call, *answer, scatter.applied(), std::move(reply));
}

}  // namespace

void post_search(const Context& context, const Call& call, http::Reply reply) {
  if (is_in_slices(context, call)) return search_slices(context, call, std::move(reply));
  search_whole(context, call, std::move(reply));
}

}  // namespace samtale::api
