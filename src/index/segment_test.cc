// Goal:   a file that is not exactly what was written is refused, and nothing it says is believed
//         before it is checked.
// Method: every bit of a small file flipped, every length; headers that lie, with the checksums
//         that they would have.
#include "index/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "index/testing/segments.h"
#include "sim/sim_files.h"

namespace samtale {
namespace {

using testing::HasSubstr;

const SegmentOwner kOwner{.company = CompanyId{7}, .model = "a-model", .dimension = 3};
constexpr std::size_t kHeaderBytes = 140 + 7 + 4;

class SegmentTest : public testing::Test {
 protected:
  std::string written(const Segment& segment) {
    const auto file = files.open("/a.seg", true).value();
    EXPECT_TRUE(file->truncate(0));
    EXPECT_TRUE(write_segment(*file, kOwner, segment, from_us(1'700'000'000'000'000)));
    return files.contents("/a.seg");
  }

  Result<Segment> read(const std::string& bytes) {
    files.replace("/b.seg", bytes);
    const auto file = files.open("/b.seg", false).value();
    SAMTALE_TRY(const auto header, read_segment_header(*file));
    return read_segment(*file, header);
  }

  // With `number` at `offset` of the header, and the checksum it would have.
  template <class Number>
  static std::string with(std::string bytes, std::size_t offset, Number number) {
    std::memcpy(bytes.data() + offset, &number, sizeof number);
    const auto crc = crc32c(std::string_view(bytes).substr(0, kHeaderBytes - 4));
    std::memcpy(bytes.data() + kHeaderBytes - 4, &crc, sizeof crc);
    return bytes;
  }

  SimRandom random{1};
  SimFiles files{random};
};

TEST_F(SegmentTest, is_read_as_it_was_written) {
  const auto segment = make_segment(1, 300);
  const auto bytes = written(segment);

  const auto back = read(bytes);
  files.replace("/b.seg", bytes);
  const auto header = read_segment_header(*files.open("/b.seg", false).value()).value();

  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->digests, segment.digests);
  EXPECT_TRUE(std::ranges::equal(back->graph.neighbours(), segment.graph.neighbours()));
  EXPECT_EQ(back->graph.degree(), 4U);
  EXPECT_EQ(back->graph.entries(), 64U);
  EXPECT_EQ(back->made_of, 305U);
  EXPECT_EQ(back->settings.effort, 1.5F);
  EXPECT_TRUE(back->settings.is_compact);
  EXPECT_EQ(back->settings.recall, 0.97);
  EXPECT_EQ(back->settings.recall_target, 0.95);
  EXPECT_EQ(header.owner.company, CompanyId{7});
  EXPECT_EQ(header.owner.model, "a-model");
  EXPECT_EQ(to_us(header.written_at), 1'700'000'000'000'000);
  EXPECT_EQ(bytes.size(), kHeaderBytes + 300 * 8 + 300 * 4 * 4);
}

TEST_F(SegmentTest, every_flipped_bit_is_noticed) {
  const auto bytes = written(make_segment(2, 30));

  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      const auto back = read(flipped);
      ASSERT_FALSE(back) << at << " " << bit;
      ASSERT_EQ(back.error().code, ErrorCode::corrupt);
    }
  }
}

TEST_F(SegmentTest, every_other_length_is_noticed) {
  const auto bytes = written(make_segment(3, 30));

  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto back = read(bytes.substr(0, size));
    ASSERT_FALSE(back) << size;
    ASSERT_EQ(back.error().code, ErrorCode::corrupt);
  }
  EXPECT_FALSE(read(bytes + '\0'));
}

TEST_F(SegmentTest, a_header_that_lies_is_refused_before_anything_is_made_for_it) {
  const auto bytes = written(make_segment(4, 30));
  ASSERT_TRUE(read(with(bytes, 24, std::uint64_t{1})));  // Written at another time: no lie.
  constexpr auto kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();

  const std::vector<std::pair<const char*, std::string>> lies{
      {"header's length", with(bytes, 12, std::uint32_t{144})},
      {"header's length, huge", with(bytes, 12, std::uint32_t{0xFFFFFFFF})},
      {"dimension 0", with(bytes, 32, std::uint32_t{0})},
      {"dimension 2^31", with(bytes, 32, std::uint32_t{1} << 31)},
      {"metric", with(bytes, 36, std::uint32_t{2})},
      {"no nodes", with(bytes, 40, std::uint64_t{0})},
      {"one node more", with(bytes, 40, std::uint64_t{31})},
      {"2^40 nodes", with(bytes, 40, std::uint64_t{1} << 40)},
      {"2^63 nodes", with(bytes, 40, std::uint64_t{1} << 63)},
      {"most nodes", with(bytes, 40, kMost)},
      {"made of fewer", with(bytes, 48, std::uint64_t{29})},
      {"made of most", with(bytes, 48, kMost)},
      {"degree 0", with(bytes, 56, std::uint32_t{0})},
      {"degree 8", with(bytes, 56, std::uint32_t{8})},
      {"degree 2^31", with(bytes, 56, std::uint32_t{1} << 31)},
      {"no entries", with(bytes, 60, std::uint32_t{0})},
      {"too many entries", with(bytes, 60, std::uint32_t{31})},
      {"flags", with(bytes, 64, std::uint32_t{2})},
      {"effort 0", with(bytes, 68, 0.0F)},
      {"effort infinite", with(bytes, 68, std::numeric_limits<float>::infinity())},
      {"effort no number", with(bytes, 68, static_cast<float>(kNan))},
      {"recall", with(bytes, 72, 1.5)},
      {"recall no number", with(bytes, 72, kNan)},
      {"target no number", with(bytes, 80, kNan)},
      {"kind of section", with(bytes, 88, std::uint32_t{2})},
      {"offset", with(bytes, 96, std::uint64_t{0})},
      {"offset beyond", with(bytes, 96, kMost)},
      {"length", with(bytes, 104, std::uint64_t{8})},
      {"other section's offset", with(bytes, 120, std::uint64_t{1} << 63)},
      {"other section's length", with(bytes, 128, kMost)},
      {"model's length", with(bytes, 136, std::uint32_t{8})},
      {"model's length, huge", with(bytes, 136, std::uint32_t{0xFFFFFFFF})},
  };

  for (const auto& [what, lie] : lies) {
    const auto back = read(lie);
    ASSERT_FALSE(back) << what;
    EXPECT_EQ(back.error().code, ErrorCode::corrupt) << what;
  }
}

TEST_F(SegmentTest, a_neighbour_that_is_no_node_is_refused_though_its_checksum_is_right) {
  auto bytes = written(make_segment(5, 30));
  const auto neighbours = kHeaderBytes + 30 * 8;
  for (const std::uint32_t stranger : {30U, 0x80000000U, 0xFFFFFFFEU}) {
    std::memcpy(bytes.data() + neighbours + 44, &stranger, sizeof stranger);
    const auto crc = crc32c(std::string_view(bytes).substr(neighbours));

    const auto back = read(with(bytes, 116, crc));

    ASSERT_FALSE(back);
    EXPECT_THAT(back.error().message, HasSubstr("neighbour " + std::to_string(stranger)));
  }
}

TEST_F(SegmentTest, a_newer_version_is_refused_by_name_whatever_else_it_has) {
  auto bytes = written(make_segment(6, 30));
  bytes[8] = 2;
  bytes.resize(bytes.size() + 100);

  const auto back = read(bytes);

  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "has format version 2, this program knows up to 1");
}

TEST_F(SegmentTest, a_models_id_longer_than_the_header_has_room_for_is_not_written) {
  const auto file = files.open("/a.seg", true).value();

  const auto refused =
      write_segment(*file, {CompanyId{1}, std::string(1025, 'm'), 3}, make_segment(7, 30), {});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(files.contents("/a.seg"), "");
}

TEST(VectorDigestTest, tells_vectors_apart_by_every_bit) {
  const std::vector<float> vector{0.6F, 0.8F};
  auto other = vector;
  other[1] = std::nextafter(other[1], 1.0F);

  EXPECT_EQ(vector_digest(vector), vector_digest(std::vector<float>(vector)));
  EXPECT_NE(vector_digest(vector), vector_digest(other));
}

}  // namespace
}  // namespace samtale
