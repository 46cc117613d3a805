#include "embed/model_process.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "embed/testing/temporary_folder.h"

namespace samtale {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

// Goes on as soon as it is so; gives up after a time in which any machine gets there.
bool becomes_true(const std::function<bool()>& condition) {
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

class ModelProcessTest : public testing::Test {
 protected:
  std::unique_ptr<ModelProcess> start(const std::vector<std::string>& command) {
    auto process = ModelProcess::start(command, log);
    EXPECT_TRUE(process) << process.error().message;
    return std::move(*process);
  }
  std::unique_ptr<ModelProcess> shell(const std::string& script) {
    return start({"sh", "-c", script});
  }
  // The number that the process has printed as its first line.
  pid_t printed_number() {
    EXPECT_TRUE(becomes_true([&] { return content(log).ends_with("\n"); }));
    return std::stoi(content(log));
  }

  TemporaryFolder folder;
  const std::string log = folder / "server.log";
};

TEST_F(ModelProcessTest, appends_what_the_process_prints_to_a_private_log) {
  const auto process = shell("echo out; echo err >&2; exit 3");

  ASSERT_TRUE(becomes_true([&] { return process->ended().has_value(); }));

  EXPECT_EQ(*process->ended(), "exited with status 3");
  EXPECT_EQ(content(log), "out\nerr\n");
  struct stat status {};
  ASSERT_EQ(::stat(log.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(ModelProcessTest, says_that_a_program_is_not_there) {
  const auto process = start({"no-such-model-server"});

  ASSERT_TRUE(becomes_true([&] { return process->ended().has_value(); }));

  EXPECT_TRUE(process->ended()->contains("installed and in PATH")) << *process->ended();
}

TEST_F(ModelProcessTest, hands_on_neither_our_secrets_nor_our_files) {
  ::setenv("SAMTALE_DATABASE_PASSWORD", "hunter2", 1);
  const int ours = ::dup(STDERR_FILENO);  // Not close-on-exec.
  const auto process = shell("env; ls -l /proc/self/fd | grep -c -- '->'; cat");

  ASSERT_TRUE(becomes_true([&] { return process->ended().has_value(); }));
  ::unsetenv("SAMTALE_DATABASE_PASSWORD");
  ::close(ours);

  EXPECT_FALSE(content(log).contains("hunter2"));
  EXPECT_TRUE(content(log).contains("PATH="));
  EXPECT_TRUE(content(log).ends_with("\n4\n")) << "0, 1, 2 and the folder that ls reads\n"
                                               << content(log);
}

TEST_F(ModelProcessTest, stops_a_process_that_heeds_a_request) {
  const auto process = shell("trap 'echo bye; exit 0' TERM; echo 1; while :; do sleep 0.01; done");
  printed_number();

  process->stop(20s);

  EXPECT_EQ(*process->ended(), "exited with status 0");
  EXPECT_TRUE(content(log).ends_with("bye\n"));
}

TEST_F(ModelProcessTest, kills_a_process_that_heeds_nothing) {
  const auto process = shell("trap '' TERM; echo 1; while :; do sleep 0.01; done");
  printed_number();

  process->stop(10ms);

  EXPECT_EQ(*process->ended(), "was killed by signal 9");
}

TEST_F(ModelProcessTest, takes_the_helpers_of_a_process_along) {
  auto process = shell("sleep 1000 & echo $!; wait");
  const auto helper = printed_number();

  process.reset();

  EXPECT_TRUE(becomes_true([&] {
    const auto state = content("/proc/" + std::to_string(helper) + "/stat");
    return state.empty() || state.contains(") Z ");  // Gone, or waiting for its new parent.
  }));
}

TEST_F(ModelProcessTest, dies_with_the_thread_that_started_it) {
  std::unique_ptr<ModelProcess> process;
  std::thread([&] {
    process = shell("echo 1; exec sleep 1000");
    printed_number();
  }).join();

  EXPECT_TRUE(becomes_true([&] { return process->ended().has_value(); }));

  EXPECT_EQ(*process->ended(), "was killed by signal 9");
}

TEST_F(ModelProcessTest, keeps_a_log_bounded_while_a_process_writes_to_it) {
  const auto go = folder / "go";
  const auto process =
      shell("echo 0123456789; while [ ! -e '" + go + "' ]; do sleep 0.01; done; echo more");
  ASSERT_TRUE(becomes_true([&] { return content(log).size() == 11; }));

  ASSERT_TRUE(bound_log(log, 11));
  EXPECT_EQ(content(log).size(), 11U);
  ASSERT_TRUE(bound_log(log, 10));

  EXPECT_EQ(content(log + ".1"), "0123456789\n");
  std::ofstream(go).flush();
  ASSERT_TRUE(becomes_true([&] { return process->ended().has_value(); }));
  EXPECT_EQ(content(log), "more\n");
}

TEST_F(ModelProcessTest, refuses_an_empty_command) {
  EXPECT_EQ(ModelProcess::start({}, log).error().code, ErrorCode::invalid_argument);
}

TEST_F(ModelProcessTest, says_that_a_log_cannot_be_written) {
  const auto process = ModelProcess::start({"true"}, folder / "missing/server.log");

  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(process.error().message.contains("missing/server.log"));
}

}  // namespace
}  // namespace samtale
