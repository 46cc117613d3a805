#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EmailTest, finds_addresses_as_people_have_them) {
  for (const std::string address :
       {"jane@example.com", "jane.doe+invoice@mail.example.co.uk", "o'brien@example.ie", "x@y.dk",
        "JANE_DOE-99@EXAMPLE.COM", "søren.å@rødgrød.dk", "jane@xn--rdgrd-vuad.dk",
        "user@8.example.org", "почта@пример.рф", "用户@例子.公司", "a~b!#$%&*^c@example.com"}) {
    EXPECT_THAT(found("Skriv til " + address + " i dag"), ElementsAre("EMAIL " + address));
    EXPECT_THAT(found(address), ElementsAre("EMAIL " + address));
  }
}

TEST(EmailTest, parts_an_address_from_what_stands_around_it) {
  const std::string address = "jane@example.com";
  for (const std::string around :
       {"(@)", "<@>", "\"@\"", "'@'", "mailto:@?subject=hi", "Mail: @.", "@, ok", "**@**", "#@",
        "Name.........@", "https://x.dk/?to=@&cc=", "我的邮箱是@请回复", "“@”", "-@-", "@!",
        "@\n"}) {
    const auto text =
        around.substr(0, around.find('@')) + address + around.substr(around.find('@') + 1);
    EXPECT_THAT(found(text), ElementsAre("EMAIL " + address)) << text;
  }
}

TEST(EmailTest, finds_none_where_there_is_none) {
  for (const auto* text : {"@", "a@", "@b.dk", "jane@example", "jane@example.", "jane@.com",
                           "jane@@example.com", "root@ubuntu:~/Desktop$", "user@192.168.0.1:22",
                           "jane@example.c", "jane@-.com", "see @jane", "5@10.50", "a..@b.dk",
                           "jane @ example.com", "jane@example.1a", "@_@.com", "jane@\xFF.dk"}) {
    EXPECT_THAT(found(text), IsEmpty()) << text;
  }
}

TEST(EmailTest, finds_each_of_several) {
  EXPECT_THAT(found("a@b.dk;c@d.dk,e@f.dk g@h.dk@i.dk"),
              ElementsAre("EMAIL a@b.dk", "EMAIL c@d.dk", "EMAIL e@f.dk", "EMAIL g@h.dk"));
}

TEST(EmailTest, takes_64_bytes_of_what_is_too_long_for_a_name) {
  const auto text = std::string(100, 'a') + "@example.com";

  EXPECT_THAT(found(text), ElementsAre("EMAIL " + std::string(64, 'a') + "@example.com"));
}

}  // namespace
}  // namespace samtale
