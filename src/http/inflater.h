// Inflater: gzip request bodies, expanded piece by piece so that a bomb is never unpacked whole.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samtale::http {

// Source: RFC 1952; several members one after the other are one body.
// Memory: about 40 KiB.
class Inflater {
 public:
  Inflater();
  ~Inflater();

  // Expands from the front of `input`, which it shortens, onto `out`, until `out` has `out_max`
  // bytes, or `input` is used up and all it gave is in `out`.
  // Errors: invalid_argument if this is no gzip.
  Result<> expand(std::string_view& input, std::string& out, std::size_t out_max);

  // True at the end of a member: where a body may end.
  [[nodiscard]] bool is_complete() const;
  // True if the last expand() stopped at `out_max` and may have more.
  [[nodiscard]] bool has_more() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samtale::http
