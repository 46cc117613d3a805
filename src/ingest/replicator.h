// Replicator: gets accepted events onto other disks than this node's.
#pragma once

#include <functional>
#include <string>

#include "model/ids.h"

namespace samtale {

// Threads: any.
class Replicator {
 public:
  virtual ~Replicator() = default;

  // Once, from any thread: true if others have it now; false if it lies on this node alone, or may.
  using Done = std::move_only_function<void(bool is_replicated)>;
  // `at`, `payload`: of the record in this node's log, which is durable.
  virtual void replicate(CompanyId company, LogPosition at, std::string payload, Done done) = 0;
};

}  // namespace samtale
