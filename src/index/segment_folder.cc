#include "index/segment_folder.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "index/segment.h"

namespace samtale {
namespace {

// 16 digits of the company, '-', 16 of the model's SHA-256; hexadecimal.
constexpr std::size_t kDigits = 16;
constexpr std::string_view kEnding = ".seg";
constexpr std::string_view kHalfWritten = ".seg.tmp";
constexpr std::size_t kStemBytes = 2 * kDigits + 1;

std::string file_name(CompanyId company, std::string_view model) {
  constexpr std::string_view kHex = "0123456789abcdef";
  auto left = static_cast<std::uint64_t>(number(company));
  std::string name(kDigits, '0');
  for (auto at = name.rbegin(); at != name.rend(); ++at, left >>= 4U) *at = kHex[left & 15U];
  return name + "-" + hex(view(sha256(model))).substr(0, kDigits) + std::string(kEnding);
}

// Nothing for a name that no segment has.
std::optional<CompanyId> company_of(std::string_view name) {
  if (name.size() < kStemBytes || name[kDigits] != '-') return std::nullopt;
  const auto ending = name.substr(kStemBytes);
  if (ending != kEnding && ending != kHalfWritten) return std::nullopt;
  if (!unhex(name.substr(kDigits + 1, kDigits))) return std::nullopt;
  std::uint64_t company = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, company, 16);
  if (error != std::errc() || end != name.data() + kDigits) return std::nullopt;
  return CompanyId{static_cast<std::int64_t>(company)};
}

Result<> check_owner(const SegmentOwner& owner, CompanyId company, std::string_view name) {
  if (owner.company != company) {
    return fail(ErrorCode::corrupt, "is company " + std::to_string(number(owner.company)) + "'s");
  }
  if (file_name(company, owner.model) != name) {
    return fail(ErrorCode::corrupt, "is of the model " + owner.model);
  }
  return {};
}

SegmentCheck check_segment(const File& file, const std::string& name, CompanyId company) {
  SegmentCheck check{.name = name, .company = company, .model = {}, .problem = {}};
  const auto result = [&]() -> Result<> {
    SAMTALE_TRY(check.bytes, file.size());
    SAMTALE_TRY(const auto header, read_segment_header(file));
    check.model = header.owner.model;
    check.vectors = header.nodes;
    SAMTALE_TRY_VOID(check_owner(header.owner, company, name));
    SAMTALE_TRY_VOID(read_segment(file, header));
    return {};
  }();
  if (!result) check.problem = result.error().message;
  return check;
}

}  // namespace

Result<std::unique_ptr<SegmentFolder>> SegmentFolder::open(Files& files, std::string path,
                                                           std::string model, std::size_t dimension,
                                                           const Clock& clock, Log& log) {
  std::unique_ptr<SegmentFolder> folder(
      new SegmentFolder(files, std::move(path), std::move(model), dimension, clock, log));
  const auto names = files.list(folder->path_);
  if (!names && names.error().code != ErrorCode::not_found) {
    return std::unexpected(names.error());
  }
  if (names) {
    for (const auto& name : *names) {
      if (company_of(name)) folder->names_.insert(name);
      // Of a process that was killed before it could.
      if (!name.starts_with(Files::kScratchName)) continue;
      SAMTALE_TRY_VOID(files.remove(folder->path_ + "/" + name));
    }
  }
  return folder;
}

SegmentFolder::SegmentFolder(Files& files, std::string path, std::string model,
                             std::size_t dimension, const Clock& clock, Log& log)
    : files_(files),
      path_(std::move(path)),
      model_(std::move(model)),
      dimension_(dimension),
      clock_(clock),
      log_(log) {}

std::string SegmentFolder::name_of(CompanyId company) const { return file_name(company, model_); }

bool SegmentFolder::has(CompanyId company) const {
  const std::lock_guard lock(names_mutex_);
  return names_.contains(name_of(company));
}

std::set<CompanyId> SegmentFolder::companies() const {
  std::set<CompanyId> companies;
  const std::lock_guard lock(names_mutex_);
  for (const auto& name : names_) {
    const auto company = *company_of(name);
    if (name == name_of(company)) companies.insert(company);
  }
  return companies;
}

std::optional<Segment> SegmentFolder::load(CompanyId company) {
  if (!has(company)) return std::nullopt;
  auto segment = read(company);
  if (segment) return *std::move(segment);
  count(&Stats::refused);
  log_.warn("index.segment_refused", {{"file", name_of(company)},
                                      {"error", segment.error().message},
                                      {"remedy", "none needed: the graph is made again"}});
  return std::nullopt;
}

Result<Segment> SegmentFolder::read(CompanyId company) const {
  const auto name = name_of(company);
  SAMTALE_TRY(const auto file, files_.open(path_ + "/" + name, false));
  SAMTALE_TRY(const auto header, read_segment_header(*file));
  SAMTALE_TRY_VOID(check_owner(header.owner, company, name));
  if (header.owner.dimension != dimension_) {
    return fail(ErrorCode::corrupt,
                "is of " + std::to_string(header.owner.dimension) + " dimensions");
  }
  return read_segment(*file, header);
}

