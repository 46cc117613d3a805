// WordIndex: which rows have which words, and their BM25 scores. Private to index/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "index/company_index.h"
#include "index/postings.h"
#include "index/word_search.h"

namespace samtale {

// Rows are numbered as they are added and not used again; a removed row stays in the postings, and
// counts nowhere, until compact().
// Threads: none of its own; the index locks.
// Source:  Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
//          section 3.4; the inverse document frequency with 1 added, so that it is never negative.
class WordIndex {
 public:
  static constexpr std::uint32_t kRemoved = std::numeric_limits<std::uint32_t>::max();

  // Adds the next row; `terms` as text/words.h gives them.
  void add(std::span<const std::string> terms);
  void remove(std::uint32_t row);

  // Offers the rows that have any of the terms and a score that is of use, and perhaps removed
  // ones. A term given twice counts once. `counts`: of the terms, in the place of one's own; null:
  // one's own.
  void search(std::span<const std::string> terms, const WordCounts* counts, RowSink& sink) const;
  [[nodiscard]] WordCounts counts(std::span<const std::string> terms) const;
  [[nodiscard]] double inverse_document_frequency(std::string_view term) const;

  // Forgets the removed rows: row r becomes new_rows[r], in the same order, or is kRemoved.
  void compact(std::span<const std::uint32_t> new_rows);

  [[nodiscard]] std::size_t bytes() const;

 private:
  using TermId = std::uint32_t;
  struct Term {
    Postings postings;
    std::uint32_t rows = 0;  // With it, not removed.
  };
  struct Row {
    std::uint32_t words = 0;
    std::uint32_t term_count = 0;
    std::uint64_t terms_begin = 0;  // In row_terms_.
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  TermId id_of(std::string_view term);
  void add_posting(TermId term, const Posting& posting);
  void forget_unused_terms();

  std::unordered_map<std::string, TermId, Hash, std::equal_to<>> ids_;
  std::vector<Term> terms_;
  std::vector<Row> rows_;
  std::vector<TermId> row_terms_;  // The distinct terms of each row, so that it can be taken out.
  std::size_t live_rows_ = 0;
  std::uint64_t live_words_ = 0;
  std::size_t posting_bytes_ = 0;
  std::size_t key_bytes_ = 0;  // Of terms too long to lie in their std::string.
};

}  // namespace samtale
