// One GRE or GRETAP tunnel inside a WireGuard peer: the delivery header that goes before each payload packet,
// and the way back. The same bytes as the Linux kernel's gre, gretap, ip6gre and ip6gretap links.
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

// The Don't Fragment bit of IPv4 delivery packets.
enum class DfPolicy : std::uint8_t {
  kClear,    // what does not fit is fragmented inside WireGuard
  kSet,      // ... is dropped, and on a routed link its sender is told
  kInherit,  // as the packet inside has it
};

// The DSCP of delivery packets. ECN always follows the packet inside (RFC 6040).
enum class TosPolicy : std::uint8_t {
  kPeer,     // what the peer's outer packets get
  kInherit,  // that of the packet inside
  kFixed,    // TunnelConfig::tos
};

struct TunnelConfig {
  bool ethernet = false;  // GRETAP
  IpAddress local;        // of the delivery header; both of one family
  IpAddress remote;
  std::optional<std::uint32_t> key = std::nullopt;  // for both directions
  std::uint8_t ttl = 64;                            // 0: that of the packet inside
  DfPolicy df = DfPolicy::kClear;
  bool sequence = false;  // sent, and demanded of the peer
  bool checksum = false;  // likewise
  TosPolicy tos_policy = TosPolicy::kPeer;
  std::uint8_t tos = 0;  // its two low bits are 0
  // Over IPv6: the Tunnel Encapsulation Limit (RFC 2473 §4.1.1) to send. Where the packet inside has one, the delivery
  // packet gets that less one, whatever stands here.
  std::optional<std::uint8_t> encap_limit = std::nullopt;
};

// What differs from packet to packet.
struct DeliveryFields {
  std::uint8_t ds_field = 0;
  std::uint8_t ttl = 64;  // counts where the configuration says 0
  bool dont_fragment = false;  // counts where it says kInherit
  std::uint8_t encap_limit = 0;
  std::uint16_t ipv4_id = 0;  // must not repeat while fragments of an earlier packet are under way (RFC 6864)
  std::uint32_t flow_label = 0;  // IPv6, 20 bits
  std::uint32_t sequence = 0;
};

// The delivery and GRE header, built once. write() touches only what differs from packet to packet.
class Encapsulation {
 public:
  // `with_limit` is for packets that bring an encapsulation limit themselves.
  explicit Encapsulation(const TunnelConfig& config) : Encapsulation(config, config.encap_limit.has_value()) {}
  Encapsulation(const TunnelConfig& config, bool with_limit);

  // 24 to 36 over IPv4, 44 to 64 over IPv6.
  std::size_t header_size() const { return size_; }
  // The payload that still fits into the length field of the delivery header.
  std::size_t max_payload() const { return max_payload_; }
  bool has_checksum() const { return has_checksum_; }

  // Writes header_size() bytes in front of a payload of `payload_size` <= max_payload() bytes.
  void write(std::uint8_t* dst, std::size_t payload_size, std::uint16_t gre_protocol, const DeliveryFields& fields) const;
  // After write(), with the payload's sum, where has_checksum().
  void finish_checksum(std::uint8_t* dst, std::uint64_t payload_sum) const {
    write_checksum(dst + gre_at_, size_ - gre_at_, payload_sum);
  }

 private:
  std::array<std::uint8_t, 64> template_{};
  std::size_t size_ = 0;
  std::size_t gre_at_ = 0;
  std::size_t max_payload_ = 0;
  std::uint64_t ip_sum_ = 0;  // of the IPv4 header, without what write() fills in
  bool v4_ = true;
  bool has_limit_ = false;
  bool has_checksum_ = false;
  bool has_sequence_ = false;
  bool inherit_ttl_ = false;
  bool inherit_df_ = false;
};

// The Tunnel Encapsulation Limit of an IPv6 packet with a Destination Options header right behind its own.
struct InnerEncapLimit {
  std::uint8_t limit = 0;
  std::uint32_t offset = 0;  // of the byte that holds it, for an ICMP parameter problem
};
std::optional<InnerEncapLimit> inner_encap_limit(std::span<const std::uint8_t> packet);

// Whether a packet that is about to enter the tunnel is one of the tunnel's own delivery packets, or holds kMaxNesting
// GRE headers already.
inline constexpr unsigned kMaxNesting = 4;
bool is_recursion(const TunnelConfig& config, std::span<const std::uint8_t> packet);

struct Decapsulated {
  std::span<std::uint8_t> payload;  // inside the packet; padding behind the delivery packet cut off
  std::uint16_t protocol = 0;
  std::uint8_t ds_field = 0;  // of the delivery header
  Header header;
  IpAddress source;  // of the delivery header
  IpAddress destination;
};

// What delivery packets of a tunnel look like that ask for nothing out of the ordinary: IPv4 without options, not a fragment,
// a GRE header with a key or without, and a tunnel that demands neither sequence numbers nor checksums. Such are nearly all,
// and known by four comparisons. What does not match is for decapsulate() and demux_key().
class PlainArrival {
 public:
  explicit PlainArrival(const TunnelConfig& config);
  // Bytes before the payload; 0 where it does not match. `packet` is that of parse_ip's total_size.
  std::size_t header_size(std::span<const std::uint8_t> packet) const;

 private:
  std::uint64_t addresses_ = 0;
  std::uint32_t gre_ = 0;        // flags and protocol, in memory order
  std::uint32_t other_gre_ = 0;  // for the other protocol that it may carry
  std::uint32_t key_ = 0;
  std::uint32_t size_ = 0;       // 0: matches nothing
};

// Whether a packet that parse_ip accepts is GRE, or a fragment of it, also behind the Destination Options
// that Linux puts before GRE over IPv6 (RFC 2473 §4.1.1). Of such a packet a later fragment may be one of GRE; it is
// taken for one, and what it is shows once the whole packet is there.
bool is_gre(std::span<const std::uint8_t> packet);

// `packet` is a whole delivery packet, not a fragment. kGreBadHeader: no such packet, unknown options that
// forbid passing (RFC 8200 §4.2); what decode() says; kGreBadProtocol: a payload type that neither a GRE nor a
// GRETAP tunnel carries. Whether the key is that of a tunnel is for the demux table to say.
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
