#include <algorithm>

#include "cli/commands.h"

namespace samtale::cli {
namespace {

constexpr std::string_view kProgram =
    "samtale: stores the conversations of many companies and finds them by words and meaning\n\n"
    "Usage: samtale COMMAND [OPTIONS] ...\n\nCommands:\n";

constexpr std::string_view kFirstSteps =
    "\nFirst steps:\n"
    "  samtale serve --data ./data &\n"
    "  samtale company create acme --data ./data\n"
    "  samtale import conversations.jsonl --company acme --data ./data\n"
    "  samtale search late parcel --company acme --data ./data\n\n"
    "Commands work through the server that runs on the data folder. Without one, those that only\n"
    "read or change records (company, key, endpoint, show, ...) open the folder themselves.\n"
    "`samtale COMMAND --help` tells more, with examples. Exit status: 0 done, 1 failed, 2 not "
    "understood.\n";

std::string padded(std::string text, std::size_t size) {
  text.resize(std::max(text.size(), size), ' ');
  return text;
}

std::string option_line(const OptionInfo& option) {
  auto left = "  " + std::string(option.name);
  if (!option.value.empty()) left += " " + std::string(option.value);
  auto line = padded(std::move(left), 28) + "  " + std::string(option.help);
  if (!option.choices.empty()) {
    std::string choices(option.choices);
    std::ranges::replace(choices, '|', ' ');
    line += " [" + choices + "]";
  } else if (option.max != 0 && option.max <= 65535) {
    line += " [" + std::to_string(option.min) + " to " + std::to_string(option.max) + "]";
  }
  return line + "\n";
}

std::string option_lines(std::string_view title, std::span<const OptionInfo> options) {
  if (options.empty()) return "";
  auto text = "\n" + std::string(title) + ":\n";
  for (const auto& option : options) text += option_line(option);
  return text;
}

std::string command_help(const CommandInfo& command) {
  auto text = "samtale " + std::string(command.name) + ": " + std::string(command.summary) +
              "\n\nUsage: samtale " + std::string(command.name);
  if (!command.options.empty() || !command.is_local) text += " [OPTIONS]";
  if (!command.arguments.empty()) text += " " + std::string(command.arguments);
  text += "\n\n" + std::string(command.text) + "\n";
  text += option_lines("Options", command.options);
  if (!command.is_local) text += option_lines("Common options", common_options());
  return text;
}

std::string list_of(std::string_view prefix) {
  std::string text;
  for (const auto& command : all_commands()) {
    if (!command.name.starts_with(prefix)) continue;
    const auto left = "  " + std::string(command.name) +
                      (command.arguments.empty() ? "" : " " + std::string(command.arguments));
    text += padded(left, 32) + std::string(command.summary) + "\n";
  }
  return text;
}

}  // namespace

std::string help_text(std::string_view name) {
  if (name.empty()) return std::string(kProgram) + list_of("") + std::string(kFirstSteps);
  for (const auto& command : all_commands()) {
    if (command.name == name) return command_help(command);
  }
  return "Usage: samtale " + std::string(name) + " COMMAND\n\nCommands:\n" +
         list_of(std::string(name) + " ");
}

}  // namespace samtale::cli
