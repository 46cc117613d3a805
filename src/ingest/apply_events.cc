#include "ingest/apply_events.h"

#include <map>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "ingest/jobs.h"
#include "ingest/merge.h"
#include "json/json.h"

namespace samtale {
namespace {

// True for errors of the event itself, which no retry mends.
bool is_of_the_event(const Error& error) {
  return error.code == ErrorCode::invalid_argument || error.code == ErrorCode::conflict ||
         error.code == ErrorCode::not_found || error.code == ErrorCode::permission_denied;
}

Result<ProviderEvent> parse_event(const ReceivedEvent& event) {
  if (event.provider == "native" || event.provider == "vcon") {
    SAMTALE_TRY(const auto document, json::parse(event.body));
    SAMTALE_TRY(auto patch, event.provider == "native" ? parse_native(document, event.received_at)
                                                       : parse_vcon(document, event.received_at));
    ProviderEvent parsed;
    parsed.patches.push_back(std::move(patch));
    return parsed;
  }
  const auto* provider = find_provider(event.provider);
  if (provider == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "event of provider \"" + event.provider + "\", which this binary does not know");
  }
  return provider->parse(Delivery{.headers = {}, .body = event.body}, event.received_at);
}

Duration idle_timeout_of(const ReceivedEvent& event) {
  if (event.idle_timeout > Duration{}) return event.idle_timeout;
  const auto* provider = find_provider(event.provider);
  return provider == nullptr ? Duration{} : provider->idle_timeout;
}

// What the writer will be asked for.
Result<> expect(StoreWriter& writer, std::span<const ReadEvent> events) {
  struct Expected {
    std::vector<std::string> keys;
    std::vector<ConversationId> conversations;
  };
  std::map<CompanyId, Expected> by_company;
  for (const auto& read : events) {
    if (read.error) continue;
    auto& expected = by_company[read.company];
    expected.keys.push_back(read.event.key);
    expected.conversations.insert(expected.conversations.end(), read.conversations.begin(),
                                  read.conversations.end());
  }
  for (const auto& [company, expected] : by_company) {
    SAMTALE_TRY_VOID(writer.expect(company, expected.keys, expected.conversations));
  }
  return {};
}

Result<> apply_patch(StoreWriter& writer, const ReadEvent& read, std::size_t i) {
  const auto& event = read.event;
  const auto& patch = read.parsed.patches[i];
  const auto& id = read.conversations[i];
  SAMTALE_TRY(const bool is_deleted, writer.is_deleted(event.company, id));
  if (is_deleted) return enqueue_erasure(writer, event.company, read.place.log, {read.place});
  if (patch.is_erased) {
    SAMTALE_TRY(const auto places, writer.erase_conversation(event.company, id));
    return enqueue_erasure(writer, event.company, read.place.log, places);
  }
  SAMTALE_TRY(auto found, writer.find_conversation(event.company, id));
  SAMTALE_TRY(auto state, MergeState::parse(found ? found->state : std::string()));
  if (!state.apply(patch, event.key)) return {};  // Says nothing that is not known.

  StoredConversation merged;
  merged.conversation = state.build(event.company, event.source, patch.external_id);
  merged.state = state.serialise();
  merged.received_at = found ? found->received_at : event.received_at;
  merged.updated_at = event.received_at;
  SAMTALE_TRY_VOID(writer.put_conversation(event.company, merged));
  SAMTALE_TRY_VOID(writer.enqueue(make_conversation_job(kChunkJob, event.company, id)));
  const auto idle = idle_timeout_of(event);
  if (idle <= Duration{} || merged.conversation.status == "ended") return {};
  auto job = make_conversation_job(kIdleJob, event.company, id);
  job.delay = idle;
  return writer.enqueue(job);
}

Result<> apply_event(StoreWriter& writer, const ReadEvent& read, bool again) {
  const auto& event = read.event;
  const StoredEvent stored{
      .key = event.key,
      .body_hash = std::string(view(sha256(event.body))),
      .place = read.place,
      .conversation = read.conversations.empty() ? ConversationId{} : read.conversations.front()};
  SAMTALE_TRY(const auto known, writer.put_event(event.company, stored, event.received_at));
  if (known == EventState::applied && !again) return {};
  if (known == EventState::repeated && !again) {
    // The bytes of a repeat are of no use, and nothing but this knows where they lie.
    return enqueue_erasure(writer, event.company, read.place.log, {read.place});
  }
  for (std::size_t i = 0; i < read.conversations.size(); ++i) {
    SAMTALE_TRY_VOID(apply_patch(writer, read, i));
  }
  return {};
}

// Others may have found the same wrong with it.
Result<> bury_event(StoreWriter& writer, const ReadEvent& read, const Error& why) {
  const auto job = make_event_job(read.company, read.place);
  SAMTALE_TRY(const bool is_known, writer.has_dead_letter(job.company, job.kind, job.key));
  if (is_known) return {};
  return writer.add_dead_letter(job, why.message);
}

}  // namespace

Result<ReadEvent> read_event(const EventPlace& place, std::string_view payload) {
  SAMTALE_TRY(const auto head, peek_event(payload));
  ReadEvent read{.place = place, .company = head.company};
  auto done = [&]() -> Result<> {
    SAMTALE_TRY(read.event, decode_received_event(payload));
    SAMTALE_TRY(read.parsed, parse_event(read.event));
    for (const auto& patch : read.parsed.patches) {
      read.conversations.push_back(
          make_conversation_id(read.company, read.event.source, patch.external_id));
    }
    return {};
  }();
  if (done) return read;
  if (!is_of_the_event(done.error())) return std::unexpected(std::move(done).error());
  read.error = std::move(done).error();
  return read;
}

Result<> apply_events(StoreWriter& writer, std::span<const ReadEvent> events, bool again) {
  SAMTALE_TRY_VOID(expect(writer, events));
  for (const auto& read : events) {
    auto done =
        read.error ? Result<>(std::unexpected(*read.error)) : apply_event(writer, read, again);
    if (!done && is_of_the_event(done.error())) done = bury_event(writer, read, done.error());
    if (!done) return done;
  }
  return {};
}

}  // namespace samtale
