// Node: this process's part in the cluster.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/member.h"
#include "cluster/members.h"
#include "cluster/router.h"
#include "sys/clock.h"
#include "sys/log.h"

namespace samtale {

struct NodeOptions {
  std::string name;   // Member::node
  std::string place;  // Members::beat
  Roles roles;
  std::size_t partitions = 1;  // Of the store.
  std::size_t replicas = 2;    // Searchers that hold one partition's index.
  Duration lease = std::chrono::seconds(10);
};

// Says by step() that the node is there, and learns who else is. What it has learnt last stays true
// for it while the database is away, and for a lease longer, so that the others can say again that
// they are there; but for the lead, which ends with its lease.
// Threads: step() and join() from one; the others from any.
class Node {
 public:
  // `ready`: the partitions whose index this process has. What is passed in must outlive it.
  Node(Members& members, Router& router, const Clock& clock, Log& log, NodeOptions options,
       std::function<Partitions()> ready);

  // The first step. Waits as long as a lease for one of the same name to go. Errors: conflict if it
  // does not; those of Members.
  Result<> join(Clock& clock);
  // Where others reach it, once it answers there.
  void announce(std::string url);
  // A worker's step, to be made a few times within a lease; always returns 0. conflict: another
  // node has taken its name; this one must end.
  Result<std::size_t> step();
  // Nothing is sent here any more. An error does no harm: the lease ends by itself.
  void leave();

  // Whether this process must have the partition's index: it was given to it, or whoever was given
  // it has not loaded it yet, or others may not know yet who that is.
  [[nodiscard]] bool holds(std::size_t partition) const { return has(holds_, partition); }
  // Whether it's the one that does what only one should.
  [[nodiscard]] bool leads() const { return clock_.now() < leads_until_.load(); }

 private:
  // Those of before an absence of the database count until they had time to come back.
  [[nodiscard]] std::vector<Member> with_remembered(std::vector<Member> alive, Instant now);
  void keep_index(Partitions wanted);
  [[nodiscard]] Partitions placed_here(const std::vector<Member>& members, Partitions ready) const;

  Members& members_;
  Router& router_;
  const Clock& clock_;
  Log& log_;
  const NodeOptions options_;
  const std::function<Partitions()> ready_;
  std::mutex step_mutex_;  // So that no step says that it is there after it has left.
  std::mutex url_mutex_;
  std::string url_;  // Guarded by url_mutex_.
  std::atomic<bool> has_left_ = false;
  std::atomic<Partitions> holds_ = 0;
  std::atomic<Instant> leads_until_{};
  std::optional<Instant> stepped_at_;  // That succeeded, last.
  std::optional<Instant> patient_until_;
  std::vector<Member> remembered_;
  std::vector<std::optional<Instant>> wanted_at_;  // Each partition's index, last.
  std::string known_;  // The members, as they were told to the log last.
};

}  // namespace samtale
