// Method: published vectors of each RFC and standard, then random bytes there and back.
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <random>

namespace samtale {
namespace {

TEST(BytesTest, encodes_and_decodes_the_vectors_of_rfc_4648) {
  const std::pair<std::string, std::string> base64_vectors[] = {{"", ""},
                                                                {"f", "Zg=="},
                                                                {"fo", "Zm8="},
                                                                {"foo", "Zm9v"},
                                                                {"foob", "Zm9vYg=="},
                                                                {"fooba", "Zm9vYmE="},
                                                                {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : base64_vectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(unbase64(text), bytes);
  }
  EXPECT_EQ(base32("foobar"), "mzxw6ytboi");
  EXPECT_EQ(unbase32("mzxw6ytboi"), "foobar");
  EXPECT_EQ(hex("\x01\xAB"), "01ab");
  EXPECT_EQ(unhex("01aB"), "\x01\xAB");
}

TEST(BytesTest, refuses_encodings_that_no_encoder_writes) {
  for (const auto* text :
       {"Zg=", "Z", "Zg===", "Zh==", "Zm9=", "Zm 8=", "Zm-_", "=", "==", "Zg==Zg==", "\n"}) {
    EXPECT_EQ(unbase64(text), std::nullopt) << text;
  }
  EXPECT_EQ(unbase64(std::string_view("Zm\0v", 4)), std::nullopt);
  for (const auto* text : {"m", "mz1w", "MZXW", "mzx"})
    EXPECT_EQ(unbase32(text), std::nullopt) << text;
  for (const auto* text : {"0", "0g", "0x00", " 00"}) EXPECT_EQ(unhex(text), std::nullopt) << text;
}

TEST(BytesTest, decodes_everything_it_encodes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 70, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    ASSERT_EQ(unbase64(base64(bytes)), bytes);
    ASSERT_EQ(unbase32(base32(bytes)), bytes);
    ASSERT_EQ(unhex(hex(bytes)), bytes);
  }
}

TEST(BytesTest, digests_as_the_standards_say) {
  // FIPS 180-4 example; RFC 4231 test case 2; RFC 2202 test case 2.
  EXPECT_EQ(hex(view(sha256("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha1("Jefe", "what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(hmac_sha256("", "").size(), 32U);
}

TEST(BytesTest, checksums_as_rfc_3720_and_in_pieces) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c("456789", crc32c("123")), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(BytesTest, compares_whole_strings) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_in_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST(BytesTest, writes_numbers_with_the_least_byte_first) {
  std::string bytes = "a";

  append_u64(bytes, 0x0123456789ABCDEFU);

  EXPECT_EQ(hex(bytes), "61efcdab8967452301");
  EXPECT_EQ(read_u64(std::string_view(bytes).substr(1)), 0x0123456789ABCDEFU);
}

TEST(BytesTest, knows_utf8_at_every_border) {
  for (const std::string_view text :
       {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(text)) << hex(text);
  }
  for (const std::string_view text :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x7F", "\xE0\x9F\xBF", "\xE0\xA0",
        "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x90\x80",
        "a\xFF", "\xE0\xA0\xC0"}) {
    EXPECT_FALSE(is_utf8(text)) << hex(text);
  }
}

}  // namespace
}  // namespace samtale
