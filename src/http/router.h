// Router: from method and path to a route.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"

namespace samtale::http {

// Order:   a literal part goes before a part in braces, from the left. A less specific pattern that
//          has the method goes before a more specific one that has not.
// Threads: match from any thread.
// Memory:  points into the routes it was made from; they must outlive it and stay where they are.
class Router {
 public:
  // CHECKs: patterns begin with a slash, each route can answer, none is there twice.
  explicit Router(const std::vector<Route>& routes);

  struct Match {
    const Route* route = nullptr;
    std::vector<std::pair<std::string, std::string>> params;
    std::string allow;  // Without a route: the methods of this path; empty if the path is unknown.
  };
  // `raw_path` is still encoded (but well-formed): it is split at '/', then each part is decoded,
  // so an encoded slash stays inside its part. GET routes answer HEAD too.
  [[nodiscard]] Match match(std::string_view method, std::string_view raw_path) const;

  [[nodiscard]] std::string all_methods() const;  // For targets that are no path.

 private:
  struct Endpoint {
    const Route* route;
    std::vector<std::string> names;
  };
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> any;
    std::vector<Endpoint> endpoints;
  };
  struct Search;

  void add(const Route& route);
  static void find(const Node& node, std::string_view rest, Search& search);

  Node root_;
};

}  // namespace samtale::http
