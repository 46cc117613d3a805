// One finder a kind. Private to pii/.
#pragma once

#include <string_view>
#include <vector>

#include "pii/pii.h"

namespace samtale {

// What a surer finder has taken is overwritten with this byte, which belongs to no text: it ends
// words and numbers, and nothing is found across it.
constexpr char kTaken = '\xFF';

// Each appends what it finds, in order and not overlapping. Each looks a bounded way around a
// place, so all are linear in the text.
void find_ibans(std::string_view text, std::vector<PiiSpan>& found);
void find_cards(std::string_view text, std::vector<PiiSpan>& found);
void find_cprs(std::string_view text, std::vector<PiiSpan>& found);
void find_emails(std::string_view text, std::vector<PiiSpan>& found);
void find_phones(std::string_view text, std::vector<PiiSpan>& found);

// All kinds. `scratch` is the text, and is overwritten.
[[nodiscard]] std::vector<PiiSpan> find_pii(std::string scratch, const NameFinder& names);

}  // namespace samtale
