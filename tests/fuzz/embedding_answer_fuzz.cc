// Rooms: embed
//
// Whatever an embedding server answers: either an error, or as many unit vectors as texts, all of
// one dimension. The first byte of the input says how many texts were sent and whether the
// dimension is known.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "embed/embedding_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t count = 1 + data[0] % 4;
  const std::size_t dimension = (data[0] & 0x80U) != 0 ? 2 : 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);

  const auto said = samtale::read_error_message(body);
  SAMTALE_CHECK(samtale::is_utf8(said) && said.size() < 256, "an error stays short and readable");

  const auto vectors = samtale::read_embedding_answer(body, count, dimension);
  if (!vectors) return 0;
  SAMTALE_CHECK(vectors->size() == count, "a vector for each text");
  for (const auto& vector : *vectors) {
    SAMTALE_CHECK(vector.size() == vectors->front().size(), "one dimension");
    SAMTALE_CHECK(dimension == 0 || vector.size() == dimension, "the known dimension");
    double squares = 0;
    for (const float x : vector) squares += double{x} * x;
    SAMTALE_CHECK(std::abs(squares - 1.0) < 1e-3, "unit length");
  }
  return 0;
}
