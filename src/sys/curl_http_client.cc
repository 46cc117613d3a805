#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <mutex>

#include "base/check.h"
#include "sys/http_client.h"

namespace samtale {
namespace {

struct SlistFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, SlistFree>;

// Honest servers send a few kilobytes; curl itself bounds only the length of each line.
constexpr std::size_t kHeadBytesMax = std::size_t{256} << 10;

// One exchange: what curl's callbacks write to, and why they ended it, if they did.
struct Exchange {
  enum class End : std::uint8_t { none, long_head, long_body, unwanted, silent, stopped };

  const HttpCall& call;
  const HttpClientOptions& options;
  CURL* easy = nullptr;
  HttpAnswer answer = {};
  std::size_t body_bytes = 0;
  std::size_t header_bytes = 0;
  bool is_address_refused = false;
  std::array<char, CURL_ERROR_SIZE> error = {};
  End end = End::none;
};

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  const auto bytes = size * count;
  exchange.body_bytes += bytes;
  if (exchange.body_bytes > exchange.call.answer_bytes_max) {
    exchange.end = Exchange::End::long_body;
    return CURL_WRITEFUNC_ERROR;
  }
  long status = 0;
  if (exchange.call.on_body) {
    curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  }
  if (status < 200 || status > 299) {
    exchange.answer.body.append(data, bytes);
    return bytes;
  }
  if (exchange.call.on_body({data, bytes})) return bytes;
  exchange.end = Exchange::End::unwanted;
  return CURL_WRITEFUNC_ERROR;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* to) {
  auto& exchange = *static_cast<Exchange*>(to);
  const std::string_view line(data, size * count);
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kHeadBytesMax) {
    exchange.end = Exchange::End::long_head;
    return 0;  // Makes curl stop.
  }
  if (line.starts_with("HTTP/")) exchange.answer.headers.clear();  // After a 100 Continue.
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
    exchange.answer.headers.emplace_back(std::move(name), std::string(value));
  }
  return line.size();
}

