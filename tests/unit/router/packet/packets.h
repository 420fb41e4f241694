// Packets for tests: built field by field, checksums by the plainest code there is.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "router/base/byte_order.h"
#include "router/base/ip_address.h"

namespace greywire::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes random_bytes(std::mt19937_64& random, std::size_t n) {
  Bytes out(n);
  for (auto& b : out) b = static_cast<std::uint8_t>(random());
  return out;
}

inline void append(Bytes& to, const Bytes& bytes) {
  const std::size_t at = to.size();
  to.resize(at + bytes.size());
  if (!bytes.empty()) std::memcpy(to.data() + at, bytes.data(), bytes.size());
}

// For ordering: GCC 12 warns wrongly about the order of byte vectors.
inline std::string as_string(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// RFC 1071 word by word, not inverted.
inline std::uint16_t plain_sum(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

inline std::uint16_t plain_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  return static_cast<std::uint16_t>(~plain_sum(bytes, sum));
}

// The pseudo-header's sum for the upper-layer packet at `l4` of an IP packet at `l3`.
inline std::uint16_t pseudo_sum(const Bytes& packet, std::size_t l3, std::size_t l4, std::uint8_t protocol) {
  const bool v4 = packet[l3] >> 4 == 4;
  Bytes pseudo(packet.begin() + static_cast<std::ptrdiff_t>(l3 + (v4 ? 12 : 8)),
               packet.begin() + static_cast<std::ptrdiff_t>(l3 + (v4 ? 20 : 40)));
  const std::size_t at = pseudo.size();
  pseudo.resize(at + 4);
  store_be16(&pseudo[at], protocol);
  store_be16(&pseudo[at + 2], static_cast<std::uint16_t>(packet.size() - l4));
  return plain_sum(pseudo);
}

inline bool l4_checksum_right(const Bytes& packet, std::size_t l3, std::size_t l4, std::uint8_t protocol) {
  return plain_checksum(std::span(packet).subspan(l4), pseudo_sum(packet, l3, l4, protocol)) == 0;
}

inline bool ipv4_checksum_right(const Bytes& packet, std::size_t l3 = 0) {
  return plain_checksum(std::span(packet).subspan(l3, (packet[l3] & 15U) * 4U)) == 0;
}

struct PacketSpec {
  Family family = Family::kV4;
  std::uint8_t host = 1;  // 10.0.0.host, fd00::host
  std::uint8_t peer = 2;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 80;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 77;
  std::uint8_t flags = 0x10;
  std::uint16_t window = 500;
  Bytes options = {};  // TCP, a multiple of 4
  Bytes payload = {};
  std::uint16_t id = 0;
  bool dont_fragment = true;
  std::uint8_t ttl = 64;
  std::uint8_t ds_field = 0;
  std::uint32_t flow_label = 0;
  Bytes l2 = {};  // before the IP header
};

inline Bytes ip_packet(const PacketSpec& spec, std::uint8_t protocol, const Bytes& upper) {
  Bytes p = spec.l2;
  const std::size_t l3 = p.size();
  if (spec.family == Family::kV4) {
    p.resize(l3 + 20);
    p[l3] = 0x45;
    p[l3 + 1] = spec.ds_field;
    store_be16(&p[l3 + 2], static_cast<std::uint16_t>(20 + upper.size()));
    store_be16(&p[l3 + 4], spec.id);
    store_be16(&p[l3 + 6], spec.dont_fragment ? 0x4000 : 0);
    p[l3 + 8] = spec.ttl;
    p[l3 + 9] = protocol;
    const std::uint8_t addresses[8] = {10, 0, 0, spec.host, 10, 0, 0, spec.peer};
    std::memcpy(&p[l3 + 12], addresses, 8);
    store_be16(&p[l3 + 10], plain_checksum(std::span(p).subspan(l3, 20)));
  } else {
    p.resize(l3 + 40);
    store_be32(&p[l3], 0x60000000U | std::uint32_t{spec.ds_field} << 20 | spec.flow_label);
    store_be16(&p[l3 + 4], static_cast<std::uint16_t>(upper.size()));
    p[l3 + 6] = protocol;
    p[l3 + 7] = spec.ttl;
    p[l3 + 8] = p[l3 + 24] = 0xfd;
    p[l3 + 23] = spec.host;
    p[l3 + 39] = spec.peer;
  }
  append(p, upper);
  return p;
}

inline std::size_t l4_offset(const PacketSpec& spec) {
  return spec.l2.size() + (spec.family == Family::kV4 ? 20U : 40U);
}

inline Bytes tcp_packet(const PacketSpec& spec) {
  Bytes tcp(20);
  store_be16(&tcp[0], spec.source_port);
  store_be16(&tcp[2], spec.destination_port);
  store_be32(&tcp[4], spec.sequence);
  store_be32(&tcp[8], spec.acknowledgment);
  tcp[12] = static_cast<std::uint8_t>((20 + spec.options.size()) / 4 << 4);
  tcp[13] = spec.flags;
  store_be16(&tcp[14], spec.window);
  append(tcp, spec.options);
  append(tcp, spec.payload);
  Bytes p = ip_packet(spec, 6, tcp);
  const std::size_t l4 = l4_offset(spec);
  store_be16(&p[l4 + 16], plain_checksum(std::span(p).subspan(l4), pseudo_sum(p, spec.l2.size(), l4, 6)));
  return p;
}

inline Bytes udp_packet(const PacketSpec& spec) {
  Bytes udp(8);
  store_be16(&udp[0], spec.source_port);
  store_be16(&udp[2], spec.destination_port);
  store_be16(&udp[4], static_cast<std::uint16_t>(8 + spec.payload.size()));
  append(udp, spec.payload);
  Bytes p = ip_packet(spec, 17, udp);
  const std::size_t l4 = l4_offset(spec);
  const std::uint16_t sum = plain_checksum(std::span(p).subspan(l4), pseudo_sum(p, spec.l2.size(), l4, 17));
  store_be16(&p[l4 + 6], sum == 0 ? 0xffff : sum);
  return p;
}

inline Bytes ethernet(std::uint16_t ether_type, unsigned vlan_tags = 0) {
  Bytes l2 = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  for (unsigned i = 0; i < vlan_tags; ++i) {
    const std::uint8_t tag[4] = {0x81, 0x00, 0x00, static_cast<std::uint8_t>(7 + i)};
    append(l2, Bytes(tag, tag + 4));
  }
  l2.push_back(static_cast<std::uint8_t>(ether_type >> 8));
  l2.push_back(static_cast<std::uint8_t>(ether_type));
  return l2;
}
inline Bytes ethernet(Family family, unsigned vlan_tags = 0) {
  return ethernet(family == Family::kV4 ? std::uint16_t{0x0800} : std::uint16_t{0x86dd}, vlan_tags);
}

}  // namespace greywire::test
