// Judge: whether what came back is an answer to what was asked.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"
#include "lm/answer.h"
#include "lm/chat.h"
#include "lm/scheduler.h"

namespace samtale {

struct Judgement {
  std::optional<json::Value> value;  // Without its nonce; none: see `wrong`.
  bool was_repaired = false;         // The text was no JSON as it stood.
  std::string wrong;                 // For the model and the operator.
  // The asked nonce stands in the text. Where it does not, the text may be somebody else's answer
  // and is shown to nobody, a model included.
  bool is_ours = false;
};

[[nodiscard]] Judgement judge(const LmTask& task, const JsonSchema& schema, std::string_view nonce,
                              const ChatAnswer& answer);

// Compiled schemas, those used last: a company has few, and each of its tasks has one of them.
// Threads: any.
class SchemaCache {
 public:
  [[nodiscard]] Result<std::shared_ptr<const JsonSchema>> find_or_compile(const ChatSchema& schema);

 private:
  struct Entry {
    std::string canonical;
    std::shared_ptr<const JsonSchema> compiled;
  };

  std::mutex entries_mutex_;
  std::list<Entry> entries_;  // Guarded by entries_mutex_; the one used last comes first.
};

}  // namespace samtale
