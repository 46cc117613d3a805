// Goal: no damage to the files ever yields a payload that was not sent, and none but a torn tail is
// passed over in silence.
// Method: every bit and every length of a small log's files, and chosen damage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "accept/accept_log.h"
#include "accept/record.h"
#include "sim/memory_log.h"
#include "sim/sim_clock.h"
#include "sim/sim_files.h"
#include "sim/sim_random.h"

namespace samtale {
namespace {

using testing::HasSubstr;

constexpr AcceptLogOptions kOptions{
    .segment_bytes = 2048, .group_records_max = 3, .record_bytes_max = 512};
const std::string kFirst = "log/0000000000000000.log";
const std::string kSecond = "log/0000000000000800.log";

constexpr std::uint64_t kSecondBase = 0x800;

struct Reading {
  std::vector<std::string> payloads;
  std::string error;  // Of opening or of reading, or empty.
};

class DamageTest : public testing::Test {
 protected:
  // Two segments: the first full, the second with three groups of two, and zeros after them.
  void SetUp() override {
    auto log = open_accept_log(files, "log", kOptions, clock, lines).value();
    while (groups_in_second() < 3) {
      for (int i = 0; i < 2; ++i) {
        const auto length = sent.size() * 7 % 50;
        sent.push_back("event " + std::to_string(sent.size()) + std::string(length, 'x'));
        log->append(sent.back(),
                    [this](const Result<LogPosition>& at) { positions.push_back(at.value()); });
      }
      while (log->step() > 0) {
      }
    }
    ASSERT_EQ(files.paths().size(), 2U);
  }

  // How many groups of two the second segment holds.
  int groups_in_second() const {
    return static_cast<int>(std::ranges::count_if(
               positions, [](LogPosition at) { return number(at) > kSecondBase; })) /
           2;
  }

  // Where the n-th event from the end lies in the second file.
  std::size_t offset_from_end(std::size_t n) const {
    return static_cast<std::size_t>(number(positions[positions.size() - n]) - kSecondBase);
  }

  Reading reopen() {
    Reading out;
    auto log = open_accept_log(files, "log", kOptions, clock, lines);
    if (!log) return {{}, log.error().message};
    for (LogPosition from{};;) {
      const auto entries = (*log)->read(from, 1 << 20);
      if (!entries) out.error = entries.error().message;
      if (!entries || entries->empty()) return out;
      for (const auto& entry : *entries) out.payloads.push_back(entry.payload);
      from = entries->back().next;
    }
  }

  bool is_beginning_of_sent(const Reading& reading) const {
    return reading.payloads.size() <= sent.size() &&
           std::equal(reading.payloads.begin(), reading.payloads.end(), sent.begin());
  }

  SimRandom random{1};
  SimFiles files{random};
  SimClock clock;
  MemoryLog lines;
  std::vector<std::string> sent;
  std::vector<LogPosition> positions;
};

TEST_F(DamageTest, a_flipped_bit_is_found_or_harmless) {
  const std::vector<std::string> whole{files.contents(kFirst), files.contents(kSecond)};
  for (const auto& path : {kFirst, kSecond}) {
    const auto bytes = files.contents(path);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      files.replace(kFirst, whole[0]);
      files.replace(kSecond, whole[1]);
      auto flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      files.replace(path, flipped);

      const auto reading = reopen();

      ASSERT_TRUE(is_beginning_of_sent(reading)) << path << " bit " << bit;
      // Nothing that was answered for goes missing without an error.
      ASSERT_TRUE(!reading.error.empty() || reading.payloads == sent) << path << " bit " << bit;
    }
  }
}

TEST_F(DamageTest, a_file_cut_short_at_any_length_is_found) {
  for (const auto& path : {kFirst, kSecond}) {
    const auto bytes = files.contents(path);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      files.replace(path, bytes.substr(0, size));

      ASSERT_THAT(reopen().error, HasSubstr(path)) << size;
    }
    files.replace(path, bytes);
  }
}

TEST_F(DamageTest, a_group_written_up_to_any_byte_is_cut_and_reported) {
  const auto bytes = files.contents(kSecond);
  const auto group = offset_from_end(2);
  const auto end = bytes.find_last_not_of('\0') + 1;
  for (auto size = group; size < end; ++size) {
    files.replace(kSecond, bytes.substr(0, size) + std::string(bytes.size() - size, '\0'));

    const auto reading = reopen();

    ASSERT_EQ(reading.error, "") << size;
    ASSERT_TRUE(is_beginning_of_sent(reading)) << size;
    ASSERT_GE(reading.payloads.size(), sent.size() - 2) << "the groups before it are whole";
  }
  EXPECT_TRUE(lines.has("accept.tail_cut"));
}

