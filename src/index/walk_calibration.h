// WalkCalibration: how far walks through a graph have to go to find what is wanted, as measured on
// queries; and how long scans take. Private to index/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "index/code_walk.h"
#include "index/segment.h"

namespace samtale {

struct CalibrationQuery {
  std::vector<float> unit;
  std::optional<VectorRows::Place> self;  // It lies there, and is no find.
};

struct CalibrationAim {
  double recall_target = 1;  // What walks are to find, with 95 % confidence.
  // Seconds that an exact search takes; infinite if it is not known. Walks that take longer are of
  // no use.
  double scan_seconds = std::numeric_limits<double>::infinity();
};

struct Calibration {
  WalkSettings walk;                     // Its recall_target is for the caller to set.
  std::uint64_t searches_meanwhile = 0;  // As many could have been made instead of measuring.
};

// The shortest walks that find so much, by compact codes or without, as `walked` has both; where
// none does, the widest. Whether walks are of use at all is told by queries of others only: a row's
// own says too little. At least one query, and one row that is not its own. Takes as long as some
// thousand searches; asks `goes_on` before each of its parts.
// Errors: unavailable if `goes_on` says no.
[[nodiscard]] Result<Calibration> calibrate(const WalkedRows& walked,
                                            std::span<const CalibrationQuery> queries,
                                            const CalibrationAim& aim, const GoesOn& goes_on);

// Seconds of CPU time that an exact search for a first page of results takes.
[[nodiscard]] double time_scan(const VectorRows& rows, const CalibrationQuery& query);

}  // namespace samtale
