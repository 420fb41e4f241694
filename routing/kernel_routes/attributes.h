// The attributes of an rtnetlink message, read so that nothing behind the end is touched.
#pragma once

#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "router/base/ip_address.h"

namespace greywire::routing::kernel {

// By number, up to `max`; null where absent. Valid as long as the message.
struct Attributes {
  static constexpr int kMost = 127;
  explicit Attributes(int greatest) : max(greatest) {}
  const int max;
  std::array<nlattr*, kMost + 1> table{};

  bool parse(const nlmsghdr* header, int family_header) {
    return nlmsg_parse(const_cast<nlmsghdr*>(header), family_header, table.data(), max, nullptr) >= 0;
  }
  bool parse(const nlattr* nest) {
    return nla_parse_nested(table.data(), max, const_cast<nlattr*>(nest), nullptr) >= 0;
  }
  bool parse(const void* first, int length) {
    auto* head = static_cast<nlattr*>(const_cast<void*>(first));
    return nla_parse(table.data(), max, head, length, nullptr) >= 0;
  }
  const nlattr* operator[](int attribute) const { return table[static_cast<std::size_t>(attribute)]; }
  bool has(int attribute, int bytes) const {
    return (*this)[attribute] != nullptr && nla_len((*this)[attribute]) >= bytes;
  }
  std::optional<std::uint32_t> u32(int attribute) const {
    if (!has(attribute, 4)) return std::nullopt;
    return nla_get_u32((*this)[attribute]);
  }
  std::optional<std::uint8_t> u8(int attribute) const {
    if (!has(attribute, 1)) return std::nullopt;
    return nla_get_u8((*this)[attribute]);
  }
  // Strings from the kernel end in a NUL; do not count on it.
  std::string string(int attribute) const {
    const auto* a = (*this)[attribute];
    if (a == nullptr) return {};
    const std::string_view text(static_cast<const char*>(nla_data(a)), static_cast<std::size_t>(nla_len(a)));
    return std::string(text.substr(0, text.find('\0')));
  }
};

inline std::optional<IpAddress> address_from(const void* bytes, int length) {
  const auto* p = static_cast<const std::uint8_t*>(bytes);
  if (length == 4) return IpAddress::v4(std::span<const std::uint8_t, 4>(p, 4));
  if (length == 16) return IpAddress::v6(std::span<const std::uint8_t, 16>(p, 16));
  return std::nullopt;
}

inline std::optional<IpAddress> address_from(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  return address_from(nla_data(attribute), nla_len(attribute));
}

// Of RTA_GATEWAY, else of RTA_VIA: struct rtvia, a u16 family and an address, which may be IPv6 for an IPv4 route (RFC 8950).
inline std::optional<IpAddress> gateway_of(const Attributes& attributes, int gateway_type, int via_type) {
  if (auto gateway = address_from(attributes[gateway_type])) return gateway;
  const auto* via = attributes[via_type];
  if (via == nullptr || nla_len(via) < 2) return std::nullopt;
  return address_from(static_cast<const char*>(nla_data(via)) + 2, nla_len(via) - 2);
}

}  // namespace greywire::routing::kernel
