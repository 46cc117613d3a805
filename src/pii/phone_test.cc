#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pii/testing/found.h"

namespace samtale {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

void expect_found(const std::string& phone) {
  EXPECT_THAT(found("Ask at " + phone + ", please"), ElementsAre("PHONE " + phone));
  EXPECT_THAT(found(phone), ElementsAre("PHONE " + phone));
  EXPECT_THAT(found("no:" + phone + "."), ElementsAre("PHONE " + phone));
}

TEST(PhoneTest, finds_danish_numbers) {
  for (const auto* phone : {"12 34 56 78", "12345678", "1234 5678", "12-34-56-78", "22 334455",
                            "123 45 678", "12 34 5678", "12\u00A034\u00A056\u00A078"}) {
    expect_found(phone);
  }
}

TEST(PhoneTest, finds_american_numbers) {
  for (const auto* phone :
       {"(555) 123-4567", "555-123-4567", "555.123.4567", "555 123 4567", "5551234567",
        "(555)123-4567", "1-555-123-4567", "1 (555) 123-4567", "15551234567", "555 123-4567",
        "555 - 123 - 4567", "98765 43210", "987 6543210"}) {
    expect_found(phone);
  }
}

TEST(PhoneTest, finds_international_numbers) {
  for (const auto* phone :
       {"+45 12345678", "+4512345678", "+45 12 34 56 78", "+1 (555) 123-4567", "+1-555-123-4567",
        "+44 20 7946 0958", "+44 (0)20 7946 0958", "+33 1 84 82 49 09", "+46 70 123 45 67",
        "+49 30/901820", "004512345678", "0045 12 34 56 78", "+299 32 10 00", "+(45) 12345678"}) {
    expect_found(phone);
  }
}

TEST(PhoneTest, ends_where_the_countrys_numbers_end) {
  EXPECT_THAT(found("+45 12345678 87654321"), ElementsAre("PHONE +45 12345678", "PHONE 87654321"));
  EXPECT_THAT(found("+45 12 34 56 78 9 til 5"), ElementsAre("PHONE +45 12 34 56 78"));
  EXPECT_THAT(found("+1 555 123 4567 2 times"), ElementsAre("PHONE +1 555 123 4567"));
}

TEST(PhoneTest, finds_each_of_several) {
  EXPECT_THAT(found("12345678/23456789, 34567890,45678901 el. (+45) 56 78 90 12"),
              ElementsAre("PHONE 12345678", "PHONE 23456789", "PHONE 34567890", "PHONE 45678901",
                          "PHONE +45) 56 78 90 12"));
}

TEST(PhoneTest, takes_no_other_number_for_a_phone) {
  for (const auto* text : {
           "1234567",
           "123 4567",  // Too short.
           "123456789",
           "123456789012",  // No length of a phone's.
           "1700000000",    // Seconds since 1970.
           "01234567",      //
           "20240115",
           "15012024",
           "2024-01-15",
           "15-01-2024",
           "15.01.2024",
           "15 01 2024",
           "2019-2024",
           "6881-6999",
           "https://x.dk/m/24667136/",
           "?t=33879949",
           "2013-03-26-205909",
           "2026-11-28T03:38:09+01:00",
           "12:34 56:78",
           "192.168.10.20",
           "10.20.30.40",
           "3.16.0.29",
           "0.12345678",
           "64-2.0.5-2",
           "12345678,50",
           "12345678.5",
           "$12345678",
           "€ 1.234.567",
           "12.345.678",
           "12,345,678",
           "12 345 678",  // Thousands.
           "#12345678",
           "E-12345678",
           "A12345678",
           "12345678kr",
           "id_12345678",
           "x12345678y",
           "1234 5678 9012 3456",
           "1234 5678 9012",  // An account.
           "4111-1111-1111-1112",
           "550e8400-e29b-41d4-a716-446655440000",
           "+ 12",
           "+1",
           "++4512345678x",
           "00123",
       }) {
    EXPECT_THAT(found(text), IsEmpty()) << text;
  }
}

TEST(PhoneTest, finds_what_is_doubtful_where_a_phone_is_spoken_of) {
  EXPECT_THAT(found("tlf. 20240115"), ElementsAre("PHONE 20240115"));
  EXPECT_THAT(found("Mobil: 20.24.01.15"), ElementsAre("PHONE 20.24.01.15"));
  EXPECT_THAT(found("my phone is 2019-2024"), ElementsAre("PHONE 2019-2024"));
  EXPECT_THAT(found("contact number 1236549874"), ElementsAre("PHONE 1236549874"));
  EXPECT_THAT(found("?phone=12345678"), ElementsAre("PHONE 12345678"));
  EXPECT_THAT(found("kl. 20240115 bring ost"), IsEmpty());
}

}  // namespace
}  // namespace samtale
