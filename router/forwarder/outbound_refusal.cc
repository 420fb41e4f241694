// What is not carried and what its sender is told: ICMP unreachable, Fragmentation Needed and Packet Too Big.
#include <algorithm>
#include <cstring>

#include "router/forwarder/outbound_target.h"
#include "router/packet/ethernet.h"
#include "router/packet/icmp.h"
#include "router/pmtu/overhead.h"

namespace greywire {

// What fits is never too big. Else it is what must not be fragmented: DF, and IPv6 as long as its smallest packets fit
// (below that a link has to fragment by itself, RFC 8200 section 5). Frames of a bridge only where the tunnel wants it.
bool Outbound::too_big(const Target& target, std::size_t payload) const {
  if (payload <= target.payload_mtu.bytes) return false;
  if (target.delivery_df) return true;
  if (target.packet.empty()) return bridged_too_big(target, payload);
  if (!target.info.dont_fragment) return false;
  if (target.tunnel != nullptr) return target.payload_mtu >= pmtu::kMinIpv6Mtu;
  return target.info.family == Family::kV4 || payload > pmtu::kMinIpv6Mtu.bytes;
}

bool Outbound::bridged_too_big(const Target& target, std::size_t payload) const {
  if (target.tunnel == nullptr || !target.tunnel->tell_too_big || payload <= target.payload_mtu.bytes) return false;
  const std::size_t offset = ip_offset(target.ethernet);
  IpPacketInfo info;
  if (offset == 0 || !parse_ip(target.ethernet.subspan(offset), info) || !info.dont_fragment) return false;
  return pmtu::less(target.payload_mtu, static_cast<std::uint32_t>(offset)) >= pmtu::kMinIpv6Mtu;
}

bool Outbound::may_send_icmp(TimePoint now) {
  if (now - icmp_window_ >= std::chrono::seconds(1)) {
    icmp_window_ = now;
    icmp_sent_ = 0;
  }
  return icmp_sent_++ < kIcmpPerSecond;
}

void Outbound::refuse(const Target& target, DropReason reason) {
  drops_.count(reason);
  const bool is_too_big = reason == DropReason::kTooBig;
  if (target.packet.empty() && (!is_too_big || target.ethernet.empty() || !target.tunnel->tell_too_big)) return;
  if (!may_send_icmp(target.now)) {
    if (is_too_big) path_counters_.count(PathEvent::kTooBigSuppressed);
    return;
  }
  std::uint8_t answer[1312];
  const std::size_t size =
      target.packet.empty() ? write_bridged_too_big(target, answer) : write_refusal(target, reason, answer);
  if (size != 0 && tell(target.link, {answer, size}) && is_too_big) path_counters_.count(PathEvent::kTooBigSent);
}

// From the peer's address or, where there is none, from the one that could not be reached: from our own the kernel would
// drop it as martian. On a GRE link always from the latter, to which the kernel routes through this link.
std::size_t Outbound::write_refusal(const Target& target, DropReason reason, std::span<std::uint8_t> out) const {
  IpAddress from = destination(target.packet, target.info);
  if (target.peer != nullptr && target.tunnel == nullptr) {
    const auto& overlay = target.info.family == Family::kV4 ? target.peer->overlay_v4 : target.peer->overlay_v6;
    if (overlay) from = *overlay;
  }
  if (reason == DropReason::kTooBig) {
    const Mtu least = target.info.family == Family::kV4 ? pmtu::kMinIpv4Mtu : pmtu::kMinIpv6Mtu;
    return write_packet_too_big(out, from, target.packet, std::max(target.payload_mtu, least));
  }
  const auto code = reason == DropReason::kRouteRefused ? Unreachable::kAdmin
                    : reason == DropReason::kNoEndpoint ? Unreachable::kNoEndpoint
                                                        : Unreachable::kNoRoute;
  return write_unreachable(out, code, from, target.packet);
}

// As if the frame's destination had sent it: neither address is ours, so no host's tables learn anything wrong.
std::size_t Outbound::write_bridged_too_big(const Target& target, std::span<std::uint8_t> out) const {
  constexpr std::size_t kMac = 6;
  const std::size_t offset = ip_offset(target.ethernet);
  if (offset == 0) return 0;
  const auto packet = target.ethernet.subspan(offset);
  IpPacketInfo info;
  if (!parse_ip(packet, info)) return 0;
  const Mtu mtu = pmtu::less(target.payload_mtu, static_cast<std::uint32_t>(offset));
  const std::size_t size = write_packet_too_big(out.subspan(offset), destination(packet, info), packet, mtu);
  if (size == 0) return 0;
  std::memcpy(out.data(), target.ethernet.data() + kMac, kMac);
  std::memcpy(out.data() + kMac, target.ethernet.data(), kMac);
  std::memcpy(out.data() + 2 * kMac, target.ethernet.data() + 2 * kMac, offset - 2 * kMac);
  return offset + size;
}

bool Outbound::tell(LinkId link, std::span<std::uint8_t> packet) {
  const iovec part{packet.data(), packet.size()};
  if (sink_.write(link, MergedFrame{{}, &part, 1, packet.size(), 1})) return true;
  drops_.count(DropReason::kDeviceFull);
  return false;
}

}  // namespace greywire