// Opens the socket for an address that is connected to next, if it may be. What is asked about is
// the address itself, so a name that resolves differently a moment later gains nothing.
curl_socket_t open_socket(void* from, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(from);
  if (!exchange.options.may_connect(address->addr)) {
    exchange.is_address_refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int take_progress(void* from, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(from);
  if (!exchange.call.stop.stop_requested()) return 0;
  exchange.end = Exchange::End::stopped;
  return 1;
}

// An easy handle on a multi handle of its own, which keeps its connections and, unlike
// curl_easy_perform(), can be woken from another thread.
class Session {
 public:
  Session() : easy_(curl_easy_init()), multi_(curl_multi_init()) {
    SAMTALE_CHECK(easy_ != nullptr && multi_ != nullptr, "curl's handles fail only without memory");
  }
  ~Session() {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<HttpAnswer> perform(const HttpCall& call, const HttpClientOptions& options) {
    Exchange exchange{.call = call, .options = options, .easy = easy_};
    const auto headers = prepare(exchange);
    const auto timeout =
        std::chrono::duration_cast<std::chrono::milliseconds>(call.timeout).count();
    curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, std::max<long>(1, static_cast<long>(timeout)));

    SAMTALE_CHECK(curl_multi_add_handle(multi_, easy_) == CURLM_OK, "the handle is on no other");
    const auto code = transfer(exchange);
    if (call.was_sent != nullptr) *call.was_sent = was_sent(call);
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(multi_, easy_);

    if (exchange.end == Exchange::End::none && code == CURLE_OK) {
      exchange.answer.status = static_cast<int>(status);
      return std::move(exchange.answer);
    }
    return explain(exchange, code, timeout);
  }

 private:
  HeaderList prepare(Exchange& exchange) const {
    const auto& call = exchange.call;
    curl_slist* headers = curl_slist_append(nullptr, "Expect:");
    for (const auto& [name, value] : call.headers) {
      headers = curl_slist_append(headers, (name + ": " + value).c_str());
    }
    curl_easy_reset(easy_);
    curl_easy_setopt(easy_, CURLOPT_URL, call.url.c_str());
    curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    // The look-up of a name goes on without us once we are late; curl would wait for its end.
    curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, exchange.error.data());
    curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    if (!call.body.empty() || call.method == "POST" || call.method == "PUT") {
      curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(call.body.size()));
      curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, call.body.data());
    }
    if (!call.unix_socket.empty()) {
      curl_easy_setopt(easy_, CURLOPT_UNIX_SOCKET_PATH, call.unix_socket.c_str());
    }
    if (exchange.options.may_connect) {
      curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, open_socket);
      curl_easy_setopt(easy_, CURLOPT_OPENSOCKETDATA, &exchange);
      curl_easy_setopt(easy_, CURLOPT_PROXY, "");  // Whatever the environment says.
    }
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy_, CURLOPT_HEADERDATA, &exchange);
    if (call.stop.stop_possible()) {
      // Seen between two pieces of a fast answer; a slow one is woken in transfer().
      curl_easy_setopt(easy_, CURLOPT_NOPROGRESS, 0L);
      curl_easy_setopt(easy_, CURLOPT_XFERINFOFUNCTION, take_progress);
      curl_easy_setopt(easy_, CURLOPT_XFERINFODATA, &exchange);
    }
    return HeaderList(headers);
  }

  CURLcode transfer(Exchange& exchange) const {
    const auto& call = exchange.call;
    const std::stop_callback wake(call.stop, [this] { curl_multi_wakeup(multi_); });
    std::size_t bytes = 0;
    auto last_byte = std::chrono::steady_clock::now();
    while (true) {
      if (call.stop.stop_requested()) {
        exchange.end = Exchange::End::stopped;
        return CURLE_ABORTED_BY_CALLBACK;
      }
      int running = 0;
      if (curl_multi_perform(multi_, &running) != CURLM_OK) return CURLE_FAILED_INIT;
      if (running == 0) break;
      auto wait = kWaitMax;
      if (call.silence_max > Duration::zero()) {
        const auto now = std::chrono::steady_clock::now();
        if (const auto moved = bytes_moved(exchange); moved != bytes) {
          bytes = moved;
          last_byte = now;
        }
        const auto left = call.silence_max - (now - last_byte);
        if (left <= Duration::zero()) {
          exchange.end = Exchange::End::silent;
          return CURLE_OPERATION_TIMEDOUT;
        }
        wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(left));
      }
      if (curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait.count()), nullptr) !=
          CURLM_OK) {
        return CURLE_FAILED_INIT;
      }
    }
    int left = 0;
    const auto* const message = curl_multi_info_read(multi_, &left);
    return message == nullptr ? CURLE_FAILED_INIT : message->data.result;
  }

  [[nodiscard]] curl_off_t uploaded() const {
    curl_off_t bytes = 0;
    curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &bytes);
    return bytes;
  }

  [[nodiscard]] std::size_t bytes_moved(const Exchange& exchange) const {
    return exchange.body_bytes + exchange.header_bytes + static_cast<std::size_t>(uploaded());
  }

  [[nodiscard]] bool was_sent(const HttpCall& call) const {
    long head_bytes = 0;
    curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &head_bytes);
    return head_bytes > 0 && std::cmp_greater_equal(uploaded(), call.body.size());
  }

  static std::unexpected<Error> explain(const Exchange& exchange, CURLcode code,
                                        std::int64_t timeout_ms) {
    const auto& call = exchange.call;
    const std::string what = call.method + " " + call.url + ": ";
    switch (exchange.end) {
      case Exchange::End::long_body:
        return fail(
            ErrorCode::resource_exhausted,
            what + "the answer is longer than " + std::to_string(call.answer_bytes_max) + " bytes");
      case Exchange::End::long_head:
        return fail(ErrorCode::resource_exhausted, what + "the answer's headers are longer than " +
                                                       std::to_string(kHeadBytesMax) + " bytes");
      case Exchange::End::unwanted:
        return fail(ErrorCode::unavailable, what + "the answer is not what was asked for");
      case Exchange::End::silent:
        return fail(ErrorCode::deadline_exceeded,
                    what + "no byte for " +
                        std::to_string(
                            std::chrono::duration_cast<std::chrono::milliseconds>(call.silence_max)
                                .count()) +
                        " ms");
      case Exchange::End::stopped:
        return fail(ErrorCode::unavailable, what + "stopped");
      case Exchange::End::none:
        break;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
      return fail(ErrorCode::deadline_exceeded,
                  what + "no answer in " + std::to_string(timeout_ms) + " ms");
    }
    if (exchange.is_address_refused && code == CURLE_COULDNT_CONNECT) {
      return fail(ErrorCode::unavailable, what + "its address is one not to connect to");
    }
    // What is wrong with a certificate only the buffer says; of other errors it names addresses,
    // which are not for those who read this.
    const bool is_certificate = code == CURLE_PEER_FAILED_VERIFICATION && exchange.error[0] != 0;
    return fail(ErrorCode::unavailable,
                what + (is_certificate ? exchange.error.data() : curl_easy_strerror(code)));
  }

  static constexpr std::chrono::milliseconds kWaitMax{1000};

  CURL* const easy_;
  CURLM* const multi_;
};

// Keeps idle sessions, each with its open connections, for the next call.
class CurlHttpClient final : public HttpClient {
 public:
  explicit CurlHttpClient(HttpClientOptions options) : options_(std::move(options)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  }

  Result<HttpAnswer> call(const HttpCall& call) override {
    if (call.was_sent != nullptr) *call.was_sent = false;
    auto session = borrow();
    auto answer = session->perform(call, options_);
    give_back(std::move(session));
    return answer;
  }

 private:
  // As many as call at once: one language model account is asked by up to 64 threads.
  static constexpr std::size_t kIdleMax = 64;

  std::unique_ptr<Session> borrow() {
    {
      const std::lock_guard lock(idle_mutex_);
      if (!idle_.empty()) {
        auto session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    return std::make_unique<Session>();
  }

  void give_back(std::unique_ptr<Session> session) {
    const std::lock_guard lock(idle_mutex_);
    if (idle_.size() < kIdleMax) idle_.push_back(std::move(session));
  }

  const HttpClientOptions options_;
  std::mutex idle_mutex_;
  std::vector<std::unique_ptr<Session>> idle_;  // Guarded by idle_mutex_.
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(HttpClientOptions options) {
  return std::make_unique<CurlHttpClient>(std::move(options));
}

}  // namespace samtale
