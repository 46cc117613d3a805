// Importer: sends records in bounded NDJSON requests and listens to what became of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/records.h"

namespace samtale::cli {

struct ImportOptions {
  std::size_t piece_bytes_max = std::size_t{1} << 20;  // Of one request.
  std::size_t piece_records_max = 500;
  std::size_t held_bytes_max = std::size_t{8} << 20;  // Over all companies, until sent.
  std::size_t record_bytes_max = std::size_t{16} << 20;
  std::size_t tries_max = 30;  // Without one more record accepted; a server says when to retry.
  std::string company;         // Empty: each record names its own.
  bool creates_companies = false;
  std::string run_name;  // In idempotency keys: the same bytes in another run are another event.
};

struct ImportCounts {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
};

// Memory: at most held_bytes_max of records and one request.
class Importer {
 public:
  // Told of each record that was refused, in no particular order.
  using Refused = std::function<void(const Record&, const std::string& why)>;

  // What is passed in must outlive the importer.
  Importer(const Api& api, Clock& clock, ImportOptions options, Refused refused)
      : api_(api), clock_(clock), options_(std::move(options)), refused_(std::move(refused)) {}

  // Errors: what makes going on pointless: the server is away or does not know the key.
  [[nodiscard]] Result<> add(Record record);
  [[nodiscard]] Result<> finish();  // Sends what is held.
  [[nodiscard]] const ImportCounts& counts() const { return counts_; }

 private:
  struct Held {
    std::vector<Record> records;
    std::size_t bytes = 0;
  };

  [[nodiscard]] Result<std::string> company_of(const Record& record) const;
  [[nodiscard]] Result<> make_company(const std::string& name);
  [[nodiscard]] Result<> send(const std::string& company, Held held);
  [[nodiscard]] Result<http::Response> post(const std::string& company,
                                            const std::vector<Record>& records) const;
  [[nodiscard]] std::vector<Record> settle(std::vector<Record> records, const std::string& answers);
  void refuse(const Record& record, const std::string& why);

  const Api& api_;
  Clock& clock_;
  const ImportOptions options_;
  const Refused refused_;
  std::map<std::string, Held> held_;
  std::size_t held_bytes_ = 0;
  std::set<std::string> made_;
  ImportCounts counts_;
};

}  // namespace samtale::cli
