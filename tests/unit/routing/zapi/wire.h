// Small builders of wire bytes, and a zebra of one release that answers like a real one: for tests. Pure.
#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "router/base/byte_order.h"
#include "routing/zapi/codec.h"
#include "routing/zapi/dialect.h"
#include "routing/zapi/frame.h"

namespace greywire::routing::zapi::test {

inline Bytes read_capture(const std::string& name) {
  std::ifstream in(std::string(GREYWIRE_TESTS_DIR) + "/captures/zapi/" + name, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

inline void append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

inline Bytes message(std::uint16_t command, const Bytes& body = {}, std::uint32_t vrf = 0) {
  Bytes out(kHeaderBytes);
  store_be16(out.data(), static_cast<std::uint16_t>(kHeaderBytes + body.size()));
  out[2] = kMarker;
  out[3] = kVersion;
  store_be32(&out[4], vrf);
  store_be16(&out[8], command);
  append(out, body);
  return out;
}

inline Bytes big_endian(std::uint64_t value, std::size_t bytes) {
  Bytes out;
  for (std::size_t i = bytes; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return out;
}

struct Path {
  std::string gateway;
  std::uint32_t ifindex = 5;
};

inline Bytes route_body(const Dialect& dialect, const std::string& prefix_text,
                        const std::vector<Path>& paths) {
  const auto prefix = Prefix::parse(prefix_text).value();
  Bytes out{dialect.bgp, 0, 0};
  append(out, big_endian(8, 4));                            // SELECTED
  append(out, big_endian(paths.empty() ? 0x16 : 0x17, 4));  // next hops, distance, metric, MTU
  out.push_back(1);
  out.push_back(prefix.family() == Family::kV4 ? 2 : 10);
  out.push_back(static_cast<std::uint8_t>(prefix.length()));
  out.insert(out.end(), prefix.address().data(), prefix.address().data() + (prefix.length() + 7) / 8);
  if (!paths.empty()) append(out, big_endian(paths.size(), 2));
  for (const auto& path : paths) {
    const auto gateway = IpAddress::parse(path.gateway).value();
    append(out, big_endian(0, 4));
    append(out, {static_cast<std::uint8_t>(gateway.is_v4() ? 3 : 5), 4});
    out.insert(out.end(), gateway.bytes().begin(), gateway.bytes().end());
    append(out, big_endian(path.ifindex, 4));
    append(out, big_endian(1, dialect.weight_bytes));
  }
  append(out, {20, 0, 0, 0, 0, 0, 0, 0, 0});
  return out;
}

inline Bytes route_add(const Dialect& d, const std::string& prefix, const std::vector<Path>& paths) {
  return message(d.route_add, route_body(d, prefix, paths));
}
inline Bytes route_del(const Dialect& d, const std::string& prefix) {
  return message(d.route_del, route_body(d, prefix, {}));
}

// Takes a client's bytes, gives the answers. `dump` is sent for the IPv4 subscription.
class FakeZebra {
 public:
  explicit FakeZebra(const Dialect& dialect) : dialect_(dialect) {}

  Bytes dump;
  bool takes_routes = false;  // ROUTE_ADD and ROUTE_DELETE
  std::vector<std::uint16_t> seen;  // commands of the client, in order
  std::vector<Bytes> bodies;

  Bytes answer(std::span<const std::uint8_t> bytes) {
    Bytes out;
    reader_.feed(bytes);
    while (true) {
      const auto frame = reader_.next();
      if (!frame || !*frame) return out;
      seen.push_back((*frame)->command);
      bodies.emplace_back((*frame)->body.begin(), (*frame)->body.end());
      append(out, answer_one(**frame));
    }
  }

 private:
  Bytes answer_one(const Frame& frame) const {
    const auto capabilities = static_cast<std::uint16_t>(dialect_.hello + 1);
    if (frame.command == dialect_.hello) {
      if (frame.body.size() < (dialect_.hello == 18 ? 9U : 8U)) return {};  // ignored in silence
      return message(capabilities, Bytes(dialect_.capabilities_length));
    }
    if (frame.command == dialect_.redistribute_add) return frame.body[0] == 1 ? dump : Bytes{};
    if (frame.command == dialect_.redistribute_add + 1) return {};  // the end of a subscription
    if (takes_routes && (frame.command == dialect_.redistribute_add - 3 || frame.command == dialect_.redistribute_add - 2)) return {};
    return message(dialect_.error, {2, 0, 0, 0});
  }

  const Dialect dialect_;
  FrameReader reader_;
};

}  // namespace greywire::routing::zapi::test
