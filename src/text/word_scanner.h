// WordScanner: finds where the words of a text lie (UAX #29), and which of them are written
// together as a code. Private to text/.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace samtale {

// The byte range of one word.
struct WordPart {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// "-", or a hyphen of another code point; `connector` is what stands between two parts.
[[nodiscard]] bool is_hyphen(std::string_view connector);

// Threads: one scanner belongs to one thread. Memory: lends the text.
// Order:   tokens come in the order of the text; what follows a space never depends on what stands
//          before it.
class WordScanner {
 public:
  explicit WordScanner(std::string_view text) : text_(text) {}

  // Moves to the next token: one word, or several joined by single connectors ("E-4711",
  // "jane@example.com"). False at the end.
  bool next();

  [[nodiscard]] std::span<const WordPart> parts() const { return parts_; }
  // The parts mean something as a whole: with a digit, an address, a name of a host or of a
  // variable; or two words with a hyphen between, which others write as one ("e-mail").
  [[nodiscard]] bool is_code() const {
    return joined_ && (code_ || (hyphen_ && parts_.size() == 2));
  }

 private:
  bool read_part();
  std::size_t connector_bytes(std::size_t at) const;
  void add_parts(std::size_t begin, std::size_t end, bool needs_dictionary);

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<WordPart> parts_;
  bool joined_ = false;
  bool code_ = false;
  bool hyphen_ = false;
};

}  // namespace samtale
