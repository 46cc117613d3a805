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
  std::size_t slices = 1;      // Of each partition.
  std::size_t replicas = 2;    // Searchers that hold one slice's index.
  Duration lease = std::chrono::seconds(10);
};

// Says by step() that the node is there, and learns who else is. What it has learnt last stays true
// for it while the database is away, and for a lease longer, so that the others can say again that
// they are there; but for the lead, which ends with its lease.
// Threads: step() and join() from one; the others from any.
class Node {
 public:
  struct Loaded {
    Slices ready = 0;            // Whose index this process has, …
    std::uint64_t layout = 0;    // … up to which change of who is split.
    std::uint64_t lag = 0;       // Member::lag
    std::uint64_t requests = 0;  // Answered since the start.
  };
  // What is passed in must outlive it.
  Node(Members& members, Router& router, const Clock& clock, Log& log, NodeOptions options,
       std::function<Loaded()> loaded);

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

  // Whether this process must have the slice's index: it was given to it, or whoever was given it
  // has not loaded it yet, or others may not know yet who that is.
  [[nodiscard]] bool holds(std::size_t slice) const { return has(holds_, slice); }
  // Up to which change of who is split every node knows that every searcher has loaded it: what was
  // before it nobody asks for any more.
  [[nodiscard]] std::uint64_t settled() const { return settled_; }
  // Whether it's the one that does what only one should.
  [[nodiscard]] bool leads() const { return clock_.now() < leads_until_.load(); }
  // The names of those that are there, as of the last step, in order. Waits for a step under way.
  [[nodiscard]] std::vector<std::string> there() const;

 private:
  // Those of before an absence of the database count until they had time to come back.
  [[nodiscard]] std::vector<Member> with_remembered(std::vector<Member> alive, Instant now);
  [[nodiscard]] std::uint64_t rate_of(std::uint64_t requests, Instant now);
  void keep_index(Slices wanted);
  [[nodiscard]] Slices placed_here(const std::vector<Member>& members, Slices ready) const;
  void settle(const std::vector<Member>& members);

  Members& members_;
  Router& router_;
  const Clock& clock_;
  Log& log_;
  const NodeOptions options_;
  const std::function<Loaded()> loaded_;
  mutable std::mutex step_mutex_;  // So that no step says that it is there after it has left.
  std::mutex url_mutex_;
  std::string url_;  // Guarded by url_mutex_.
  std::atomic<bool> has_left_ = false;
  std::atomic<Slices> holds_ = 0;
  std::atomic<std::uint64_t> settled_ = 0;
  std::atomic<Instant> leads_until_{};
  std::optional<Instant> stepped_at_;  // That succeeded, last.
  std::optional<Instant> counted_at_;
  std::uint64_t requests_ = 0;  // Answered by then.
  std::uint64_t rate_ = 0;      // Before that, a second.
  std::optional<Instant> patient_until_;
  std::vector<Member> remembered_;
  std::vector<std::optional<Instant>> wanted_at_;  // Each slice's index, last.
  std::uint64_t agreed_ = 0;                       // The least layout of a member, …
  Instant agreed_at_{};                            // … and since when it is.
  std::string known_;  // The members, as they were told to the log last.
};

}  // namespace samtale
