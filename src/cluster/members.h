// Members: which nodes share a store now, and which of them does what only one should.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/member.h"
#include "postgres/database.h"
#include "sys/clock.h"

namespace samtale {

// All times are the database's: the nodes' clocks may differ.
// Threads: any method from any thread.
// Errors:  those of postgres::Connection.
class Members {
 public:
  // `database` has the store's tables and must outlive this. One of its own: what waits for a
  // connection is late, and who is late is taken for dead.
  explicit Members(postgres::Database& database) : database_(database) {}

  // Says that the node is there for `lease` from now. `place`: what a copy of its data folder
  // cannot have at the same time. conflict while a node of the same name is there at another place.
  Result<> beat(const Member& self, std::string_view place, Duration lease);
  // Says that it is gone.
  Result<> leave(std::string_view node);
  // Those that are there, by name.
  [[nodiscard]] Result<std::vector<Member>> alive() const;

  // Takes the lead, or keeps it, for `lease` from now. False: another node has it.
  [[nodiscard]] Result<bool> lead(std::string_view node, Duration lease);

 private:
  postgres::Database& database_;
};

}  // namespace samtale
