#include "search/slice_answer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace samtale {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHitBytes = 16 + 4 + 4;

template <class Number>
void put(std::string& bytes, Number number) {
  for (std::size_t i = 0; i < sizeof number; ++i) {
    bytes.push_back(static_cast<char>(number >> 8 * i & 0xFFU));
  }
}

void put(std::string& bytes, const std::vector<ChunkHit>& hits) {
  put(bytes, static_cast<std::uint32_t>(hits.size()));
  for (const auto& hit : hits) {
    bytes.append(hit.conversation.view());
    put(bytes, hit.ordinal);
    put(bytes, std::bit_cast<std::uint32_t>(hit.score));
  }
}

// Takes from the front; false where there is too little.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  [[nodiscard]] std::size_t left() const { return left_.size(); }
  template <class Number>
  bool take(Number& number) {
    if (left_.size() < sizeof number) return false;
    std::uint64_t taken = 0;
    for (std::size_t i = 0; i < sizeof number; ++i) {
      taken |= std::uint64_t{static_cast<unsigned char>(left_[i])} << 8 * i;
    }
    number = static_cast<Number>(taken);
    left_.remove_prefix(sizeof number);
    return true;
  }
  bool take(std::vector<ChunkHit>& hits, std::size_t most) {
    std::uint32_t count = 0;
    if (!take(count) || count > most || left() / kHitBytes < count) return false;
    hits.resize(count);
    for (auto& hit : hits) {
      std::copy_n(left_.begin(), hit.conversation.bytes.size(), hit.conversation.bytes.begin());
      left_.remove_prefix(hit.conversation.bytes.size());
      std::uint32_t score = 0;
      if (!take(hit.ordinal) || !take(score)) return false;
      hit.score = std::bit_cast<float>(score);
      if (!std::isfinite(hit.score)) return false;
    }
    const auto is_wrong = [](const ChunkHit& a, const ChunkHit& b) { return !ranks_before(a, b); };
    return std::ranges::adjacent_find(hits, is_wrong) == hits.end();
  }

 private:
  std::string_view left_;
};

}  // namespace

std::string encode(const SliceAnswer& answer) {
  std::string bytes;
  put(bytes, kVersion);
  put(bytes, std::uint8_t{answer.is_exact});
  put(bytes, answer.applied);
  put(bytes, answer.near);
  put(bytes, answer.worded);
  for (const auto number : {answer.counts.chunks, answer.counts.words, answer.conversations,
                            answer.vectors, answer.bytes}) {
    put(bytes, number);
  }
  put(bytes, static_cast<std::uint32_t>(answer.counts.having.size()));
  for (const auto number : answer.counts.having) put(bytes, number);
  return bytes;
}

std::optional<SliceAnswer> decode_slice_answer(std::string_view bytes,
                                               const SliceAnswerLimits& limits) {
  Reader reader(bytes);
  SliceAnswer answer;
  std::uint8_t version = 0;
  std::uint8_t is_exact = 0;
  if (!reader.take(version) || version != kVersion) return std::nullopt;
  if (!reader.take(is_exact) || is_exact > 1) return std::nullopt;
  answer.is_exact = is_exact == 1;
  if (!reader.take(answer.applied) || !reader.take(answer.near, limits.hits) ||
      !reader.take(answer.worded, limits.hits)) {
    return std::nullopt;
  }
  for (auto* number : {&answer.counts.chunks, &answer.counts.words, &answer.conversations,
                       &answer.vectors, &answer.bytes}) {
    if (!reader.take(*number)) return std::nullopt;
  }
  std::uint32_t terms = 0;
  if (!reader.take(terms) || terms > limits.terms) return std::nullopt;
  if (reader.left() != terms * sizeof(std::uint64_t)) return std::nullopt;
  answer.counts.having.resize(terms);
  for (auto& number : answer.counts.having) {
    // Nor could a chunk have a word more than once.
    if (!reader.take(number) || number > answer.counts.chunks) return std::nullopt;
  }
  return answer;
}

}  // namespace samtale
