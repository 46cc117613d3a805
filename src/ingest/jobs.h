// The jobs by which the stages of the pipeline meet: their kinds and payloads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "queue/conversation_job.h"
#include "queue/queue.h"

namespace samtale {

inline constexpr std::string_view kChunkJob = "chunk";  // Cut the conversation into chunks.
inline constexpr std::string_view kEmbedJob = "embed";  // Give its chunks their vectors.
inline constexpr std::string_view kIdleJob = "idle";    // End it if nothing more came.
inline constexpr std::string_view kEraseJob = "erase";  // Make deleted bytes leave the files.
// Never taken by a worker; in the dead letters only: an event that could not take effect.
inline constexpr std::string_view kEventJob = "event";

// Whoever searches waits for chunks and vectors, nobody for this: it lets them go first, and what
// comes in a burst is analysed once.
[[nodiscard]] NewJob make_analyze_job(CompanyId company, const ConversationId& conversation);

// Where the raw events of a deleted conversation lie.
[[nodiscard]] NewJob make_erase_job(CompanyId company, const std::vector<LogPosition>& positions);
[[nodiscard]] Result<std::vector<LogPosition>> positions_of(const Job& job);

// An event in the log that could not take effect; `conversation` may be empty.
[[nodiscard]] NewJob make_event_job(CompanyId company, LogPosition position);

}  // namespace samtale
