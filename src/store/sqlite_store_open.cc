// Opening the partition files: all of one store, or none.
#include "base/check.h"
#include "store/schema.h"
#include "store/sqlite_store.h"

namespace samtale {
namespace {

constexpr std::size_t kPartitionsMax = 64;
constexpr std::size_t kKeyBytes = 32;

std::string file_name(std::size_t place) {
  const auto digits = std::to_string(place);
  return "part-" + std::string(digits.size() < 2 ? "0" : "") + digits + ".db";
}

// What a file says about the store it belongs to.
struct Label {
  std::string key;
  std::int64_t place = 0;
  std::int64_t partitions = 0;
  bool complete = false;  // In part-00.db: all files have been made.
};

Result<std::optional<Label>> read_label(sqlite::Database& file) {
  SAMTALE_TRY(const auto snapshot, file.snapshot());
  auto& connection = snapshot.connection();
  SAMTALE_TRY(auto row, connection.prepare("SELECT value FROM meta WHERE name = 'store_key'"));
  SAMTALE_TRY(const bool found, row.step());
  if (!found) return std::optional<Label>();
  Label label;
  label.key = row.bytes(0);
  constexpr auto kNumber = "SELECT value FROM meta WHERE name = ?1";
  SAMTALE_TRY(const auto place, connection.integer(kNumber, "partition"));
  SAMTALE_TRY(const auto partitions, connection.integer(kNumber, "partitions"));
  SAMTALE_TRY(const auto complete, connection.integer(kNumber, "complete"));
  label.place = place.value_or(-1);
  label.partitions = partitions.value_or(-1);
  label.complete = complete == 1;
  return label;
}

Result<> write_label(sqlite::Database& file, const Label& label) {
  SAMTALE_TRY(auto transaction, file.begin());
  auto& connection = transaction.connection();
  constexpr auto kPut = "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)";
  SAMTALE_TRY_VOID(connection.run(kPut, "store_key", sqlite::Blob{label.key}));
  SAMTALE_TRY_VOID(connection.run(kPut, "partition", label.place));
  SAMTALE_TRY_VOID(connection.run(kPut, "partitions", label.partitions));
  SAMTALE_TRY_VOID(connection.run(kPut, "complete", label.complete));
  return transaction.commit();
}

Result<> check_label(const std::string& path, const Label& label, const Label& wanted) {
  if (label.partitions != wanted.partitions) {
    return fail(ErrorCode::invalid_argument,
                path + " belongs to a store of " + std::to_string(label.partitions) +
                    " partitions and the configuration says " + std::to_string(wanted.partitions) +
                    "; the number is fixed when the store is made: configure " +
                    std::to_string(label.partitions));
  }
  if (label.place != wanted.place || label.key != wanted.key) {
    return fail(ErrorCode::corrupt, path + " is partition " + std::to_string(label.place) +
                                        (label.key == wanted.key ? "" : " of another store") +
                                        "; put the right file back, or restore from a backup");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteStoreOptions& options,
                                                       const Clock& clock, Random& random) {
  if (options.partitions < 1 || options.partitions > kPartitionsMax) {
    return fail(ErrorCode::invalid_argument, "a store has 1 to " + std::to_string(kPartitionsMax) +
                                                 " partitions, not " +
                                                 std::to_string(options.partitions));
  }
  std::unique_ptr<SqliteStore> store(new SqliteStore(options));
  SAMTALE_TRY_VOID(store->open_files(random));
  std::vector<sqlite::Database*> files;
  for (const auto& file : store->files_) files.push_back(file.get());
  SAMTALE_TRY(store->queue_, SqliteQueue::open(std::move(files), clock, options.queue));
  return store;
}

// part-00.db is made first and marked complete last, so that a file missing later is known to be
// lost, and is not made anew, empty.
Result<> SqliteStore::open_files(Random& random) {
  Label first;
  for (std::size_t i = 0; i < options_.partitions; ++i) {
    sqlite::DatabaseOptions options{.path = options_.folder + "/" + file_name(i),
                                    .vfs = options_.vfs,
                                    .create = false,
                                    .readers_max = options_.readers_max,
                                    .cache_bytes = options_.cache_bytes / options_.partitions,
                                    .pages_max = options_.pages_max};
    auto opened = sqlite::Database::open(options, partition_schema());
    if (!opened && opened.error().code == ErrorCode::not_found && !first.complete) {
      options.create = true;
      opened = sqlite::Database::open(options, partition_schema());
    }
    if (!opened && opened.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::corrupt,
                  options.path + " is missing; put it back, or restore from a backup");
    }
    SAMTALE_TRY(auto file, std::move(opened));
    SAMTALE_TRY(auto label, read_label(*file));
    if (!label && first.complete) {
      return fail(ErrorCode::corrupt,
                  options.path + " is empty; put the right file back, or restore from a backup");
    }
    if (!label) {
      label = {.key = i == 0 ? random.bytes(kKeyBytes) : first.key,
               .place = static_cast<std::int64_t>(i),
               .partitions = static_cast<std::int64_t>(options_.partitions)};
      SAMTALE_TRY_VOID(write_label(*file, *label));
    }
    if (i == 0) first = *label;
    SAMTALE_TRY_VOID(check_label(options.path, *label,
                                 {.key = first.key,
                                  .place = static_cast<std::int64_t>(i),
                                  .partitions = static_cast<std::int64_t>(options_.partitions)}));
    files_.push_back(std::move(file));
  }
  key_ = first.key;
  if (first.complete) return {};
  first.complete = true;
  return write_label(*files_[0], first);
}

}  // namespace samtale
