// What the tests of SqliteStore and SqliteRegistry share.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "sim/sim_clock.h"
#include "sim/sim_random.h"
#include "store/sqlite_store.h"

namespace samtale {

class TempFolder {
 public:
  TempFolder() : path_(std::filesystem::temp_directory_path() / "samtale-store-XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

template <std::size_t partitions>
class SqliteHarness {
 public:
  SqliteHarness()
      : store_(SqliteStore::open(
                   {.folder = folder_.path(), .partitions = partitions, .vfs = "", .queue = {}},
                   clock_, random_)
                   .value()) {}
  Store& store() { return *store_; }
  Queue& queue() { return store_->queue(); }

 private:
  TempFolder folder_;
  SimClock clock_;
  SimRandom random_{1};
  std::unique_ptr<SqliteStore> store_;
};

using SqliteHarnesses = ::testing::Types<SqliteHarness<1>, SqliteHarness<4>>;

}  // namespace samtale
