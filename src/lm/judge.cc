#include "lm/judge.h"

#include <algorithm>

namespace samtale {
namespace {

constexpr std::size_t kSchemasMax = 64;

// Takes the nonce out. False if it is not the asked one.
bool take_nonce(json::Value& value, std::string_view nonce) {
  auto* object = value.as_object();
  if (object == nullptr) return false;
  const auto found =
      std::ranges::find_if(*object, [](const auto& m) { return m.first == "nonce"; });
  if (found == object->end() || found->second.as_string() == nullptr) return false;
  const bool is_same = *found->second.as_string() == nonce;
  object->erase(found);
  return is_same;
}

}  // namespace

Judgement judge(const LmTask& task, const JsonSchema& schema, std::string_view nonce,
                const ChatAnswer& answer) {
  Judgement out;
  out.is_ours = answer.text.contains(nonce);
  if (!out.is_ours) {
    out.wrong = "the nonce that was asked for is not in it";
    return out;
  }
  if (answer.finish != Finish::stop) {
    out.wrong = "it did not come to its end";
    return out;
  }
  auto value = json::parse(answer.text);
  if (!value) {
    value = read_model_json(answer.text);
    out.was_repaired = value.has_value();
  }
  if (!value) {
    out.wrong = "it is not JSON: " + value.error().message;
    return out;
  }
  if (const auto fits = schema.validate(*value); !fits) {
    out.wrong = "it does not fit the schema: " + fits.error().message;
    return out;
  }
  if (!take_nonce(*value, nonce)) {
    out.wrong = "its \"nonce\" is not the one that was asked for";
    return out;
  }
  if (task.check) {
    if (const auto good = task.check(*value); !good) {
      out.wrong = good.error().message;
      return out;
    }
  }
  out.value = std::move(*value);
  return out;
}

Result<json::Value> judge_answer(const LmTask& task, const Sha256& key, const ChatAnswer& answer) {
  SAMTALE_TRY(const auto schema, JsonSchema::compile(task.request.schema.value()));
  auto judgement = judge(task, schema, answer_nonce(key), answer);
  if (judgement.value) return std::move(*judgement.value);
  return fail(ErrorCode::corrupt, "the model's answer cannot be used: " + judgement.wrong);
}

Result<std::shared_ptr<const JsonSchema>> SchemaCache::find_or_compile(const ChatSchema& schema) {
  {
    const std::lock_guard lock(entries_mutex_);
    const auto found = std::ranges::find(entries_, schema.canonical(), &Entry::canonical);
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return entries_.front().compiled;
    }
  }
  SAMTALE_TRY(auto compiled, JsonSchema::compile(schema.value()));
  auto shared = std::make_shared<const JsonSchema>(std::move(compiled));
  const std::lock_guard lock(entries_mutex_);
  entries_.push_front({schema.canonical(), shared});
  if (entries_.size() > kSchemasMax) entries_.pop_back();
  return shared;
}

}  // namespace samtale
