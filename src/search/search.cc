#include "search/search.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>
#include <span>
#include <unordered_map>

#include "base/bytes.h"
#include "text/words.h"

namespace samtale {

struct Searcher::Scored {
  ConversationId conversation;
  std::uint32_t ordinal = 0;
  float score = 0;
  float vector_score = 0;
  float word_score = 0;
};

namespace {

bool holds_any(const std::vector<std::string>& wanted, const std::string& value) {
  return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

bool holds_any(const std::vector<std::string>& wanted, const std::vector<std::string>& values) {
  return wanted.empty() || std::ranges::any_of(values, [&](const std::string& value) {
           return std::ranges::find(wanted, value) != wanted.end();
         });
}

bool holds(const AnalysisFilter& wanted, const Attributes& attributes) {
  const bool has_label =
      wanted.labels.empty() || std::ranges::any_of(attributes.labels, [&](const auto& label) {
        return label.first == wanted.analyzer && holds_any(wanted.labels, label.second);
      });
  if (!has_label || (!wanted.score_min && !wanted.score_max)) return has_label;
  const auto score =
      std::ranges::find(attributes.scores, wanted.analyzer, &std::pair<std::string, double>::first);
  return score != attributes.scores.end() &&
         (!wanted.score_min || score->second >= *wanted.score_min) &&
         (!wanted.score_max || score->second <= *wanted.score_max);
}

bool passes(const SearchFilters& filters, const Attributes& attributes) {
  if (filters.from && attributes.time < *filters.from) return false;
  if (filters.to && attributes.time >= *filters.to) return false;
  if (!holds_any(filters.channels, attributes.channel)) return false;
  if (!holds_any(filters.sources, attributes.source)) return false;
  if (!holds_any(filters.languages, attributes.language)) return false;
  if (!holds_any(filters.parties, attributes.parties)) return false;
  if (!holds_any(filters.tags, attributes.tags)) return false;
  const auto is_borne_out = [&](const AnalysisFilter& wanted) { return holds(wanted, attributes); };
  if (!std::ranges::all_of(filters.analyses, is_borne_out)) return false;
  return std::ranges::all_of(filters.metadata, [&](const auto& condition) {
    return std::ranges::any_of(attributes.metadata, [&](const auto& entry) {
      return entry.first == condition.first && holds_any(condition.second, entry.second);
    });
  });
}

ConversationFilter make_filter(const SearchFilters& filters) {
  if (filters == SearchFilters{}) return {};
  return [&filters](const Attributes& attributes) { return passes(filters, attributes); };
}

std::size_t count_values(const SearchFilters& filters) {
  std::size_t count = filters.channels.size() + filters.sources.size() + filters.languages.size() +
                      filters.parties.size() + filters.tags.size();
  for (const auto& [key, values] : filters.metadata) count += 1 + values.size();
  for (const auto& wanted : filters.analyses) count += 1 + wanted.labels.size();
  return count;
}

void append(std::string& text, std::string_view part) {
  text.append(std::to_string(part.size())).append(1, ':').append(part);
}

void append(std::string& text, std::string_view name, const std::vector<std::string>& values) {
  if (values.empty()) return;
  append(text, name);
  text.append(std::to_string(values.size())).append(1, ';');
  for (const auto& value : values) append(text, value);
}

// Another text for other filters, always: answers are kept by it.
std::string text_of(const SearchFilters& filters) {
  std::string text;
  const auto append_time = [&](std::string_view name, const std::optional<WallTime>& time) {
    if (time) append(text, name, {std::to_string(to_us(*time))});
  };
  const auto append_bound = [&](std::string_view name, const std::optional<double>& bound) {
    if (bound) append(text, name, {std::to_string(std::bit_cast<std::uint64_t>(*bound))});
  };
  append_time("from", filters.from);
  append_time("to", filters.to);
  append(text, "channel", filters.channels);
  append(text, "source", filters.sources);
  append(text, "language", filters.languages);
  append(text, "party", filters.parties);
  append(text, "tag", filters.tags);
  for (const auto& [key, values] : filters.metadata) {
    append(text, "metadata", {key});
    append(text, "values", values);
  }
  for (const auto& wanted : filters.analyses) {
    append(text, "analysis", {wanted.analyzer});
    append(text, "labels", wanted.labels);
    append_bound("score_min", wanted.score_min);
    append_bound("score_max", wanted.score_max);
  }
  return text;
}

// What two requests must share for a cursor to go from one to the other.
std::string fingerprint(CompanyId company, const SearchRequest& request) {
  std::string text = std::to_string(number(company)) + "\n" + request.query + "\n" +
                     std::to_string(static_cast<int>(request.mode)) +
                     (request.exact ? " exact\n" : "\n");
  text.append(reinterpret_cast<const char*>(request.vector.data()),
              request.vector.size() * sizeof(float));
  return text + "\n" + text_of(request.filters);
}

// In deviations from the mean of the candidates. docs/adr/0019.
constexpr float kNotFound = -2;

// How far a score stands out among the candidates of its half, in their standard deviations:
// cosines and BM25 scores have no other scale in common.
class Standing {
 public:
  explicit Standing(const std::vector<ChunkHit>& candidates) {
    if (candidates.empty()) return;
    const auto count = static_cast<double>(candidates.size());
    double sum = 0;
    for (const auto& hit : candidates) sum += hit.score;
    mean_ = sum / count;
    double squares = 0;
    for (const auto& hit : candidates) squares += (hit.score - mean_) * (hit.score - mean_);
    deviation_ = std::max(std::sqrt(squares / count), 1e-6);
  }

  float operator()(float score) const { return static_cast<float>((score - mean_) / deviation_); }

 private:
  double mean_ = 0;
  double deviation_ = 1;
};

Error not_open() { return {ErrorCode::unavailable, "the index of this company is not open"}; }

// Slices have no chunk in common, so what is counted adds up.
void add(WordCounts& sum, const WordCounts& one) {
  sum.chunks += one.chunks;
  sum.words += one.words;
  sum.having.resize(std::max(sum.having.size(), one.having.size()));
  for (std::size_t i = 0; i < one.having.size(); ++i) sum.having[i] += one.having[i];
}

// How rare a query's words are, as they were counted. An embedder asks of no others, but of one
// that no chunk has.
class CountedWords final : public WordStatistics {
 public:
  CountedWords(std::vector<std::string> terms, const WordCounts& counts)
      : terms_(std::move(terms)), counts_(counts) {}

  double inverse_document_frequency(std::string_view word) const override {
    const auto at = static_cast<std::size_t>(std::ranges::find(terms_, word) - terms_.begin());
    const auto having = at < counts_.having.size() ? counts_.having[at] : 0;
    return samtale::inverse_document_frequency(counts_.chunks, having);
  }

 private:
  const std::vector<std::string> terms_;
  const WordCounts& counts_;
};

// Each slice has its best so many; the best of all are among them. Where the store compares the
// vectors, several slices may name the same chunk.
std::vector<ChunkHit> best_of(const std::vector<SliceAnswer>& answers,
                              std::vector<ChunkHit> SliceAnswer::*half, std::size_t limit) {
  std::vector<ChunkHit> best;
  for (const auto& answer : answers) {
    best.insert(best.end(), (answer.*half).begin(), (answer.*half).end());
  }
  std::ranges::sort(best, ranks_before);
  const auto is_same = [](const ChunkHit& a, const ChunkHit& b) {
    return a.conversation == b.conversation && a.ordinal == b.ordinal;
  };
  const auto [begin, end] = std::ranges::unique(best, is_same);
  best.erase(begin, end);
  if (best.size() > limit) best.resize(limit);
  return best;
}

}  // namespace

Searcher::Searcher(const IndexSet& indexes, Hydration& hydration, QueryVectors& query_vectors,
                   NearCache& near_cache, const Clock& clock, SearchOptions options)
    : indexes_(indexes),
      hydration_(hydration),
      query_vectors_(query_vectors),
      near_cache_(near_cache),
      clock_(clock),
      options_(std::move(options)) {}

Result<> Searcher::check(const SearchRequest& request) const {
  const auto refuse = [](std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message));
  };
  if (request.limit < 1 || request.limit > 100) {
    return refuse("/limit: must be 1 to 100; got " + std::to_string(request.limit));
  }
  if (request.chunks < 1 || request.chunks > 10) {
    return refuse("/chunks: must be 1 to 10; got " + std::to_string(request.chunks));
  }
  const bool has_query = request.query.find_first_not_of(" \t\r\n") != std::string::npos;
  if (has_query == !request.vector.empty()) {
    return refuse("/query: exactly one of query (not empty) and vector must be given");
  }
  if (request.query.size() > options_.query_bytes_max) {
    return refuse("/query: at most " + std::to_string(options_.query_bytes_max) + " bytes; got " +
                  std::to_string(request.query.size()));
  }
  if (!request.vector.empty() && request.mode != SearchMode::vector) {
    return refuse("/mode: must be \"vector\" when a vector is given");
  }
  const auto& embedder = query_vectors_.embedder();
  if (!request.vector.empty() && request.vector.size() != embedder.dimension()) {
    return refuse("/vector: must have " + std::to_string(embedder.dimension()) +
                  " numbers, as model " + embedder.model_id() + " makes; got " +
                  std::to_string(request.vector.size()));
  }
  float length = 0;
  for (const float x : request.vector) length += x * x;
  if (!request.vector.empty() && !(std::isnormal(length))) {
    return refuse("/vector: every number must be finite and not all may be zero");
  }
  if (count_values(request.filters) > options_.filter_values_max) {
    return refuse("/filters: at most " + std::to_string(options_.filter_values_max) +
                  " values in all; got " + std::to_string(count_values(request.filters)));
  }
  if (request.filters.from && request.filters.to && *request.filters.from >= *request.filters.to) {
    return refuse("/filters/to: must be later than /filters/from");
  }
  return {};
}

