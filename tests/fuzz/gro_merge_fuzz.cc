// Packets merged and cut again are the packets that went in. The input is a script: most steps go on with the
// flow as TCP or UDP would, some change a field, some are raw bytes.
#include <algorithm>
#include <map>
#include <vector>

#include "router/packet/checksum.h"
#include "router/packet/gro_merge.h"
#include "router/packet/gso_split.h"
#include "tests/fuzz/check.h"
#include "tests/unit/router/packet/packets.h"

using namespace greywire;
using test::Bytes;

namespace {

class Script {
 public:
  Script(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), size_(size) {}
  bool empty() const { return at_ >= size_; }
  std::uint8_t next() { return empty() ? std::uint8_t{0} : bytes_[at_++]; }

 private:
  const std::uint8_t* bytes_;
  std::size_t size_;
  std::size_t at_ = 0;
};

Bytes step(Script& script, std::vector<test::PacketSpec>& flows) {
  test::PacketSpec& flow = flows[script.next() % flows.size()];
  const std::uint8_t what = script.next();
  const std::uint8_t value = script.next();
  std::size_t size = 64;
  switch (what % 16) {
    case 0:
      flow.flags = value;
      break;
    case 1:
      flow.acknowledgment += value;
      break;
    case 2:
      flow.sequence += value;
      break;
    case 3:
      flow.window = value;
      break;
    case 4:
      flow.options = Bytes(value % 11 * 4U, 1);
      break;
    case 5:
      size = value;
      break;
    case 6:
      flow.ttl = value;
      break;
    case 7:
      flow.ds_field = value;
      break;
    case 8:
      flow.id = static_cast<std::uint16_t>(flow.id + value);
      break;
    case 9:
      flow.flags = 0x18;
      break;
    default:
      flow.flags = 0x10;
      break;
  }
  flow.payload = Bytes(size, value);
  Bytes packet = flow.destination_port == 53 ? test::udp_packet(flow) : test::tcp_packet(flow);
  flow.sequence += static_cast<std::uint32_t>(size);
  ++flow.id;
  if (what >= 0xf0) packet[script.next() % packet.size()] ^= value;
  if (what >= 0xfc) packet.resize(std::max<std::size_t>(packet.size() + value, 128) - 128);
  return packet;
}

// The flow as addresses, ports and protocol, or the whole of a packet that has none or is cut off.
std::string key_of(const Bytes& p) {
  const auto merged = [](std::uint8_t protocol) { return protocol == 6 || protocol == 17; };
  if (p.size() >= 28 && p[0] == 0x45 && load_be16(&p[2]) <= p.size() && merged(p[9])) {
    return std::string(p.begin() + 12, p.begin() + 24) + char(p[9]);
  }
  if (p.size() >= 48 && p[0] >> 4 == 6 && 40U + load_be16(&p[4]) <= p.size() && merged(p[6])) {
    return std::string(p.begin() + 8, p.begin() + 44) + char(p[6]);
  }
  return test::as_string(p);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  Script script(bytes, size);
  std::vector<test::PacketSpec> flows(8);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    flows[i].family = i % 2 ? Family::kV6 : Family::kV4;
    flows[i].source_port = static_cast<std::uint16_t>(i);
    flows[i].dont_fragment = false;
    if (i >= 4) flows[i].destination_port = 53;  // UDP
  }
  std::vector<Bytes> packets;
  while (!script.empty() && packets.size() < GroMerger::kMaxPackets) packets.push_back(step(script, flows));
  std::vector<Bytes> copies = packets;
  GroMerger merger(Layer::kL3);
  merger.merge_udp(MergeUdp::kYes);
  const bool sums = size % 2 == 0;
  for (auto& p : copies) FUZZ_CHECK(merger.add(p, sums ? checksum_add(p.data(), p.size(), 0) : 0));
  std::map<std::string, std::vector<Bytes>> in;
  std::map<std::string, std::vector<Bytes>> out;
  for (const auto& p : packets) in[key_of(p)].push_back(p);
  merger.flush([&](const MergedFrame& frame) {
    Bytes whole;
    for (std::size_t i = 0; i < frame.part_count; ++i) {
      const auto* begin = static_cast<const std::uint8_t*>(frame.parts[i].iov_base);
      if (frame.parts[i].iov_len != 0) whole.insert(whole.end(), begin, begin + frame.parts[i].iov_len);
    }
    FUZZ_CHECK(whole.size() == frame.bytes);
    if (frame.packets == 1) {
      out[key_of(whole)].push_back(whole);
      return;
    }
    GsoPlan plan;
    FUZZ_CHECK(plan_gso(frame.header, whole, 0, plan));
    FUZZ_CHECK(plan.segments == frame.packets);
    for (std::size_t i = 0; i < plan.segments; ++i) {
      Bytes segment(plan.segment_size(i));
      write_gso_segment(plan, whole, i, segment.data());
      out[key_of(segment)].push_back(segment);
    }
  });
  FUZZ_CHECK(in == out);

  // The same bytes as frames that nobody made on purpose.
  GroMerger ethernet(Layer::kEthernet);
  ethernet.merge_udp(MergeUdp::kYes);
  Bytes raw(bytes, bytes + size);
  for (std::size_t at = 0; at < raw.size() && !ethernet.full(); at += 97)
    ethernet.add(std::span(raw).subspan(at));
  ethernet.flush([](const MergedFrame&) {});
  return 0;
}
