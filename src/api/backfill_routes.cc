// Analyses over history.
#include <algorithm>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"

namespace samtale::api {
namespace {

json::Value parsed(const std::string& text) {
  auto value = json::parse(text);
  return value ? std::move(*value) : json::Value();
}

json::Value to_json(const BackfillProgress& progress) {
  const auto& campaign = progress.campaign;
  return json::Object{{"id", campaign.id},
                      {"state", campaign.state},
                      {"filter", parsed(campaign.filter)},
                      {"total", campaign.total},
                      {"seen", campaign.seen},
                      {"asked", campaign.asked},
                      {"waiting", progress.waiting},
                      {"estimate", parsed(campaign.estimate)},
                      {"created_at", format_time(campaign.created_at)},
                      {"updated_at", format_time(campaign.updated_at)}};
}

struct Wanted {
  BackfillFilter filter;
  bool estimate_only = false;
};

Result<Wanted> read_wanted(json::Value body) {
  Wanted wanted;
  if (auto* members = body.as_object()) {
    const auto found = std::ranges::find(*members, "estimate_only", [](const auto& member) {
      return std::string_view(member.first);
    });
    if (found != members->end()) {
      if (found->second.as_bool() == nullptr) {
        return fail(ErrorCode::invalid_argument, "/estimate_only: must be true or false");
      }
      wanted.estimate_only = *found->second.as_bool();
      members->erase(found);
    }
  }
  SAMTALE_TRY(wanted.filter, parse_backfill_filter(body));
  return wanted;
}

void answer(const Context& context, const Call& call, std::string_view id, int status,
            http::Reply reply) {
  const auto found = context.parts.backfills.find(call.caller->company(), id);
  if (!found) return refuse(context, call, found.error(), std::move(reply));
  reply(ok(to_json(*found), status));
}

void change(const Context& context, const Call& call, Backfills::Action action,
            std::string_view event, http::Reply reply) {
  const auto& id = *call.request.param("id");
  const auto changed = context.parts.backfills.change(call.caller->company(), id, action);
  if (!changed) return refuse(context, call, changed.error(), std::move(reply));
  context.parts.log.info(std::string(event), {{"company", call.caller->company_name()},
                                              {"backfill", id},
                                              {"key", call.caller->key_id()},
                                              {"request_id", call.request.id}});
  answer(context, call, id, 200, std::move(reply));
}

}  // namespace

void post_backfills(const Context& context, const Call& call, http::Reply reply) {
  const auto body = read_optional_json(call.request);
  if (!body) return reply(malformed(body.error(), call.request));
  const auto wanted = read_wanted(*body);
  if (!wanted) return reply(failure(wanted.error(), call.request));
  const auto company = call.caller->company();
  if (wanted->estimate_only) {
    const auto estimate = context.parts.backfills.estimate(company, wanted->filter);
    if (!estimate) return refuse(context, call, estimate.error(), std::move(reply));
    return reply(ok(json::Object{{"estimate", samtale::to_json(*estimate)}}));
  }
  const auto started = context.parts.backfills.start(company, wanted->filter);
  if (!started) return refuse(context, call, started.error(), std::move(reply));
  context.parts.log.info("api.backfill_started", {{"company", call.caller->company_name()},
                                                  {"backfill", started->id},
                                                  {"key", call.caller->key_id()},
                                                  {"request_id", call.request.id}});
  answer(context, call, started->id, 201, std::move(reply));
}

void get_backfills(const Context& context, const Call& call, http::Reply reply) {
  const auto list = context.parts.backfills.list(call.caller->company());
  if (!list) return refuse(context, call, list.error(), std::move(reply));
  json::Array backfills;
  for (const auto& one : *list) backfills.push_back(to_json(one));
  reply(ok(json::Object{{"backfills", std::move(backfills)}}));
}

void get_backfill(const Context& context, const Call& call, http::Reply reply) {
  answer(context, call, *call.request.param("id"), 200, std::move(reply));
}

void post_backfill_pause(const Context& context, const Call& call, http::Reply reply) {
  change(context, call, Backfills::Action::pause, "api.backfill_paused", std::move(reply));
}

void post_backfill_resume(const Context& context, const Call& call, http::Reply reply) {
  change(context, call, Backfills::Action::resume, "api.backfill_resumed", std::move(reply));
}

void post_backfill_cancel(const Context& context, const Call& call, http::Reply reply) {
  change(context, call, Backfills::Action::cancel, "api.backfill_cancelled", std::move(reply));
}

}  // namespace samtale::api
