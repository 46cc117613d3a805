// Goal:   TLS and the local socket carry the same requests, and say what is wrong with their files.
// Method: a certificate made for each test.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "http/testing/running_server.h"

namespace samtale::http::testing {
namespace {

class TransportTest : public ::testing::Test {
 protected:
  TransportTest() {
    std::string name = (std::filesystem::temp_directory_path() / "http_test_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~TransportTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string path(std::string_view name) const {
    return folder_ + "/" + std::string(name);
  }

  // A key and a certificate signed with it.
  [[nodiscard]] TlsOptions make_certificate(const std::string& name) const {
    TlsOptions options{.certificate_file = path(name + ".pem"), .key_file = path(name + ".key")};
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(options.certificate_file.c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(options.key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return options;
  }

 private:
  std::string folder_;
};

TEST_F(TransportTest, tls_carries_requests_and_large_bodies_both_ways) {
  const RunningServer server(echo_routes(), {.tls = make_certificate("a")});
  ASSERT_TRUE(server.started()) << server.started().error().message;
  auto client = server.connect();
  ASSERT_TRUE(client.start_tls());
  const std::string large(3u << 20, 'x');

  client.send(post("/echo", "one") + post("/echo", "two"));
  const auto one = client.read_answer();
  const auto two = client.read_answer();
  client.send(post("/echo", large, "Connection: close\r\n"));
  const auto three = client.read_to_end();

  EXPECT_TRUE(one.ends_with("\r\n\r\none"));
  EXPECT_TRUE(two.ends_with("\r\n\r\ntwo"));
  EXPECT_TRUE(three.ends_with(large));
}

TEST_F(TransportTest, tls_closes_on_a_client_that_speaks_plain_or_says_nothing) {
  const RunningServer server(echo_routes(), {.tls = make_certificate("a"),
                                             .header_timeout = std::chrono::milliseconds(40)});

  EXPECT_EQ(server.exchange(get("/echo")).find("HTTP/1.1 "), std::string::npos);
  EXPECT_EQ(server.exchange(""), "");
}

TEST_F(TransportTest, tls_says_which_file_is_wrong) {
  const auto good = make_certificate("a");
  const auto other = make_certificate("b");
  const auto missing =
      RunningServer(echo_routes(), {.tls = TlsOptions{.certificate_file = path("none"),
                                                      .key_file = good.key_file}})
          .started();
  const auto foreign =
      RunningServer(echo_routes(), {.tls = TlsOptions{.certificate_file = good.certificate_file,
                                                      .key_file = other.key_file}})
          .started();

  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(missing.error().message.find(path("none")), std::string::npos);
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(foreign.error().message.find(other.key_file), std::string::npos);
}

TEST_F(TransportTest, the_local_socket_is_for_its_owner_and_marks_its_requests) {
  std::string seen;
  const RunningServer server({route("GET", "/who",
                                    [&](const Request& request, Reply reply) {
                                      seen = request.peer + (request.is_local ? " local" : "");
                                      reply({});
                                    })},
                             {.local_socket = path("socket")});
  struct stat status {};
  ASSERT_EQ(::stat(path("socket").c_str(), &status), 0);
  auto client = RawClient::local(path("socket"));

  client.send(get("/who"));
  client.read_answer();

  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(seen, "local local");
}

TEST_F(TransportTest, the_local_socket_goes_with_its_server_and_a_stale_one_is_taken_over) {
  {
    RunningServer server(echo_routes(), {.local_socket = path("socket")});
    EXPECT_TRUE(server.started());
    const RunningServer second(echo_routes(), {.local_socket = path("socket")});
    ASSERT_FALSE(second.started());
    EXPECT_EQ(second.started().error().code, ErrorCode::unavailable);
    std::filesystem::create_hard_link(path("socket"), path("stale"));
  }
  const RunningServer after(echo_routes(), {.local_socket = path("stale")});

  EXPECT_FALSE(std::filesystem::exists(path("socket")));
  EXPECT_TRUE(after.started());
}

TEST_F(TransportTest, the_local_socket_never_replaces_a_file) {
  std::ofstream(path("file")) << "precious";

  const RunningServer server(echo_routes(), {.local_socket = path("file")});
  const RunningServer too_long(echo_routes(), {.local_socket = path(std::string(200, 'x'))});

  ASSERT_FALSE(server.started());
  EXPECT_EQ(server.started().error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(std::filesystem::exists(path("file")));
  ASSERT_FALSE(too_long.started());
  EXPECT_EQ(too_long.started().error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace samtale::http::testing
