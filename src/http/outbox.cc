#include "http/outbox.h"

namespace samtale::http {

void Outbox::put(Answer answer) {
  {
    const std::lock_guard lock(answers_mutex_);
    answers_.push_back(std::move(answer));
    if (std::exchange(is_waking_, true)) return;
  }
  wake_();
}

void Outbox::take(std::vector<Answer>& into) {
  const std::lock_guard lock(answers_mutex_);
  answers_.swap(into);
  is_waking_ = false;
}

Ticket::~Ticket() {
  answer(Refusal{500, "the request was given up without an answer; see the log of the server"});
}

}  // namespace samtale::http
