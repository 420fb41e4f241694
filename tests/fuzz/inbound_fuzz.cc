// What an authenticated peer may put into a message: any bytes, through source check, GRE, reassembly, probes
// and merging. Every message is delivered, answered, kept as a fragment, or counted.
#include "router/packet/ip_header.h"
#include "tests/fuzz/check.h"
#include "tests/sim/site.h"

using namespace greywire;
using namespace greywire::test;

namespace {

struct Ends {
  Ends() : a(1), b(2) {
    GTEST_FLAG_SET(break_on_failure, true);  // what a site checks by itself ends the run, too
    PeerSetup of_b, of_a;
    of_b.endpoint = b_at;
    of_a.endpoint = a_at;
    of_a.allowed_ips = {prefix("0.0.0.0/0"), prefix("::/0")};
    of_a.clamp_mss = true;
    b_of_a = a.add_peer(b.public_key(), of_b, at(0s));
    a_of_b = b.add_peer(a.public_key(), of_a, at(0s));
    b.set_own_overlay({address("10.0.0.2"), address("fd00::2")});
    std::uint32_t link = 1;
    for (const bool v6 : {false, true}) {
      for (const bool tap : {false, true}) {
        gre::TunnelConfig config;
        config.ethernet = tap;
        config.local = address(v6 ? "fd00::2" : "10.0.0.2");
        config.remote = address(v6 ? "fd00::1" : "10.0.0.1");
        b.add_tunnel({.link = LinkId{link++}, .peer = a_of_b, .config = config, .clamp_mss = true});
      }
    }
    a.initiate(b_of_a, at(0s));
    exchange(a, a_at, b, b_at, at(0s));
  }
  const Endpoint a_at = endpoint("192.0.2.1:1"), b_at = endpoint("192.0.2.2:2");
  Site a, b;
  PeerId b_of_a, a_of_b;
};

// A header that lets the rest get further: IPv4 or IPv6 between the tunnel's ends, with the protocol that the
// input names.
Bytes with_header(const std::uint8_t* bytes, std::size_t size, std::uint8_t mode) {
  if (mode % 3 == 0) return {bytes, bytes + size};
  const bool v6 = mode % 3 == 2;
  static constexpr std::uint8_t kProtocols[] = {47, 47, 1, 58, 6, 17, 44, 60};
  Bytes packet(v6 ? 40 : 20);
  const std::uint8_t protocol = kProtocols[mode / 3 % 8];
  if (v6) {
    packet[0] = 0x60;
    store_be16(&packet[4], static_cast<std::uint16_t>(size));
    packet[6] = protocol;
    packet[8] = packet[24] = 0xfd;
    packet[23] = 1;
    packet[39] = 2;
  } else {
    packet[0] = 0x45;
    store_be16(&packet[2], static_cast<std::uint16_t>(20 + size));
    if (mode / 24 % 3 == 1) packet[6] = 0x20;                             // more fragments
    if (mode / 24 % 3 == 2) packet[7] = static_cast<std::uint8_t>(size);  // an offset
    packet[8] = 64;
    packet[9] = protocol;
    packet[12] = packet[16] = 10;
    packet[15] = 1;
    packet[19] = 2;
  }
  packet.insert(packet.end(), bytes, bytes + size);
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  static Ends ends;
  static std::uint64_t runs = 0;
  ++runs;
  const TimePoint now = at(std::chrono::microseconds(runs % 100'000'000));  // the session stays young
  const Bytes inner = with_header(bytes + 1, std::min<std::size_t>(size - 1, 1380), bytes[0]);
  if (inner.empty()) return 0;
  ends.a.device.send_packet(ends.a.peer(ends.b_of_a), inner, 0, now_at(now));
  const auto sent = ends.a.take_sent();
  FUZZ_CHECK(sent.size() == 1);
  const std::uint64_t drops = ends.b.all_drops();
  ends.b.receive(sent[0].bytes, ends.a_at, now, bytes[0] & 3);
  const auto delivered = ends.b.take_delivered();
  const auto answers = ends.b.take_sent();
  FUZZ_CHECK(delivered.size() <= 1);
  for (const auto& frame : delivered) {
    IpPacketInfo info;
    if (frame.link.value == 0)
      FUZZ_CHECK(parse_ip(frame.bytes, info) && info.total_size == frame.bytes.size());
  }
  const std::size_t fates = delivered.size() + answers.size() + ends.b.take_probe_replies().size() +
                            static_cast<std::size_t>(ends.b.all_drops() - drops);
  IpPacketInfo info;
  const bool may_wait = parse_ip(inner, info) && (info.is_fragment || info.protocol == kProtocolFragment);
  FUZZ_CHECK(may_wait || fates == 1);
  return 0;
}
