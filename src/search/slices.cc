#include "search/slices.h"

namespace samtale {

// The finaliser of splitmix64 (Steele, Lea & Flood 2014): companies are numbered one by one.
std::size_t home_slice(CompanyId company, std::size_t slices) {
  auto mixed = static_cast<std::uint64_t>(number(company));
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  return (mixed ^ (mixed >> 31U)) % slices;
}

// An id is a digest. By its end: tables within a slice go by its beginning.
std::size_t slice_of(const ConversationId& conversation, std::size_t slices) {
  std::uint64_t number = 0;
  for (const char byte : conversation.view().substr(8)) {
    number = number << 8U | static_cast<unsigned char>(byte);
  }
  return number % slices;
}

}  // namespace samtale
