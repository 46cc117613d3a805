// WebhookSender: one signed POST to a subscriber, and what it came to.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "store/registry.h"
#include "sys/clock.h"
#include "sys/http_client.h"
#include "sys/random.h"

namespace samtale {

enum class SendOutcome : std::uint8_t {
  delivered,  // Any 2xx.
  gone,       // 410: the receiver wants no more.
  stopped,    // We are ending: it counts as not tried.
  failed,     // All else, redirects among it.
};

struct SendReport {
  SendOutcome outcome = SendOutcome::failed;
  int status = 0;                // Of the answer; 0: there was none.
  std::string cause;             // For people; holds nothing of the answer's body.
  std::optional<Duration> wait;  // How long a 429 or 503 asks to be left alone.
  Duration took{};
};

struct WebhookSenderOptions {
  Duration timeout = std::chrono::seconds(15);           // Of a delivery.
  Duration ping_timeout = std::chrono::seconds(5);       // Of a ping: somebody waits for it.
  std::size_t answer_bytes_max = std::size_t{64} << 10;  // More is not waited for.
  std::string user_agent = "Samtale-Webhooks/1";
};

// Threads: any method from any thread; calls block.
// Source:  Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks.
class WebhookSender {
 public:
  // All must outlive this. `client` is one that connects to public addresses only
  // (HttpClientOptions::may_connect): the URL is the company's word.
  WebhookSender(HttpClient& client, const Clock& clock, Random& random,
                WebhookSenderOptions options = {});

  // Signs with every secret that goes on. The answer's body is thrown away unread.
  [[nodiscard]] SendReport send(const SubscriptionRecord& subscription,
                                const std::string& message_id, const std::string& body,
                                const std::stop_token& stop) const;
  // A "ping" with an id of its own, once, whether or not the subscription is paused. One at a time:
  // threads that answer people wait for it. Errors: resource_exhausted while there is another.
  [[nodiscard]] Result<SendReport> ping(const SubscriptionRecord& subscription) const;

 private:
  [[nodiscard]] SendReport exchange(const SubscriptionRecord& subscription,
                                    const std::string& message_id, const std::string& body,
                                    Duration timeout, const std::stop_token& stop) const;

  HttpClient& client_;
  const Clock& clock_;
  Random& random_;
  const WebhookSenderOptions options_;
  mutable std::mutex ping_mutex_;  // Held while a ping is on its way: that is what it is for.
};

}  // namespace samtale
