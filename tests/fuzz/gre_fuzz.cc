// GRE headers and delivery packets: what is decoded encodes to the same bytes.
#include <vector>

#include "router/gre/tunnel.h"
#include "router/packet/ip_header.h"
#include "tests/fuzz/check.h"

using namespace greywire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  gre::Header header;
  std::vector<std::uint8_t> packet(bytes, bytes + size);
  if (!gre::decode(packet, header)) {
    FUZZ_CHECK(header.size <= packet.size() && header.size == gre::header_size(header));
    std::vector<std::uint8_t> again = packet;
    FUZZ_CHECK(gre::encode(header, again.data()) == header.size);
    // Bits 6-12 and Reserved1 are not kept; with them zero, all bytes are.
    again[0] = packet[0];
    again[1] = packet[1];
    if (header.checksum) std::copy(packet.begin() + 4, packet.begin() + 8, again.begin() + 4);
    FUZZ_CHECK(again == packet);
  }
  gre::Decapsulated out;
  gre::is_gre(packet);
  if (!gre::decapsulate(packet, out)) {
    FUZZ_CHECK(out.payload.data() >= packet.data());
    FUZZ_CHECK(out.payload.data() + out.payload.size() <= packet.data() + packet.size());
    FUZZ_CHECK(gre::is_gre(packet));
  }
  gre::TunnelConfig config;
  config.local = out.source;
  config.remote = out.destination;
  gre::is_recursion(config, packet);
  gre::TunnelConfig arrives;
  arrives.ethernet = out.protocol == gre::kProtocolEthernet;
  arrives.local = out.destination;
  arrives.remote = out.source;
  arrives.key = out.header.key;
  IpPacketInfo ip;
  if (parse_ip(packet, ip)) {
    if (const std::size_t at = gre::PlainArrival(arrives).header_size({packet.data(), ip.total_size}); at != 0) {
      gre::Decapsulated whole;
      FUZZ_CHECK(!gre::decapsulate(packet, whole));
      FUZZ_CHECK(whole.payload.data() == packet.data() + at && gre::demux_key(whole) == gre::demux_key(arrives));
    }
  }
  if (const auto limit = gre::inner_encap_limit(packet)) {
    FUZZ_CHECK(limit->offset < packet.size() && packet[limit->offset] == limit->limit);
  }
  return 0;
}
