// Whether a provider answered by the model it was asked for. Private to lm/.
#pragma once

#include <string_view>

namespace samtale {

// The answer names the model that was asked, or a version of it: a date, a number or "latest" may
// follow ("gpt-4o-2024-08-06" for "gpt-4o", but not "gpt-4o-mini"), and whose it is may stand
// before ("openai/gpt-4o"). An answer that names none is believed.
[[nodiscard]] bool is_model_meant(std::string_view asked, std::string_view answered);

}  // namespace samtale
