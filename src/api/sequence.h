// Sequences: how new the store was when it was read, as a client may hand it back to a search.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/table.h"
#include "base/result.h"
#include "http/server.h"

namespace samtale::api {

constexpr std::string_view kSequenceHeader = "Samtale-Sequence";

// The last change of the company's partition, sealed for the company: companies share partitions,
// and are not to count each other's changes. Errors: unavailable.
[[nodiscard]] Result<std::string> sequence_now(const Context& context, CompanyId company);
// The same of a change that is known.
[[nodiscard]] std::string seal_sequence(const Context& context, CompanyId company,
                                        std::uint64_t change);
// Errors: invalid_argument where this store has not sealed it for this company.
[[nodiscard]] Result<std::uint64_t> unseal_sequence(const Context& context, CompanyId company,
                                                    std::string_view sequence);

// Adds it as a header to the answer that tells of what was read or written before. Nothing where
// the store does not say: the answer is worth giving all the same.
[[nodiscard]] http::Response with_sequence(const Context& context, CompanyId company,
                                           http::Response response);

}  // namespace samtale::api
