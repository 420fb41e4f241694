// An Ethernet address (IEEE 802-2014 §8.2). A value; pure, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace greywire {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  // "02:00:5e:10:00:01", upper or lower case; '-' between the bytes is taken too.
  static std::optional<MacAddress> parse(std::string_view text);
  static MacAddress from(const std::uint8_t* at) {
    MacAddress out;
    for (std::size_t i = 0; i < out.bytes.size(); ++i) out.bytes[i] = at[i];
    return out;
  }
  std::string to_string() const;

  bool is_group() const { return (bytes[0] & 1) != 0; }  // multicast or broadcast
  bool is_zero() const { return *this == MacAddress{}; }
  std::uint64_t number() const {  // 48 bits
    std::uint64_t n = 0;
    for (const std::uint8_t byte : bytes) n = n << 8 | byte;
    return n;
  }
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace greywire
