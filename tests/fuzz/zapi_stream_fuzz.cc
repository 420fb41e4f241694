// A whole session fed with a stream, behind the handshake of the release and in the cuts that the first two
// bytes say: no message may be read after an error, and what the adapter has applied must agree with what it
// says it has.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "router/base/byte_order.h"
#include "routing/zapi/session.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/routing_table.h"

namespace {

using namespace greywire;
using namespace greywire::routing;
using fuzz::Silent;
using fuzz::Table;

zapi::Bytes message(std::uint16_t command, const zapi::Bytes& body) {
  zapi::Bytes out(zapi::kHeaderBytes);
  store_be16(out.data(), static_cast<std::uint16_t>(zapi::kHeaderBytes + body.size()));
  out[2] = zapi::kMarker;
  out[3] = zapi::kVersion;
  store_be16(&out[8], command);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

void shake_hands(zapi::Session& session, const zapi::Dialect& dialect, TimePoint now) {
  const auto invalid = message(dialect.error, {2, 0, 0, 0});
  session.received(invalid, now);
  if (dialect.hello == 19 && zapi::has_hello(dialect.error, 18)) session.received(invalid, now);
  session.received(
      message(static_cast<std::uint16_t>(dialect.hello + 1), zapi::Bytes(dialect.capabilities_length)), now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const auto& dialect = zapi::dialects()[bytes[0] % zapi::dialects().size()];
  const std::size_t step = 1 + bytes[1];
  const std::span stream(bytes + 2, size - 2);
  TimePoint now(std::chrono::hours(1));

  Table table;
  Silent silent;
  RoutingAdapter adapter(table, silent);
  const auto rule = CeilingRule::parse("0.0.0.0/0 le 32").value();
  adapter.set_peers({{PeerId{1}, "a", {IpAddress::parse("10.255.0.2").value()}, {}, Ceiling({rule}), 3}},
                    now);
  adapter.set_overlay_ifindex(5, now);
  zapi::Session session("zebra", adapter);
  session.start(now);
  session.connected(now);
  shake_hands(session, dialect, now);
  FUZZ_CHECK(session.state() == zapi::Session::State::kDumping);
  for (std::size_t at = 0; at < stream.size(); at += step) {
    session.received(stream.subspan(at, std::min(step, stream.size() - at)), now);
  }
  for (int i = 0; i < 100 && adapter.next_deadline() != kNever; ++i) {
    now = std::max(now, adapter.next_deadline());
    adapter.tick(now);
  }
  FUZZ_CHECK(adapter.next_deadline() == kNever);
  const auto status = adapter.status();
  FUZZ_CHECK(status.accepted <= 3);
  FUZZ_CHECK(status.accepted + status.refused + status.unresolved + status.ignored == status.routes);
  FUZZ_CHECK(table.entries.size() <= status.routes);
  FUZZ_CHECK(adapter.audit(now) == 0);
  return 0;
}
