// Reads the JSON vectors of tests/vectors for the crypto tests.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace greywire::testing {

using Bytes = std::vector<std::uint8_t>;

inline Bytes unhex(std::string_view text) {
  const auto digit = [](char c) -> unsigned {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    throw std::runtime_error("bad hexadecimal in a vector");
  };
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
  return bytes;
}

inline Bytes bytes_of(const boost::json::value& object, std::string_view field) {
  const auto& text = object.at(field).as_string();
  return unhex({text.data(), text.size()});
}

inline boost::json::value load_vectors(const std::string& file) {
  std::ifstream stream(std::string(GREYWIRE_TESTS_DIR) + "/vectors/" + file, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read the vectors in " + file);
  return boost::json::parse(std::string(std::istreambuf_iterator<char>(stream), {}));
}

template <std::size_t N>
std::span<const std::uint8_t, N> fixed(const Bytes& bytes) {
  if (bytes.size() != N) throw std::runtime_error("a vector of an unexpected size");
  return std::span<const std::uint8_t, N>(bytes.data(), N);
}

inline Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

}  // namespace greywire::testing
