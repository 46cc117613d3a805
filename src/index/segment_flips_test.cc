// Goal:   a damaged file of a graph gives no wrong answer, no crash and no large allocation.
// Method: a small file with one byte changed, each in turn: every bit of its header, one of each
//         byte behind it (segment_test.cc has the others, and only reads them). The company's index
//         is opened over it and held against brute force. Then the same again with the checksums
//         made to fit, so that only the checks behind them are left: answers may then lack hits,
//         but each hit is a true one, and exact searches are exact. Processes of their own do it,
//         which may take little memory.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "index/company_index_conformance.h"
#include "index/segment.h"
#include "index/segment_folder.h"
#include "index/testing/segments.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

using index_conformance::conversation;

constexpr std::size_t kDimension = 8;
constexpr std::size_t kDegree = 4;
constexpr std::uint32_t kVectors = 160;  // As few as are walked and not scanned.
constexpr std::uint64_t kSeed = 3;
constexpr std::size_t kLimit = 4;
constexpr std::size_t kHeaderBytes = 140 + 7 + 4;
constexpr std::size_t kDigestBytes = std::size_t{kVectors} * 8;
constexpr std::size_t kMemoryMax = std::size_t{512} << 20;

using Hits = std::vector<std::pair<ConversationId, float>>;

Hits hits_of(const NearChunks& found) {
  Hits hits;
  for (const auto& hit : found.hits) hits.emplace_back(hit.conversation, hit.score);
  return hits;
}

// One company over one file that is damaged anew each time.
class Damage {
 public:
  enum class Outcome { refused, used };

  Damage() {
    EXPECT_TRUE(files_.make_folder("/data"));
    std::mt19937_64 random(kSeed);
    for (std::uint32_t i = 0; i < kVectors; ++i) {
      vectors_.push_back(unit_vector(random, kDimension));
    }
    for (int q = 0; q < 6; ++q) queries_.push_back(unit_vector(random, kDimension));
    auto segment = make_segment(kSeed, kVectors, kDimension, kDegree);
    segment.settings = {.effort = .02F, .is_compact = true, .recall = .97, .recall_target = .95};
    EXPECT_TRUE(open_folder()->save(CompanyId{1}, segment));
    path_ = files_.paths().front();
    whole_ = files_.contents(path_);
    const auto index = filled_index(nullptr);
    for (const auto& query : queries_)
      truths_.push_back(hits_of(*index->nearest(query, kVectors, {})));
  }

  [[nodiscard]] const std::string& whole() const { return whole_; }

  // Opens the index over `bytes`. What it answers is held against brute force.
  Outcome open(const std::string& bytes) {
    files_.replace(path_, bytes);
    const auto folder = open_folder();
    const auto index = filled_index(folder.get());
    // No new graph is made in the place of a refused one: that takes long, and is another's test.
    std::stop_source stop;
    stop.request_stop();
    static_cast<void>(index->maintain(stop.get_token()));
    by_graph_ = 0;
    for (std::size_t q = 0; q < queries_.size(); ++q) compare(*index, q);
    return folder->stats().refused > 0 ? Outcome::refused : Outcome::used;
  }
  // Of the answers when it was opened last.
  [[nodiscard]] std::size_t by_graph() const { return by_graph_; }

 private:
  std::unique_ptr<SegmentFolder> open_folder() {
    return SegmentFolder::open(files_, "/data/index", "a-model", kDimension, clock_, log_).value();
  }
  std::unique_ptr<CompanyIndex> filled_index(SegmentFolder* folder) {
    auto index = make_company_index(kDimension, {.graph_from = folder ? kVectors / 2 : 0},
                                    {.folder = folder, .company = CompanyId{1}});
    for (std::uint32_t i = 0; i < kVectors; ++i) {
      const IndexChunk chunks[] = {{0, "", vectors_[i]}};
      EXPECT_TRUE(index->put(conversation(static_cast<int>(i)), {}, chunks));
    }
    return index;
  }
  void compare(const CompanyIndex& index, std::size_t q) {
    const auto& truth = truths_[q];
    const auto found = index.nearest(queries_[q], kLimit, {}).value();
    const auto hits = hits_of(found);
    const Hits best(truth.begin(), truth.begin() + kLimit);
    if (found.is_exact) {
      ASSERT_EQ(hits, best);
      return;
    }
    ++by_graph_;
    ASSERT_LE(hits.size(), kLimit);
    for (const auto& hit : hits) ASSERT_NE(std::ranges::find(truth, hit), truth.end());
    ASSERT_EQ(hits_of(*index.nearest(queries_[q], kLimit, {}, true)), best);
  }

