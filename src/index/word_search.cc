#include "index/word_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ranges>
#include <utility>
#include <vector>

namespace samtale {
namespace {

constexpr std::uint32_t kWindow = 4096;  // Rows; their scores lie in the nearest cache.
constexpr std::uint32_t kTogether = 16;  // Of them, that are compared in few steps.
// Scores are summed as whole numbers, so that the order of the words does not matter.
using Units = std::int32_t;

// A word's postings, from the beginning of the window on.
class Cursor {
 public:
  // `scale`: units a point of the score.
  Cursor(const WeighedWord& word, const Saturation& saturation, float scale)
      : postings_(word.postings->all()),
        blocks_(word.postings->blocks()),
        weight_(word.weight * scale),
        saturation_(saturation),
        most_(most_of(word.postings->ceiling())) {}

  // The most that it adds to any row's score.
  [[nodiscard]] Units most() const { return most_; }
  [[nodiscard]] bool is_at_end() const { return begin_ == postings_.size(); }
  [[nodiscard]] std::uint32_t row() const { return postings_[begin_].row; }

  // Passes over what comes before this row.
  void advance(std::uint32_t row) { begin_ = first_from(begin_, row); }
  // The window's are those up to this row.
  void set_end(std::uint32_t row) { end_ = first_from(begin_, row); }
  // The most that it adds to the score of one of them.
  [[nodiscard]] Units most_in_window() const {
    if (begin_ == end_) return 0;
    if (blocks_.empty()) return most_;
    Units most = 0;
    for (auto b = begin_ / Postings::kBlock; b <= (end_ - 1) / Postings::kBlock; ++b) {
      most = std::max(most, most_of(blocks_[b].ceiling));
    }
    return most;
  }
  void pass_window() { begin_ = end_; }

  [[nodiscard]] std::span<const Posting> window() const {
    return postings_.subspan(begin_, end_ - begin_);
  }
  [[nodiscard]] Units score(const Posting& posting) const {
    return units(saturation_.of(posting.count, posting.words));
  }
  // 0 if it does not have the word. `from`: a place of the window that is not after the row, from
  // which is looked; moved there.
  [[nodiscard]] Units score_of(std::uint32_t row, std::size_t& from) const {
    from = first_from(from, row);
    return from < postings_.size() && postings_[from].row == row ? score(postings_[from]) : 0;
  }
  [[nodiscard]] std::size_t begin() const { return begin_; }

 private:
  // Never none: a row that has the word is found.
  [[nodiscard]] Units units(float part) const { return static_cast<Units>(weight_ * part) + 1; }
  [[nodiscard]] Units most_of(const Ceiling& ceiling) const {
    return units(ceiling.of(saturation_));
  }
  // The first place from `from` on whose row is not before this one.
  [[nodiscard]] std::size_t first_from(std::size_t from, std::uint32_t row) const {
    auto to = postings_.size();
    if (!blocks_.empty()) {
      // The block is near: what is asked for comes in order.
      auto b = from / Postings::kBlock;
      std::size_t step = 1;
      while (b + step < blocks_.size() && blocks_[b + step].last_row < row) {
        b += step;
        step *= 2;
      }
      const auto last = std::min(b + step, blocks_.size());
      const auto block =
          std::partition_point(blocks_.begin() + static_cast<std::ptrdiff_t>(b),
                               blocks_.begin() + static_cast<std::ptrdiff_t>(last),
                               [&](const Postings::Block& one) { return one.last_row < row; });
      const auto place = static_cast<std::size_t>(block - blocks_.begin());
      to = std::min(to, (place + 1) * Postings::kBlock);
      from = std::clamp(place * Postings::kBlock, from, to);
    }
    // Without branches, which nothing could foretell.
    while (from < to) {
      const auto half = (to - from + 1) / 2;
      const bool is_before = postings_[from + half - 1].row < row;
      from = is_before ? from + half : from;
      to = is_before ? to : from + half - 1;
    }
    return from;
  }

