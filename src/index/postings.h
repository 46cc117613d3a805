// Postings: the rows that have one word, and the most that they can score. Private to index/.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace samtale {

// A word in a row.
struct Posting {
  // More than that counts as so many.
  static constexpr std::size_t kMost = std::numeric_limits<std::uint16_t>::max() - 1;

  std::uint32_t row = 0;
  std::uint16_t count = 0;  // Times the row has the word, at least 1, …
  std::uint16_t words = 0;  // … and words it has in all.
};

// BM25 of one word but for how rare that is: what its repetitions count in a row of so many words,
// where rows have so many in the mean.
class Saturation {
 public:
  explicit Saturation(float mean_words) : per_word_(kK1 * kB / mean_words) {}
  [[nodiscard]] float of(std::uint16_t count, std::uint16_t words) const {
    const auto times = static_cast<float>(count);
    return times / (times + (kK1 * (1 - kB) + per_word_ * static_cast<float>(words)));
  }

 private:
  static constexpr float kK1 = 1.2F;
  static constexpr float kB = 0.75F;
  float per_word_;
};

// The most that any of some postings counts, whatever the mean is: of those with one count, with
// two, three and more, the fewest words. (Ding & Suel, "Faster Top-k Document Retrieval Using
// Block-Max Indexes", SIGIR 2011, keep the score, which changes with every row that comes or goes.)
class Ceiling {
 public:
  void add(const Posting& posting) {
    auto& fewest = fewest_words_[std::min<std::size_t>(posting.count, kClasses) - 1];
    fewest = std::min(fewest, posting.words);
    count_max_ = std::max(count_max_, posting.count);
  }
  [[nodiscard]] float of(const Saturation& saturation) const {
    float most = 0;
    for (std::size_t c = 1; c <= kClasses; ++c) {
      if (fewest_words_[c - 1] > Posting::kMost) continue;
      const auto count = c < kClasses ? static_cast<std::uint16_t>(c) : count_max_;
      most = std::max(most, saturation.of(count, fewest_words_[c - 1]));
    }
    return most;
  }

 private:
  static constexpr std::size_t kClasses = 4;
  static constexpr std::uint16_t kNone = std::numeric_limits<std::uint16_t>::max();
  std::array<std::uint16_t, kClasses> fewest_words_ = {kNone, kNone, kNone, kNone};
  std::uint16_t count_max_ = 0;
};

class Postings {
 public:
  static constexpr std::size_t kBlock = 128;
  struct Block {  // So many postings, the last perhaps fewer.
    std::uint32_t last_row = 0;
    Ceiling ceiling;
  };

  // Of a row that comes after all others.
  void add(const Posting& posting) {
    postings_.push_back(posting);
    ceiling_.add(posting);
    if (postings_.size() <= kBlock) return;
    for (auto i = blocks_.empty() ? 0 : postings_.size() - 1; i < postings_.size(); ++i) {
      if (i % kBlock == 0) blocks_.emplace_back();
      blocks_.back().last_row = postings_[i].row;
      blocks_.back().ceiling.add(postings_[i]);
    }
  }
  // Row r becomes new_rows[r], in the same order, or goes where that is `removed`.
  void renumber(std::span<const std::uint32_t> new_rows, std::uint32_t removed) {
    const auto old = std::move(*this);
    *this = {};
    for (auto posting : old.postings_) {
      posting.row = new_rows[posting.row];
      if (posting.row != removed) add(posting);
    }
    if (postings_.capacity() > postings_.size() * 2) postings_.shrink_to_fit();
  }

  [[nodiscard]] std::span<const Posting> all() const { return postings_; }
  // None where one would hold all.
  [[nodiscard]] std::span<const Block> blocks() const { return blocks_; }
  // Also of rows that are gone.
  [[nodiscard]] const Ceiling& ceiling() const { return ceiling_; }
  // What is allocated.
  [[nodiscard]] std::size_t bytes() const { return block_bytes(postings_) + block_bytes(blocks_); }

 private:
  template <class T>
  static std::size_t block_bytes(const std::vector<T>& values) {
    constexpr std::size_t kMallocBytes = 16;  // What glibc's adds, about.
    return values.capacity() == 0 ? 0 : values.capacity() * sizeof(T) + kMallocBytes;
  }

  std::vector<Posting> postings_;
  std::vector<Block> blocks_;
  Ceiling ceiling_;
};

}  // namespace samtale
