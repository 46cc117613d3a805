// Goal:   nothing inside gets a connection, however its address is written.
// Method: the first, the last and a middle address of each block, and their neighbours outside.
#include "notify/public_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

namespace samtale {
namespace {

sockaddr_storage address(const std::string& text) {
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
  } else {
    EXPECT_EQ(::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
  }
  return storage;
}

const sockaddr& view(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr&>(storage);
}

bool is_public(const std::string& text) { return is_public_address(view(address(text))); }

TEST(PublicAddressTest, refuses_what_is_not_for_everybody) {
  for (const auto* inside :
       {"0.0.0.0",         "0.255.255.255",   "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.127.255.255", "127.0.0.1",       "127.255.255.255",
        "169.254.0.0",     "169.254.169.254", "169.254.255.255", "172.16.0.0",
        "172.31.255.255",  "192.0.0.0",       "192.0.0.255",     "192.0.2.1",
        "192.88.99.1",     "192.168.0.0",     "192.168.255.255", "198.18.0.0",
        "198.19.255.255",  "198.51.100.7",    "203.0.113.255",   "224.0.0.1",
        "239.255.255.255", "240.0.0.0",       "255.255.255.255"}) {
    EXPECT_FALSE(is_public(inside)) << inside;
  }
}

TEST(PublicAddressTest, takes_their_neighbours_outside) {
  for (const auto* outside :
       {"1.0.0.0",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.0",       "169.253.255.255", "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",      "191.255.255.255", "192.0.1.0",       "192.0.3.0",      "192.88.98.255",
        "192.167.255.255", "192.169.0.0",     "198.17.255.255",  "198.20.0.0",     "198.51.99.255",
        "203.0.112.255",   "203.0.114.0",     "223.255.255.255", "8.8.8.8"}) {
    EXPECT_TRUE(is_public(outside)) << outside;
  }
}

TEST(PublicAddressTest, of_ipv6_takes_global_unicast_alone) {
  for (const auto* inside :
       {"::", "::1", "fc00::1", "fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
        "ff0e::1", "2001:db8::1", "2001:2::1", "2001:10::1", "2001:1ff::1", "3fff::1", "100::1",
        "5f00::1", "4000::1", "64:ff9b:1::8.8.8.8", "64:ff9b:1::1"}) {
    EXPECT_FALSE(is_public(inside)) << inside;
  }
  for (const auto* outside : {"2606:4700:4700::1111", "2001:200::1", "2a00:1450::1", "3ffe::1"}) {
    EXPECT_TRUE(is_public(outside)) << outside;
  }
}

TEST(PublicAddressTest, judges_an_embedded_address_by_what_it_is) {
  for (const auto* inside :
       {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8",
        "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "2002:7f00:1::", "2002:c0a8:101::1",
        // Teredo: the server 8.8.8.8 and a client in 10/8, then the other way round.
        "2001:0:808:808:0:0:f5ff:fffe", "2001:0:a00:1:0:0:f7f7:f7f7"}) {
    EXPECT_FALSE(is_public(inside)) << inside;
  }
  for (const auto* outside :
       {"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:0:808:808:0:0:f7f7:f7f7"}) {
    EXPECT_TRUE(is_public(outside)) << outside;
  }
}

TEST(PublicAddressTest, refuses_what_is_no_address_of_the_internet) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;

  EXPECT_FALSE(is_public_address(view(storage)));
}

TEST(PublicAddressTest, an_operator_may_open_a_network_and_no_more) {
  const auto guard =
      public_or({parse_network("10.1.0.0/16").value(), parse_network("fd00::/8").value(),
                 parse_network("192.168.1.7").value()});

  for (const auto* open :
       {"10.1.0.0", "10.1.255.255", "::ffff:10.1.0.1", "fd00::1", "192.168.1.7", "8.8.8.8"}) {
    EXPECT_TRUE(guard(view(address(open)))) << open;
  }
  for (const auto* closed :
       {"10.0.255.255", "10.2.0.0", "fc00::1", "192.168.1.6", "192.168.1.8", "64:ff9b::10.1.0.1"}) {
    EXPECT_FALSE(guard(view(address(closed)))) << closed;
  }
}

TEST(PublicAddressTest, networks_of_odd_length_end_where_they_say) {
  const auto network = parse_network("172.16.0.0/12").value();

  EXPECT_TRUE(is_in(view(address("172.31.255.255")), network));
  EXPECT_FALSE(is_in(view(address("172.32.0.0")), network));
  EXPECT_FALSE(is_in(view(address("::172.16.0.1")), network));
}

TEST(PublicAddressTest, networks_that_are_none_are_refused) {
  for (const auto* text :
       {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10/8", "fd00::/129",
        "localhost", "0x7f000001", "010.0.0.1/8", "10.0.0.0/8 "}) {
    EXPECT_FALSE(parse_network(text)) << text;
  }
}

}  // namespace
}  // namespace samtale
