#include <cstdio>
#include <ostream>

#include "cli/context.h"

namespace samtale::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(5);
constexpr std::size_t kBarWidth = 30;

std::string time_left(Duration taken, std::uint64_t done, std::uint64_t total) {
  if (done == 0) return "";
  const auto seconds =
      static_cast<long>(std::chrono::duration<double>(taken).count() *
                        static_cast<double>(total - done) / static_cast<double>(done));
  char text[32];
  std::snprintf(text, sizeof text, " %ld:%02ld left", seconds / 60, seconds % 60);
  return text;
}

}  // namespace

Progress::Progress(Screen& screen, std::string what, std::uint64_t total)
    : screen_(screen),
      what_(std::move(what)),
      total_(total),
      started_at_(screen.clock.now()),
      drawn_at_(started_at_) {}

Progress::~Progress() {
  if (drawn_ && screen_.err_is_terminal) screen_.err << "\r\033[K" << std::flush;
}

void Progress::update(std::uint64_t done, std::string_view note) {
  const auto now = screen_.clock.now();
  const Duration pause = screen_.err_is_terminal ? Duration(kRedraw) : Duration(kPlainLine);
  if (now - drawn_at_ < pause) return;
  drawn_at_ = now;
  draw(done, note);
}

void Progress::draw(std::uint64_t done, std::string_view note) {
  drawn_ = true;
  std::string line = what_ + " ";
  if (total_ != 0) {
    done = std::min(done, total_);
    const auto share = static_cast<double>(done) / static_cast<double>(total_);
    if (screen_.err_is_terminal) {
      const auto full = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
      line += "[" + std::string(full, '#') + std::string(kBarWidth - full, '.') + "] ";
    }
    line += std::to_string(static_cast<int>(share * 100)) + " %" +
            time_left(screen_.clock.now() - started_at_, done, total_) + "  ";
  }
  line += note;
  if (screen_.err_is_terminal) {
    screen_.err << "\r" << plain(line) << "\033[K" << std::flush;
  } else {
    screen_.err << plain(line) << "\n";
  }
}

}  // namespace samtale::cli
