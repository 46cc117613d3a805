#include <algorithm>
#include <atomic>
#include <memory>

#include "api/answer.h"
#include "api/requests.h"
#include "api/table.h"
#include "base/bytes.h"
#include "providers/provider.h"

namespace samtale::api {
namespace {

constexpr std::string_view kApiSource = "api";
constexpr std::size_t kIdempotencyKeyMax = 256;

// One conversation of a request, checked: what the receiver gets, and what the sender is told.
struct Item {
  ReceivedEvent event;
  ConversationId id;
  std::string external_id;
};

// `raw` is kept as it was received; `document` is the same, read.
Result<Item> make_item(const Context& context, const Caller& caller, const json::Value& document,
                       std::string raw, const std::string& event_id) {
  SAMTALE_TRY(const auto stated, stated_company(document));
  if (stated && *stated != caller.company_name()) {
    return fail(ErrorCode::permission_denied,
                "/company_id: is not the company of this API key; leave it out");
  }
  const auto now = context.parts.clock.wall_now();
  const bool as_vcon = is_vcon(document);
  SAMTALE_TRY(const auto patch, as_vcon ? parse_vcon(document, now) : parse_native(document, now));
  Item item;
  item.external_id = patch.external_id;
  item.id = make_conversation_id(caller.company(), kApiSource, patch.external_id);
  item.event = {.company = caller.company(),
                .source = std::string(kApiSource),
                .provider = as_vcon ? "vcon" : "native",
                .key = make_event_key(kApiSource, event_id),
                .received_at = now,
                .idle_timeout = {},
                .body = std::move(raw)};
  return item;
}

const char* ack_of(const Accepted& result) { return result.is_replicated ? "replicated" : "local"; }

json::Object describe(std::size_t index, int status) {
  return {{"index", index}, {"status", status}};
}

json::Value refused(std::size_t index, const Error& error) {
  auto object = describe(index, http_status(error.code));
  object.emplace_back("error", error_value(error));
  return object;
}

json::Value accepted(std::size_t index, const Accepted& result, const ConversationId& id,
                     const std::string& external_id) {
  auto object = describe(index, result.is_duplicate ? 200 : 202);
  object.emplace_back("id", text(id));
  object.emplace_back("external_id", external_id);
  object.emplace_back("event_id", result.event_id);
  object.emplace_back("ack", ack_of(result));
  return object;
}

// The answers of a batch, filled in from several threads; the last one in calls `done`.
class Batch {
 public:
  using Done = std::move_only_function<void(std::vector<json::Value>)>;
  Batch(std::size_t size, Done done) : answers_(size), waiting_(size), done_(std::move(done)) {}

  void settle(std::size_t index, json::Value answer) {
    answers_[index] = std::move(answer);
    if (waiting_.fetch_sub(1) == 1) done_(std::move(answers_));
  }

