#include "embed/embedding_answer.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/bytes.h"
#include "json/json.h"

namespace samtale {
namespace {

constexpr std::size_t kMessageBytesMax = 200;

std::unexpected<Error> malformed(std::string why) {
  return fail(ErrorCode::unavailable, "the embedding server's answer is no answer: " + why);
}

// Unit length; empty if there is none: all zeros, or not a finite number among them.
std::vector<float> normalized(const std::vector<double>& numbers) {
  double largest = 0;
  for (const double x : numbers) {
    if (!std::isfinite(x)) return {};
    largest = std::max(largest, std::abs(x));
  }
  // A vector this small is rounding noise, and dividing by it would only magnify that.
  if (largest < 1e-30) return {};
  double squares = 0;
  for (const double x : numbers) squares += (x / largest) * (x / largest);
  const double length = std::sqrt(squares);
  std::vector<float> unit;
  unit.reserve(numbers.size());
  for (const double x : numbers) unit.push_back(static_cast<float>(x / largest / length));
  return unit;
}

Result<std::vector<double>> read_numbers(const json::Value& item, std::size_t dimension) {
  const auto* embedding = item.find("embedding");
  const auto* numbers = embedding == nullptr ? nullptr : embedding->as_array();
  if (numbers == nullptr) return malformed("an item of \"data\" has no array \"embedding\"");
  if (numbers->empty() || numbers->size() > kDimensionMax) {
    return malformed("a vector has " + std::to_string(numbers->size()) + " numbers; 1 to " +
                     std::to_string(kDimensionMax) + " can be");
  }
  if (dimension != 0 && numbers->size() != dimension) {
    return fail(ErrorCode::unavailable,
                "the embedding server answers vectors of " + std::to_string(numbers->size()) +
                    " numbers where " + std::to_string(dimension) +
                    " are configured: its model has changed; set the old model again, or configure "
                    "the new one under a new name and re-embed");
  }
  std::vector<double> out;
  out.reserve(numbers->size());
  for (const auto& number : *numbers) {
    const auto value = number.as_number();
    if (!value) return malformed("a vector holds a " + std::string(number.type()));
    out.push_back(*value);
  }
  return out;
}

Result<std::size_t> read_index(const json::Value& item, std::size_t count) {
  const auto* value = item.find("index");
  const auto* index = value == nullptr ? nullptr : value->as_int();
  if (index == nullptr || *index < 0 || static_cast<std::size_t>(*index) >= count) {
    return malformed("an item of \"data\" has no \"index\" below " + std::to_string(count));
  }
  return static_cast<std::size_t>(*index);
}

Result<> check_directions(const std::vector<std::vector<float>>& vectors) {
  const auto is_bad = [](const auto& vector) { return vector.empty(); };
  const auto bad = static_cast<std::size_t>(std::ranges::count_if(vectors, is_bad));
  if (bad == 0) return {};
  const auto what = std::to_string(bad) + " of " + std::to_string(vectors.size()) +
                    " vectors are zero or not finite";
  if (bad == vectors.size() && bad > 1) return malformed(what);
  return fail(ErrorCode::invalid_argument,
              "the embedding model cannot place a text: " + what + "; try the texts alone");
}

}  // namespace

std::size_t answer_bytes_max(std::size_t count, std::size_t dimension) {
  // 17 digits, sign, point, exponent and an indented line each.
  constexpr std::size_t kNumberBytesMax = 64;
  constexpr std::size_t kItemBytesMax = 512;
  constexpr std::size_t kRestBytesMax = std::size_t{64} << 10;
  const auto numbers = dimension == 0 ? kDimensionMax : dimension;
  return count * (numbers * kNumberBytesMax + kItemBytesMax) + kRestBytesMax;
}

Result<std::vector<std::vector<float>>> read_embedding_answer(std::string_view body,
                                                              std::size_t count,
                                                              std::size_t dimension) {
  auto parsed = json::parse(body, {.bytes_max = answer_bytes_max(count, dimension)});
  if (!parsed) return malformed(parsed.error().message);
  const auto* data = parsed->find("data");
  const auto* items = data == nullptr ? nullptr : data->as_array();
  if (items == nullptr) return malformed("it has no array \"data\"");
  if (items->size() != count) {
    return malformed("it has " + std::to_string(items->size()) + " vectors for " +
                     std::to_string(count) + " texts");
  }

  std::vector<std::vector<float>> vectors(count);
  std::vector<bool> seen(count);
  for (const auto& item : *items) {
    SAMTALE_TRY(const auto index, read_index(item, count));
    if (seen[index]) return malformed("index " + std::to_string(index) + " is there twice");
    seen[index] = true;
    SAMTALE_TRY(const auto numbers, read_numbers(item, dimension));
    dimension = numbers.size();
    vectors[index] = normalized(numbers);
  }
  SAMTALE_TRY_VOID(check_directions(vectors));
  return vectors;
}

std::string read_error_message(std::string_view body) {
  std::string message(body.substr(0, kMessageBytesMax + 1));
  if (const auto parsed = json::parse(body); parsed) {
    const auto* said = parsed->at_pointer("/error/message");
    if (said == nullptr) said = parsed->find("message");
    if (said != nullptr && said->as_string() != nullptr) message = *said->as_string();
  }
  if (message.size() <= kMessageBytesMax && is_utf8(message)) return message;
  message.resize(std::min(message.size(), kMessageBytesMax));
  // Foreign bytes may be no UTF-8 at all: then nothing of them is shown.
  for (int cut = 0; cut < 4 && !message.empty() && !is_utf8(message); ++cut) message.pop_back();
  return is_utf8(message) ? message + "…" : "(not UTF-8)";
}

}  // namespace samtale
