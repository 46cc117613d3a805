#include "api/scatter.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "api/answer.h"
#include "api/requests.h"
#include "api/search_body.h"

namespace samtale::api {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

// What a node asks another: POST /v1/slices/{number}.
struct AskedSlice {
  std::size_t of = 0;          // Slices, as who asks divides a partition.
  std::uint64_t sequence = 0;  // Of the last change that it must have.
  SliceQuestion question;
};

json::Value to_json(const AskedSlice& asked, const json::Value* filters) {
  const auto& question = asked.question;
  json::Array vector;
  vector.reserve(question.vector.size());
  for (const float x : question.vector) vector.emplace_back(double{x});
  json::Object object{{"of", asked.of},
                      {"sequence", asked.sequence},
                      {"query", question.query},
                      {"by_words", question.by_words},
                      {"vector", std::move(vector)},
                      {"limit", question.limit},
                      {"exact", question.exact}};
  if (filters != nullptr) object.emplace_back("filters", *filters);
  if (question.counts) {
    json::Array having(question.counts->having.begin(), question.counts->having.end());
    object.emplace_back("counts", json::Object{{"chunks", question.counts->chunks},
                                               {"words", question.counts->words},
                                               {"having", std::move(having)}});
  }
  return object;
}

std::uint64_t number(Fields& fields, std::string_view key) {
  return static_cast<std::uint64_t>(fields.integer(key, 0, kMost).value_or(0));
}

WordCounts read_counts(const json::Value& object, Fields& fields) {
  Fields members(object, "/counts");
  WordCounts counts{
      .chunks = number(members, "chunks"), .words = number(members, "words"), .having = {}};
  if (const auto* having = members.array("having")) {
    for (const auto& one : *having) {
      const auto count = one.as_int();
      if (!count || *count < 0 || static_cast<std::uint64_t>(*count) > counts.chunks) {
        members.mistake("having", "must hold numbers of chunks", &one);
        break;
      }
      counts.having.push_back(static_cast<std::uint64_t>(*count));
    }
  }
  [[maybe_unused]] const auto noted = members.done();
  fields.add_mistakes(members);
  return counts;
}

Result<AskedSlice> read_question(const json::Value& body) {
  AskedSlice asked;
  auto& question = asked.question;
  Fields fields(body);
  asked.of = number(fields, "of");
  asked.sequence = number(fields, "sequence");
  question.query = fields.string("query").value_or("");
  question.by_words = fields.boolean("by_words").value_or(false);
  question.vector = fields.floats("vector");
  question.limit = number(fields, "limit");
  question.exact = fields.boolean("exact").value_or(false);
  read_filters(fields, question.filters);
  if (const auto* counts = fields.object("counts")) {
    question.counts = read_counts(*counts, fields);
  }
  SAMTALE_TRY_VOID(fields.done());
  return asked;
}

Result<SliceAnswer> ask_here(const Context& context, CompanyId company, std::size_t slice,
                             const AskedSlice& asked) {
  auto& slices = *context.parts.slices;
  if (asked.of != slices.count()) {
    return fail(ErrorCode::unavailable, "this node divides indexes into other slices");
  }
  SAMTALE_TRY(const auto index, slices.open(company, slice));
  if (!index) {
    return fail(ErrorCode::unavailable, "this slice of the company's index is not on this node");
  }
  const auto applied = slices.wait_applied(company, slice, asked.sequence);
  if (applied < asked.sequence) {
    return fail(ErrorCode::unavailable, "this slice of the company's index is not yet so new");
  }
  SAMTALE_TRY(auto answer, context.parts.searcher.ask_slice(company, slices.shares(slice), slice,
                                                            asked.question));
  // It went away or came anew meanwhile: another may be what was searched.
  if (slices.shares(slice).find(company) != index) {
    return fail(ErrorCode::unavailable, "this slice of the company's index has left this node");
  }
  answer.applied = applied;
  return answer;
}

}  // namespace

bool is_in_slices(const Context& context, const Call& call) {
  auto* slices = context.parts.slices;
  return slices != nullptr && !call.caller->is_sent_on() &&
         slices->is_split(call.caller->company());
}

Result<SliceAnswer> Scatter::ask_elsewhere(std::size_t slice, const std::string& body,
                                           const SliceAnswerLimits& limits) const {
  SAMTALE_TRY(const auto answer,
              context_.parts.slices->ask(*call_.caller, slice, call_.request.id, body));
  if (answer.status != 200) {
    return fail(ErrorCode::unavailable, "slice " + std::to_string(slice) +
                                            " was answered with status " +
                                            std::to_string(answer.status));
  }
  auto decoded = decode_slice_answer(answer.body, limits);
  if (decoded) return *std::move(decoded);
  return fail(ErrorCode::corrupt, "slice " + std::to_string(slice) + ": no such answer is known");
}

Result<std::vector<SliceAnswer>> Scatter::ask(const SliceQuestion& question) {
  const auto company = call_.caller->company();
  auto& slices = *context_.parts.slices;
  const auto limits = context_.parts.searcher.limits_of(question);
  const AskedSlice asked{.of = slices.count(), .sequence = sequence_, .question = question};
  const auto body = json::dump(to_json(asked, filters_));
  std::vector<std::optional<Result<SliceAnswer>>> answers(slices.count());
  {
    std::vector<std::size_t> here;
    std::vector<std::jthread> asking;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (slices.has(company, i)) {
        here.push_back(i);
      } else {
        asking.emplace_back([&, i] { answers[i] = ask_elsewhere(i, body, limits); });
      }
    }
    for (const auto i : here) {
      answers[i] = ask_here(context_, company, i, asked);
      // It has just left, or others may have it newer.
      if (!*answers[i]) answers[i] = ask_elsewhere(i, body, limits);
    }
  }
  std::vector<SliceAnswer> all;
  applied_ = std::numeric_limits<std::uint64_t>::max();
  for (auto& answer : answers) {
    if (!*answer) {
      has_failed_ = true;
      return std::unexpected(answer->error());
    }
    applied_ = std::min(applied_, (*answer)->applied);
    all.push_back(**std::move(answer));
  }
  return all;
}

void post_slice(const Context& context, const Call& call, http::Reply reply) {
  const auto& text = *call.request.param("number");
  std::size_t slice = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slice);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  auto* slices = context.parts.slices;
  if (slices == nullptr || !is_number || slice >= slices->count()) {
    return reply(failure({ErrorCode::unavailable, "there is no such slice here"}, call.request));
  }
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto asked = read_question(*body);
  if (!asked) return reply(failure(asked.error(), call.request));
  const auto answer = ask_here(context, call.caller->company(), slice, *asked);
  if (!answer) return reply(failure(answer.error(), call.request));
  http::Response response;
  response.content_type = "application/octet-stream";
  response.body = encode(*answer);
  reply(std::move(response));
}

}  // namespace samtale::api
