#include <chrono>

#include "cli/cli.h"

namespace samtale {
namespace {

constexpr auto kTimeout = std::chrono::minutes(2);  // A full server may hold an import back.

}  // namespace

Transport make_http_transport(std::shared_ptr<HttpClient> client, std::string url,
                              std::string unix_socket, std::string key) {
  while (url.ends_with('/')) url.pop_back();
  return [=, client = std::move(client)](http::Request request) -> Result<http::Response> {
    HttpCall call;
    call.method = request.method;
    call.url = url + request.target;
    call.unix_socket = unix_socket;
    call.headers = std::move(request.headers);
    if (!key.empty()) call.headers.emplace_back("authorization", "Bearer " + key);
    call.body = std::move(request.body);
    call.timeout = kTimeout;
    SAMTALE_TRY(auto answer, client->call(call));
    http::Response response;
    response.status = answer.status;
    response.body = std::move(answer.body);
    for (auto& [name, value] : answer.headers) {
      if (name == "content-type") response.content_type = value;
      response.headers.emplace_back(std::move(name), std::move(value));
    }
    return response;
  };
}

}  // namespace samtale
