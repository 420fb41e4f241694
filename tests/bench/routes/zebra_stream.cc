#include "zebra_stream.h"

#include "router/base/byte_order.h"

namespace greywire::bench {
namespace {

constexpr std::uint16_t kError = 118, kCapabilities = 19, kRouteAdd = 30, kRouteDel = 31;
constexpr std::uint8_t kBgp = 9;

std::size_t begin(Bytes& out, std::uint16_t command) {
  const std::size_t at = out.size();
  out.resize(at + 10);
  out[at + 2] = 254;
  out[at + 3] = 6;
  store_be16(&out[at + 8], command);
  return at;
}

void end(Bytes& out, std::size_t at) { store_be16(&out[at], static_cast<std::uint16_t>(out.size() - at)); }

void put(Bytes& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

void append_error(Bytes& out) {
  const auto at = begin(out, kError);
  out.insert(out.end(), {2, 0, 0, 0});
  end(out, at);
}

void append_capabilities(Bytes& out) {
  const auto at = begin(out, kCapabilities);
  out.resize(out.size() + 10);
  end(out, at);
}

void append_route(Bytes& out, const TableEntry& entry, std::uint32_t ifindex, bool withdraw) {
  const auto at = begin(out, withdraw ? kRouteDel : kRouteAdd);
  const bool v4 = entry.prefix.family() == Family::kV4;
  put(out, kBgp, 1);
  put(out, 0, 2);     // instance
  put(out, 8, 4);     // SELECTED
  put(out, 0x17, 4);  // next hops, distance, metric, MTU
  put(out, 1, 1);     // unicast
  put(out, v4 ? 2 : 10, 1);
  put(out, entry.prefix.length(), 1);
  const auto address = entry.prefix.address().bytes();
  out.insert(out.end(), address.begin(), address.begin() + (entry.prefix.length() + 7) / 8);
  put(out, 1, 2);  // one next hop: VRF, type, WEIGHT, gateway, interface, weight
  put(out, 0, 4);
  put(out, v4 ? 3 : 5, 1);
  put(out, 4, 1);
  const IpAddress gateway = v4 ? next_hop_v4(entry.peer) : next_hop_v6(entry.peer);
  out.insert(out.end(), gateway.bytes().begin(), gateway.bytes().end());
  put(out, ifindex, 4);
  put(out, 1, 4);
  put(out, 20, 1);
  put(out, 0, 4);
  put(out, 0, 4);
  end(out, at);
}

}  // namespace greywire::bench
