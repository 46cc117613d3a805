#include "ingest/normaliser.h"

#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "ingest/jobs.h"
#include "ingest/merge.h"
#include "providers/provider.h"

namespace samtale {
namespace {

// So many events of other partitions are passed before the place is saved without own events:
// what a restart has to read again.
constexpr std::size_t kSaveEvery = 50'000;

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

}  // namespace

struct Normaliser::Own {
  LogPosition position{};
  CompanyId company{};
  ReceivedEvent event;
  ProviderEvent parsed;
  std::vector<ConversationId> conversations;  // Of parsed.patches, in their order.
  std::optional<Error> error;                 // Why it cannot take effect.
};

Normaliser::Normaliser(AcceptLog& accepted, Store& store, Partition partition, Log& log,
                       NormaliserOptions options)
    : accepted_(accepted), store_(store), partition_(partition), log_(log), options_(options) {}

Result<std::size_t> Normaliser::step() {
  if (!next_) {
    SAMTALE_TRY(next_, store_.log_offset(partition_));
    saved_ = *next_;
    reached_ = number(*next_);
    passed_unsaved_ = 0;
  }
  SAMTALE_TRY(const auto entries, accepted_.read(*next_, options_.batch_bytes));
  if (entries.empty()) return 0;

  std::vector<Own> own;
  std::size_t passed = 0;
  auto next = *next_;
  for (const auto& entry : entries) {
    if (own.size() == options_.batch_events) break;
    ++passed;
    next = entry.next;
    if (entry.is_erased) continue;
    const auto head = peek_event(entry.payload);
    // A record that names no company belongs to nobody's dead letters: said, kept, passed.
    if (!head) {
      if (partition_ == Partition{0}) log_.warn("normalise.unreadable_record", head.error());
      continue;
    }
    if (store_.partition_of(head->company) != partition_) continue;
    SAMTALE_TRY(auto event, read(entry.position, entry.payload));
    own.push_back(std::move(event));
  }

  passed_unsaved_ += passed;
  if (!own.empty() || passed_unsaved_ >= kSaveEvery) {
    auto written = store_.write(partition_, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(expect(writer, own));
      for (const auto& event : own) SAMTALE_TRY_VOID(apply(writer, event, false));
      return writer.set_log_offset(saved_, next);
    });
    if (!written) {
      next_.reset();  // What is saved is asked for again: it may have changed.
      return std::unexpected(std::move(written).error());
    }
    saved_ = next;
    passed_unsaved_ = 0;
  }
  next_ = next;
  reached_ = number(next);
  return passed;
}

Result<std::size_t> Normaliser::replay(std::optional<WallTime> from, std::optional<WallTime> to) {
  std::size_t done = 0;
  const auto end = accepted_.end();
  for (auto at = accepted_.begin(); at < end;) {
    SAMTALE_TRY(const auto entries, accepted_.read(at, options_.batch_bytes));
    if (entries.empty()) break;
    std::vector<Own> own;
    for (const auto& entry : entries) {
      at = entry.next;
      if (entry.is_erased) continue;
      const auto head = peek_event(entry.payload);
      if (!head || store_.partition_of(head->company) != partition_) continue;
      if ((from && head->received_at < *from) || (to && head->received_at >= *to)) continue;
      SAMTALE_TRY(auto event, read(entry.position, entry.payload));
      own.push_back(std::move(event));
    }
    SAMTALE_TRY_VOID(store_.write(partition_, [&](StoreWriter& writer) -> Result<> {
      SAMTALE_TRY_VOID(expect(writer, own));
      for (const auto& event : own) SAMTALE_TRY_VOID(apply(writer, event, true));
      return {};
    }));
    done += own.size();
  }
  return done;
}

