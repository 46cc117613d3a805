// Texts for tests: random ones of many scripts, and random bytes. From a seed, so they come again.
#pragma once

#include <array>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>

namespace samtale::testing_texts {

inline std::string utf8(char32_t c) {
  const auto byte = [](char32_t value) { return static_cast<char>(value); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F))};
  if (c < 0x10000) {
    return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
  }
  return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)),
          byte(0x80 | (c & 0x3F))};
}

template <std::size_t N>
std::string random_pieces(std::mt19937_64& random, std::size_t pieces_max,
                          const std::array<std::string_view, N>& pieces) {
  std::string text;
  for (auto left = random() % (pieces_max + 1); left > 0; --left) text += pieces[random() % N];
  return text;
}

// Letters, marks, digits and spaces of scripts that write spaces; nothing that joins words.
inline std::string random_letters_and_spaces(std::mt19937_64& random, std::size_t pieces_max) {
  static constexpr std::array<std::string_view, 20> kPieces = {
      "a", "B", "7",      "é", "ø",  " ",      " ",     "\n", "Ж", "щ",
      "γ", "ע", "\u0301", "न", "नि", "\u00AD", "مرحبا", "한", "ﬁ", "!"};
  return random_pieces(random, pieces_max, kPieces);
}

// Words, signs, emoji, marks, right-to-left, invisible characters, line ends: valid UTF-8.
inline std::string random_text(std::mt19937_64& random, std::size_t pieces_max) {
  static constexpr std::array<std::string_view, 40> kPieces = {"a",
                                                               "word",
                                                               "faktura ",
                                                               "Å",
                                                               "ø",
                                                               " ",
                                                               " ",
                                                               "\n",
                                                               "\r\n",
                                                               ". ",
                                                               "? ",
                                                               "d. 3. ",
                                                               "kl. ",
                                                               "f.eks. ",
                                                               "E-4711",
                                                               "@",
                                                               "-",
                                                               "_",
                                                               ".",
                                                               ",",
                                                               "12",
                                                               "'",
                                                               "\u2019",
                                                               "\u0301",
                                                               "\u030A",
                                                               "\u200D",
                                                               "\u200B",
                                                               "\u202E",
                                                               "\uFEFF",
                                                               "😀",
                                                               "👩‍👩‍👧",
                                                               "🇩🇰",
                                                               "我想",
                                                               "取消",
                                                               "ขอบคุณ",
                                                               "שלום",
                                                               "مرحبا",
                                                               "\U000E0067",
                                                               "ﷺ",
                                                               "½"};
  return random_pieces(random, pieces_max, kPieces);
}

// Often nearly text, seldom valid.
inline std::string random_bytes(std::mt19937_64& random, std::size_t pieces_max) {
  auto text = random_text(random, pieces_max);
  for (auto& c : text) {
    if (random() % 16 == 0) c = static_cast<char>(random());
  }
  return text;
}

}  // namespace samtale::testing_texts