void Searcher::prepare(CompanyId company, std::span<const std::string> queries) const {
  query_vectors_.prepare(company, queries, options_.embed_timeout);
}

std::size_t Searcher::candidates_for(std::size_t conversations) const {
  // A conversation scores by its best chunk, so more chunks are wanted than conversations.
  return std::max(options_.candidates, conversations * 20);
}

Result<std::vector<float>> Searcher::embed_query(CompanyId company, const WordStatistics& words,
                                                 const std::string& query) const {
  auto vector = query_vectors_.of(company, query, words, options_.embed_timeout);
  if (vector) return vector;
  auto error = std::move(vector).error();
  // The limit of the embedding server's account is not one of the caller's.
  if (error.code == ErrorCode::resource_exhausted) error.code = ErrorCode::unavailable;
  return std::unexpected(std::move(error));
}

// What is searched by in meaning; empty where that is by words alone, which `answer` then says.
Result<std::vector<float>> Searcher::vector_of(CompanyId company, const WordStatistics& words,
                                               const SearchRequest& request,
                                               SearchAnswer& answer) const {
  if (request.mode == SearchMode::keyword) return std::vector<float>();
  if (!request.vector.empty()) return request.vector;
  auto vector = embed_query(company, words, request.query);
  if (vector) return vector;
  if (request.mode == SearchMode::vector) {
    return std::unexpected(std::move(vector).error().during("embed the query"));
  }
  answer.degraded =
      "the embedder is away, so this was searched by words alone: " + vector.error().message;
  answer.mode = SearchMode::keyword;
  return std::vector<float>();
}

