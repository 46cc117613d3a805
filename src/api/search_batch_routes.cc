#include <memory>
#include <optional>

#include "api/answer.h"
#include "api/background.h"
#include "api/requests.h"
#include "api/scatter.h"
#include "api/search_body.h"
#include "api/table.h"

namespace samtale::api {
namespace {

constexpr std::size_t kSearchesMax = 100;

// The searches, each as the body of one. Errors: invalid_argument.
Result<json::Array> read_searches(const json::Value& body) {
  const auto* object = body.as_object();
  const auto* searches = object == nullptr ? nullptr : body.find("searches");
  const auto* list = searches == nullptr ? nullptr : searches->as_array();
  if (list == nullptr || list->empty() || list->size() > kSearchesMax) {
    return fail(ErrorCode::invalid_argument,
                "/searches: must be a list of 1 to " + std::to_string(kSearchesMax) + " searches" +
                    (list == nullptr ? "" : "; got " + std::to_string(list->size())));
  }
  if (object->size() != 1) {
    return fail(ErrorCode::invalid_argument, "/: must have \"searches\" and nothing else");
  }
  return *list;
}

void prepare(const Context& context, CompanyId company, const json::Array& searches) {
  std::vector<std::string> queries;
  for (const auto& one : searches) {
    const auto wanted = read_search(one);
    if (!wanted || wanted->request.mode == SearchMode::keyword) continue;
    if (!wanted->request.query.empty()) queries.push_back(wanted->request.query);
  }
  context.parts.searcher.prepare(company, queries);
}

// What the server answers to that search alone.
http::Response answer_to(const Context& context, const Call& call, const json::Value& search) {
  auto request = call.request;
  request.path = "/v1/search";  // Another node may be asked.
  request.body = json::dump(search);
  std::optional<http::Response> answered;
  post_search(context, {request, call.caller},
              [&](http::Response response) { answered = std::move(response); });
  return *std::move(answered);
}

// Each by itself, so that one that is refused keeps no other from being answered.
void search_all(const Context& context, const Call& call, const json::Array& searches,
                const std::stop_token& stop, http::Reply reply) {
  const auto company = call.caller->company();
  bool is_here = is_in_slices(context, call);
  if (!is_here) {
    const auto index = context.parts.open_index(company);
    is_here = index && *index;
  }
  if (is_here) prepare(context, company, searches);
  std::string body = "{\"answers\":[";
  for (const auto& search : searches) {
    if (stop.stop_requested() || context.parts.clock.now() >= call.request.deadline) {
      return refuse(context, call,
                    {ErrorCode::unavailable, "a batch of searches was not done in time"},
                    std::move(reply));
    }
    if (body.back() != '[') body += ',';
    const auto answer = answer_to(context, call, search);
    body += "{\"status\":" + std::to_string(answer.status) + ",\"body\":" + answer.body + "}";
  }
  http::Response response;
  response.body = body + "]}";
  reply(std::move(response));
}

}  // namespace

void post_search_batch(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  auto searches = read_searches(*body);
  if (!searches) return reply(failure(searches.error(), call.request));
  auto request = call.request;
  request.body = {};  // Each search gets its own.
  // Whoever is told that there is no room still has the reply.
  auto shared = std::make_shared<http::Reply>(std::move(reply));
  const bool is_taken = context.background->submit(
      call.caller->company(),
      [&context, request = std::move(request), caller = *call.caller,
       searches = *std::move(searches), shared](const std::stop_token& stop) {
        search_all(context, {request, &caller}, searches, stop, std::move(*shared));
      });
  if (is_taken) return;
  refuse(context, call,
         {ErrorCode::resource_exhausted,
          "two batches of searches of this company wait, or too many of all; send one after the "
          "other"},
         std::move(*shared));
}

}  // namespace samtale::api
