#include "relay/event_message.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace samtale {
namespace {

TEST(EventMessageTest, says_where_the_record_lies_and_what_is_in_it) {
  const auto bytes =
      encode({.place = {.log = LogId{7}, .position = LogPosition{300}}, .payload = "record"});

  EXPECT_EQ(hex(bytes),
            "53454d01"
            "0700000000000000"
            "2c01000000000000" +
                hex("record"));
  const auto read = decode_event_message(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->place, (EventPlace{LogId{7}, LogPosition{300}}));
  EXPECT_EQ(read->payload, "record");
}

TEST(EventMessageTest, tells_a_later_version_from_what_is_no_message) {
  auto later = encode({.place = {}, .payload = ""});
  later[3] = 2;

  EXPECT_EQ(decode_event_message(later).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(decode_event_message("").error().code, ErrorCode::corrupt);
  EXPECT_EQ(decode_event_message(later.substr(0, 19)).error().code, ErrorCode::corrupt);
  EXPECT_EQ(decode_event_message("{\"v\":1,\"kind\":\"embed\"}").error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace samtale
