// A folder for the files of indexes, as a server has one; it goes with this object.
#pragma once

#include <stdlib.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "index/segment_folder.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/log.h"
#include "vector_data.h"

namespace samtale {

class DataFolder {
 public:
  explicit DataFolder(std::size_t dimension) {
    std::string made = std::filesystem::temp_directory_path() / "vector_bench-XXXXXX";
    if (::mkdtemp(made.data()) == nullptr) refuse("no folder " + made);
    path_ = made;
    auto opened = SegmentFolder::open(*files_, path_, "bench", dimension, clock_, *log_);
    if (!opened) refuse(opened.error().message);
    segments_ = *std::move(opened);
  }
  ~DataFolder() { std::filesystem::remove_all(path_); }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  [[nodiscard]] SegmentFolder* segments() const { return segments_.get(); }

 private:
  std::string path_;
  const std::unique_ptr<Files> files_ = make_system_files();
  const SystemClock clock_;
  const std::unique_ptr<Log> log_ = make_stderr_log({.level = LogLevel::warn});
  std::unique_ptr<SegmentFolder> segments_;
};

}  // namespace samtale
