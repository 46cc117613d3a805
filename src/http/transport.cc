#include "http/transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string>
#include <utility>

#include "base/check.h"

namespace samtale::http {
namespace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int descriptor) : descriptor_(descriptor) {}

  IoResult handshake() override { return {}; }

  IoResult read(std::span<char> into) override {
    const auto got = retry([&] { return ::recv(descriptor_, into.data(), into.size(), 0); });
    if (got == 0) return {IoStatus::closed};
    if (got < 0) return {errno == EAGAIN ? IoStatus::want_read : IoStatus::failed};
    const auto bytes = static_cast<std::size_t>(got);
    return {IoStatus::ok, bytes, bytes < into.size()};
  }

  IoResult write(std::string_view bytes) override {
    const auto sent =
        retry([&] { return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (sent < 0) return {errno == EAGAIN ? IoStatus::want_write : IoStatus::failed};
    return {IoStatus::ok, static_cast<std::size_t>(sent)};
  }

  void shut_write() override { ::shutdown(descriptor_, SHUT_WR); }

 private:
  template <class Call>
  static ssize_t retry(Call call) {
    ssize_t done = call();
    while (done < 0 && errno == EINTR) done = call();
    return done;
  }

  const int descriptor_;
};

// OpenSSL on the socket itself: its own reads and writes, woken by the same polling as plain ones.
class TlsTransport final : public Transport {
 public:
  TlsTransport(SSL_CTX* context, int descriptor) : ssl_(SSL_new(context)), descriptor_(descriptor) {
    SAMTALE_CHECK(ssl_ && SSL_set_fd(ssl_, descriptor) == 1, "OpenSSL is out of memory");
    SSL_set_accept_state(ssl_);
  }
  ~TlsTransport() override { SSL_free(ssl_); }
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;

  IoResult handshake() override {
    ERR_clear_error();
    const int code = SSL_do_handshake(ssl_);
    return code == 1 ? IoResult{} : IoResult{status_of(code)};
  }

  IoResult read(std::span<char> into) override {
    // A record is at most 16 KiB, and one left inside OpenSSL is not seen by polling: read on.
    std::size_t bytes = 0;
    auto status = IoStatus::ok;
    while (bytes < into.size() && status == IoStatus::ok) {
      ERR_clear_error();
      std::size_t got = 0;
      const int code = SSL_read_ex(ssl_, into.data() + bytes, into.size() - bytes, &got);
      if (code != 1) status = status_of(code);
      bytes += got;
    }
    if (bytes == 0) return {status};
    return {IoStatus::ok, bytes, status == IoStatus::want_read};
  }

  IoResult write(std::string_view bytes) override {
    ERR_clear_error();
    std::size_t sent = 0;
    const int code = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent);
    return code == 1 ? IoResult{IoStatus::ok, sent} : IoResult{status_of(code)};
  }

  void shut_write() override {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
    ::shutdown(descriptor_, SHUT_WR);
  }

 private:
  IoStatus status_of(int code) {
    switch (SSL_get_error(ssl_, code)) {
      case SSL_ERROR_WANT_READ:
        return IoStatus::want_read;
      case SSL_ERROR_WANT_WRITE:
        return IoStatus::want_write;
      case SSL_ERROR_ZERO_RETURN:
        return IoStatus::closed;
      default:
        return IoStatus::failed;
    }
  }

  SSL* const ssl_;
  const int descriptor_;
};

std::string openssl_error() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  return text.data();
}

int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void* /*unused*/) {
  static constexpr unsigned char kOurs[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  const int code =
      SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs, offered, offered_size);
  *out = chosen;
  return code == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

class OpenSslContext final : public TlsContext {
 public:
  OpenSslContext() : context_(SSL_CTX_new(TLS_server_method())) {
    SAMTALE_CHECK(context_, "OpenSSL is out of memory");
    SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
    SSL_CTX_set_options(
        context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(context_, choose_protocol, nullptr);
    // A key with a passphrase is an error, not a question to the terminal.
    SSL_CTX_set_default_passwd_cb(context_, [](char*, int, int, void*) { return 0; });
  }
  ~OpenSslContext() override { SSL_CTX_free(context_); }
  OpenSslContext(const OpenSslContext&) = delete;
  OpenSslContext& operator=(const OpenSslContext&) = delete;

  Result<> use(const TlsOptions& options) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context_, options.certificate_file.c_str()) != 1) {
      return fail(ErrorCode::invalid_argument, "TLS certificate " + options.certificate_file +
                                                   ": " + openssl_error() +
                                                   "; it must be a PEM file with the chain");
    }
    if (SSL_CTX_use_PrivateKey_file(context_, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context_) != 1) {
      return fail(ErrorCode::invalid_argument,
                  "TLS key " + options.key_file + ": " + openssl_error() +
                      "; it must be a PEM file without passphrase, the key of " +
                      options.certificate_file);
    }
    return {};
  }

  std::unique_ptr<Transport> wrap(int descriptor) override {
    return std::make_unique<TlsTransport>(context_, descriptor);
  }

 private:
  SSL_CTX* const context_;
};

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::load(const TlsOptions& options) {
  auto context = std::make_unique<OpenSslContext>();
  SAMTALE_TRY_VOID(context->use(options));
  return std::unique_ptr<TlsContext>(std::move(context));
}

std::unique_ptr<Transport> make_plain_transport(int descriptor) {
  return std::make_unique<PlainTransport>(descriptor);
}

}  // namespace samtale::http
