#include "store/registry_codec.h"

#include <algorithm>
#include <string>

namespace samtale {
namespace {

constexpr std::int64_t kIngest = 1, kSearch = 2, kRead = 4, kAdmin = 8;

constexpr std::size_t kNameMax = 63;

}  // namespace

std::int64_t rights_of(const KeyRecord& record) {
  return (record.may_ingest ? kIngest : 0) | (record.may_search ? kSearch : 0) |
         (record.may_read ? kRead : 0) | (record.may_admin ? kAdmin : 0);
}

void set_rights(KeyRecord& record, std::int64_t rights) {
  record.may_ingest = (rights & kIngest) != 0;
  record.may_search = (rights & kSearch) != 0;
  record.may_read = (rights & kRead) != 0;
  record.may_admin = (rights & kAdmin) != 0;
}

Result<> check_company_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!name.empty() && name.size() <= kNameMax && name.front() != '-' &&
      std::ranges::all_of(name, is_letter)) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "a company's name is 1 to 63 of a-z, 0-9 and '-', not beginning with '-'");
}

std::unexpected<Error> name_in_use(std::string_view name) {
  return fail(ErrorCode::conflict,
              "the company name " + std::string(name) + " is or was in use; choose another");
}

}  // namespace samtale
