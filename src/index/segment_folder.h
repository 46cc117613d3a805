// SegmentFolder: the files that graphs are kept in from one run to the next, so that none is made
// again, one a company, of one embedding model; and the room beside them for what memory need not
// hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "sys/clock.h"
#include "sys/files.h"
#include "sys/log.h"

namespace samtale {

struct Segment;

// The store is the truth: a file may be damaged or gone at any time, and costs no more than the
// making of a graph. What goes wrong is in the log and the counts, and is no caller's business.
//
// Threads: any method from any thread; one at a time for a company.
// Memory:  the files' names.
class SegmentFolder {
 public:
  struct Stats {
    std::uint64_t loaded = 0;   // Graphs that were not made again.
    std::uint64_t refused = 0;  // Damaged, another's, of a newer version or outdated.
    std::uint64_t written = 0;
    std::uint64_t failed = 0;  // Could not be written or removed.
  };

  // What is passed in must outlive it. The folder is made when the first file is, and is this one's
  // alone: what another process left of its scratch files is removed.
  // Errors: what Files says.
  [[nodiscard]] static Result<std::unique_ptr<SegmentFolder>> open(Files& files, std::string path,
                                                                   std::string model,
                                                                   std::size_t dimension,
                                                                   const Clock& clock, Log& log);

  [[nodiscard]] bool has(CompanyId company) const;
  [[nodiscard]] std::set<CompanyId> companies() const;  // That have one.
  // Nothing if there is none, or none that can be used.
  [[nodiscard]] std::optional<Segment> load(CompanyId company);
  // What became of a loaded one: `used` of its `nodes` are in a graph; 0: it was of no use.
  void report_use(CompanyId company, std::size_t used, std::size_t nodes);
  // Puts it in the place of the one before; a crash leaves either, or none. False if that failed.
  bool save(CompanyId company, const Segment& segment);
  // True if there is none any more.
  bool remove(CompanyId company);
  // Removes what belongs to nobody: files of companies without an index, of other models, and
  // what is half written.
  void sweep(const std::function<bool(CompanyId)>& has_index);

  // So many zeros in a file without a name (Files::map_scratch).
  // Errors: what Files says, and what to do.
  [[nodiscard]] Result<std::unique_ptr<Scratch>> map_scratch(std::size_t bytes, bool at_random);

  [[nodiscard]] Stats stats() const;

 private:
  SegmentFolder(Files& files, std::string path, std::string model, std::size_t dimension,
                const Clock& clock, Log& log);

  [[nodiscard]] std::string name_of(CompanyId company) const;
  [[nodiscard]] Result<Segment> read(CompanyId company) const;
  Result<> write(const std::string& name, CompanyId company, const Segment& segment);
  bool remove(const std::string& name);
  void count(std::uint64_t Stats::*member);

  Files& files_;
  const std::string path_;
  const std::string model_;
  const std::size_t dimension_;
  const Clock& clock_;
  Log& log_;
  mutable std::mutex names_mutex_;  // Guards the rest.
  std::set<std::string> names_;     // Also of files that are half written or of other models.
  Stats stats_;
};

struct SegmentCheck {
  std::string name;
  CompanyId company{};  // As the name says.
  std::string model;    // This and the next are empty if the header cannot be read.
  std::uint64_t vectors = 0;
  std::uint64_t bytes = 0;
  std::string problem;  // Empty: none.
};
// Reads every segment in the folder, while a server may use them; sorted by name. A folder that is
// not there has none.
// Errors: what Files says of the folder; what is wrong with a file is its `problem`.
[[nodiscard]] Result<std::vector<SegmentCheck>> check_segments(Files& files,
                                                               const std::string& path);

}  // namespace samtale
