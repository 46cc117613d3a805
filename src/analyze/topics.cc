#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analyze/extractive.h"
#include "analyze/passages.h"

namespace samtale {
namespace {

constexpr std::size_t kTopicsMax = 5;
constexpr std::size_t kEvidenceMax = 2;
constexpr std::size_t kPairTimesMin = 2;  // Said once, a pair of words is chance.
constexpr std::size_t kWordBytesMin = 3;

struct Candidate {
  std::string name;  // As it was said first, in lower case.
  std::size_t times = 0;
  double rarity = 0;
  double score = 0;
  std::vector<std::size_t> passages;  // Where, at most kEvidenceMax.
};
using Candidates = std::map<std::vector<std::string>, Candidate>;  // By terms, one or two.

// ASCII and Latin-1 letters: what Danish and English are written with.
std::string lower(std::string_view text) {
  std::string out(text);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    if (byte >= 'A' && byte <= 'Z') out[i] = static_cast<char>(byte + 32);
    const auto after = i == 0 ? 0 : static_cast<unsigned char>(out[i - 1]);
    if (after == 0xC3 && byte >= 0x80 && byte <= 0x9E && byte != 0x97) {
      out[i] = static_cast<char>(byte + 32);
    }
  }
  return out;
}

bool is_content(const WordPlace& word) {
  return word.folded.size() >= kWordBytesMin && !word.term.empty() && !is_stop_word(word.folded) &&
         std::ranges::none_of(word.folded, [](char c) { return c >= '0' && c <= '9'; });
}

void note(Candidates& candidates, std::vector<std::string> terms, std::string_view said,
          double rarity, std::size_t passage) {
  auto& candidate = candidates[std::move(terms)];
  if (candidate.times++ == 0) candidate.name = lower(said);
  candidate.rarity = rarity;
  if (candidate.passages.size() < kEvidenceMax &&
      (candidate.passages.empty() || candidate.passages.back() != passage)) {
    candidate.passages.push_back(passage);
  }
}

Candidates find_candidates(const std::vector<Passage>& passages, const WordStatistics* words) {
  std::map<std::string, double> rarities;
  const auto rarity = [&](const std::string& term) {
    const auto [place, is_new] = rarities.emplace(term, 1.0);
    if (is_new && words != nullptr) place->second = words->inverse_document_frequency(term);
    return place->second;
  };
  Candidates candidates;
  for (std::size_t p = 0; p < passages.size(); ++p) {
    const WordPlace* before = nullptr;
    for (const auto& word : passages[p].words) {
      if (!is_content(word)) {
        before = nullptr;
        continue;
      }
      const auto said = [&](std::size_t begin) {
        return passages[p].text.substr(begin, word.range.end - begin);
      };
      note(candidates, {word.term}, said(word.range.begin), rarity(word.term), p);
      // Only a single space, or the hyphen of a compound, makes two words one expression.
      if (before != nullptr && word.range.begin == before->range.end + 1) {
        note(candidates, {before->term, word.term}, said(before->range.begin),
             (rarity(before->term) + rarity(word.term)) / 2, p);
      }
      before = &word;
    }
  }
  return candidates;
}

}  // namespace

Analysis find_topics(const Conversation& conversation, const WordStatistics* words) {
  const auto passages = read_passages(conversation);
  auto candidates = find_candidates(passages, words);
  std::vector<std::pair<const std::vector<std::string>*, Candidate*>> order;
  for (auto& [terms, candidate] : candidates) {
    const bool is_pair = terms.size() == 2;
    if (is_pair && candidate.times < kPairTimesMin) continue;
    // Both words of a pair are counted in it, so a pair that is always said whole comes first.
    candidate.score = static_cast<double>(candidate.times) * candidate.rarity * (is_pair ? 1.5 : 1);
    order.emplace_back(&terms, &candidate);
  }
  std::ranges::stable_sort(
      order, [](const auto& a, const auto& b) { return a.second->score > b.second->score; });
  Analysis analysis;
  json::Array topics;
  std::set<std::string> named;  // Terms of the topics so far: no word twice.
  for (const auto& [terms, candidate] : order) {
    if (topics.size() == kTopicsMax) break;
    if (std::ranges::any_of(*terms, [&](const auto& term) { return named.contains(term); }))
      continue;
    named.insert(terms->begin(), terms->end());
    json::Array evidence;
    for (const auto p : candidate->passages) evidence.emplace_back(evidence_of(passages[p]));
    topics.push_back(json::Object{{"name", candidate->name},
                                  {"score", std::round(candidate->score * 1000) / 1000},
                                  {"evidence", std::move(evidence)}});
    if (std::ranges::find(analysis.labels, candidate->name) == analysis.labels.end()) {
      analysis.labels.push_back(candidate->name);
    }
  }
  analysis.result = json::Object{{"topics", std::move(topics)}};
  return analysis;
}

}  // namespace samtale
