#include "routing/zapi/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "router/base/byte_order.h"

namespace greywire::routing::zapi {
namespace {

enum MessageBit : std::uint32_t {
  kHasNextHops = 0x1,
  kHasDistance = 0x2,
  kHasMetric = 0x4,
  kHasTag = 0x8,
  kHasMtu = 0x10,
  kHasSource = 0x20,
  kHasBackups = 0x40,
};

enum NextHopFlag : std::uint8_t {
  kFlagLabel = 0x2,
  kFlagWeight = 0x4,
  kFlagBackup = 0x8,
  kFlagSeg6 = 0x10,
  kFlagSeg6Local = 0x20,
  kFlagEvpn = 0x40,
};

constexpr std::uint32_t kRouteFlagEvpn = 0x20;
constexpr std::uint8_t kWireIpv4 = 2;
constexpr std::uint8_t kWireIpv6 = 10;
constexpr std::size_t kSmallestNextHop = 7;  // bytes: VRF, type, flags and a blackhole type

// The message bits whose places differ between 7.5 and later releases; 0 where a release has none.
struct LateBits {
  std::uint32_t group, table, colour, opaque;
};
LateBits late_bits(const Dialect& dialect) {
  return dialect.next_hop_groups ? LateBits{0x80, 0x100, 0x200, 0x400} : LateBits{0, 0x80, 0x100, 0};
}

// Reads past the end give zeros and are remembered: the caller asks once, at the end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  std::span<const std::uint8_t> take(std::size_t count) {
    static constexpr std::array<std::uint8_t, 16> kZeros{};
    if (count > rest_.size()) {
      short_ = true;
      rest_ = {};
      return std::span(kZeros).first(std::min(count, kZeros.size()));
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::uint8_t u8() { return take(1)[0]; }
  std::uint16_t u16() { return load_be16(take(2).data()); }
  std::uint32_t u32() { return load_be32(take(4).data()); }
  std::uint64_t u64() { return load_be64(take(8).data()); }
  void skip(std::size_t count) {
    if (count > rest_.size()) short_ = true;
    rest_ = rest_.subspan(std::min(count, rest_.size()));
  }
  void fail(std::string_view why) {
    if (why_.empty()) why_ = why;
    short_ = true;
  }

  bool failed() const { return short_; }
  std::string_view why() const { return why_.empty() ? "it is too short" : why_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::uint8_t> rest_;
  bool short_ = false;
  std::string_view why_;
};

IpAddress read_v4(Cursor& in) {
  return IpAddress::v4(in.take(4).first<4>());
}
IpAddress read_v6(Cursor& in) {
  return IpAddress::v6(in.take(16).first<16>());
}

// A prefix is cut to the bytes that its length needs.
Prefix read_prefix(Cursor& in, Family family) {
  const unsigned length = in.u8();
  const unsigned bits = family == Family::kV4 ? 32 : 128;
  if (length > bits) {
    in.fail("a prefix is longer than its family's addresses");
    return {};
  }
  std::array<std::uint8_t, 16> bytes{};
  const auto given = in.take((length + 7) / 8);
  std::copy(given.begin(), given.end(), bytes.begin());
  return family == Family::kV4 ? Prefix(IpAddress::v4(std::span(bytes).first<4>()), length)
                               : Prefix(IpAddress::v6(bytes), length);
}

void read_next_hop_target(Cursor& in, std::uint8_t type, NextHop& next_hop) {
  switch (type) {
    case 1:
      next_hop.kind = NextHop::Kind::kInterface;
      next_hop.ifindex = in.u32();
      return;
    case 2:  // releases differ in which of 2 and 3 they send; both carry the interface
    case 3:
      next_hop.gateway = read_v4(in);
      next_hop.ifindex = in.u32();
      return;
    case 4:
    case 5:
      next_hop.gateway = read_v6(in);
      next_hop.ifindex = in.u32();
      return;
    case 6:
      next_hop.kind = NextHop::Kind::kBlackhole;
      in.skip(1);
      return;
    default:
      in.fail("a next hop has an unknown type");
  }
}

void skip_seg6(const Dialect& dialect, Cursor& in) {
  if (dialect.seg6 == Seg6::kNone) return;
  const std::size_t segments = dialect.seg6 == Seg6::kOne ? 1 : in.u8();
  in.skip(segments * 16);
  if (dialect.seg6 >= Seg6::kListAction) in.skip(4);
  if (dialect.seg6 >= Seg6::kListSource) in.skip(16);
}

NextHop read_next_hop(const Dialect& dialect, const WireRoute& route, Cursor& in) {
  NextHop next_hop;
  next_hop.vrf = in.u32();
  const auto type = in.u8();
  const auto flags = in.u8();
  read_next_hop_target(in, type, next_hop);
  if ((flags & kFlagLabel) != 0) {
    const std::size_t labels = in.u8();
    in.skip((dialect.label_type ? 1U : 0U) + labels * 4);
  }
  if ((flags & kFlagWeight) != 0) next_hop.weight = dialect.weight_bytes == 8 ? in.u64() : in.u32();
  const bool has_mac = dialect.router_mac == RouterMac::kByRouteFlag ? (route.flags & kRouteFlagEvpn) != 0
                                                                     : (flags & kFlagEvpn) != 0;
  if (has_mac) in.skip(6);
  if ((route.message & late_bits(dialect).colour) != 0) in.skip(4);
  if ((flags & kFlagBackup) != 0) in.skip(in.u8());
  if ((flags & kFlagSeg6Local) != 0 && dialect.seg6local_bytes != 0) in.skip(4U + dialect.seg6local_bytes);
  if ((flags & kFlagSeg6) != 0) skip_seg6(dialect, in);
  return next_hop;
}

std::vector<NextHop> read_next_hops(const Dialect& dialect, const WireRoute& route, Cursor& in) {
  std::vector<NextHop> next_hops;
  const std::size_t count = in.u16();
  next_hops.reserve(std::min(count, in.left() / kSmallestNextHop));
  for (std::size_t i = 0; i < count && !in.failed(); ++i)
    next_hops.push_back(read_next_hop(dialect, route, in));
  return next_hops;
}

Bytes encode(std::uint16_t command, std::span<const std::uint8_t> body) {
  Bytes message(kHeaderBytes + body.size());
  store_be16(message.data(), static_cast<std::uint16_t>(message.size()));
  message[2] = kMarker;
  message[3] = kVersion;
  store_be16(&message[8], command);
  std::copy(body.begin(), body.end(), message.begin() + kHeaderBytes);
  return message;
}

// What ROUTE_ADD and ROUTE_DELETE begin with.
Bytes route_object(const Dialect& dialect, const Prefix& prefix, std::uint32_t message) {
  Bytes body{injected_type(dialect.hello), 0, 0, 0, 0, 0, 0};  // type, instance, flags
  body.resize(body.size() + 4);
  store_be32(&body[body.size() - 4], message);
  body.push_back(1);  // unicast
  body.push_back(prefix.family() == Family::kV4 ? kWireIpv4 : kWireIpv6);
  body.push_back(static_cast<std::uint8_t>(prefix.length()));
  const auto bytes = prefix.address().bytes().first((prefix.length() + 7) / 8);
  body.insert(body.end(), bytes.begin(), bytes.end());
  return body;
}

}  // namespace

std::uint8_t injected_type(std::uint16_t hello_command) { return hello_command == 18 ? 12 : 13; }

// ROUTE_ADD and ROUTE_DELETE stand three and two before REDISTRIBUTE_ADD in every release.
Bytes encode_route_add(const Dialect& dialect, const Prefix& prefix, std::uint32_t ifindex) {
  Bytes body = route_object(dialect, prefix, kHasNextHops);
  const std::size_t at = body.size();
  body.resize(at + 12);
  body[at + 1] = 1;      // next hops
  body[at + 2 + 4] = 1;  // behind the VRF: its type, an interface
  store_be32(&body[at + 2 + 6], ifindex);
  return encode(static_cast<std::uint16_t>(dialect.redistribute_add - 3), body);
}

Bytes encode_route_delete(const Dialect& dialect, const Prefix& prefix) {
  return encode(static_cast<std::uint16_t>(dialect.redistribute_add - 2), route_object(dialect, prefix, 0));
}

Bytes encode_probe() {
  return encode(kInvalidCommand, {});
}

Bytes encode_hello(std::uint16_t hello_command, std::uint8_t protocol) {
  // protocol, u16 instance, u32 session, [receive_notify], synchronous. The last must be 0: with 1 zebra
  // sends no withdrawals.
  const std::array<std::uint8_t, 9> body{protocol};
  return encode(hello_command, std::span(body).first(hello_command == 18 ? 9 : 8));
}

Bytes encode_redistribute_add(const Dialect& dialect, Afi afi, std::uint8_t route_type) {
  const std::array<std::uint8_t, 4> body{static_cast<std::uint8_t>(afi), route_type, 0, 0};
  return encode(dialect.redistribute_add, body);
}

Bytes encode_redistribute_delete(const Dialect& dialect, Afi afi, std::uint8_t route_type) {
  const std::array<std::uint8_t, 4> body{static_cast<std::uint8_t>(afi), route_type, 0, 0};
  return encode(static_cast<std::uint16_t>(dialect.redistribute_add + 1), body);  // next to it in every release
}

Result<WireRoute> decode_route(const Dialect& dialect, std::span<const std::uint8_t> body) {
  Cursor in(body);
  WireRoute route;
  route.type = in.u8();
  route.instance = in.u16();
  route.flags = in.u32();
  route.message = in.u32();
  route.safi = in.u8();
  const auto family = in.u8();
  if (!in.failed() && family != kWireIpv4 && family != kWireIpv6) in.fail("it has an unknown address family");
  route.prefix = read_prefix(in, family == kWireIpv6 ? Family::kV6 : Family::kV4);

  const auto has = [&route](std::uint32_t bit) { return (route.message & bit) != 0; };
  const auto late = late_bits(dialect);
  if (has(kHasSource)) route.source = read_prefix(in, Family::kV6);
  if (has(late.group)) in.skip(4);
  if (has(kHasNextHops)) route.next_hops = read_next_hops(dialect, route, in);
  if (has(kHasBackups)) read_next_hops(dialect, route, in);
  if (has(kHasDistance)) route.distance = in.u8();
  if (has(kHasMetric)) route.metric = in.u32();
  if (has(kHasTag)) route.tag = in.u32();
  if (has(kHasMtu)) route.mtu = in.u32();
  if (has(late.table)) route.table = in.u32();
  if (has(late.opaque)) in.skip(in.u16());

  if (in.failed()) return Error{fmt::format("a route of {} bytes cannot be read: {}", body.size(), in.why())};
  if (in.left() != 0)
    return Error{fmt::format("a route of {} bytes has {} bytes too many", body.size(), in.left())};
  return route;
}

Result<WireRoute> RouteDecoder::decode(std::span<const std::uint8_t> body) {
  std::optional<Error> first_error;
  while (!candidates_.empty()) {
    auto route = decode_route(candidates_.front(), body);
    if (route) return route;
    if (!first_error) first_error = route.error();
    candidates_ = candidates_.subspan(1);
  }
  return first_error.value_or(Error{"no known release has such routes"});
}

std::string RouteDecoder::release() const {
  return candidates_.empty() ? std::string() : release_name(candidates_.front(), candidates_.back());
}

Result<std::uint32_t> decode_error(std::span<const std::uint8_t> body) {
  if (body.size() != 4)
    return Error{fmt::format("an ERROR has a body of {} bytes instead of 4", body.size())};
  return load_le32(body.data());
}

Result<std::uint8_t> decode_close_notify(std::span<const std::uint8_t> body) {
  if (body.size() != 7) {
    return Error{fmt::format("a CLIENT_CLOSE_NOTIFY has a body of {} bytes instead of 7", body.size())};
  }
  return body[0];
}

}  // namespace greywire::routing::zapi
