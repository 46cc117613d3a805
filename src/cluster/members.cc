#include "cluster/members.h"

#include <algorithm>

namespace samtale {
namespace {

using postgres::Bytes;

std::int64_t us(Duration length) { return length / std::chrono::microseconds(1); }

}  // namespace

Result<> Members::beat(const Member& self, std::string_view place, Duration lease) {
  SAMTALE_TRY(
      const auto rows,
      database_.note({},
                     "INSERT INTO nodes AS old(node, place, url, roles, ready, slices, "
                     "layout, lag, requests_per_second, until) "
                     "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, "
                     "clock_timestamp() + $10 * interval '1 microsecond') "
                     "ON CONFLICT (node) DO UPDATE SET place = $2, url = $3, roles = $4, "
                     "ready = $5, slices = $6, layout = $7, lag = $8, "
                     "requests_per_second = $9, until = excluded.until "
                     "WHERE old.place = $2 OR old.until < clock_timestamp()",
                     self.node, Bytes{place}, Bytes{self.url}, text(self.roles), self.ready,
                     self.slices, self.layout, self.lag, self.requests_per_second, us(lease)));
  if (rows.affected() != 0) return {};
  return fail(ErrorCode::conflict,
              "a node of this name (node.id in the data folder) runs elsewhere: one of the two "
              "folders is a copy of the other; take the copy away, or delete its node.id and its "
              "accepted/ before it is used as a new node's");
}

Result<> Members::leave(std::string_view node) {
  SAMTALE_TRY_VOID(database_.note({}, "DELETE FROM nodes WHERE node = $1", node));
  return {};
}

Result<std::vector<Member>> Members::alive() const {
  SAMTALE_TRY(
      const auto rows,
      database_.read({},
                     "SELECT n.node, n.url, n.roles, n.ready, l.node IS NOT NULL, n.slices, "
                     "n.layout, n.lag, n.requests_per_second FROM nodes AS n "
                     "LEFT JOIN leases AS l ON l.name = 'keeper' AND l.node = n.node "
                     "AND l.until >= clock_timestamp() "
                     "WHERE n.until >= clock_timestamp() ORDER BY n.node"));
  std::vector<Member> members;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    members.push_back(
        {.node = std::string(rows.bytes(i, 0)),
         .url = std::string(rows.bytes(i, 1)),
         .roles = roles_from_text(rows.bytes(i, 2)),
         .ready = static_cast<Slices>(rows.integer(i, 3)),
         .slices = static_cast<std::size_t>(std::max<std::int64_t>(1, rows.integer(i, 5))),
         .layout = static_cast<std::uint64_t>(rows.integer(i, 6)),
         .lag = static_cast<std::uint64_t>(rows.integer(i, 7)),
         .requests_per_second = static_cast<std::uint64_t>(rows.integer(i, 8)),
         .leads = rows.integer(i, 4) != 0});
  }
  return members;
}

Result<bool> Members::lead(std::string_view node, Duration lease) {
  SAMTALE_TRY(const auto rows,
              database_.note({},
                             "INSERT INTO leases AS old(name, node, until) VALUES('keeper', $1, "
                             "clock_timestamp() + $2 * interval '1 microsecond') "
                             "ON CONFLICT (name) DO UPDATE SET node = $1, until = excluded.until "
                             "WHERE old.node = $1 OR old.until < clock_timestamp()",
                             node, us(lease)));
  return rows.affected() != 0;
}

}  // namespace samtale
