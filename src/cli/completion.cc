// Completion scripts, made from the table of commands: nothing here knows a command by name.
#include <algorithm>
#include <map>
#include <set>

#include "cli/commands.h"

namespace samtale::cli {
namespace {

std::string words_of(const CommandInfo& command) {
  std::string words = "--help";
  for (const auto& option : command.options) words += " " + std::string(option.name);
  if (!command.is_local) {
    for (const auto& option : common_options()) words += " " + std::string(option.name);
  }
  return words;
}

// What may follow: the program (""), a group ("company") or a command ("company create").
std::map<std::string, std::string> words_by_path() {
  std::map<std::string, std::set<std::string>> children;
  std::map<std::string, std::string> words;
  for (const auto& command : all_commands()) {
    const std::string name(command.name);
    const auto space = name.find(' ');
    children[""].insert(name.substr(0, space));
    if (space != std::string::npos) children[name.substr(0, space)].insert(name.substr(space + 1));
    words[name] = words_of(command);
  }
  for (const auto& [path, names] : children) {
    auto& text = words[path];
    for (const auto& child : names) text += (text.empty() ? "" : " ") + child;
    text += " --help";
  }
  words["completion"] += " bash zsh fish";
  return words;
}

// The values of options that take one of a few, by option.
std::map<std::string, std::string> choices_by_option() {
  std::map<std::string, std::string> choices;
  for (const auto& command : all_commands()) {
    for (const auto& option : command.options) {
      if (option.choices.empty()) continue;
      std::string values(option.choices);
      std::ranges::replace(values, '|', ' ');
      choices[std::string(option.name)] = values;
    }
  }
  return choices;
}

// bash and zsh differ only in how they are told.
std::string cases(std::string_view assign) {
  std::string text = "  case \"$previous\" in\n";
  for (const auto& [option, values] : choices_by_option()) {
    text += "    " + option + ") " + std::string(assign) + "=\"" + values + "\" ;;\n";
  }
  text += "    *)\n      case \"$typed\" in\n";
  for (const auto& [path, words] : words_by_path()) {
    text += "        \"" + path + "\") " + std::string(assign) + "=\"" + words + "\" ;;\n";
  }
  return text + "      esac ;;\n  esac\n";
}

// Sets $typed to the command typed so far, from the words in `list`.
std::string find_path(std::string_view list) {
  std::string paths;
  for (const auto& [path, words] : words_by_path()) {
    if (!path.empty()) paths += (paths.empty() ? "\"" : "|\"") + path + "\"";
  }
  return "  for word in " + std::string(list) +
         "; do\n    case \"${typed:+$typed }$word\" in\n      " + paths +
         ") typed=\"${typed:+$typed }$word\" ;;\n    esac\n  done\n";
}

std::string bash_script() {
  return "# bash completion for samtale: source <(samtale completion bash)\n"
         "_samtale() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  local typed=\"\" words=\"\" word\n" +
         find_path("\"${COMP_WORDS[@]:1:COMP_CWORD-1}\"") + cases("words") +
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -o default -F _samtale samtale\n";
}

std::string zsh_script() {
  return "#compdef samtale\n"
         "# zsh completion for samtale: put it as _samtale into a folder of $fpath\n"
         "_samtale() {\n"
         "  local previous=\"${words[CURRENT-1]}\" path_words=\"\" word\n"
         "  local typed=\"\"\n" +
         find_path("\"${(@)words[2,CURRENT-1]}\"") + cases("path_words") +
         "  compadd -- ${=path_words}\n"
         "  [[ \"${words[CURRENT]}\" == -* ]] || _files\n"
         "}\n"
         "if [[ \"${funcstack[1]}\" == _samtale ]]; then _samtale \"$@\"\n"
         "else compdef _samtale samtale; fi\n";
}

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_option(const std::string& condition, const OptionInfo& option) {
  auto line = "complete -c samtale -n " + condition + " -l " + std::string(option.name.substr(2)) +
              " -d " + fish_quoted(option.help);
  if (!option.choices.empty()) {
    std::string values(option.choices);
    std::ranges::replace(values, '|', ' ');
    return line + " -x -a " + fish_quoted(values) + "\n";
  }
  if (option.value.empty()) return line + "\n";
  const bool is_path = option.value == "FILE" || option.value == "DIR";
  return line + (is_path ? " -r -F\n" : " -x\n");
}

std::string fish_script() {
  std::string text = "# fish completion for samtale\ncomplete -c samtale -f\n";
  std::string first_words;
  for (const auto& [path, words] : words_by_path()) {
    if (!path.empty() && path.find(' ') == std::string::npos) first_words += " " + path;
  }
  const auto at_start = "'not __fish_seen_subcommand_from" + first_words + "'";
  std::set<std::string> groups;
  for (const auto& command : all_commands()) {
    const std::string name(command.name);
    const auto space = name.find(' ');
    const auto first = name.substr(0, space);
    auto condition = "'__fish_seen_subcommand_from " + first + "'";
    if (space == std::string::npos) {
      text += "complete -c samtale -n " + at_start + " -a " + first + " -d " +
              fish_quoted(command.summary) + "\n";
    } else {
      if (groups.insert(first).second) {
        text += "complete -c samtale -n " + at_start + " -a " + first + "\n";
      }
      const auto second = name.substr(space + 1);
      text += "complete -c samtale -n " + condition + " -a " + second + " -d " +
              fish_quoted(command.summary) + "\n";
      condition = "'__fish_seen_subcommand_from " + first + "; and __fish_seen_subcommand_from " +
                  second + "'";
    }
    if (command.arguments.starts_with("FILE")) {
      text += "complete -c samtale -n " + condition + " -F\n";
    }
    for (const auto& option : command.options) text += fish_option(condition, option);
    if (command.is_local) continue;
    for (const auto& option : common_options()) text += fish_option(condition, option);
  }
  return text +
         "complete -c samtale -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  return "";
}

}  // namespace samtale::cli