Result<Searcher::Candidates> Searcher::find(CompanyId company,
                                            const std::shared_ptr<const CompanyIndex>& index,
                                            const SearchRequest& request, std::size_t limit,
                                            SearchAnswer& answer) const {
  const auto filter = make_filter(request.filters);
  Candidates candidates;
  SAMTALE_TRY(const auto vector, vector_of(company, *index, request, answer));
  if (!vector.empty()) {
    const auto filter_text = text_of(request.filters);
    SAMTALE_TRY(auto found, near_cache_.nearest(company, index,
                                                {.vector = vector,
                                                 .limit = limit,
                                                 .filter = filter,
                                                 .filter_text = filter_text,
                                                 .must_be_exact = request.exact}));
    candidates.near = std::move(found.hits);
    answer.is_exact = found.is_exact;
  }
  if (request.mode != SearchMode::vector) {
    candidates.worded = index->words(request.query, limit, filter);
  }
  return candidates;
}

Result<Searcher::Candidates> Searcher::gather(CompanyId company, const SearchRequest& request,
                                              std::size_t limit, const AskSlices& ask,
                                              SearchAnswer& answer) const {
  const bool by_words = request.mode != SearchMode::vector;
  const bool is_weighed = request.vector.empty() && request.mode != SearchMode::keyword &&
                          !query_vectors_.embedder().needs_text_alone();
  SliceQuestion question{.query = request.query,
                         .by_words = by_words,
                         .vector = {},
                         .limit = limit,
                         .exact = request.exact,
                         .filters = request.filters,
                         .counts = {}};
  WordCounts counts;
  if (by_words || is_weighed) {
    SAMTALE_TRY(const auto counted, ask(question));
    for (const auto& one : counted) add(counts, one.counts);
  }
  const CountedWords statistics(words(request.query), counts);
  SAMTALE_TRY(question.vector, vector_of(company, statistics, request, answer));
  question.counts = by_words ? std::move(counts) : WordCounts();
  SAMTALE_TRY(const auto found, ask(question));
  if (!question.vector.empty()) {
    answer.is_exact = std::ranges::all_of(found, &SliceAnswer::is_exact);
  }
  return Candidates{.near = best_of(found, &SliceAnswer::near, limit),
                    .worded = best_of(found, &SliceAnswer::worded, limit)};
}