TEST_F(DamageTest, damage_in_the_middle_names_segment_and_offset) {
  auto bytes = files.contents(kSecond);
  const auto offset = offset_from_end(4);
  bytes[offset + 40] ^= 1;
  files.replace(kSecond, bytes);

  EXPECT_THAT(reopen().error, HasSubstr(kSecond + ", offset " + std::to_string(offset)));
}

// Writes groups of one record, with lengths that leave every sector one of its own.
class LostSectorTest : public DamageTest {
 protected:
  void SetUp() override {
    auto log = open_accept_log(files, "log", kRoomy, clock, lines).value();
    for (int i = 0; i < 8; ++i) {
      sent.push_back(std::string(480 - (i == 0 ? 64 : 0), static_cast<char>('a' + i)));
      log->append(sent.back(), [](const auto&) {});
      log->step();
    }
  }

  // That of the n-th group from the end, which is not the first.
  void lose_sector(std::size_t n) {
    auto bytes = files.contents(kFirst);
    bytes.replace((8 - n) * kSectorBytes, kSectorBytes, kSectorBytes, '\0');
    files.replace(kFirst, bytes);
  }

  Reading reopen_roomy() {
    auto log = open_accept_log(files, "log", kRoomy, clock, lines);
    if (!log) return {{}, log.error().message};
    Reading out;
    const auto entries = (*log)->read({}, 1 << 20).value();
    for (const auto& entry : entries) out.payloads.push_back(entry.payload);
    return out;
  }

  static constexpr AcceptLogOptions kRoomy{.segment_bytes = 8192, .record_bytes_max = 512};
};

TEST_F(LostSectorTest, in_a_group_that_may_have_been_under_way_with_the_last_is_a_torn_tail) {
  lose_sector(4);

  const auto reading = reopen_roomy();

  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.payloads, std::vector<std::string>(sent.begin(), sent.begin() + 4));
  EXPECT_TRUE(lines.has("accept.tail_cut"));
}

TEST_F(LostSectorTest, before_those_is_damage) {
  lose_sector(5);

  EXPECT_THAT(reopen_roomy().error, HasSubstr("a record is damaged, and later ones are not"));
}

TEST_F(DamageTest, a_lost_sector_before_the_end_mark_is_damage) {
  auto bytes = files.contents(kFirst);
  const auto last =
      std::ranges::find_if(positions, [](LogPosition at) { return number(at) > kSecondBase; });
  bytes.replace(static_cast<std::size_t>(number(*std::prev(last))), 32, 32, '\0');
  files.replace(kFirst, bytes);

  EXPECT_THAT(reopen().error, HasSubstr("a record is damaged, and later ones are not"));
}

TEST_F(DamageTest, a_lost_sector_before_an_erased_record_is_damage) {
  ASSERT_TRUE(
      open_accept_log(files, "log", kOptions, clock, lines).value()->erase(positions.back()));
  auto bytes = files.contents(kSecond);
  bytes.replace(offset_from_end(2), 32, 32, '\0');
  files.replace(kSecond, bytes);

  EXPECT_THAT(reopen().error, HasSubstr("a record is damaged, and later ones are not"));
}

TEST_F(DamageTest, a_missing_segment_is_named) {
  auto log = open_accept_log(files, "log", kOptions, clock, lines).value();
  for (int i = 0; i < 20; ++i) {
    log->append(std::string(400, 'x'), [](const auto&) {});
    log->step();
  }
  ASSERT_TRUE(files.remove(kSecond));

  EXPECT_THAT(reopen().error, HasSubstr("begin at position 2048, is missing"));
}

TEST_F(DamageTest, a_segment_under_another_name_is_refused) {
  ASSERT_TRUE(files.rename(kSecond, "log/0000000000001000.log"));

  EXPECT_THAT(reopen().error, HasSubstr("belongs to a file named 0000000000000800.log"));
}

TEST_F(DamageTest, a_newer_format_is_refused_with_both_versions) {
  auto bytes = files.contents(kFirst);
  bytes[8] = 9;
  files.replace(kFirst, bytes);

  EXPECT_THAT(reopen().error, HasSubstr("has format version 9, this program knows up to 1"));
}

TEST_F(DamageTest, a_segment_left_unfinished_is_removed) {
  files.replace("log/next.tmp", "half");

  EXPECT_EQ(reopen().payloads, sent);
  EXPECT_FALSE(files.exists("log/next.tmp"));
}

}  // namespace
}  // namespace samtale