 private:
  std::vector<json::Value> answers_;  // Each written once, by one thread.
  std::atomic<std::size_t> waiting_;
  Done done_;
};

// What the sender named the request: with it, a repeat is known for what it is.
Result<std::string> idempotency_key(const Context& context, const http::Request& request) {
  const auto* key = request.header("idempotency-key");
  if (key == nullptr) return "auto:" + base32(context.parts.random.bytes(16));
  if (key->empty() || key->size() > kIdempotencyKeyMax) {
    return fail(ErrorCode::invalid_argument, "Idempotency-Key: must have 1 to " +
                                                 std::to_string(kIdempotencyKeyMax) +
                                                 " bytes; got " + std::to_string(key->size()));
  }
  return "key:" + *key;
}

Result<> check_quota(const Context& context, CompanyId id, std::size_t items) {
  SAMTALE_TRY_VOID(context.parts.tenants.admit(id, static_cast<double>(items)));
  const auto company = context.parts.tenants.find_company(id);
  if (!company || company->conversations_max == 0) return {};
  std::optional<std::int64_t> count;
  if (context.parts.conversations) {
    count = context.parts.conversations(id);
  } else {
    SAMTALE_TRY(const auto stats, context.parts.store.company_stats(id));
    count = stats.conversations;
  }
  if (!count || *count < company->conversations_max) return {};
  return fail(ErrorCode::resource_exhausted,
              "the quota of " + std::to_string(company->conversations_max) +
                  " conversations is used up; delete some or raise it");
}

void receive_all(const Context& context, const Caller& caller,
                 std::vector<std::pair<Result<json::Value>, std::string>> documents,
                 const std::string& key, std::size_t first_index, Batch::Done done) {
  auto batch = std::make_shared<Batch>(documents.size(), std::move(done));
  for (std::size_t i = 0; i < documents.size(); ++i) {
    auto& [document, raw] = documents[i];
    const auto index = first_index + i;
    auto item = document ? make_item(context, caller, *document, std::move(raw),
                                     key + "#" + std::to_string(index))
                         : Result<Item>(std::unexpected(document.error()));
    if (!item) {
      batch->settle(i, refused(index, item.error()));
      continue;
    }
    context.parts.receiver.receive(
        std::move(item->event),
        [batch, i, index, id = item->id, external_id = item->external_id](Result<Accepted> result) {
          batch->settle(i, result ? accepted(index, *result, id, external_id)
                                  : refused(index, result.error()));
        });
  }
}

bool was_accepted(const json::Value& answer) { return *answer.find("status")->as_int() < 300; }

bool is_retryable(const json::Value& answer) {
  const auto* retryable = answer.at_pointer("/error/retryable");
  return retryable != nullptr && *retryable->as_bool();
}

http::Response summarise(std::vector<json::Value> answers) {
  const auto good = static_cast<std::size_t>(std::ranges::count_if(answers, was_accepted));
  const auto bad = answers.size() - good;
  // As one answer: what may be sent again, some of it with success, must not look final.
  const auto may_retry = std::ranges::any_of(answers, is_retryable);
  const int status = bad == 0 ? 202 : good > 0 ? 207 : may_retry ? 503 : 422;
  auto response = ok(
      json::Object{
          {"accepted", good}, {"refused", bad}, {"items", json::Array(std::move(answers))}},
      status);
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

// A piece of NDJSON at a time; the answers of a piece go out before the next is read.
class ConversationStream final : public http::BodyStream {
 public:
  ConversationStream(const Context& context, Caller caller, std::string key)
      : context_(context), caller_(std::move(caller)), key_(std::move(key)) {}

  void piece(std::string_view lines, bool,
             std::move_only_function<void(std::string)> done) override {
    std::vector<std::pair<Result<json::Value>, std::string>> documents;
    while (!lines.empty()) {
      const auto end = std::min(lines.find('\n'), lines.size());
      auto line = lines.substr(0, end);
      lines.remove_prefix(std::min(end + 1, lines.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      documents.emplace_back(json::parse(line), std::string(line));
    }
    if (documents.empty()) return done("");
    const auto first = next_index_;
    next_index_ += documents.size();
    if (auto fits = check_quota(context_, caller_.company(), documents.size()); !fits) {
      std::string out;
      for (auto index = first; index < next_index_; ++index) {
        json::write(refused(index, fits.error()), out);
        out.push_back('\n');
      }
      return done(std::move(out));
    }
    receive_all(context_, caller_, std::move(documents), key_, first,
                [done = std::move(done)](std::vector<json::Value> answers) mutable {
                  std::string out;
                  for (const auto& answer : answers) {
                    json::write(answer, out);
                    out.push_back('\n');
                  }
                  done(std::move(out));
                });
  }

 private:
  const Context& context_;
  const Caller caller_;
  const std::string key_;
  std::size_t next_index_ = 0;
};

}  // namespace

void post_conversations(const Context& context, const Call& call, http::Reply reply) {
  const auto& request = call.request;
  auto body = read_json(request);
  if (!body) return reply(malformed(body.error(), request));
  const auto key = idempotency_key(context, request);
  if (!key) return reply(failure(key.error(), request));
  auto* const list = body->as_array();
  if (list != nullptr && (list->empty() || list->size() > context.options.batch_items_max)) {
    return reply(failure(
        {ErrorCode::invalid_argument,
         "a batch has 1 to " + std::to_string(context.options.batch_items_max) +
             " conversations; got " + std::to_string(list->size()) + "; send more as NDJSON"},
        request));
  }
  const auto count = list == nullptr ? 1 : list->size();
  if (auto fits = check_quota(context, call.caller->company(), count); !fits) {
    return refuse(context, call, fits.error(), std::move(reply));
  }
  if (list != nullptr) {
    std::vector<std::pair<Result<json::Value>, std::string>> documents;
    for (auto& document : *list) {
      auto raw = json::dump(document);
      documents.emplace_back(std::move(document), std::move(raw));
    }
    return receive_all(context, *call.caller, std::move(documents), *key, 0,
                       [reply = std::move(reply)](std::vector<json::Value> answers) mutable {
                         reply(summarise(std::move(answers)));
                       });
  }
  auto item = make_item(context, *call.caller, *body, request.body, *key);
  if (!item) return refuse(context, call, item.error(), std::move(reply));
  context.parts.receiver.receive(
      std::move(item->event),
      [id = item->id, external_id = std::move(item->external_id), request_id = request.id,
       reply = std::move(reply)](Result<Accepted> result) mutable {
        if (!result)
          return reply(failure(result.error(), request_id, http_status(result.error().code)));
        const int status = result->is_duplicate ? 200 : 202;
        reply(ok(accepted(0, *result, id, external_id), status));
      });
}

http::StreamDecision stream_conversations(const Context& context, const Caller& caller,
                                          const http::Request& head) {
  const auto key = idempotency_key(context, head);
  if (!key) return {.stream = nullptr, .response = failure(key.error(), head)};
  http::Response response;
  response.content_type = "application/x-ndjson";
  return {.stream = std::make_unique<ConversationStream>(context, caller, *key),
          .response = std::move(response)};
}

void post_webhook(const Context& context, const Call& call, http::Reply reply) {
  const auto& request = call.request;
  const auto& parts = context.parts;
  const auto found = parts.tenants.find_endpoint(*request.param("endpoint"));
  if (!found) return refuse(context, call, found.error(), std::move(reply));
  const auto& endpoint = *found;
  const auto* provider = endpoint ? find_provider(endpoint->preset) : nullptr;
  if (provider == nullptr) {
    return reply(failure({ErrorCode::not_found, "there is no such webhook endpoint"}, request));
  }
  const auto now = parts.clock.wall_now();
  const Delivery delivery{.headers = request.headers, .body = request.body};
  std::vector<SigningSecret> secrets;
  for (const auto& [secret, expires_at] : endpoint->secrets)
    secrets.push_back({secret, expires_at});
  if (auto signed_well = verify(*provider, secrets, delivery, now); !signed_well) {
    return reply(failure(signed_well.error(), request));
  }
  if (auto fits = check_quota(context, endpoint->company, 1); !fits) {
    return refuse(context, call, fits.error(), std::move(reply));
  }
  auto event = provider->parse(delivery, now);
  if (!event) return reply(failure(event.error(), request));
  if (event->answer) return reply(ok(*event->answer));
  // Only our own format has a place for it; looked for before the body is read a second time.
  if (request.body.find("\"company_id\"") != std::string::npos) {
    const auto company = parts.tenants.find_company(endpoint->company);
    const auto document = json::parse(request.body, {.bytes_max = request.body.size()});
    for (const auto* stated : {document ? document->find("company_id") : nullptr,
                               document ? document->at_pointer("/data/company_id") : nullptr}) {
      if (stated == nullptr || stated->as_string() == nullptr) continue;
      if (!company || *stated->as_string() != company->name) {
        return reply(failure({ErrorCode::permission_denied,
                              "company_id: is not the company of this endpoint; leave it out"},
                             request));
      }
    }
  }
  const auto event_id = event->id.empty() ? "sha256:" + hex(view(sha256(request.body))) : event->id;
  ReceivedEvent received{.company = endpoint->company,
                         .source = endpoint->source,
                         .provider = endpoint->preset,
                         .key = make_event_key(endpoint->source, event_id),
                         .received_at = now,
                         .idle_timeout = endpoint->idle_timeout,
                         .body = request.body};
  parts.receiver.receive(std::move(received), [request_id = request.id, reply = std::move(reply)](
                                                  Result<Accepted> result) mutable {
    if (!result) {
      return reply(failure(result.error(), request_id, http_status(result.error().code)));
    }
    reply(ok(json::Object{{"event_id", result->event_id}, {"ack", ack_of(*result)}},
             result->is_duplicate ? 200 : 202));
  });
}

}  // namespace samtale::api
