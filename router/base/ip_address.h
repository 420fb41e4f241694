// IPv4 and IPv6 addresses, prefixes and UDP endpoints: values, ordered, hashable.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "router/base/result.h"

namespace greywire {

enum class Family : std::uint8_t { kV4 = 4, kV6 = 6 };

// Bytes in network order; an IPv4 address uses the first 4 and keeps the rest zero. The default is 0.0.0.0.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  static IpAddress v4(std::span<const std::uint8_t, 4> bytes);
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(std::span<const std::uint8_t, 16> bytes);
  static Result<IpAddress> parse(std::string_view text);  // no zone, no brackets

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kV4; }
  bool is_v6() const { return family_ == Family::kV6; }
  unsigned bits() const { return is_v4() ? 32 : 128; }
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? 4U : 16U}; }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint32_t v4_host_order() const;
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;
  bool is_link_local() const;  // 169.254/16, fe80::/10
  bool is_v4_mapped() const;   // ::ffff:0:0/96
  std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::kV4;
  std::array<std::uint8_t, 16> bytes_{};
};

// An address and a length, host bits always zero.
class Prefix {
 public:
  constexpr Prefix() = default;
  Prefix(const IpAddress& address, unsigned length);        // masks the host bits; length is cut to the family's
  static Prefix host(const IpAddress& address) { return {address, address.bits()}; }
  static Result<Prefix> parse(std::string_view text);       // "10.0.0.0/8"; without "/", a host prefix

  const IpAddress& address() const { return address_; }
  Family family() const { return address_.family(); }
  unsigned length() const { return length_; }
  bool is_host() const { return length_ == address_.bits(); }
  bool contains(const IpAddress& address) const;
  bool contains(const Prefix& other) const;  // equal counts
  std::string to_string() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  IpAddress address_;
  unsigned length_ = 0;
};

// An address and a UDP port. `scope` is the interface index of an IPv6 link-local address, else 0.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  std::uint32_t scope = 0;

  static Result<Endpoint> parse(std::string_view text);  // "192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%3]:51820"
  std::string to_string() const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

}  // namespace greywire

template <>
struct std::hash<greywire::IpAddress> {
  std::size_t operator()(const greywire::IpAddress& a) const noexcept {
    std::uint64_t high, low;
    std::memcpy(&high, a.data(), 8);
    std::memcpy(&low, a.data() + 8, 8);
    std::uint64_t mixed = (high ^ static_cast<std::uint64_t>(a.family()) << 56) * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ mixed >> 32 ^ low) * 0xd6e8feb86659fd93ULL;
    return static_cast<std::size_t>(mixed ^ mixed >> 32);
  }
};
template <>
struct std::hash<greywire::Prefix> {
  std::size_t operator()(const greywire::Prefix& p) const noexcept {
    return std::hash<greywire::IpAddress>{}(p.address()) * 131 + p.length();
  }
};
template <>
struct std::hash<greywire::Endpoint> {
  std::size_t operator()(const greywire::Endpoint& e) const noexcept {
    return std::hash<greywire::IpAddress>{}(e.address) * 31 + e.port;
  }
};
