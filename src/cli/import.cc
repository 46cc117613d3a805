#include "cli/import.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <istream>
#include <ostream>

namespace samtale::cli {
namespace {

constexpr std::size_t kListedMax = 20;  // Refusals on the screen; all of them are in the file.

// Where refused records go; made with the first.
class RejectedFile {
 public:
  RejectedFile(Screen& screen, std::string input, std::string path)
      : screen_(screen), input_(std::move(input)), path_(std::move(path)) {}

  void add(const Record& record, const std::string& why) {
    if (count_++ == 0) file_.open(path_, std::ios::binary | std::ios::trunc);
    file_ << record.text << '\n';
    if (count_ <= kListedMax) {
      screen_.err << plain(input_) << ":" << record.line << ": " << plain(why) << "\n";
    } else if (count_ == kListedMax + 1) {
      screen_.err << "more refusals follow; the records are in " << plain(path_) << "\n";
    }
  }

  [[nodiscard]] Result<> finish() {
    if (count_ == 0) return {};
    file_.close();
    if (file_) return {};
    return fail(ErrorCode::unavailable, "refused records could not be written to " + path_ +
                                            "; make room or choose another file with --rejected");
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  Screen& screen_;
  const std::string input_;
  const std::string path_;
  std::ofstream file_;
  std::size_t count_ = 0;
};

std::uint64_t file_bytes(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

Result<> send_all(RecordReader& reader, const ByteSource& bytes, Importer& importer,
                  Progress& progress) {
  while (true) {
    SAMTALE_TRY(auto record, reader.next());
    if (!record) break;
    SAMTALE_TRY_VOID(importer.add(std::move(*record)));
    const auto& counts = importer.counts();
    progress.update(bytes.bytes_taken(), std::to_string(counts.accepted) + " accepted, " +
                                             std::to_string(counts.refused) + " refused");
  }
  return importer.finish();
}

struct Outcome {
  ImportCounts counts;
  std::string rejected_path;
};

Result<Outcome> import_one(Context& context, const Arguments& arguments, const std::string& name) {
  auto& screen = context.screen();
  const bool is_input = name == "-";
  SAMTALE_TRY(const auto* const api, context.api(true));
  std::ifstream file;
  if (!is_input) {
    file.open(name, std::ios::binary);
    if (!file) return fail(ErrorCode::not_found, plain(name) + ": " + std::strerror(errno));
  }
  const auto bytes = decompressed(is_input ? screen.in : file);
  const auto where = is_input ? std::string("stdin.rejected") : name + ".rejected";
  RejectedFile rejected(screen, name, arguments.text("--rejected", where));

  ImportOptions options;
  if (arguments.has("--company")) options.company = arguments.text("--company");
  options.creates_companies = arguments.has("--create-companies");
  options.run_name = "import-" + std::to_string(to_us(screen.clock.wall_now()));
  RecordReader reader(*bytes, options.record_bytes_max);
  Importer importer(*api, screen.clock, options,
                    [&](const Record& record, const auto& why) { rejected.add(record, why); });
  Progress progress(screen, is_input ? "stdin" : name, is_input ? 0 : file_bytes(name));
  const auto sent = send_all(reader, *bytes, importer, progress);
  SAMTALE_TRY_VOID(rejected.finish());
  if (!sent) {
    auto error = sent.error();
    return std::unexpected(std::move(error).during(
        plain(name) + ": after " + std::to_string(importer.counts().accepted) + " records"));
  }
  return Outcome{importer.counts(), importer.counts().refused == 0 ? "" : rejected.path()};
}

}  // namespace

Result<int> import_files(Context& context, const Arguments& arguments) {
  auto& screen = context.screen();
  const auto start = screen.clock.now();
  json::Array list;
  ImportCounts total;
  for (const auto& name : arguments.words()) {
    SAMTALE_TRY(const auto outcome, import_one(context, arguments, name));
    const auto& counts = outcome.counts;
    total.accepted += counts.accepted;
    total.refused += counts.refused;
    json::Object entry{{"file", name},
                       {"accepted", std::size_t{counts.accepted}},
                       {"refused", std::size_t{counts.refused}}};
    if (counts.refused != 0) entry.emplace_back("rejected_file", outcome.rejected_path);
    list.emplace_back(std::move(entry));
    if (context.wants_json()) continue;
    screen.out << plain(name) << ": " << counts.accepted << " accepted, " << counts.refused
               << " refused";
    if (counts.refused != 0) screen.out << " (in " << plain(outcome.rejected_path) << ")";
    screen.out << "\n";
  }
  const auto seconds = std::chrono::duration<double>(screen.clock.now() - start).count();
  if (context.wants_json()) {
    context.print(json::Object{{"accepted", std::size_t{total.accepted}},
                               {"refused", std::size_t{total.refused}},
                               {"seconds", seconds},
                               {"files", std::move(list)}});
  }
  return total.refused == 0 ? 0 : 1;
}

}  // namespace samtale::cli