  std::span<const Posting> postings_;
  std::span<const Postings::Block> blocks_;
  float weight_;
  Saturation saturation_;
  Units most_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class WordSearch {
 public:
  WordSearch(std::span<const WeighedWord> words, float weights_max, const Saturation& saturation,
             RowSink& sink)
      : sink_(sink), scale_(std::exp2(std::floor(std::log2(kUnitsMax / weights_max)))) {
    cursors_.reserve(words.size());
    for (const auto& word : words) {
      cursors_.push_back({.cursor = Cursor(word, saturation, scale_)});
    }
    for (auto& word : cursors_) by_most_.push_back(&word);
    std::ranges::sort(by_most_, {}, [](const Word* word) { return word->cursor.most(); });
  }

  void run() {
    while (true) {
      divide();
      const auto begin = next_row();
      if (begin == kNoRow) return;
      look_at_window(begin);
    }
  }

 private:
  static constexpr std::uint64_t kNoRow = std::numeric_limits<std::uint64_t>::max();
  static constexpr float kUnitsMax = static_cast<float>(Units{1} << 30);  // Of all words.
  struct Word {
    Cursor cursor;
    Units most_here = 0;    // In the window.
    bool is_asked = false;  // Only of rows that have others.
  };
  struct Asked {
    Word* word = nullptr;
    Units most = 0;  // That it adds, …
    Units rest = 0;  // … and those that are asked after it, together.
  };

  [[nodiscard]] bool is_too_little(Units most) const { return most < least_; }
  void set_least(float score) {
    // Large sums are rounded when they become scores.
    constexpr float kSlack = 1 - 1e-6F;
    const float units = std::clamp(score * scale_ * kSlack, 0.0F, kUnitsMax);
    least_ = static_cast<Units>(units);
  }

  // The words that count least, which together are not enough, are only asked for rows with others.
  void divide() {
    asked_ = 0;
    of_asked_ = 0;
    while (asked_ < by_most_.size() && is_too_little(of_asked_ + by_most_[asked_]->cursor.most())) {
      of_asked_ += by_most_[asked_]->cursor.most();
      ++asked_;
    }
  }
  [[nodiscard]] std::span<Word* const> asked() const { return std::span(by_most_).first(asked_); }
  [[nodiscard]] std::span<Word* const> led_by() const {
    return std::span(by_most_).subspan(asked_);
  }

  [[nodiscard]] std::uint64_t next_row() const {
    std::uint64_t next = kNoRow;
    for (const auto* word : led_by()) {
      if (!word->cursor.is_at_end()) next = std::min<std::uint64_t>(next, word->cursor.row());
    }
    return next;
  }

  void look_at_window(std::uint64_t first) {
    const auto begin = static_cast<std::uint32_t>(first);
    const auto end = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(first + kWindow, std::numeric_limits<std::uint32_t>::max()));
    auto most = of_asked_;
    for (auto* word : led_by()) {
      word->cursor.set_end(end);
      word->most_here = word->cursor.most_in_window();
      most += word->most_here;
    }
    if (!is_too_little(most)) {
      for (auto* word : asked()) {
        word->cursor.advance(begin);
        word->cursor.set_end(end);
      }
      divide_here();
      add_up_leading(begin);
      ask_the_others(begin);
      offer_candidates(begin);
      scores_.fill(0);
    }
    for (auto* word : led_by()) word->cursor.pass_window();
  }

  // The same among the others, by what they count in this window.
  void divide_here() {
    here_.assign(led_by().begin(), led_by().end());
    std::ranges::sort(here_, {}, &Word::most_here);
    auto most = of_asked_;
    std::size_t asked_here = 0;
    while (asked_here < here_.size() && is_too_little(most + here_[asked_here]->most_here)) {
      most += here_[asked_here++]->most_here;
    }
    to_ask_.clear();
    for (auto* word : std::span(here_).first(asked_here))
      to_ask_.push_back({.word = word, .most = word->most_here});
    for (auto* word : asked()) to_ask_.push_back({.word = word, .most = word->cursor.most()});
    std::ranges::sort(to_ask_, std::ranges::greater{}, &Asked::most);
    rest_ = 0;
    for (auto& one : to_ask_ | std::views::reverse) {
      one.rest = rest_;
      rest_ += one.most;
    }
    for (auto& word : cursors_) word.is_asked = false;
    for (const auto& one : to_ask_) one.word->is_asked = true;
  }

