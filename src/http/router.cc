#include "http/router.h"

#include <set>

#include "base/check.h"
#include "http/target.h"

namespace samtale::http {
namespace {

// Takes the first part off `rest` ("/a/b" -> "a", "/b").
std::string_view take_part(std::string_view& rest) {
  rest.remove_prefix(1);
  const auto part = rest.substr(0, rest.find('/'));
  rest.remove_prefix(part.size());
  return part;
}

void collect_methods(const std::set<std::string, std::less<>>& methods, std::string& out) {
  for (const auto& method : methods) {
    if (!out.empty()) out.append(", ");
    out.append(method);
  }
}

void note_method(std::string_view method, std::set<std::string, std::less<>>& methods) {
  methods.emplace(method);
  if (method == "GET") methods.emplace("HEAD");
}

}  // namespace

struct Router::Search {
  std::string_view method;
  const Endpoint* found = nullptr;
  std::vector<std::string> values;  // Of the parts in braces, on the way to here.
  std::set<std::string, std::less<>> methods;
};

Router::Router(const std::vector<Route>& routes) {
  for (const auto& route : routes) add(route);
}

void Router::add(const Route& route) {
  SAMTALE_CHECK(route.pattern.starts_with('/'), "a route pattern begins with a slash");
  SAMTALE_CHECK(route.handler || route.stream, "a route has a handler or a stream");
  Node* node = &root_;
  Endpoint endpoint{&route, {}};
  for (std::string_view rest = route.pattern; !rest.empty();) {
    const auto part = take_part(rest);
    const bool is_any = part.starts_with('{');
    SAMTALE_CHECK(!is_any || (part.ends_with('}') && part.size() > 2),
                  "a part in braces has a name and is the whole part");
    if (is_any) endpoint.names.emplace_back(part.substr(1, part.size() - 2));
    auto& next = is_any ? node->any : node->literals[std::string(part)];
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  for (const auto& other : node->endpoints) {
    SAMTALE_CHECK(other.route->method != route.method, "a route is there twice");
  }
  node->endpoints.push_back(std::move(endpoint));
}

void Router::find(const Node& node, std::string_view rest, Search& search) {
  if (rest.empty()) {
    const Endpoint* get = nullptr;
    for (const auto& endpoint : node.endpoints) {
      const auto& method = endpoint.route->method;
      if (method == search.method) search.found = &endpoint;
      if (method == "GET" && search.method == "HEAD") get = &endpoint;
      if (!search.found) note_method(method, search.methods);
    }
    if (!search.found) search.found = get;
    return;
  }
  const auto part = take_part(rest);
  if (part.empty() && node.literals.empty()) return;
  const auto decoded = part.find('%') == std::string_view::npos
                           ? std::string(part)
                           : percent_decode(part, false).value_or(std::string());
  if (const auto literal = node.literals.find(decoded); literal != node.literals.end()) {
    find(*literal->second, rest, search);
  }
  if (search.found || !node.any || decoded.empty()) return;
  search.values.push_back(decoded);
  find(*node.any, rest, search);
  if (!search.found) search.values.pop_back();
}

Router::Match Router::match(std::string_view method, std::string_view raw_path) const {
  Search search;
  search.method = method;
  find(root_, raw_path, search);
  Match match;
  if (!search.found) {
    collect_methods(search.methods, match.allow);
    return match;
  }
  match.route = search.found->route;
  for (std::size_t i = 0; i < search.values.size(); ++i) {
    match.params.emplace_back(search.found->names[i], std::move(search.values[i]));
  }
  return match;
}

std::string Router::all_methods() const {
  std::set<std::string, std::less<>> methods;
  const auto visit = [&methods](const auto& self, const Node& node) -> void {
    for (const auto& endpoint : node.endpoints) note_method(endpoint.route->method, methods);
    for (const auto& [part, next] : node.literals) self(self, *next);
    if (node.any) self(self, *node.any);
  };
  visit(visit, root_);
  std::string out;
  collect_methods(methods, out);
  return out;
}

}  // namespace samtale::http
