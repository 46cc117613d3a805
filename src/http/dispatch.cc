// A request without a network: the same routes, on the calling thread.
#include <condition_variable>
#include <mutex>
#include <optional>

#include "http/refusal.h"
#include "http/request_plan.h"
#include "http/router.h"
#include "http/server.h"

namespace samtale::http {
namespace {

// Waits for what a callback brings; nothing if the callback is dropped.
template <class Value>
class Mailbox {
 public:
  // To be moved into the callback: says on destruction that nothing more will come.
  class Sender {
   public:
    explicit Sender(std::shared_ptr<Mailbox> box) : box_(std::move(box)) {}
    Sender(Sender&&) noexcept = default;
    Sender& operator=(Sender&&) = delete;
    ~Sender() {
      if (box_) box_->close(std::nullopt);
    }
    void send(Value value) { std::exchange(box_, nullptr)->close(std::move(value)); }

   private:
    std::shared_ptr<Mailbox> box_;
  };

  std::optional<Value> wait() {
    std::unique_lock lock(value_mutex_);
    changed_.wait(lock, [this] { return is_closed_; });
    return std::move(value_);
  }

 private:
  void close(std::optional<Value> value) {
    const std::lock_guard lock(value_mutex_);
    value_ = std::move(value);
    is_closed_ = true;
    changed_.notify_one();
  }

  std::mutex value_mutex_;
  std::condition_variable changed_;
  bool is_closed_ = false;
  std::optional<Value> value_;
};

template <class Value, class Call>
std::optional<Value> call_and_wait(Call call) {
  const auto box = std::make_shared<Mailbox<Value>>();
  call([sender = typename Mailbox<Value>::Sender(box)](Value value) mutable {
    sender.send(std::move(value));
  });
  return box->wait();
}

Response unanswered(const Request& request) {
  return to_response({500, "the request was given up without an answer"}, request.id);
}

Response run_stream(const Route& route, const Request& request) {
  constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
  auto decision = route.stream(request);
  if (!decision.stream) return std::move(decision.response);
  std::string answers;
  auto rest = std::string_view(request.body);
  bool is_last = false;
  while (!is_last) {
    auto end = rest.size() > kPieceBytes ? rest.rfind('\n', kPieceBytes - 1) : rest.size();
    if (end == std::string_view::npos) end = rest.find('\n');
    const auto lines = rest.substr(0, end == std::string_view::npos ? end : end + 1);
    rest.remove_prefix(lines.size());
    is_last = rest.empty();
    const auto text = call_and_wait<std::string>(
        [&](auto done) { decision.stream->piece(lines, is_last, std::move(done)); });
    if (!text) return unanswered(request);
    answers.append(*text);
  }
  decision.response.body = std::move(answers);
  return std::move(decision.response);
}

}  // namespace

Response dispatch(const std::vector<Route>& routes, Request request) {
  const Router router(routes);
  if (!is_request_id(request.id)) request.id = "local";
  Head head{.method = std::move(request.method),
            .target = std::move(request.target),
            .headers = std::move(request.headers)};
  const auto plan = plan_request(head, router, ServerOptions{}, request);
  if (!plan) return to_response(plan.error(), request.id);
  if (plan->is_stream) return run_stream(*plan->route, request);
  auto response =
      call_and_wait<Response>([&](auto reply) { plan->route->handler(request, std::move(reply)); });
  return response ? *std::move(response) : unanswered(request);
}

}  // namespace samtale::http