void SegmentFolder::report_use(CompanyId company, std::size_t used, std::size_t nodes) {
  count(used > 0 ? &Stats::loaded : &Stats::refused);
  log_.info(used > 0 ? "index.segment_loaded" : "index.segment_outdated",
            {{"file", name_of(company)},
             {"vectors", std::to_string(used)},
             {"gone", std::to_string(nodes - used)}});
}

bool SegmentFolder::save(CompanyId company, const Segment& segment) {
  const auto name = name_of(company);
  const auto begin = clock_.now();
  if (auto written = write(name, company, segment); !written) {
    count(&Stats::failed);
    log_.warn("index.segment_not_written", {{"file", name}, {"error", written.error().message}});
    return false;
  }
  count(&Stats::written);
  const std::chrono::duration<double> took = clock_.now() - begin;
  log_.info("index.segment_written", {{"file", name},
                                      {"vectors", std::to_string(segment.digests.size())},
                                      {"seconds", std::to_string(took.count())}});
  return true;
}

Result<> SegmentFolder::write(const std::string& name, CompanyId company, const Segment& segment) {
  const auto half_written = name.substr(0, kStemBytes) + std::string(kHalfWritten);
  {
    const std::lock_guard lock(names_mutex_);
    names_.insert(half_written);  // Swept, if it comes to that.
  }
  SAMTALE_TRY_VOID(files_.make_folder(path_));
  SAMTALE_TRY_VOID(files_.sync_folder(path_.substr(0, path_.rfind('/'))));
  {
    SAMTALE_TRY(const auto file, files_.open(path_ + "/" + half_written, true));
    SAMTALE_TRY_VOID(file->truncate(0));
    SAMTALE_TRY_VOID(
        write_segment(*file, {company, model_, dimension_}, segment, clock_.wall_now()));
  }
  SAMTALE_TRY_VOID(files_.rename(path_ + "/" + half_written, path_ + "/" + name));
  {
    const std::lock_guard lock(names_mutex_);
    names_.erase(half_written);
    names_.insert(name);
  }
  return files_.sync_folder(path_);
}

bool SegmentFolder::remove(CompanyId company) { return remove(name_of(company)); }

bool SegmentFolder::remove(const std::string& name) {
  {
    const std::lock_guard lock(names_mutex_);
    if (!names_.contains(name)) return true;
  }
  const auto removed = [&]() -> Result<> {
    SAMTALE_TRY_VOID(files_.remove(path_ + "/" + name));
    return files_.sync_folder(path_);
  }();
  if (!removed) {
    count(&Stats::failed);
    log_.warn("index.segment_not_removed", {{"file", name}, {"error", removed.error().message}});
    return false;
  }
  log_.info("index.segment_removed", {{"file", name}});
  const std::lock_guard lock(names_mutex_);
  names_.erase(name);
  return true;
}

void SegmentFolder::sweep(const std::function<bool(CompanyId)>& has_index) {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(names_mutex_);
    names.assign(names_.begin(), names_.end());
  }
  for (const auto& name : names) {
    const auto company = *company_of(name);
    if (name != name_of(company) || !has_index(company)) remove(name);
  }
}

Result<std::unique_ptr<Scratch>> SegmentFolder::map_scratch(std::size_t bytes, bool at_random) {
  SAMTALE_TRY_VOID(files_.make_folder(path_));
  auto scratch = files_.map_scratch(path_, bytes, at_random);
  if (scratch) return scratch;
  return fail(scratch.error().code, scratch.error().message + ": vectors need " +
                                        std::to_string(bytes) + " bytes there; free some");
}

SegmentFolder::Stats SegmentFolder::stats() const {
  const std::lock_guard lock(names_mutex_);
  return stats_;
}

void SegmentFolder::count(std::uint64_t Stats::*member) {
  const std::lock_guard lock(names_mutex_);
  ++(stats_.*member);
}

Result<std::vector<SegmentCheck>> check_segments(Files& files, const std::string& path) {
  std::vector<SegmentCheck> checks;
  const auto names = files.list(path);
  if (!names && names.error().code == ErrorCode::not_found) return checks;
  if (!names) return std::unexpected(names.error());
  for (const auto& name : *names) {
    const auto owner = company_of(name);
    if (!owner || name.ends_with(kHalfWritten)) continue;
    const auto file = files.open(path + "/" + name, false);
    if (!file && file.error().code == ErrorCode::not_found) continue;  // Replaced meanwhile.
    if (file) {
      checks.push_back(check_segment(**file, name, *owner));
    } else {
      checks.push_back({.name = name, .company = *owner, .problem = file.error().message});
    }
  }
  return checks;
}

}  // namespace samtale
