#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <ranges>

#include "config/keys.h"

namespace samtale {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

constexpr std::pair<std::string_view, std::int64_t> kByteUnits[] = {{"TiB", std::int64_t{1} << 40},
                                                                    {"GiB", std::int64_t{1} << 30},
                                                                    {"MiB", std::int64_t{1} << 20},
                                                                    {"KiB", std::int64_t{1} << 10},
                                                                    {"B", 1}};

std::unexpected<Error> wrong(std::string what) {
  return fail(ErrorCode::invalid_argument, std::move(what));
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kShownMax)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out + (text.size() > kShownMax ? "…\"" : "\"");
}

std::string shown(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string shown(const RawValue& value) {
  return std::visit(
      Overloaded{[](bool v) { return std::string(v ? "true" : "false"); },
                 [](std::int64_t v) { return std::to_string(v); },
                 [](double v) { return shown(v); },
                 [](const std::string& v) { return shown(std::string_view(v)); },
                 [](const std::vector<std::string>&) { return std::string("a list"); }},
      value);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <class T>
std::optional<T> number_from(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "64 MiB", "64MiB" or "67108864".
std::optional<double> bytes_from(std::string_view text) {
  text = trimmed(text);
  std::int64_t unit = 1;
  for (const auto& [name, size] : kByteUnits) {
    if (!text.ends_with(name)) continue;
    text.remove_suffix(name.size());
    unit = size;
    break;
  }
  const auto count = number_from<std::int64_t>(trimmed(text));
  if (!count) return std::nullopt;
  return static_cast<double>(*count) * static_cast<double>(unit);
}

std::string bytes_text(std::int64_t bytes) {
  for (const auto& [name, size] : kByteUnits) {
    if (bytes % size == 0 && bytes != 0)
      return std::to_string(bytes / size) + " " + std::string(name);
  }
  return std::to_string(bytes);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      out += "\\u00";
      out += kDigits[byte >> 4U];
      out += kDigits[byte & 15U];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

bool is_one_of(std::string_view text, std::string_view choices) {
  for (const auto part : std::views::split(choices, '|')) {
    if (std::string_view(part.begin(), part.end()) == text) return true;
  }
  return false;
}

bool is_network(const std::string& text) {
  const auto slash = text.find('/');
  const auto address = text.substr(0, slash);
  std::array<char, sizeof(in6_addr)> bytes{};
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  if (!is_v4 && inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return false;
  if (slash == std::string::npos) return true;
  const auto prefix = number_from<unsigned>(std::string_view(text).substr(slash + 1));
  return prefix && *prefix <= (is_v4 ? 32U : 128U);
}

bool is_port(std::string_view text) {
  const auto port = number_from<std::uint16_t>(text);
  return port && *port != 0;
}

Result<> check_text(const Key& key, const std::string& text) {
  if (text.find('\0') != std::string::npos) return wrong("must not hold a NUL byte");
  if (!key.choices.empty() && !is_one_of(text, key.choices)) {
    return wrong("must be " + range_text(key) + "; got " + shown(std::string_view(text)));
  }
  if (key.meaning == Meaning::ip_address) {
    std::array<char, sizeof(in6_addr)> address{};
    if (inet_pton(AF_INET, text.c_str(), address.data()) != 1 &&
        inet_pton(AF_INET6, text.c_str(), address.data()) != 1) {
      return wrong("must be an IP address such as 127.0.0.1, 0.0.0.0 or ::1; got " +
                   shown(std::string_view(text)));
    }
  }
  const bool is_right = key.meaning == Meaning::network ? is_network(text)
                        : key.meaning == Meaning::port  ? is_port(text)
                        : key.meaning == Meaning::length_of_time
                            ? parse_length_of_time(text).has_value()
                            : true;
  if (!is_right) {
    return wrong("must hold " + range_text(key) + "; got " + shown(std::string_view(text)));
  }
  if (key.meaning == Meaning::url && !text.empty() && !text.starts_with("http://") &&
      !text.starts_with("https://")) {
    return wrong("must begin with http:// or https://; got " + shown(std::string_view(text)));
  }
  return {};
}

// A number within the key's range; `whole`: without a fraction.
Result<double> check_number(const Key& key, const RawValue& value, bool whole) {
  std::optional<double> number;
  if (const auto* i = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&value)) number = *d;
  if (const auto* s = std::get_if<std::string>(&value); s && key.meaning == Meaning::bytes) {
    number = bytes_from(*s);
  }
  if (!number || !std::isfinite(*number) || (whole && *number != std::floor(*number))) {
    return wrong("must be " + type_text(key) + "; got " + shown(value));
  }
  if (*number < key.min || *number > key.max) {
    return wrong("must be " + range_text(key) + "; got " + shown(value));
  }
  return *number;
}

}  // namespace

// In place, because g++ 12 with the sanitizers thinks that a moved variant is not initialized.
Result<RawValue> raw_from_text(const Key& key, std::string_view text) {
  if (std::holds_alternative<bool& (*)(Config&)>(key.at)) {
    if (text == "true") return Result<RawValue>(std::in_place, true);
    if (text == "false") return Result<RawValue>(std::in_place, false);
    return wrong("must be true or false; got " + shown(text));
  }
  if (std::holds_alternative<std::vector<std::string>& (*)(Config&)>(key.at)) {
    std::vector<std::string> words;
    for (const auto part : std::views::split(text, ' ')) {
      if (part.begin() != part.end()) words.emplace_back(part.begin(), part.end());
    }
    return Result<RawValue>(std::in_place, std::move(words));
  }
  if (std::holds_alternative<std::string& (*)(Config&)>(key.at) || key.meaning == Meaning::bytes) {
    return Result<RawValue>(std::in_place, std::string(text));
  }
  if (const auto whole = number_from<std::int64_t>(text)) {
    return Result<RawValue>(std::in_place, *whole);
  }
  if (const auto number = number_from<double>(text)) {
    return Result<RawValue>(std::in_place, *number);
  }
  // assign() says what is wrong with it.
  return Result<RawValue>(std::in_place, std::string(text));
}

Result<> assign(const Key& key, const RawValue& value, Config& config) {
  const auto mistyped = [&] {
    return wrong("must be " + type_text(key) + "; got " + shown(value));
  };
  return std::visit(Overloaded{[&](std::string& (*at)(Config&)) -> Result<> {
                                 const auto* text = std::get_if<std::string>(&value);
                                 if (text == nullptr) return mistyped();
                                 SAMTALE_TRY_VOID(check_text(key, *text));
                                 at(config) = *text;
                                 return {};
                               },
                               [&](bool& (*at)(Config&)) -> Result<> {
                                 const auto* flag = std::get_if<bool>(&value);
                                 if (flag == nullptr) return mistyped();
                                 at(config) = *flag;
                                 return {};
                               },
                               [&](std::vector<std::string>& (*at)(Config&)) -> Result<> {
                                 const auto* list = std::get_if<std::vector<std::string>>(&value);
                                 if (list == nullptr) return mistyped();
                                 for (const auto& text : *list)
                                   SAMTALE_TRY_VOID(check_text(key, text));
                                 at(config) = *list;
                                 return {};
                               },
                               [&](Duration& (*at)(Config&)) -> Result<> {
                                 SAMTALE_TRY(const auto ms, check_number(key, value, true));
                                 at(config) =
                                     std::chrono::milliseconds(static_cast<std::int64_t>(ms));
                                 return {};
                               },
                               [&](double& (*at)(Config&)) -> Result<> {
                                 SAMTALE_TRY(at(config), check_number(key, value, false));
                                 return {};
                               },
                               [&]<class Whole>(Whole& (*at)(Config&)) -> Result<> {
                                 SAMTALE_TRY(const auto number, check_number(key, value, true));
                                 at(config) = static_cast<Whole>(number);
                                 return {};
                               }},
                    key.at);
}

std::optional<Duration> parse_length_of_time(std::string_view text) {
  constexpr std::pair<std::string_view, Duration> kUnits[] = {
      {"ms", std::chrono::milliseconds(1)},  // Before "s", which it ends with.
      {"s", std::chrono::seconds(1)},
      {"m", std::chrono::minutes(1)},
      {"h", std::chrono::hours(1)}};
  constexpr Duration kLongest = std::chrono::hours(30 * 24);
  for (const auto& [name, unit] : kUnits) {
    if (!text.ends_with(name)) continue;
    const auto count = number_from<std::uint32_t>(text.substr(0, text.size() - name.size()));
    if (!count || *count > kLongest / unit) return std::nullopt;
    return *count * unit;
  }
  return std::nullopt;
}

std::string type_text(const Key& key) {
  if (key.meaning == Meaning::bytes) return "bytes: a whole number or a text such as \"64 MiB\"";
  return std::visit(
      Overloaded{
          [](std::string& (*)(Config&)) { return std::string("a text"); },
          [](bool& (*)(Config&)) { return std::string("true or false"); },
          [](std::vector<std::string>& (*)(Config&)) { return std::string("a list of texts"); },
          [](Duration& (*)(Config&)) { return std::string("a whole number of milliseconds"); },
          [](double& (*)(Config&)) { return std::string("a number"); },
          []<class Whole>(Whole& (*)(Config&)) { return std::string("a whole number"); }},
      key.at);
}

std::string range_text(const Key& key) {
  if (!key.choices.empty()) {
    std::string out;
    for (const char c : key.choices) out += c == '|' ? std::string(" or ") : std::string(1, c);
    return out;
  }
  if (key.meaning == Meaning::file) return "a file that exists";
  if (key.meaning == Meaning::secret_file) return "a file with mode 0600";
  if (key.meaning == Meaning::ip_address) return "an IP address";
  if (key.meaning == Meaning::url) return "http:// or https://";
  if (key.meaning == Meaning::port) return "ports from 1 to 65535";
  if (key.meaning == Meaning::network) return "networks such as 10.1.0.0/16 or fd00::/8";
  if (key.meaning == Meaning::length_of_time) return "lengths of time such as 250ms, 5s, 30m or 2h";
  if (key.max == 0) return "";
  const auto end = [&](double value) {
    return key.meaning == Meaning::bytes || value >= 1e4
               ? (key.meaning == Meaning::bytes ? bytes_text(static_cast<std::int64_t>(value))
                                                : std::to_string(static_cast<std::int64_t>(value)))
               : shown(value);
  };
  return end(key.min) + " to " + end(key.max);
}

std::string value_text(const Key& key, const Config& config) {
  auto copy = config;  // The accessors are for writing; reading one value is no hot path.
  return std::visit(
      Overloaded{[&](std::string& (*at)(Config&)) { return quoted(at(copy)); },
                 [&](bool& (*at)(Config&)) { return std::string(at(copy) ? "true" : "false"); },
                 [&](double& (*at)(Config&)) { return shown(at(copy)); },
                 [&](Duration& (*at)(Config&)) {
                   return std::to_string(
                       std::chrono::duration_cast<std::chrono::milliseconds>(at(copy)).count());
                 },
                 [&](std::vector<std::string>& (*at)(Config&)) {
                   std::string out = "[";
                   for (const auto& text : at(copy)) {
                     out += (out.size() > 1 ? ", " : "") + quoted(text);
                   }
                   return out + "]";
                 },
                 [&]<class Whole>(Whole& (*at)(Config&)) {
                   if (key.meaning != Meaning::bytes) return std::to_string(at(copy));
                   return quoted(bytes_text(static_cast<std::int64_t>(at(copy))));
                 }},
      key.at);
}

}  // namespace samtale
