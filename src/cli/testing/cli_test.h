// CliTest: what a person types, with a fake server that records and answers.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "json/json.h"

namespace samtale {

// Stands still but for what it is told to sleep.
class HandClock final : public Clock {
 public:
  WallTime wall_now() const override { return from_us(1'700'000'000'000'000); }
  Instant now() const override { return now_; }
  void sleep_for(Duration length, std::stop_token) override {
    now_ += length;
    ++sleeps;
  }
  int sleeps = 0;

 private:
  Instant now_{};
};

inline std::string header(const http::Request& request, std::string_view name) {
  const auto found =
      std::ranges::find(request.headers, name, &std::pair<std::string, std::string>::first);
  return found == request.headers.end() ? "" : found->second;
}

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "samtale-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    hooks_.in = &in_;
    hooks_.out = &out_;
    hooks_.err = &err_;
    hooks_.clock = &clock_;
    hooks_.connect = [this](const Config&, bool needs_server) -> Result<Transport> {
      needed_server_ = needs_server;
      return Transport([this](http::Request request) -> Result<http::Response> {
        requests_.push_back(std::move(request));
        return answer_(requests_.back());
      });
    };
    say(200, R"({"companies":[{"name":"acme"}]})");
  }
  ~CliTest() override { std::filesystem::remove_all(folder_); }

  void say(int status, std::string body) {
    answer_ = [=](const http::Request&) {
      http::Response response;
      response.status = status;
      response.body = body;
      return response;
    };
  }

  int run_words(std::vector<std::string> words) {
    words.insert(words.begin(), "samtale");
    std::vector<char*> pointers;
    for (auto& word : words) pointers.push_back(word.data());
    return run(static_cast<int>(pointers.size()), pointers.data(), hooks_);
  }

  std::string write(const std::string& name, const std::string& text) {
    const auto path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }

  std::filesystem::path folder_;
  CliHooks hooks_;
  HandClock clock_;
  std::istringstream in_;
  std::ostringstream out_;
  std::ostringstream err_;
  std::vector<http::Request> requests_;
  std::function<http::Response(const http::Request&)> answer_;
  bool needed_server_ = false;
};

}  // namespace samtale
