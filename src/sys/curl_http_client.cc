#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <mutex>

#include "base/check.h"
#include "sys/http_client.h"

namespace samtale {
namespace {

struct Receiver {
  HttpAnswer answer;
  std::size_t bytes_max = 0;
  bool too_large = false;
};

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& receiver = *static_cast<Receiver*>(to);
  const auto bytes = size * count;
  if (receiver.answer.body.size() + bytes > receiver.bytes_max) {
    receiver.too_large = true;
    return 0;  // Makes curl stop.
  }
  receiver.answer.body.append(data, bytes);
  return bytes;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
  auto& receiver = *static_cast<Receiver*>(to);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) receiver.answer.headers.clear();  // After a 100 Continue.
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    auto value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) {
      value.remove_prefix(1);
    }
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) {
      value.remove_suffix(1);
    }
    receiver.answer.headers.emplace_back(std::move(name), std::string(value));
  }
  return line.size();
}

// Keeps idle handles, each with its open connections, for the next call.
class CurlHttpClient final : public HttpClient {
 public:
  CurlHttpClient() {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  }
  ~CurlHttpClient() override {
    for (auto* handle : idle_) curl_easy_cleanup(handle);
  }
  CurlHttpClient(const CurlHttpClient&) = delete;
  CurlHttpClient& operator=(const CurlHttpClient&) = delete;

  Result<HttpAnswer> call(const HttpCall& call) override {
    auto* const handle = borrow();
    auto answer = perform(handle, call);
    give_back(handle);
    return answer;
  }

 private:
  static constexpr std::size_t kIdleMax = 16;

  static Result<HttpAnswer> perform(CURL* handle, const HttpCall& call) {
    Receiver receiver;
    receiver.bytes_max = call.answer_bytes_max;
    curl_slist* headers = curl_slist_append(nullptr, "Expect:");
    for (const auto& [name, value] : call.headers) {
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    }
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(call.timeout).count();

    curl_easy_reset(handle);  // Keeps connections and the TLS session.
    curl_easy_setopt(handle, CURLOPT_URL, call.url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, std::max<long>(1, static_cast<long>(timeout)));
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    if (!call.body.empty() || call.method == "POST" || call.method == "PUT") {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(call.body.size()));
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, call.body.data());
    }
    if (!call.unix_socket.empty()) {
      curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, call.unix_socket.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &receiver);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &receiver);
    const auto code = curl_easy_perform(handle);
    curl_slist_free_all(headers);

    const std::string what = call.method + " " + call.url;
    if (receiver.too_large) {
      return fail(
          ErrorCode::resource_exhausted,
          what + ": the answer is longer than " + std::to_string(call.answer_bytes_max) + " bytes");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
      return fail(ErrorCode::deadline_exceeded,
                  what + ": no answer in " + std::to_string(timeout) + " ms");
    }
    if (code != CURLE_OK) {
      return fail(ErrorCode::unavailable, what + ": " + curl_easy_strerror(code));
    }
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    receiver.answer.status = static_cast<int>(status);
    return std::move(receiver.answer);
  }

  CURL* borrow() {
    {
      const std::lock_guard lock(idle_mutex_);
      if (!idle_.empty()) {
        auto* const handle = idle_.back();
        idle_.pop_back();
        return handle;
      }
    }
    auto* const handle = curl_easy_init();
    SAMTALE_CHECK(handle != nullptr, "curl_easy_init fails only without memory");
    return handle;
  }

  void give_back(CURL* handle) {
    const std::lock_guard lock(idle_mutex_);
    if (idle_.size() < kIdleMax) {
      idle_.push_back(handle);
    } else {
      curl_easy_cleanup(handle);
    }
  }

  std::mutex idle_mutex_;
  std::vector<CURL*> idle_;  // Guarded by idle_mutex_.
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client() { return std::make_unique<CurlHttpClient>(); }

}  // namespace samtale
