#include "cache/cache_key.h"

#include <string>

namespace samtale {
namespace {

void append(std::string& bytes, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(number >> shift & 0xFF);
}

void append(std::string& bytes, std::string_view part) {
  append(bytes, std::uint64_t{part.size()});
  bytes.append(part);
}

}  // namespace

CacheKey::CacheKey(CompanyId company, const CacheKind& kind, std::string_view question)
    : company_(company) {
  std::string bytes;
  bytes.reserve(5 * sizeof(std::uint64_t) + kind.name.size() + kind.model.size() + question.size());
  append(bytes, static_cast<std::uint64_t>(number(company)));
  append(bytes, kind.name);
  append(bytes, kind.model);
  append(bytes, std::uint64_t{kind.version});
  append(bytes, question);
  digest_ = sha256(bytes);
}

}  // namespace samtale
