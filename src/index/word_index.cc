#include "index/word_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace samtale {
namespace {

// What glibc's malloc adds to a block, about.
constexpr std::size_t kBlockBytes = 16;

std::size_t key_bytes(std::string_view term) {
  const std::size_t inside = std::string().capacity();
  return term.size() > inside ? term.size() + 1 + kBlockBytes : 0;
}

template <class T>
std::size_t block_bytes(const std::vector<T>& values) {
  return values.capacity() == 0 ? 0 : values.capacity() * sizeof(T) + kBlockBytes;
}

}  // namespace

double inverse_document_frequency(std::uint64_t chunks, std::uint64_t having) {
  const auto with = static_cast<double>(having);
  return std::log1p((static_cast<double>(chunks) - with + 0.5) / (with + 0.5));
}

WordIndex::TermId WordIndex::id_of(std::string_view term) {
  if (const auto found = ids_.find(term); found != ids_.end()) return found->second;
  const auto id = static_cast<TermId>(terms_.size());
  terms_.emplace_back();
  ids_.emplace(term, id);
  key_bytes_ += key_bytes(term);
  return id;
}

void WordIndex::add_posting(TermId term, const Posting& posting) {
  auto& [postings, rows] = terms_[term];
  posting_bytes_ -= postings.bytes();
  postings.add(posting);
  posting_bytes_ += postings.bytes();
  ++rows;
  row_terms_.push_back(term);
}

void WordIndex::add(std::span<const std::string> terms) {
  const auto counted = [](std::size_t count) {
    return static_cast<std::uint16_t>(std::min(count, Posting::kMost));
  };
  const auto row = static_cast<std::uint32_t>(rows_.size());
  const auto begin = row_terms_.size();
  std::vector<TermId> ids;
  ids.reserve(terms.size());
  for (const auto& term : terms) ids.push_back(id_of(term));
  std::ranges::sort(ids);
  for (std::size_t i = 0; i < ids.size();) {
    auto next = i;
    while (next < ids.size() && ids[next] == ids[i]) ++next;
    add_posting(ids[i], {row, counted(next - i), counted(terms.size())});
    i = next;
  }
  rows_.push_back({.words = static_cast<std::uint32_t>(terms.size()),
                   .term_count = static_cast<std::uint32_t>(row_terms_.size() - begin),
                   .terms_begin = begin});
  ++live_rows_;
  live_words_ += terms.size();
}

void WordIndex::remove(std::uint32_t row) {
  const auto& removed = rows_[row];
  for (std::size_t i = 0; i < removed.term_count; ++i) {
    --terms_[row_terms_[removed.terms_begin + i]].rows;
  }
  --live_rows_;
  live_words_ -= removed.words;
}

double WordIndex::inverse_document_frequency(std::string_view term) const {
  const auto found = ids_.find(term);
  const auto having = found == ids_.end() ? 0 : terms_[found->second].rows;
  return samtale::inverse_document_frequency(live_rows_, having);
}

WordCounts WordIndex::counts(std::span<const std::string> terms) const {
  WordCounts counts{.chunks = live_rows_, .words = live_words_, .having = {}};
  counts.having.reserve(terms.size());
  for (const auto& term : terms) {
    const auto found = ids_.find(term);
    counts.having.push_back(found == ids_.end() ? 0 : terms_[found->second].rows);
  }
  return counts;
}

void WordIndex::search(std::span<const std::string> terms, const WordCounts* of_all,
                       RowSink& sink) const {
  const auto own = of_all == nullptr ? counts(terms) : WordCounts();
  const auto& counts = of_all == nullptr ? own : *of_all;
  if (counts.chunks == 0 || counts.words == 0) return;
  std::vector<WeighedWord> words;
  for (std::size_t i = 0; i < std::min(terms.size(), counts.having.size()); ++i) {
    const auto found = ids_.find(terms[i]);
    if (found == ids_.end()) continue;
    const auto* postings = &terms_[found->second].postings;
    if (std::ranges::find(words, postings, &WeighedWord::postings) != words.end()) continue;
    const auto weight = samtale::inverse_document_frequency(counts.chunks, counts.having[i]);
    if (weight > 0) words.push_back({postings, static_cast<float>(weight)});
  }
  const Saturation saturation(static_cast<float>(counts.words) / static_cast<float>(counts.chunks));
  const auto weights_max =
      static_cast<double>(terms.size()) * samtale::inverse_document_frequency(counts.chunks, 0);
  search_words(words, static_cast<float>(weights_max), saturation, sink);
}

void WordIndex::compact(std::span<const std::uint32_t> new_rows) {
  posting_bytes_ = 0;
  for (auto& [postings, rows] : terms_) {
    postings.renumber(new_rows, kRemoved);
    posting_bytes_ += postings.bytes();
  }
  std::vector<TermId> row_terms;
  std::vector<Row> kept;
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    if (new_rows[r] == kRemoved) continue;
    auto row = rows_[r];
    const auto begin = row_terms_.begin() + static_cast<std::ptrdiff_t>(row.terms_begin);
    row.terms_begin = row_terms.size();
    row_terms.insert(row_terms.end(), begin, begin + row.term_count);
    kept.push_back(row);
  }
  rows_ = std::move(kept);
  row_terms_ = std::move(row_terms);
  forget_unused_terms();
}

void WordIndex::forget_unused_terms() {
  std::vector<Term> kept;
  std::vector<TermId> new_ids(terms_.size());
  for (TermId id = 0; id < terms_.size(); ++id) {
    if (terms_[id].rows == 0) continue;
    new_ids[id] = static_cast<TermId>(kept.size());
    kept.push_back(std::move(terms_[id]));
  }
  std::erase_if(ids_, [&](const auto& entry) {
    const bool is_unused = terms_[entry.second].rows == 0;
    if (is_unused) key_bytes_ -= key_bytes(entry.first);
    return is_unused;
  });
  for (auto& [term, id] : ids_) id = new_ids[id];
  ids_.rehash(0);
  for (auto& id : row_terms_) id = new_ids[id];
  terms_ = std::move(kept);
}

std::size_t WordIndex::bytes() const {
  // A node: the pair, the link to the next, the hash.
  constexpr std::size_t kNodeBytes =
      sizeof(decltype(ids_)::value_type) + 2 * sizeof(void*) + kBlockBytes;
  return ids_.size() * kNodeBytes + ids_.bucket_count() * sizeof(void*) + key_bytes_ +
         posting_bytes_ + block_bytes(terms_) + block_bytes(rows_) + block_bytes(row_terms_);
}

}  // namespace samtale
