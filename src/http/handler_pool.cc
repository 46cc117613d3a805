#include "http/handler_pool.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <system_error>
#include <utility>

namespace samtale::http {
namespace {

void run_piece(std::shared_ptr<Piece> piece, Ticket ticket) {
  const auto lines = std::string_view(piece->lines);
  auto& stream = *piece->stream;
  // The callback holds the piece, and so the stream and its lines.
  stream.piece(lines, piece->is_last,
               [piece, ticket = std::move(ticket)](std::string text) mutable {
                 ticket.answer(PieceAnswer{std::move(text)});
               });
}

void run_request(const Job& job, Ticket ticket, const Request& request) {
  if (job.is_stream_head) return ticket.answer(job.route->stream(request));
  job.route->handler(request, [ticket = std::move(ticket)](Response response) mutable {
    ticket.answer(std::move(response));
  });
}

}  // namespace

std::size_t flow_of(const Request& request) {
  const auto* credential = request.header("authorization");
  return std::hash<std::string>()(credential != nullptr ? *credential : request.path);
}

void run_job(Job job, const Clock& clock, Log& log) {
  try {
    if (auto* piece = std::get_if<std::shared_ptr<Piece>>(&job.work)) {
      return run_piece(std::move(*piece), std::move(job.ticket));
    }
    const auto& request = std::get<Request>(job.work);
    if (clock.now() >= request.deadline) {
      return job.ticket.answer(Refusal{
          503, "the request waited for its turn until its deadline", {}, "deadline_exceeded"});
    }
    run_request(job, std::move(job.ticket), request);
  } catch (const std::exception& error) {
    log.error("http.handler_threw", {{"route", job.route->pattern}, {"what", error.what()}});
  } catch (...) {
    log.error("http.handler_threw", {{"route", job.route->pattern}, {"what", "not an exception"}});
  }
}

Result<> HandlerPool::start(std::size_t threads) {
  slow_max_ = std::max<std::size_t>(threads, 2) - 1;
  try {
    for (std::size_t i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { work(); });
    }
  } catch (const std::system_error& error) {
    return fail(ErrorCode::unavailable, "start of " + std::to_string(threads) +
                                            " handler threads: " + error.what() +
                                            "; set fewer or raise the limit of processes");
  }
  return {};
}

void HandlerPool::stop() {
  {
    const std::lock_guard lock(jobs_mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  threads_.clear();
  Jobs dropped;
  const std::lock_guard lock(jobs_mutex_);
  dropped.swap(jobs_);
}

void HandlerPool::push(std::vector<Job>& jobs) {
  bool wakes = false;
  {
    const std::lock_guard lock(jobs_mutex_);
    std::vector<Job> left;
    for (auto& job : jobs) {
      const bool is_piece = std::holds_alternative<std::shared_ptr<Piece>>(job.work);
      if (is_piece || has_room_for(job.flow)) {
        add(std::move(job));
      } else {
        left.push_back(std::move(job));
      }
    }
    jobs.swap(left);
    wakes = idle_ > 0 && !is_waking_ && next_job() != jobs_.end();
    is_waking_ = is_waking_ || wakes;
  }
  if (wakes) changed_.notify_one();
}

std::size_t HandlerPool::size() const {
  const std::lock_guard lock(jobs_mutex_);
  return jobs_.size();
}

HandlerPool::Jobs::iterator HandlerPool::next_job() {
  if (slow_ < slow_max_) return jobs_.begin();
  return std::ranges::find_if(jobs_, [](const auto& job) { return job.second.route->is_prompt; });
}

bool HandlerPool::has_room_for(std::size_t flow) const {
  if (jobs_.size() >= queue_max_) return false;
  const auto found = flows_.find(flow);
  return found == flows_.end() || found->second.waiting < queue_max_ - queue_max_ / 8;
}

void HandlerPool::add(Job job) {
  auto& flow = flows_[job.flow];
  flow.next = std::max(flow.next, turn_);
  ++flow.waiting;
  jobs_.emplace(flow.next++, std::move(job));
}

Job HandlerPool::take(Jobs::iterator next) {
  auto taken = jobs_.extract(next);
  turn_ = std::max(turn_, taken.key());
  const auto flow = flows_.find(taken.mapped().flow);
  if (--flow->second.waiting == 0) flows_.erase(flow);
  return std::move(taken.mapped());
}

void HandlerPool::work() {
  std::unique_lock lock(jobs_mutex_);
  while (true) {
    while (next_job() == jobs_.end() && !is_stopping_) {
      ++idle_;
      changed_.wait(lock);
      --idle_;
      is_waking_ = false;
    }
    if (is_stopping_) return;
    Job job = take(next_job());
    const bool is_slow = !job.route->is_prompt;
    slow_ += is_slow ? 1 : 0;
    const bool wakes = next_job() != jobs_.end() && idle_ > 0 && !std::exchange(is_waking_, true);
    lock.unlock();
    if (wakes) changed_.notify_one();
    run_job(std::move(job), clock_, log_);
    lock.lock();
    slow_ -= is_slow ? 1 : 0;
  }
}

}  // namespace samtale::http
