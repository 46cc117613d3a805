// BatchRow: what is kept of a batch while the provider has it, so that its answers can be read by
// whichever process is there then. Private to analyze/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/jobs.h"
#include "base/result.h"
#include "lm/budget.h"

namespace samtale {

struct BatchRow {
  struct Request {
    std::string id;                   // The task's key in hexadecimal digits.
    std::int64_t input_tokens = 0;    // Estimated.
    Budget::Reservation reservation;  // Its bookings say what is held for it, and of whom.
  };
  std::vector<AnalysisJob> jobs;  // The conversations it is about.
  std::vector<Request> requests;
};

// JSON with "v":1: no word of a conversation is in it.
[[nodiscard]] std::string write_batch_row(const BatchRow& row);
// Errors: corrupt; invalid_argument for another version (a newer node's).
[[nodiscard]] Result<BatchRow> read_batch_row(CompanyId company, std::string_view text);

}  // namespace samtale
