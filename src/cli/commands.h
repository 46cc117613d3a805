// The table of commands: what parsing, help and completion are made from. Internal to the room.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samtale::cli {

class Context;
class Arguments;

struct OptionInfo {
  std::string_view name;   // "--limit"
  std::string_view value;  // "N", "FILE"; empty: a switch.
  std::string_view help;
  std::string_view choices = {};  // "a|b|c"; empty: any.
  std::int64_t min = 0;           // Of a whole number; both 0: any text.
  std::int64_t max = 0;
  bool is_repeatable = false;
};

struct CommandInfo {
  std::string_view name;       // "search", "company create"
  std::string_view arguments;  // "WORD...", "[FILE...]", "ID"; empty: none.
  std::string_view summary;
  std::string_view text;  // What one should know, and examples.
  std::span<const OptionInfo> options;
  Result<int> (*run)(Context&, const Arguments&);
  bool is_local = false;  // Knows no server, company or --json: completion, version.
};

[[nodiscard]] std::span<const CommandInfo> all_commands();
// Options that every command takes.
[[nodiscard]] std::span<const OptionInfo> common_options();

// What was typed, checked against the table.
class Arguments {
 public:
  void add(std::string_view option, std::string value) {
    values_[std::string(option)].push_back(std::move(value));
  }
  void add_word(std::string word) { words_.push_back(std::move(word)); }

  [[nodiscard]] bool has(std::string_view option) const { return values_.contains(option); }
  // The last value given, or empty.
  [[nodiscard]] std::string text(std::string_view option, std::string_view otherwise = "") const;
  [[nodiscard]] std::int64_t number(std::string_view option, std::int64_t otherwise) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view option) const;
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> words_;
};

struct Parsed {
  const CommandInfo* command = nullptr;  // Null: `help_for` is wanted.
  Arguments arguments;
  std::string help_for;  // "", "company" or "company create".
  bool version = false;
};
// Errors: invalid_argument, with the command to ask for help.
[[nodiscard]] Result<Parsed> parse_arguments(const std::vector<std::string>& arguments);

// Of the program (empty name), a group ("company") or a command.
[[nodiscard]] std::string help_text(std::string_view name);
// For bash, zsh or fish.
[[nodiscard]] std::string completion_script(std::string_view shell);

// The commands, by the file they are in.
Result<int> serve(Context&, const Arguments&);
Result<int> company_create(Context&, const Arguments&);
Result<int> company_list(Context&, const Arguments&);
Result<int> company_split(Context&, const Arguments&);
Result<int> company_join(Context&, const Arguments&);
Result<int> migrate(Context&, const Arguments&);
Result<int> partition_promote(Context&, const Arguments&);
Result<int> partition_demote(Context&, const Arguments&);
Result<int> cluster_status(Context&, const Arguments&);
Result<int> key_create(Context&, const Arguments&);
Result<int> key_list(Context&, const Arguments&);
Result<int> key_revoke(Context&, const Arguments&);
Result<int> endpoint_create(Context&, const Arguments&);
Result<int> endpoint_list(Context&, const Arguments&);
Result<int> endpoint_rotate(Context&, const Arguments&);
Result<int> endpoint_revoke(Context&, const Arguments&);
Result<int> subscription_create(Context&, const Arguments&);
Result<int> subscription_list(Context&, const Arguments&);
Result<int> subscription_rotate(Context&, const Arguments&);
Result<int> subscription_resume(Context&, const Arguments&);
Result<int> subscription_test(Context&, const Arguments&);
Result<int> subscription_revoke(Context&, const Arguments&);
Result<int> import_files(Context&, const Arguments&);
Result<int> search(Context&, const Arguments&);
Result<int> export_conversations(Context&, const Arguments&);
Result<int> show(Context&, const Arguments&);
Result<int> delete_conversation(Context&, const Arguments&);
Result<int> status(Context&, const Arguments&);
Result<int> dead_letter_list(Context&, const Arguments&);
Result<int> dead_letter_redrive(Context&, const Arguments&);
Result<int> analyze(Context&, const Arguments&);
Result<int> analyzer_list(Context&, const Arguments&);
Result<int> analyzer_show(Context&, const Arguments&);
Result<int> analyzer_put(Context&, const Arguments&);
Result<int> analyzer_delete(Context&, const Arguments&);
Result<int> backfill_list(Context&, const Arguments&);
Result<int> backfill_show(Context&, const Arguments&);
Result<int> backfill_pause(Context&, const Arguments&);
Result<int> backfill_resume(Context&, const Arguments&);
Result<int> backfill_cancel(Context&, const Arguments&);
Result<int> show_usage(Context&, const Arguments&);
Result<int> replay(Context&, const Arguments&);
Result<int> evaluate(Context&, const Arguments&);
Result<int> reindex(Context&, const Arguments&);
Result<int> index_verify(Context&, const Arguments&);
Result<int> topology_check(Context&, const Arguments&);
Result<int> config_check(Context&, const Arguments&);
Result<int> config_show(Context&, const Arguments&);
Result<int> config_docs(Context&, const Arguments&);
Result<int> version(Context&, const Arguments&);
Result<int> completion(Context&, const Arguments&);

}  // namespace samtale::cli
