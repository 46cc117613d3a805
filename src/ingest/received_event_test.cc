#include "ingest/received_event.h"

#include <gtest/gtest.h>

namespace samtale {
namespace {

ReceivedEvent an_event() {
  return {.company = CompanyId{7},
          .source = "retell",
          .provider = "retell",
          .key = make_event_key("retell", "evt-1"),
          .received_at = from_us(1'700'000'000'000'001),
          .idle_timeout = std::chrono::hours(1),
          .body = std::string("{\"a\":\"\0\"}", 9)};
}

TEST(ReceivedEventTest, reads_back_what_it_wrote) {
  EXPECT_EQ(decode_received_event(encode(an_event())).value(), an_event());
}

TEST(ReceivedEventTest, tells_company_and_time_without_the_rest) {
  const auto head = peek_event(encode(an_event()));

  EXPECT_EQ(head->company, CompanyId{7});
  EXPECT_EQ(head->received_at, an_event().received_at);
}

TEST(ReceivedEventTest, refuses_every_record_that_is_cut_short) {
  const auto whole = encode(an_event());

  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(decode_received_event(whole.substr(0, length))) << length;
  }
  EXPECT_FALSE(decode_received_event(whole + "x"));
}

TEST(ReceivedEventTest, tells_a_newer_version_from_damage) {
  auto newer = encode(an_event());
  newer[3] = 2;

  EXPECT_EQ(decode_received_event(newer).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(decode_received_event("garbage").error().code, ErrorCode::corrupt);
}

TEST(ReceivedEventTest, keeps_events_of_different_sources_and_companies_apart) {
  EXPECT_NE(make_event_key("a", "b"), make_event_key("ab", ""));
  EXPECT_NE(public_event_id(CompanyId{1}, "k"), public_event_id(CompanyId{2}, "k"));
}

}  // namespace
}  // namespace samtale