SliceAnswerLimits Searcher::limits_of(const SliceQuestion& question) const {
  if (question.counts) return {.hits = question.limit, .terms = 0};
  return {.hits = 0, .terms = words(question.query).size()};
}

Result<SliceAnswer> Searcher::ask_slice(CompanyId company, const IndexSet& slice,
                                        std::size_t number, const SliceQuestion& question) const {
  const auto terms = words(question.query).size();
  // What search_slices() can ask.
  if (question.query.size() > options_.query_bytes_max ||
      question.limit > candidates_for(options_.pages_max + 101) ||
      count_values(question.filters) > options_.filter_values_max ||
      (question.by_words && question.counts && question.counts->having.size() != terms)) {
    return fail(ErrorCode::invalid_argument, "no search asks that of a slice");
  }
  SliceAnswer answer;
  const auto index = slice.find(company);
  if (!index) return std::unexpected(not_open());
  if (!question.counts) {
    answer.counts.having.resize(terms);
    answer.counts = index->word_counts(question.query);
    const auto size = index->size();
    answer.conversations = size.conversations;
    answer.vectors = size.vectors;
    answer.bytes = size.bytes;
    return answer;
  }
  const auto filter = make_filter(question.filters);
  if (!question.vector.empty()) {
    const auto filter_text = text_of(question.filters);
    SAMTALE_TRY(auto found, near_cache_.nearest(company, index,
                                                {.vector = question.vector,
                                                 .limit = question.limit,
                                                 .filter = filter,
                                                 .filter_text = filter_text,
                                                 .must_be_exact = question.exact,
                                                 .part = number + 1}));
    answer.near = std::move(found.hits);
    answer.is_exact = found.is_exact;
  }
  if (question.by_words) {
    answer.worded = index->words(question.query, question.limit, filter, &*question.counts);
  }
  return answer;
}

// The chunks of both halves, best first.
std::vector<Searcher::Scored> Searcher::fuse(const Candidates& candidates, SearchMode mode) const {
  const auto& [near, worded] = candidates;
  const Standing of_vectors(near);
  const Standing of_words(worded);
  const auto share = mode == SearchMode::hybrid   ? static_cast<float>(options_.vector_share)
                     : mode == SearchMode::vector ? 1.0F
                                                  : 0.0F;

  std::map<std::pair<ConversationId, std::uint32_t>, Scored> all;
  const auto entry = [&all](const ChunkHit& hit) -> Scored& {
    auto& scored = all[{hit.conversation, hit.ordinal}];
    scored.conversation = hit.conversation;
    scored.ordinal = hit.ordinal;
    return scored;
  };
  for (const auto& hit : near) {
    auto& scored = entry(hit);
    scored.vector_score = hit.score;
    scored.score += share * (of_vectors(hit.score) - kNotFound);
  }
  for (const auto& hit : worded) {
    auto& scored = entry(hit);
    scored.word_score = hit.score;
    scored.score += (1 - share) * (of_words(hit.score) - kNotFound);
  }
  std::vector<Scored> scored;
  scored.reserve(all.size());
  for (const auto& [key, item] : all) {
    scored.push_back(item);
    scored.back().score = 1 / (1 + std::exp(-kNotFound - item.score));
  }
  // Stable over an order by (conversation, ordinal): ties always fall the same way.
  std::ranges::stable_sort(scored, std::greater<>(), &Scored::score);
  return scored;
}

Result<SearchAnswer> Searcher::search(CompanyId company, const SearchRequest& request) const {
  return search(company, request,
                [&](std::size_t limit, SearchAnswer& answer) -> Result<Candidates> {
                  const auto index = indexes_.find(company);
                  if (!index) return std::unexpected(not_open());
                  return find(company, index, request, limit, answer);
                });
}

Result<SearchAnswer> Searcher::search_slices(CompanyId company, const SearchRequest& request,
                                             const AskSlices& ask) const {
  return search(company, request, [&](std::size_t limit, SearchAnswer& answer) {
    return gather(company, request, limit, ask, answer);
  });
}

Result<SearchAnswer> Searcher::search(CompanyId company, const SearchRequest& request,
                                      const Find& find_candidates) const {
  const auto begin = clock_.now();
  SAMTALE_TRY_VOID(check(request));
  SAMTALE_TRY(const auto offset, read_cursor(company, request));

  SearchAnswer answer;
  answer.mode = request.mode;
  answer.model = query_vectors_.embedder().model_id();
  SAMTALE_TRY(const auto grouped,
              find_grouped(request, offset + request.limit + 1, find_candidates, answer));
  auto next = offset;
  while (next < grouped.size() && answer.hits.size() < request.limit) {
    const auto some = std::span(grouped).subspan(
        next, std::min(grouped.size() - next, request.limit - answer.hits.size()));
    SAMTALE_TRY_VOID(describe(company, some, request, answer));
    next += some.size();
  }
  if (next < grouped.size() && next < options_.pages_max) {
    answer.next_cursor = make_cursor(company, request, next);
  }
  answer.took = clock_.now() - begin;
  return answer;
}

