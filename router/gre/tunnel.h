// One GRE or GRETAP tunnel inside a WireGuard peer: the delivery header that goes before each payload packet,
// and the way back. The same bytes as the Linux kernel's gre, gretap, ip6gre and ip6gretap links (the latter
// two with `encaplimit none`; the option is understood when it comes).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "router/base/drop_reason.h"
#include "router/base/ip_address.h"
#include "router/gre/header.h"

namespace greywire::gre {

struct TunnelConfig {
  bool ethernet = false;  // GRETAP
  IpAddress local;        // of the delivery header; both of one family
  IpAddress remote;
  std::optional<std::uint32_t> key = std::nullopt;  // for both directions
  std::uint8_t ttl = 64;
  bool dont_fragment = false;  // IPv4's DF. Clear, because the engine fragments delivery packets itself
};

// The delivery and GRE header, built once. write() touches only what differs from packet to packet.
class Encapsulation {
 public:
  explicit Encapsulation(const TunnelConfig& config);

  // 24 or 28 over IPv4, 44 or 48 over IPv6.
  std::size_t header_size() const { return size_; }
  // The payload that still fits into the length field of the delivery header.
  std::size_t max_payload() const { return max_payload_; }

  // Writes header_size() bytes in front of a payload of `payload_size` <= max_payload() bytes. `ds_field` is
  // that of the delivery header. IPv4 only: `ipv4_id`, which must not repeat while fragments of an earlier
  // packet are under way (RFC 6864). IPv6 only: `flow_label`, 20 bits.
  void write(std::uint8_t* dst, std::size_t payload_size, std::uint16_t gre_protocol, std::uint8_t ds_field,
             std::uint16_t ipv4_id, std::uint32_t flow_label = 0) const;

 private:
  std::array<std::uint8_t, 48> template_{};
  std::size_t size_ = 0;
  std::size_t max_payload_ = 0;
  std::uint64_t ip_sum_ = 0;  // of the IPv4 header, without what write() fills in
  bool v4_ = true;
};

struct Decapsulated {
  std::span<std::uint8_t> payload;  // inside the packet; padding behind the delivery packet cut off
  std::uint16_t protocol = 0;
  std::uint8_t ds_field = 0;  // of the delivery header
  Header header;
  IpAddress source;  // of the delivery header
  IpAddress destination;
};

// Whether a packet that parse_ip accepts is GRE, or a fragment of it, also behind the Destination Options
// that Linux puts before GRE over IPv6 (RFC 2473 §4.1.1).
bool is_gre(std::span<const std::uint8_t> packet);

// `packet` is a whole delivery packet, not a fragment. kGreBadHeader: no such packet, unknown options that
// forbid passing (RFC 8200 §4.2), or a bad GRE header; kGreBadChecksum; kGreBadProtocol: a payload type that
// neither a GRE nor a GRETAP tunnel carries. Whether the key is that of a tunnel is for the demux table to
// say.
std::optional<DropReason> decapsulate(std::span<std::uint8_t> packet, Decapsulated& out);

// Which tunnel of a peer a packet belongs to. As in Linux, a GRE and a GRETAP tunnel may share addresses and
// key, and "no key" is another key than 0.
struct DemuxKey {
  IpAddress local;
  IpAddress remote;
  std::optional<std::uint32_t> key = std::nullopt;
  bool ethernet = false;
  friend bool operator==(const DemuxKey&, const DemuxKey&) = default;
};
DemuxKey demux_key(const TunnelConfig& config);
DemuxKey demux_key(const Decapsulated& packet);

}  // namespace greywire::gre

template <>
struct std::hash<greywire::gre::DemuxKey> {
  std::size_t operator()(const greywire::gre::DemuxKey& k) const noexcept {
    const std::hash<greywire::IpAddress> address;
    const std::size_t key = k.key ? *k.key * 2ULL + 1 : 0;
    return (address(k.local) * 31 + address(k.remote)) * 31 + key * 2 + (k.ethernet ? 1 : 0);
  }
};
