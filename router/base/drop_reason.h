// Why a packet was not delivered. Every packet that is not ends in exactly one of these; each has a counter,
// a meaning and a hint for the person who reads it in `greywire status`.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace greywire {

// name, wire name, what it means and what to do
#define GREYWIRE_DROP_REASONS(X)                                                                                        \
  /* datagrams from the underlay */                                                                                     \
  X(kTooShort, "too_short", "a datagram too short for any WireGuard message")                                           \
  X(kBadType, "bad_type", "a datagram that is no WireGuard message, or has reserved bits set")                          \
  X(kBadLength, "bad_length", "a handshake message of the wrong length")                                                \
  X(kBadMac1, "bad_mac1", "a handshake message without a valid mac1: not meant for this key")                           \
  X(kBadMac2, "bad_mac2", "a handshake message without a valid cookie while under load")                                \
  X(kRateLimited, "rate_limited", "more handshakes from one source than are answered under load")                       \
  X(kHandshakeQueueFull, "handshake_queue_full", "handshakes came faster than they can be computed")                    \
  X(kUnknownPeer, "unknown_peer", "a handshake from a public key that is not configured")                               \
  X(kBadHandshake, "bad_handshake", "a handshake message that does not authenticate")                                   \
  X(kHandshakeReplay, "handshake_replay", "an initiation whose time stamp is not newer than the last one")              \
  X(kHandshakeFlood, "handshake_flood", "initiations of one peer less than 20 ms apart")                                \
  X(kUnknownIndex, "unknown_index", "a message for a session that does not exist (any more)")                           \
  X(kExpiredSession, "expired_session", "data under a session older than 180 s")                                        \
  X(kBadTag, "bad_tag", "data that does not authenticate")                                                              \
  X(kReplay, "replay", "data received twice or too late for the replay window")                                         \
  X(kBadInner, "bad_inner", "the decrypted packet is not a sane IP packet")                                             \
  X(kSourceNotAllowed, "source_not_allowed", "a peer sent from an address outside its `accept` and allowed-IPs")        \
  X(kCongestion, "congestion", "marked as congested on the way, by a sender that does not know ECN (RFC 6040)")         \
  X(kInnerLoop, "inner_loop", "a packet of our own underlay came back into the tunnel")                                 \
  /* frames from the devices */                                                                                         \
  X(kNotIp, "not_ip", "a frame on an L3 device that is not IP")                                                         \
  X(kNoPeer, "no_peer", "no peer's allowed-IPs cover the destination")                                                  \
  X(kRouteRefused, "route_refused", "the route was learned but the peer's `accept` refuses it")                         \
  X(kPeerDisabled, "peer_disabled", "the tunnel's peer is gone or disabled")                                            \
  X(kNoEndpoint, "no_endpoint", "the peer has no known endpoint yet")                                                   \
  X(kStagedFull, "staged_full", "the handshake took so long that the oldest waiting packets were dropped")              \
  X(kNoSession, "no_session", "no session with the peer, and none could be made")                                       \
  X(kBadOffload, "bad_offload", "a super-frame from the kernel that could not be cut into packets")                     \
  X(kTooBig, "too_big", "larger than the peer's MTU and must not be fragmented")                                        \
  /* GRE */                                                                                                             \
  X(kGreBadHeader, "gre_bad_header", "a GRE header that is cut short, or behind options that forbid passing")           \
  X(kGreReservedBits, "gre_reserved_bits", "a GRE header with bits set that RFC 2784 wants refused")                    \
  X(kGreBadVersion, "gre_bad_version", "a GRE header of another version than 0")                                        \
  X(kGreBadProtocol, "gre_bad_protocol", "a GRE payload type that the tunnel does not carry")                           \
  X(kGreBadChecksum, "gre_bad_checksum", "a GRE checksum that is wrong")                                                \
  X(kGreMissingChecksum, "gre_missing_checksum", "GRE without the checksum that the tunnel's `checksum` asks for")      \
  X(kGreMissingKey, "gre_missing_key", "GRE of a configured pair without a key, where all its tunnels have one")        \
  X(kGreWrongKey, "gre_wrong_key", "GRE of a configured pair with a key that none of its tunnels has")                  \
  X(kGreMissingSequence, "gre_missing_sequence", "GRE without the sequence number that the tunnel's `sequence` asks for")\
  X(kGreOutOfOrder, "gre_out_of_order", "GRE with a sequence number older than the last")                               \
  X(kGreRecursion, "gre_recursion", "a GRE tunnel carried inside itself, or more than four in each other")              \
  X(kGreEncapLimit, "gre_encap_limit", "a packet whose Tunnel Encapsulation Limit (RFC 2473) forbids another tunnel around it")\
  X(kFragmentOverlap, "fragment_overlap", "overlapping fragments: the whole datagram is dropped (RFC 5722)")            \
  X(kFragmentTimeout, "fragment_timeout", "fragments whose rest did not come in time")                                  \
  X(kFragmentMemory, "fragment_memory", "fragments beyond the peer's reassembly memory")                                \
  X(kFragmentBad, "fragment_bad", "a fragment with an impossible offset or length")                                     \
  /* L2 segments */                                                                                                     \
  X(kSegmentBadFrame, "segment_bad_frame", "a frame too short for Ethernet, or from a group address")                   \
  X(kSegmentReserved, "segment_reserved", "a bridge protocol frame (STP, LACP, LLDP) that a segment does not forward")  \
  X(kSegmentFixedMac, "segment_fixed_mac", "a frame from a MAC that the config fixes to another place")                 \
  X(kSegmentSplitHorizon, "segment_split_horizon", "a frame from one peer of a segment to another, which reach each other directly")\
  X(kSegmentSamePort, "segment_same_port", "a frame whose destination is on the side that it came from")                \
  X(kSegmentBroadcast, "segment_broadcast", "broadcast beyond a segment's storm limit")                                 \
  X(kSegmentMulticast, "segment_multicast", "multicast beyond a segment's storm limit")                                 \
  X(kSegmentUnknown, "segment_unknown", "frames to unknown MACs beyond a segment's storm limit")                        \
  X(kSegmentBlocked, "segment_blocked", "to or from a port of a segment that is blocked because of a loop")             \
  X(kSegmentLoop, "segment_loop", "a segment's own loop probe came back")                                               \
  /* the system */                                                                                                      \
  X(kDeviceFull, "device_full", "the TUN/TAP device did not take the packet: it is down or its queue is full")          \
  X(kSocketError, "socket_error", "the underlay did not take the datagram: no route, no buffer or a firewall")          \
  X(kInternal, "internal", "a limit inside the engine: please report")

enum class DropReason : std::uint8_t {
#define GREYWIRE_X(name, wire, text) name,
  GREYWIRE_DROP_REASONS(GREYWIRE_X)
#undef GREYWIRE_X
};

inline constexpr std::size_t kDropReasonCount = 0
#define GREYWIRE_X(name, wire, text) +1
    GREYWIRE_DROP_REASONS(GREYWIRE_X)
#undef GREYWIRE_X
    ;

std::string_view drop_reason_name(DropReason reason);     // "bad_tag"
std::string_view drop_reason_meaning(DropReason reason);  // one line for people

// One writer a counter set (a worker); anybody may read. Relaxed: the figures are statistics.
class DropCounters {
 public:
  void count(DropReason reason, std::uint64_t packets = 1) {
    auto& c = counts_[static_cast<std::size_t>(reason)];
    c.store(c.load(std::memory_order_relaxed) + packets, std::memory_order_relaxed);
  }
  std::uint64_t get(DropReason reason) const {
    return counts_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kDropReasonCount> counts_{};
};

}  // namespace greywire
