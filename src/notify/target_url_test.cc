#include "notify/target_url.h"

#include <gmock/gmock.h>

#include "notify/public_address.h"

namespace samtale {
namespace {

Result<> check(std::string_view url, TargetRules rules = {}) {
  rules.may_connect = public_or({});
  return check_target_url(url, rules);
}

TEST(TargetUrlTest, takes_https_to_a_name_or_a_public_address) {
  for (const auto* url :
       {"https://example.com", "https://example.com/", "https://example.com/hooks/7?key=a%20b&c=d",
        "https://EXAMPLE.com:443/x", "https://xn--bcher-kva.example/", "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]:443/",
        "https://a-b.c1.example?x", "https://1password.example/", "https://example.com/a@b:8080"}) {
    const auto right = check(url);
    EXPECT_TRUE(right) << url << ": " << right.error().message;
  }
}

TEST(TargetUrlTest, refuses_other_schemes) {
  for (const auto* url :
       {"http://example.com/", "HTTPS://example.com/", "ftp://example.com/", "file:///etc/passwd",
        "gopher://example.com/", "//example.com/", "example.com", "", "https:/example.com",
        "https:example.com", "unix:/run/docker.sock", "javascript:alert(1)"}) {
    EXPECT_FALSE(check(url)) << url;
  }
}

TEST(TargetUrlTest, refuses_hosts_that_two_readers_could_read_differently) {
  for (const auto* url : {"https://user@example.com/",
                          "https://user:pass@example.com/",
                          "https://8.8.8.8@127.0.0.1/",
                          "https://example.com#@127.0.0.1/",
                          "https://example.com/#x",
                          "https://example.com\\@127.0.0.1/",
                          "https://example.com\t/",
                          "https://exa mple.com/",
                          "https://example.com\r\nHost: a/",
                          "https://ex%61mple.com/",
                          "https://127.0.0.1%2f.example.com/",
                          "https:///path",
                          "https://",
                          "https://:443/",
                          "https://example..com/",
                          "https://.example.com/",
                          "https://example.com./",
                          "https://-a.example/",
                          "https://exa_mple.com/",
                          "https://[::1",
                          "https://::1/",
                          "https://[::1]x/",
                          "https://[fe80::1%25eth0]/",
                          "https://[v1.x]/",
                          "https://b\xC3\xBC"
                          "cher.example/",
                          "https://\xE2\x93\x9B"
                          "ocalhost/",
                          "https://127\xE3\x80\x82"
                          "0.0.1/"}) {
    EXPECT_FALSE(check(url)) << url;
  }
}

TEST(TargetUrlTest, refuses_addresses_inside_in_every_spelling) {
  for (const auto* url : {"https://127.0.0.1/",
                          "https://10.0.0.1/",
                          "https://169.254.169.254/latest/meta-data/",
                          "https://2130706433/",
                          "https://0x7f000001/",
                          "https://0x7f.0.0.1/",
                          "https://0177.0.0.1/",
                          "https://017700000001/",
                          "https://127.1/",
                          "https://127.0.1/",
                          "https://0/",
                          "https://00.0.0.0/",
                          "https://127.0.0.1.0x1/",
                          "https://example.0x7f/",
                          "https://[::1]/",
                          "https://[::]/",
                          "https://[::ffff:127.0.0.1]/",
                          "https://[::ffff:7f00:1]/",
                          "https://[64:ff9b::7f00:1]/",
                          "https://[fd00::1]/",
                          "https://[fe80::1]/"}) {
    EXPECT_FALSE(check(url)) << url;
  }
}

TEST(TargetUrlTest, takes_the_ports_that_are_allowed) {
  const TargetRules rules{.ports = {443, 8443}};

  EXPECT_TRUE(check("https://example.com:8443/", rules));
  EXPECT_TRUE(check("https://example.com/", rules));
  for (const auto* url :
       {"https://example.com:8444/", "https://example.com:/", "https://example.com:0443/",
        "https://example.com:22/", "https://example.com:65979/", "https://example.com:443x/",
        "https://example.com:443:443/", "https://example.com:-1/"}) {
    EXPECT_FALSE(check(url, rules)) << url;
  }
}

TEST(TargetUrlTest, takes_http_only_where_the_operator_says_so) {
  const TargetRules rules{.allow_http = true, .ports = {443, 80}};

  EXPECT_TRUE(check("http://example.com/", rules));
  EXPECT_FALSE(check("http://example.com/", {.allow_http = true}));
  EXPECT_FALSE(check("http://example.com:80/", {.allow_http = false, .ports = {80}}));
}

TEST(TargetUrlTest, refuses_what_is_longer_than_anybody_needs) {
  EXPECT_TRUE(check("https://example.com/" + std::string(2028, 'a')));
  EXPECT_FALSE(check("https://example.com/" + std::string(2029, 'a')));
  EXPECT_FALSE(check("https://" + std::string(64, 'a') + ".example/"));
}

}  // namespace
}  // namespace samtale
