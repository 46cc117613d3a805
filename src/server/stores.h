// What the configuration keeps everything in.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cluster/members.h"
#include "config/config.h"
#include "store/registry.h"
#include "store/store.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/random.h"

namespace samtale {

// The others may lie in the store's database: it goes last.
struct Stores {
  std::unique_ptr<Store> store;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<Members> members;  // Null: nobody shares the store.
  std::string node;                  // Our name among them.
};

// `folder`: the data folder, locked. `clock` and `random` must outlive what is made. Errors: those
// of SqliteStore::open and PostgresStore::open.
[[nodiscard]] Result<Stores> open_stores(const Config& config, const std::string& folder,
                                         Files& files, Clock& clock, Random& random);

}  // namespace samtale
