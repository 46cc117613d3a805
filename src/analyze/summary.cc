#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "analyze/extractive.h"
#include "analyze/passages.h"

namespace samtale {
namespace {

// Shorter ones say nothing alone ("Yes, please."), longer ones are a speech.
constexpr std::size_t kContentWordsMin = 3;
constexpr std::size_t kContentWordsFull = 14;
constexpr float kQuestion = 0.6F;  // What is asked tells less than what is answered.
constexpr float kRepeats = 0.5F;   // Cosine from which a sentence says a chosen one again.
constexpr std::size_t kTitleBytesMax = 80;

using Weights = std::vector<std::pair<std::uint32_t, float>>;  // By term, ascending.

struct Matrix {
  std::vector<Weights> rows;  // One unit vector a passage; empty where nothing is said.
  std::vector<float> degree;  // Sum of the cosines with all rows.
};

Matrix make_matrix(const std::vector<Passage>& passages) {
  std::unordered_map<std::string_view, std::uint32_t> ids;
  std::vector<float> sentences_with;
  Matrix matrix;
  for (const auto& passage : passages) {
    std::vector<std::uint32_t> terms;
    for (const auto& word : passage.words) {
      if (word.term.empty() || is_stop_word(word.folded)) continue;
      const auto next = static_cast<std::uint32_t>(ids.size());
      const auto [place, is_new] = ids.emplace(word.term, next);
      if (is_new) sentences_with.push_back(0);
      terms.push_back(place->second);
    }
    std::ranges::sort(terms);
    Weights row;
    for (const auto term : terms) {
      if (!row.empty() && row.back().first == term) {
        row.back().second += 1;
      } else {
        row.emplace_back(term, 1.0F);
        sentences_with[term] += 1;
      }
    }
    matrix.rows.push_back(std::move(row));
  }
  const auto count = static_cast<float>(passages.size());
  std::vector<float> sum(ids.size(), 0.0F);
  for (auto& row : matrix.rows) {
    float norm = 0;
    for (auto& [term, weight] : row) {
      weight *= std::log(1 + count / sentences_with[term]);
      norm += weight * weight;
    }
    for (auto& [term, weight] : row) {
      weight /= std::sqrt(norm);
      sum[term] += weight;
    }
  }
  // The cosines of one row with all of them add up to its product with their sum.
  for (const auto& row : matrix.rows) {
    float degree = 0;
    for (const auto& [term, weight] : row) degree += weight * sum[term];
    matrix.degree.push_back(degree);
  }
  return matrix;
}

float cosine(const Weights& a, const Weights& b) {
  float sum = 0;
  for (auto left = a.begin(), right = b.begin(); left != a.end() && right != b.end();) {
    if (left->first == right->first)
      sum += left++->second * right++->second;
    else if (left->first < right->first)
      ++left;
    else
      ++right;
  }
  return sum;
}

std::size_t sentences_wanted(std::size_t said) { return said <= 4 ? 1 : said <= 12 ? 2 : 3; }

std::string title_of(const Passage& passage) {
  if (passage.text.size() <= kTitleBytesMax) return std::string(passage.text);
  std::size_t end = 0;
  for (const auto& word : passage.words) {
    if (word.range.end > kTitleBytesMax) break;
    end = word.range.end;
  }
  if (end == 0) end = std::min(quote_of(passage).size(), passage.text.size());
  return std::string(passage.text.substr(0, end)) + "…";
}

}  // namespace

Analysis summarise(const Conversation& conversation) {
  const auto passages = read_passages(conversation);
  const auto matrix = make_matrix(passages);
  std::vector<float> score(passages.size());
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const auto content = matrix.rows[i].size();
    const auto share = static_cast<float>(std::min(content, kContentWordsFull)) /
                       static_cast<float>(kContentWordsFull);
    const auto worth = passages[i].text.ends_with('?') ? kQuestion * share : share;
    score[i] = content < kContentWordsMin ? worth : worth * matrix.degree[i] + 1;
  }
  std::vector<std::size_t> order(passages.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return score[a] > score[b]; });

  std::vector<std::size_t> chosen;
  for (const auto candidate : order) {
    if (chosen.size() == sentences_wanted(passages.size())) break;
    const bool repeats = std::ranges::any_of(chosen, [&](std::size_t other) {
      return cosine(matrix.rows[candidate], matrix.rows[other]) > kRepeats;
    });
    if (!repeats && (chosen.empty() || !matrix.rows[candidate].empty()))
      chosen.push_back(candidate);
  }
  const auto title = chosen.empty() ? std::string() : title_of(passages[chosen.front()]);
  std::ranges::sort(chosen);
  json::Array sentences;
  for (const auto i : chosen) sentences.emplace_back(evidence_of(passages[i]));
  return {.result = json::Object{{"title", title}, {"sentences", std::move(sentences)}},
          .labels = {},
          .score = {}};
}

}  // namespace samtale
