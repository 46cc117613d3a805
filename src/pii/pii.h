// Personal data in text: found, masked before it leaves the machine, put back into what returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "json/json.h"

namespace samtale {

enum class PiiKind : std::uint8_t { email, phone, card, cpr, iban, name };
[[nodiscard]] std::string_view name(
    PiiKind kind);  // "EMAIL", "PHONE", "CARD", "CPR", "IBAN", "NAME".

struct PiiSpan {
  PiiKind kind{};
  std::size_t begin = 0;  // Bytes; never inside a code point.
  std::size_t end = 0;

  friend bool operator==(const PiiSpan&, const PiiSpan&) = default;
};

// In order, not overlapping (the surer kind wins: IBAN, card, CPR, e-mail, phone, name). "Spoken
// of" and "near": a word of it stands within 40 bytes before or 20 after.
//   email  RFC 5321's common part (no quoted names, none of /=?`{|}), IDN hosts too
//   phone  E.164 with separators, and national numbers of 8 digits or more as Danes and Americans
//          write; what reads as a date, a range or a part of a page's address only where a phone is
//          spoken of
//   card   13 to 19 digits in the groups people write, Luhn's check right; one that begins with
//          another digit than 2 to 6 only where a card is spoken of
//   cpr    DDMMYY-XXXX, a date that exists (modulus 11 is no longer kept: CPR since 2007); with a
//          space or nothing for the hyphen only where a word that begins with "cpr" or "personn"
//          stands near
//   iban   country, check digits right (ISO 13616, mod 97), the country's length
//   name   one of `names`, whole words apart from case and white space, in any language; at each
//          place the longest; a genitive's "s" may follow and stays outside. Names of one letter,
//          of more than 128 bytes or not in UTF-8 are not looked for.
// Any bytes are taken. Linear in the text. Threads: any.
[[nodiscard]] std::vector<PiiSpan> find_pii(std::string_view text,
                                            const std::vector<std::string>& names);

// The text with "[EMAIL]", "[PHONE]" … in place of what was found, for a copy without personal
// data. There is no way back.
[[nodiscard]] std::string redact(std::string_view text, const std::vector<std::string>& names);

class NameFinder;

// Masks and unmasks the texts of one company's request. The same value gets the same token
// ("[EMAIL_1f3a9c0d5b7e]": HMAC-SHA256 of kind and value with the company's key, so a token tells
// nothing and differs between companies). Another spelling is another value, so that it comes back
// as it was. 12 hexadecimal digits; should two values of one masker agree in them, the later one
// gets 16, or as many as part the two.
// A text that already holds something of a token's form is masked so that unmasking is still exact.
// Threads: one. Memory: every value that was masked, until the masker ends.
class PiiMasker {
 public:
  // `key`: 32 bytes of this company. `names`: e.g. of the parties.
  PiiMasker(std::string key, const std::vector<std::string>& names);
  PiiMasker(PiiMasker&& other) noexcept;
  ~PiiMasker();

  [[nodiscard]] std::string mask(std::string_view text);
  // Every token that mask() gave out becomes what it stood for. All else is left as it is: tokens
  // of others, and what a model made of one (changed case, cut). What was put in is not read again.
  [[nodiscard]] std::string unmask(std::string_view text) const;
  [[nodiscard]] std::size_t masked() const { return values_.size(); }  // Different values.

 private:
  std::string token_of(std::string_view kind, std::string_view value);

  const std::string key_;
  std::unique_ptr<const NameFinder> names_;
  std::map<std::string, std::string, std::less<>> values_;  // By token.
};

// Unmasks every string of `value` in place, however deep; not the keys of objects, which are the
// schema's and must stay unique.
void unmask_strings(json::Value& value, const PiiMasker& masker);

}  // namespace samtale
