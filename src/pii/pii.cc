#include "pii/pii.h"

#include <algorithm>
#include <span>
#include <utility>

#include "pii/finders.h"
#include "pii/name_finder.h"

namespace samtale {
namespace {

// Adds what was found last to what was found before, and takes it out of the text.
void take(std::string& text, std::vector<PiiSpan>& spans, std::size_t sorted) {
  const auto middle = spans.begin() + static_cast<std::ptrdiff_t>(sorted);
  for (const auto& span : std::span(middle, spans.end())) {
    std::fill_n(text.begin() + static_cast<std::ptrdiff_t>(span.begin), span.end - span.begin,
                kTaken);
  }
  std::ranges::inplace_merge(spans, middle, {}, &PiiSpan::begin);
}

}  // namespace

std::string_view name(PiiKind kind) {
  switch (kind) {
    case PiiKind::email:
      return "EMAIL";
    case PiiKind::phone:
      return "PHONE";
    case PiiKind::card:
      return "CARD";
    case PiiKind::cpr:
      return "CPR";
    case PiiKind::iban:
      return "IBAN";
    case PiiKind::name:
      return "NAME";
  }
  std::unreachable();
}

std::vector<PiiSpan> find_pii(std::string scratch, const NameFinder& names) {
  std::vector<PiiSpan> spans;
  for (const auto find : {find_ibans, find_cards, find_cprs, find_emails, find_phones}) {
    const auto sorted = spans.size();
    find(scratch, spans);
    take(scratch, spans, sorted);
  }
  const auto sorted = spans.size();
  names.find(scratch, spans);
  take(scratch, spans, sorted);
  return spans;
}

std::vector<PiiSpan> find_pii(std::string_view text, const std::vector<std::string>& names) {
  return find_pii(std::string(text), NameFinder(names));
}

std::string redact(std::string_view text, const std::vector<std::string>& names) {
  std::string redacted;
  std::size_t done = 0;
  for (const auto& span : find_pii(text, names)) {
    redacted += text.substr(done, span.begin - done);
    redacted += '[';
    redacted += name(span.kind);
    redacted += ']';
    done = span.end;
  }
  redacted += text.substr(done);
  return redacted;
}

}  // namespace samtale
