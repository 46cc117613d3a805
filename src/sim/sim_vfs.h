// SimVfs: runs SQLite's real code on a SimFiles disk, so that it can lose power.
//
// Source: https://www.sqlite.org/c3ref/vfs.html and c3ref/io_methods.html; where SQLite leaves a
// choice, as its own os_unix.c does (a new journal's folder is synced with its first sync).
#pragma once

#include <memory>
#include <string>

#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"

namespace samtale {

// Registered under `name` for its lifetime: pass the name to sqlite3_open_v2. Databases, journals
// and WALs are files of `files`; locks and the WAL's shared memory live here and end with the last
// connection to their file, so close every connection before SimFiles::start().
// What is passed in must outlive it, and it must outlive the connections.
// Threads: as SQLite: any connection from one thread at a time.
class SimVfs {
 public:
  SimVfs(std::string name, SimFiles& files, SimRandom& random, SimClock& clock);
  ~SimVfs();
  SimVfs(const SimVfs&) = delete;
  SimVfs& operator=(const SimVfs&) = delete;

  [[nodiscard]] const std::string& name() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace samtale