  SimRandom chance_{1};
  SimFiles files_{chance_};
  SimClock clock_;
  MemoryLog log_;
  std::vector<std::vector<float>> vectors_;
  std::vector<std::vector<float>> queries_;
  std::vector<Hits> truths_;  // All vectors, the nearest first.
  std::string path_;
  std::string whole_;
  std::size_t by_graph_ = 0;
};

// One bit, another from byte to byte; in the header every bit.
std::vector<std::uint8_t> flips_at(std::size_t at) {
  if (at >= kHeaderBytes) return {static_cast<std::uint8_t>(1U << at % 8)};
  return {1, 2, 4, 8, 16, 32, 64, 128};
}

std::string flipped(std::string bytes, std::size_t at, std::uint8_t bits) {
  bytes[at] = static_cast<char>(static_cast<std::uint8_t>(bytes[at]) ^ bits);
  return bytes;
}

// With the checksums that such bytes would have been written with.
std::string with_checksums(std::string bytes) {
  const auto put = [&](std::size_t offset, std::uint32_t crc) {
    std::memcpy(bytes.data() + offset, &crc, sizeof crc);
  };
  const std::string_view all = bytes;
  put(92, crc32c(all.substr(kHeaderBytes, kDigestBytes)));
  put(116, crc32c(all.substr(kHeaderBytes + kDigestBytes)));
  put(kHeaderBytes - 4, crc32c(all.substr(0, kHeaderBytes - 4)));
  return bytes;
}

void allow_little_memory() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const auto bytes = pages * 4096 + kMemoryMax;
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
}

// Ends the process: 0 if all went well.
[[noreturn]] void end(const char* what, std::size_t refused, std::size_t used) {
  std::fprintf(stderr, "%s: %zu refused, %zu used\n", what, refused, used);
  std::exit(testing::Test::HasFailure() ? 1 : 0);
}

TEST(SegmentFlips, the_whole_file_is_used) {
  Damage damage;

  EXPECT_EQ(damage.open(damage.whole()), Damage::Outcome::used);

  EXPECT_EQ(damage.by_graph(), 6U);
  EXPECT_EQ(damage.whole().size(), kHeaderBytes + kDigestBytes + kVectors * kDegree * 4);
}

[[noreturn]] void flip_every_byte() {
  Damage damage;
  allow_little_memory();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < damage.whole().size() && !testing::Test::HasFailure(); ++at) {
    SCOPED_TRACE("byte " + std::to_string(at));
    for (const auto bits : flips_at(at)) {
      EXPECT_EQ(damage.open(flipped(damage.whole(), at, bits)), Damage::Outcome::refused);
      EXPECT_EQ(damage.by_graph(), 0U);
      ++refused;
    }
  }
  end("flips", refused, 0);
}

TEST(SegmentFlips, every_flipped_byte_is_noticed_and_answers_stay_the_same) {
  EXPECT_EXIT(flip_every_byte(), testing::ExitedWithCode(0), "flips: [0-9]+ refused, 0 used");
}

[[noreturn]] void flip_behind_the_checksums() {
  Damage damage;
  allow_little_memory();
  std::size_t refused = 0;
  std::size_t used = 0;
  for (std::size_t at = 0; at < damage.whole().size() && !testing::Test::HasFailure(); ++at) {
    SCOPED_TRACE("byte " + std::to_string(at));
    for (const auto bits : flips_at(at)) {
      const auto outcome = damage.open(with_checksums(flipped(damage.whole(), at, bits)));
      ++(outcome == Damage::Outcome::used ? used : refused);
    }
  }
  EXPECT_GT(refused, 100U);
  EXPECT_GT(used, 100U);
  end("flips", refused, used);
}

TEST(SegmentFlips, behind_right_checksums_a_flipped_byte_hides_hits_and_makes_none_up) {
  EXPECT_EXIT(flip_behind_the_checksums(), testing::ExitedWithCode(0), "flips: ");
}

}  // namespace
}  // namespace samtale