// The best chunks of each conversation, in the order of their best. So many conversations are
// wanted. The order by meaning alone is that of the cosines, whatever else is found: a few chunks
// mostly are conversations enough.
Result<Searcher::Grouped> Searcher::find_grouped(const SearchRequest& request, std::size_t wanted,
                                                 const Find& find_candidates,
                                                 SearchAnswer& answer) const {
  constexpr std::size_t kForBest = 2;
  constexpr std::size_t kForOthers = 4;  // Each that is to be shown besides.
  constexpr std::size_t kMore = 4;
  const auto most = candidates_for(wanted);
  auto limit = most;
  if (request.mode == SearchMode::vector) {
    limit = std::min(most, wanted * (kForBest + (request.chunks - 1) * kForOthers));
  }
  while (true) {
    SAMTALE_TRY(const auto candidates, find_candidates(limit, answer));
    auto grouped = group(fuse(candidates, answer.mode), request.chunks);
    const bool are_all = limit == most || candidates.near.size() < limit;
    if (are_all || grouped.size() >= wanted) return grouped;
    limit = std::min(most, limit * kMore);
  }
}

Searcher::Grouped Searcher::group(std::span<const Scored> scored, std::size_t chunks_max) {
  std::unordered_map<ConversationId, std::size_t> place;
  Grouped grouped;
  for (const auto& chunk : scored) {
    const auto [at, is_first] = place.try_emplace(chunk.conversation, grouped.size());
    if (is_first) grouped.emplace_back();
    auto& chunks = grouped[at->second];
    if (chunks.size() < chunks_max) chunks.push_back(chunk);
  }
  return grouped;
}

// Each of `found` is the best chunks of one conversation. Leaves out those gone since they were
// found.
Result<> Searcher::describe(CompanyId company, std::span<const std::vector<Scored>> found,
                            const SearchRequest& request, SearchAnswer& answer) const {
  std::vector<FoundChunks> wanted;
  for (const auto& chunks : found) {
    FoundChunks one{.conversation = chunks.front().conversation, .ordinals = {}};
    for (const auto& scored : chunks) one.ordinals.push_back(scored.ordinal);
    wanted.push_back(std::move(one));
  }
  SAMTALE_TRY(const auto shown, hydration_.of(company, wanted));
  const auto terms = words(request.query);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!shown[i]) continue;
    SearchHit hit{
        .summary = {shown[i], &shown[i]->summary}, .score = found[i].front().score, .chunks = {}};
    for (const auto& scored : found[i]) {
      const auto chunk = shown[i]->chunks.find(scored.ordinal);
      if (chunk == shown[i]->chunks.end()) continue;  // The conversation was cut anew meanwhile.
      hit.chunks.push_back({.ordinal = scored.ordinal,
                            .first_turn = chunk->second.first_turn,
                            .last_turn = chunk->second.last_turn,
                            .score = scored.score,
                            .vector_score = scored.vector_score,
                            .word_score = scored.word_score,
                            .snippet = make_snippet(chunk->second.text, terms)});
    }
    answer.hits.push_back(std::move(hit));
  }
  return {};
}

std::string Searcher::make_cursor(CompanyId company, const SearchRequest& request,
                                  std::size_t offset) const {
  const auto place = std::to_string(offset);
  const auto seal = hmac_sha256(options_.cursor_key, place + "\n" + fingerprint(company, request));
  return place + "." + base32(std::string_view(seal).substr(0, 15));
}

Result<std::size_t> Searcher::read_cursor(CompanyId company, const SearchRequest& request) const {
  if (request.cursor.empty()) return 0;
  std::size_t offset = 0;
  const auto dot = std::min(request.cursor.find('.'), request.cursor.size());
  const auto* begin = request.cursor.data();
  const auto [end, error] = std::from_chars(begin, begin + dot, offset);
  const bool is_number = error == std::errc() && end == begin + dot;
  if (!is_number || offset > options_.pages_max ||
      !equal_in_constant_time(request.cursor, make_cursor(company, request, offset))) {
    return fail(ErrorCode::invalid_argument, "/cursor: is not the next_cursor of this very search");
  }
  return offset;
}

}  // namespace samtale
