#include "cli/cli.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/commands.h"
#include "cli/context.h"

namespace samtale {
namespace {

constexpr int kFailed = 1;
constexpr int kNotUnderstood = 2;
constexpr std::string_view kUsageMark = "usage: ";

cli::Screen make_screen(const CliHooks& hooks, Clock& clock) {
  cli::Screen screen{.in = hooks.in == nullptr ? std::cin : *hooks.in,
                     .out = hooks.out == nullptr ? std::cout : *hooks.out,
                     .err = hooks.err == nullptr ? std::cerr : *hooks.err,
                     .clock = clock};
  screen.out_is_terminal =
      hooks.out == nullptr ? ::isatty(STDOUT_FILENO) == 1 : hooks.out_is_terminal;
  screen.err_is_terminal =
      hooks.err == nullptr ? ::isatty(STDERR_FILENO) == 1 : hooks.err_is_terminal;
  const auto* const no_color = std::getenv("NO_COLOR");  // no-color.org: set and not empty.
  screen.is_coloured = screen.out_is_terminal && (no_color == nullptr || *no_color == '\0');
  return screen;
}

int report(const cli::Screen& screen, const Error& error) {
  const bool is_usage = error.message.starts_with(kUsageMark);
  const auto text = std::string_view(error.message).substr(is_usage ? kUsageMark.size() : 0);
  screen.err << "samtale: " << cli::plain_lines(text) << "\n";
  return is_usage ? kNotUnderstood : kFailed;
}

}  // namespace

int run(int argc, char** argv, const CliHooks& hooks) {
  SystemClock system_clock;
  auto screen = make_screen(hooks, hooks.clock == nullptr ? system_clock : *hooks.clock);
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    screen.err << cli::help_text("");
    return kNotUnderstood;
  }
  const auto parsed = cli::parse_arguments(words);
  if (!parsed) {
    screen.err << "samtale: " << cli::plain(parsed.error().message) << "\n";
    return kNotUnderstood;
  }
  cli::Context context(hooks, screen, parsed->arguments);
  if (parsed->command == nullptr && !parsed->version) {
    screen.out << cli::help_text(parsed->help_for);
    return EXIT_SUCCESS;
  }
  const auto status = parsed->version ? cli::version(context, parsed->arguments)
                                      : parsed->command->run(context, parsed->arguments);
  screen.out.flush();
  if (!status) return report(screen, status.error());
  if (screen.out) return *status;
  return report(screen, {ErrorCode::unavailable, "standard output cannot be written"});
}

}  // namespace samtale
