#include "overlay/control/drop_advice.h"

namespace greywire::control {

// Without a default, so that the compiler asks for the advice of a new reason.
std::string_view drop_advice(DropReason reason) {
  switch (reason) {
    case DropReason::kTooShort:
    case DropReason::kBadType:
    case DropReason::kBadLength:
      return "nothing, unless it grows: port scans look like this; else something else sends to this port";
    case DropReason::kBadMac1:
      return "a peer that means another key: compare its public_key of this site with `greywire status`";
    case DropReason::kBadMac2:
    case DropReason::kRateLimited:
      return "nothing: the answer to a flood of handshakes; see who sends it (tcpdump on the underlay)";
    case DropReason::kHandshakeQueueFull:
      return "a flood from many addresses, or thousands of peers starting at once: it passes, or filter its sources";
    case DropReason::kUnknownPeer:
      return "add the peer to this config, or look for one that was removed here and still calls";
    case DropReason::kBadHandshake:
      return "compare public keys and preshared keys of both ends";
    case DropReason::kHandshakeReplay:
      return "a peer whose clock went back: let it set its clock; else somebody replays what he recorded";
    case DropReason::kHandshakeFlood:
      return "nothing, unless it grows: then the peer, or somebody with its key, starts over and over";
    case DropReason::kUnknownIndex:
      return "a few after each restart; steadily: two machines use one private key";
    case DropReason::kExpiredSession:
      return "the peer does not renew its session: look whether its handshakes arrive (`greywire peers`)";
    case DropReason::kBadTag:
      return "damage on the way, or forgery: look for a middlebox that changes UDP";
    case DropReason::kReplay:
      return "a path that doubles datagrams or reorders them widely; else somebody replays";
    case DropReason::kBadInner:
      return "the peer puts something else than IP into the tunnel: ask what runs there";
    case DropReason::kSourceNotAllowed:
      return "widen the peer's `accept` or `allowed_ips` if its hosts may send from there, else ask who does";
    case DropReason::kCongestion:
      return "nothing: a full queue on the way said so, and the sender slows down as if it had dropped the packet itself";
    case DropReason::kInnerLoop:
      return "an endpoint is routed into its own tunnel: keep `mark` of [underlay] on, and look at `ip rule`";
    case DropReason::kNotIp:
      return "something on this host writes other frames to the device: look with `tcpdump -i DEVICE`";
    case DropReason::kNoPeer:
      return "`greywire explain ADDRESS`: a kernel route leads to the overlay and no peer has the prefix";
    case DropReason::kRouteRefused:
      return "`greywire routes`: widen the peer's `accept`, or stop the announcement";
    case DropReason::kPeerDisabled:
      return "enable the peer or remove its tunnels";
    case DropReason::kNoEndpoint:
      return "wait for the peer to call, or give it an `endpoint`";
    case DropReason::kStagedFull:
    case DropReason::kNoSession:
      return "`greywire peers`: the peer does not answer handshakes: endpoint, keys, firewall";
    case DropReason::kBadOffload:
      return "switch offloads of the device off (`ethtool -K DEVICE tso off`) and report it";
    case DropReason::kTooBig:
      return "`greywire mtu`: its sender was told by ICMP; if it goes on, a firewall eats that message";
    case DropReason::kGreBadHeader:
    case DropReason::kGreReservedBits:
    case DropReason::kGreBadVersion:
      return "the other end sends GRE with options that are not carried: compare both ends' settings (docs/gre-link.md)";
    case DropReason::kGreBadProtocol:
      return "one end has gre and the other gretap, or a protocol beside IP runs over the link";
    case DropReason::kGreBadChecksum:
      return "damage inside the tunnel is not possible: report it";
    case DropReason::kGreMissingChecksum:
      return "set `csum` at the other end or `checksum = false` here";
    case DropReason::kGreMissingKey:
    case DropReason::kGreWrongKey:
      return "give both ends the same `key`";
    case DropReason::kGreMissingSequence:
      return "set `seq` at the other end or `sequence = false` here";
    case DropReason::kGreOutOfOrder:
      return "the path reorders: `sequence = false` at both ends, as nothing is replayed inside WireGuard";
    case DropReason::kGreRecursion:
      return "a route leads a tunnel's delivery address into a tunnel: remove it";
    case DropReason::kGreEncapLimit:
      return "raise the encapsulation limit where the inner tunnel is made";
    case DropReason::kFragmentOverlap:
    case DropReason::kFragmentBad:
      return "a broken or hostile sender: look at what the peer's hosts send";
    case DropReason::kFragmentTimeout:
      return "the path loses datagrams: look at its loss; fewer fragments by a smaller tunnel `mtu`";
    case DropReason::kFragmentMemory:
      return "more fragments at once than are kept: a smaller tunnel `mtu` makes fewer";
    case DropReason::kSegmentBadFrame:
      return "a broken sender on the LAN: find it by `greywire segments`";
    case DropReason::kSegmentReserved:
      return "nothing: bridges talk to their neighbours; `bpdu = \"forward\"` lets spanning tree through";
    case DropReason::kSegmentFixedMac:
      return "a MAC of `macs` sends from somewhere else: it moved, or somebody pretends to be it";
    case DropReason::kSegmentSplitHorizon:
      return "peers that reach each other only through here belong into `hub`";
    case DropReason::kSegmentSamePort:
      return "nothing: the far bridge floods";
    case DropReason::kSegmentBroadcast:
      return "look for the storm's source (`greywire segments`), or raise `broadcast_limit`";
    case DropReason::kSegmentMulticast:
      return "look for the source, or raise `multicast_limit`";
    case DropReason::kSegmentUnknown:
      return "a MAC that is gone and still sent to, or raise `unknown_limit`";
    case DropReason::kSegmentBlocked:
    case DropReason::kSegmentLoop:
      return "find the other link between the two LANs and take it away";
    case DropReason::kDeviceFull:
      return "the device is down (`ip link`), or this host is too slow for what comes";
    case DropReason::kSocketError:
      return "`ip route get ENDPOINT mark MARK`: no route, a firewall, or buffers that are full";
    case DropReason::kInternal:
      return "please report it, with the log";
  }
  return {};
}

}  // namespace greywire::control
