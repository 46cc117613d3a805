// WalkCalibration: how far walks through a graph have to go to find what is wanted, as measured on
// queries; and how long scans take. Private to index/.
#pragma once

#include <cstddef>
#include <cstdint>
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
  double scan_seconds = 0;
};

struct Calibration {
  WalkSettings walk;                 // As `aim` has it, but for their recall_target.
  std::uint64_t searches_meanwhile;  // As many could have been made instead of measuring.
};

// Whether walks are of use is told by queries of others only: a row's own says too little. With
// compact codes and without them, as `walked` has both.
// Errors: unavailable if `goes_on` says no.
[[nodiscard]] Result<Calibration> calibrate(const WalkedRows& walked,
                                            std::span<const CalibrationQuery> queries,
                                            const CalibrationAim& aim, const GoesOn& goes_on);

// Seconds of CPU time that an exact search for a first page of results takes.
[[nodiscard]] double time_scan(const VectorRows& rows, const CalibrationQuery& query);

}  // namespace samtale
