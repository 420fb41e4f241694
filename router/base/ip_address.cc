#include "router/base/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "router/base/byte_order.h"

namespace greywire {

IpAddress IpAddress::v4(std::span<const std::uint8_t, 4> bytes) {
  IpAddress a;
  std::copy(bytes.begin(), bytes.end(), a.bytes_.begin());
  return a;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress a;
  store_be32(a.bytes_.data(), host_order);
  return a;
}

IpAddress IpAddress::v6(std::span<const std::uint8_t, 16> bytes) {
  IpAddress a;
  a.family_ = Family::kV6;
  std::copy(bytes.begin(), bytes.end(), a.bytes_.begin());
  return a;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return Error{fmt::format("'{}' is not an IP address", text)};
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  IpAddress a;
  if (inet_pton(AF_INET, buffer, a.bytes_.data()) == 1) return a;
  a.family_ = Family::kV6;
  if (inet_pton(AF_INET6, buffer, a.bytes_.data()) == 1) return a;
  return Error{fmt::format("'{}' is not an IP address", text)};
}

std::uint32_t IpAddress::v4_host_order() const { return load_be32(bytes_.data()); }

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; }) && bytes_[15] == 1;
}

bool IpAddress::is_multicast() const { return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_v4_mapped() const {
  return is_v6() && std::all_of(bytes_.begin(), bytes_.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         bytes_[10] == 0xff && bytes_[11] == 0xff;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

Prefix::Prefix(const IpAddress& address, unsigned length) : length_(std::min(length, address.bits())) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), address.data(), 16);
  for (unsigned bit = length_; bit < 128; bit = (bit / 8 + 1) * 8) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0xffU >> (bit % 8)));
  }
  address_ = address.is_v4() ? IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data(), 4)) : IpAddress::v6(bytes);
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return Error{fmt::format("'{}' is not a prefix (expected ADDRESS/LENGTH)", text)};
  if (slash == std::string_view::npos) return Prefix::host(*address);
  const auto digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (ec != std::errc{} || end != digits.data() + digits.size() || length > address->bits()) {
    return Error{fmt::format("'{}' has no valid prefix length (0 to {})", text, address->bits())};
  }
  return Prefix(*address, length);
}

bool Prefix::contains(const IpAddress& address) const {
  if (address.family() != family()) return false;
  const unsigned whole = length_ / 8;
  if (std::memcmp(address.data(), address_.data(), whole) != 0) return false;
  const unsigned rest = length_ % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
  return ((address.data()[whole] ^ address_.data()[whole]) & mask) == 0;
}

bool Prefix::contains(const Prefix& other) const { return other.length_ >= length_ && contains(other.address_); }

std::string Prefix::to_string() const { return fmt::format("{}/{}", address_.to_string(), length_); }

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const Error bad{fmt::format("'{}' is not an endpoint (expected ADDRESS:PORT or [ADDRESS]:PORT)", text)};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad;
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  Endpoint endpoint;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (ec != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return bad;
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (const auto percent = host.find('%'); bracketed && percent != std::string_view::npos) {
    const auto zone = host.substr(percent + 1);
    const auto [zone_end, zone_ec] = std::from_chars(zone.data(), zone.data() + zone.size(), endpoint.scope);
    if (zone_ec != std::errc{} || zone_end != zone.data() + zone.size()) return bad;
    host = host.substr(0, percent);
  }
  auto address = IpAddress::parse(host);
  if (!address || address->is_v6() != bracketed) return bad;
  endpoint.address = *address;
  return endpoint;
}

std::string Endpoint::to_string() const {
  if (address.is_v4()) return fmt::format("{}:{}", address.to_string(), port);
  if (scope != 0) return fmt::format("[{}%{}]:{}", address.to_string(), scope, port);
  return fmt::format("[{}]:{}", address.to_string(), port);
}

}  // namespace greywire