// Everything that can be wrong with the event is found here, before the first write.
Result<Normaliser::Own> Normaliser::read(LogPosition position, std::string_view payload) const {
  SAMTALE_TRY(const auto head, peek_event(payload));
  Own own{.position = position, .company = head.company};
  auto done = [&]() -> Result<> {
    SAMTALE_TRY(own.event, decode_received_event(payload));
    SAMTALE_TRY(own.parsed, parse_event(own.event));
    for (const auto& patch : own.parsed.patches) {
      own.conversations.push_back(
          make_conversation_id(own.company, own.event.source, patch.external_id));
    }
    return {};
  }();
  if (done) return own;
  if (!is_of_the_event(done.error())) return std::unexpected(std::move(done).error());
  own.error = std::move(done).error();
  return own;
}

Result<> Normaliser::expect(StoreWriter& writer, std::span<const Own> events) {
  struct Expected {
    std::vector<std::string> keys;
    std::vector<ConversationId> conversations;
  };
  std::map<CompanyId, Expected> by_company;
  for (const auto& own : events) {
    if (own.error) continue;
    auto& expected = by_company[own.company];
    expected.keys.push_back(own.event.key);
    expected.conversations.insert(expected.conversations.end(), own.conversations.begin(),
                                  own.conversations.end());
  }
  for (const auto& [company, expected] : by_company) {
    SAMTALE_TRY_VOID(writer.expect(company, expected.keys, expected.conversations));
  }
  return {};
}

Result<> Normaliser::apply(StoreWriter& writer, const Own& own, bool is_replay) {
  const EventPlace place{.log = store_.log(), .position = own.position};
  auto done = own.error ? Result<>(std::unexpected(*own.error))
                        : apply_event(writer, own, place, is_replay);
  if (done || !is_of_the_event(done.error())) return done;
  return writer.add_dead_letter(make_event_job(own.company, place), done.error().message);
}

Result<> Normaliser::apply_event(StoreWriter& writer, const Own& own, const EventPlace& place,
                                 bool is_replay) {
  const auto& event = own.event;
  const auto& conversations = own.conversations;
  const StoredEvent stored{
      .key = event.key,
      .body_hash = std::string(view(sha256(event.body))),
      .place = place,
      .conversation = conversations.empty() ? ConversationId{} : conversations.front()};
  SAMTALE_TRY(const bool is_new, writer.put_event(event.company, stored, event.received_at));
  if (!is_new && !is_replay) {
    // The bytes of a repeat are of no use, and nothing but this knows where they lie.
    return enqueue_erasure(writer, event.company, place.log, {place});
  }

  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const auto& patch = own.parsed.patches[i];
    const auto& id = conversations[i];
    SAMTALE_TRY(const bool is_deleted, writer.is_deleted(event.company, id));
    if (is_deleted) {
      SAMTALE_TRY_VOID(enqueue_erasure(writer, event.company, place.log, {place}));
      continue;
    }
    if (patch.is_erased) {
      SAMTALE_TRY(const auto places, writer.erase_conversation(event.company, id));
      SAMTALE_TRY_VOID(enqueue_erasure(writer, event.company, place.log, places));
      continue;
    }
    SAMTALE_TRY(auto found, writer.find_conversation(event.company, id));
    SAMTALE_TRY(auto state, MergeState::parse(found ? found->state : std::string()));
    if (!state.apply(patch, event.key)) continue;  // Says nothing that is not known.

    StoredConversation merged;
    merged.conversation = state.build(event.company, event.source, patch.external_id);
    merged.state = state.serialise();
    merged.received_at = found ? found->received_at : event.received_at;
    merged.updated_at = event.received_at;
    SAMTALE_TRY_VOID(writer.put_conversation(event.company, merged));
    SAMTALE_TRY_VOID(writer.enqueue(make_conversation_job(kChunkJob, event.company, id)));
    const auto idle = idle_timeout_of(event);
    if (idle > Duration{} && merged.conversation.status != "ended") {
      auto job = make_conversation_job(kIdleJob, event.company, id);
      job.delay = idle;
      SAMTALE_TRY_VOID(writer.enqueue(job));
    }
  }
  return {};
}

}  // namespace samtale
