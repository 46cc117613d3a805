#include "lm/task_key.h"

#include <cstdint>

#include "base/check.h"

namespace samtale {
namespace {

constexpr std::size_t kDigestBytes = 16;  // Of a digest, what is enough to be told apart.

// With its length before it, so that no two lists of fields are the same bytes.
void add_field(std::string_view field, std::string& out) {
  out += std::to_string(field.size());
  out += ':';
  out += field;
}

std::string short_digest(std::string_view purpose, const Sha256& key, std::string_view what) {
  std::string text;
  add_field(purpose, text);
  text += view(key);
  text += what;
  return hex(view(sha256(text)).substr(0, kDigestBytes));
}

}  // namespace

Sha256 task_key(const LmTask& task, std::string_view default_model) {
  const auto& request = task.request;
  std::size_t size = 0;
  for (const auto& message : request.messages) size += message.content.size();
  std::string text;
  text.reserve(size + 4096);
  add_field("samtale lm task 1", text);
  add_field(std::to_string(number(task.company)), text);
  add_field(request.model.empty() ? default_model : request.model, text);
  add_field(request.schema_name, text);
  add_field(std::to_string(request.output_tokens_max), text);
  add_field(request.schema.canonical(), text);
  for (const auto& message : request.messages) {
    add_field(message.role, text);
    add_field(message.content, text);
  }
  return sha256(text);
}

// Not the key itself: who sees a nonce in an answer cannot tell what else is derived from the key.
std::string answer_nonce(const Sha256& key) { return short_digest("nonce", key, ""); }

std::string nonce_line(std::string_view nonce) { return "Nonce: " + std::string(nonce); }

ChatRequest with_nonce(const ChatRequest& request, const std::string& nonce) {
  SAMTALE_CHECK(!request.messages.empty(), "a request to a language model holds a message");
  auto asked = request;
  asked.messages.back().content +=
      "\n\nAs \"nonce\", give back what stands in the next line.\n" + nonce_line(nonce);
  return asked;
}

std::string idempotency_key(const Sha256& key, std::string_view rung) {
  return short_digest("idempotency", key, rung);
}

}  // namespace samtale
