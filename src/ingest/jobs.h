// The jobs by which the stages of the pipeline meet: their kinds and payloads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "queue/conversation_job.h"
#include "queue/queue.h"
#include "store/store.h"

namespace samtale {

inline constexpr std::string_view kChunkJob = "chunk";  // Cut the conversation into chunks.
inline constexpr std::string_view kEmbedJob = "embed";  // Give its chunks their vectors.
inline constexpr std::string_view kIdleJob = "idle";    // End it if nothing more came.
// Make deleted bytes leave the files; see erase_kind.
inline constexpr std::string_view kEraseJob = "erase";
// Never taken by a worker; in the dead letters only: an event that could not take effect.
inline constexpr std::string_view kEventJob = "event";

// Whoever searches waits for chunks and vectors, nobody for this: it lets them go first, and what
// comes in a burst is analysed once.
[[nodiscard]] NewJob make_analyze_job(CompanyId company, const ConversationId& conversation);

// Raw events lie on the node that has accepted them, and only it can erase them: a kind of its own
// for each log, "erase", "erase@2", ….
[[nodiscard]] std::string erase_kind(LogId log);
// Enqueues a job for each log that has some of `places`, and for `own` in any case.
Result<> enqueue_erasure(StoreWriter& writer, CompanyId company, LogId own,
                         const std::vector<EventPlace>& places);
[[nodiscard]] Result<std::vector<LogPosition>> positions_of(const Job& job);

// An event in a log that could not take effect. Its key is its place.
[[nodiscard]] NewJob make_event_job(CompanyId company, const EventPlace& place);

}  // namespace samtale