  void add_up_leading(std::uint32_t begin) {
    for (const auto& word : cursors_) {
      if (!word.is_asked) add_up(word.cursor, begin);
    }
    const auto enough = std::max(least_ - rest_, 1);
    candidates_ = 0;
    for (std::uint32_t at = 0; at < kWindow; at += kTogether) {
      if (!has_one(at, enough)) continue;
      for (auto i = at; i < at + kTogether; ++i) keep_if(i, enough);
    }
  }
  [[nodiscard]] bool has_one(std::uint32_t at, Units enough) const {
    const auto* const scores = scores_.data() + at;
    int some = 0;
    for (std::uint32_t i = 0; i < kTogether; ++i) some |= scores[i] >= enough ? 1 : 0;
    return some != 0;
  }
  // Without a branch, which nothing could foretell.
  void keep_if(std::uint32_t place, Units enough) {
    places_.data()[candidates_] = place;
    candidates_ += scores_.data()[place] >= enough ? 1 : 0;
  }
  [[nodiscard]] std::span<const std::uint32_t> candidates() const {
    return std::span(places_).first(candidates_);
  }
  void add_up(const Cursor& cursor, std::uint32_t begin) {
    auto* const scores = scores_.data();
    for (const auto& posting : cursor.window()) {
      scores[posting.row - begin] += cursor.score(posting);
    }
  }
  // Those first that may add most: after each, fewer rows may be among the best.
  void ask_the_others(std::uint32_t begin) {
    // A row that is looked for costs as much as so many postings that are added up.
    constexpr std::size_t kLooks = 8;
    for (const auto& one : to_ask_) {
      if (candidates_ == 0) return;
      const auto& cursor = one.word->cursor;
      if (candidates_ * kLooks < cursor.window().size()) {
        auto place = cursor.begin();
        for (const auto i : candidates()) scores_[i] += cursor.score_of(begin + i, place);
      } else {
        add_up(cursor, begin);
      }
      const auto enough = std::max(least_ - one.rest, 1);
      const auto before = std::exchange(candidates_, 0);
      for (std::size_t c = 0; c < before; ++c) keep_if(places_.data()[c], enough);
    }
  }

  void offer_candidates(std::uint32_t begin) {
    for (const auto i : candidates()) {
      const auto row = begin + i;
      if (is_too_little(scores_[i]) || !sink_.wants(row)) continue;
      set_least(sink_.offer({row, static_cast<float>(scores_[i]) / scale_}));
    }
  }

  RowSink& sink_;
  const float scale_;           // Units a point of the score.
  std::vector<Word> cursors_;   // In the order given.
  std::vector<Word*> by_most_;  // The same, those that add least first.
  std::size_t asked_ = 0;       // The first so many of by_most_, …
  Units of_asked_ = 0;          // … and what they add at the most.
  Units least_ = 0;             // A score that is of use.

  // Of a window:
  std::vector<Word*> here_;    // Those that led_by() has, that which adds least first.
  std::vector<Asked> to_ask_;  // That which adds most first.
  Units rest_ = 0;             // What they add at the most together.
  std::array<Units, kWindow> scores_{};
  std::array<std::uint32_t, kWindow> places_{};  // Of rows that may be among the best, in order.
  std::size_t candidates_ = 0;
};

}  // namespace

void search_words(std::span<const WeighedWord> words, float weights_max,
                  const Saturation& saturation, RowSink& sink) {
  if (!words.empty()) WordSearch(words, weights_max, saturation, sink).run();
}

}  // namespace samtale
