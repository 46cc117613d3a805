// The only file that knows CLI11: the table of commands as its parser.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "cli/commands.h"

namespace samtale::cli {
namespace {

std::string_view group_of(std::string_view name) {
  const auto space = name.find(' ');
  return space == std::string_view::npos ? "" : name.substr(0, space);
}

std::string_view leaf_of(std::string_view name) {
  const auto space = name.find(' ');
  return space == std::string_view::npos ? name : name.substr(space + 1);
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(at), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void add_option(CLI::App& app, const OptionInfo& info, Arguments& into) {
  const std::string name(info.name);
  if (info.value.empty()) {
    app.add_flag_callback(name, [&into, name] { into.add(name, "true"); });
    return;
  }
  auto* const option = app.add_option_function<std::vector<std::string>>(
      name, [&into, name](const std::vector<std::string>& values) {
        for (const auto& value : values) into.add(name, value);
      });
  // One value for each time it is named: the words that follow are not this option's.
  option->expected(1)->multi_option_policy(info.is_repeatable ? CLI::MultiOptionPolicy::TakeAll
                                                              : CLI::MultiOptionPolicy::Throw);
  if (!info.choices.empty()) option->check(CLI::IsMember(split(info.choices, '|')));
  if (info.max != 0) {
    option->check(CLI::TypeValidator<std::int64_t>() & CLI::Range(info.min, info.max));
  }
}

void add_words(CLI::App& app, const CommandInfo& command, Arguments& into) {
  if (command.arguments.empty()) return;
  const bool is_optional = command.arguments.starts_with('[');
  const bool is_many = command.arguments.find("...") != std::string_view::npos;
  auto* const option = app.add_option_function<std::vector<std::string>>(
      leaf_of(command.name) == "search" ? "WORD" : std::string("ARGUMENT"),
      [&into](const std::vector<std::string>& words) {
        for (const auto& word : words) into.add_word(word);
      });
  option->expected(is_many ? (is_optional ? 0 : 1) : 1, is_many ? 1 << 20 : 1);
  option->required(!is_optional);
}

// CLI11 says what is wrong over several lines and with its own names: one line is enough.
std::string one_line(const CLI::ParseError& error) {
  std::string text = error.what();
  std::ranges::replace(text, '\n', ' ');
  while (text.ends_with(' ') || text.ends_with('.')) text.pop_back();
  return text;
}

class Parser {
 public:
  Parser() : root_("", "samtale") {
    root_.set_help_flag();
    root_.add_flag("-h,--help", help_);
    root_.add_flag("--version", version_);
    for (const auto& option : common_options()) add_option(root_, option, parsed_.arguments);
    for (const auto& command : all_commands()) add(command);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  Result<Parsed> parse(std::vector<std::string> arguments) {
    std::ranges::reverse(arguments);  // What CLI11 wants of a vector.
    try {
      root_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      if (!help_) return fail(ErrorCode::invalid_argument, one_line(error) + advice());
    }
    parsed_.version = version_;
    parsed_.help_for = path();
    if (help_ || version_) return std::move(parsed_);
    for (const auto& command : all_commands()) {
      if (command.name == parsed_.help_for) parsed_.command = &command;
    }
    return std::move(parsed_);
  }

 private:
  void add(const CommandInfo& command) {
    CLI::App* parent = &root_;
    if (const auto group = group_of(command.name); !group.empty()) {
      auto*& app = groups_[std::string(group)];
      if (app == nullptr) {
        app = root_.add_subcommand(std::string(group));
        app->set_help_flag();
        app->add_flag("-h,--help", help_);
      }
      parent = app;
    }
    auto* const app = parent->add_subcommand(std::string(leaf_of(command.name)));
    app->set_help_flag();
    app->add_flag("-h,--help", help_);
    for (const auto& option : command.options) add_option(*app, option, parsed_.arguments);
    if (!command.is_local) {
      for (const auto& option : common_options()) add_option(*app, option, parsed_.arguments);
    }
    add_words(*app, command, parsed_.arguments);
  }

  // "company create", as far as it was understood.
  [[nodiscard]] std::string path() const {
    std::string path;
    const CLI::App* app = &root_;
    while (true) {
      const auto chosen = app->get_subcommands();
      if (chosen.empty()) return path;
      app = chosen.front();
      path += (path.empty() ? "" : " ") + app->get_name();
    }
  }

  [[nodiscard]] std::string advice() const {
    const auto command = path();
    return "; see samtale " + (command.empty() ? "" : command + " ") + "--help";
  }

  CLI::App root_;
  std::map<std::string, CLI::App*> groups_;
  Parsed parsed_;
  bool help_ = false;
  bool version_ = false;
};

}  // namespace

Result<Parsed> parse_arguments(const std::vector<std::string>& arguments) {
  return Parser().parse(arguments);
}

}  // namespace samtale::cli
