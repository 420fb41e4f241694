// Two sites that know each other, host 1 behind A and host 2 behind B, and an underlay between them.
#pragma once

#include <string>

#include "tests/sim/network.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::test {

struct PairOptions {
  std::string a_at = "192.0.2.1:51820";
  std::string b_at = "198.51.100.2:51820";
  bool a_knows_b = true;
  bool b_knows_a = true;
  bool trains = false;  // Site's
};

class Pair {
 public:
  explicit Pair(std::uint64_t seed, const PairOptions& options = {})
      : network(seed), a(seed + 1, options.trains), b(seed + 2, options.trains), a_at(endpoint(options.a_at)), b_at(endpoint(options.b_at)) {
    PeerSetup to_b, to_a;
    if (options.a_knows_b) to_b.endpoint = b_at;
    if (options.b_knows_a) to_a.endpoint = a_at;
    to_b.allowed_ips = {prefix("10.0.0.2/32"), prefix("fd00::2/128")};
    to_a.allowed_ips = {prefix("10.0.0.1/32"), prefix("fd00::1/128")};
    b_of_a = a.add_peer(b.public_key(), to_b, network.now());
    a_of_b = b.add_peer(a.public_key(), to_a, network.now());
    network.attach(a, a_at);
    network.attach(b, b_at);
    network.on_datagram = [this](const Endpoint& from, const SentDatagram& datagram, bool lost) {
      log.push_back({network.now(), from == b_at, datagram.type(), datagram.bytes.size(), lost});
    };
  }

  static Bytes packet_from_a(std::uint32_t number = 0, std::size_t payload = 100) {
    return packet(1, 2, number, payload);
  }
  static Bytes packet_from_b(std::uint32_t number = 0, std::size_t payload = 100) {
    return packet(2, 1, number, payload);
  }
  // A UDP packet whose payload begins with `number`.
  static Bytes packet(std::uint8_t from, std::uint8_t to, std::uint32_t number, std::size_t payload) {
    PacketSpec spec;
    spec.host = from;
    spec.peer = to;
    spec.payload.resize(std::max<std::size_t>(payload, 4));
    store_be32(spec.payload.data(), number);
    return udp_packet(spec);
  }
  static std::uint32_t number_of(const DeliveredFrame& frame) { return load_be32(frame.bytes.data() + 28); }

  void send_from_a(std::uint32_t number = 0) { a.frame(kPlainLink, packet_from_a(number), network.now()); }
  void send_from_b(std::uint32_t number = 0) { b.frame(kPlainLink, packet_from_b(number), network.now()); }
  // A session with A as the initiator, confirmed both ways; what was delivered and logged on the way is
  // forgotten.
  void connect() {
    send_from_a();
    run_for(100ms);
    ASSERT_EQ(b.take_delivered().size(), 1U);
    send_from_b();
    run_for(100ms);
    ASSERT_EQ(a.take_delivered().size(), 1U);
    log.clear();
  }
  void run_for(Duration time) { network.run_until(network.now() + time); }

  struct LogEntry {
    TimePoint when;
    bool from_b;
    unsigned type;
    std::size_t size;
    bool lost;
  };
  std::vector<LogEntry> logged(unsigned type, bool from_b) const {
    std::vector<LogEntry> out;
    for (const auto& entry : log) {
      if (entry.type == type && entry.from_b == from_b) out.push_back(entry);
    }
    return out;
  }

  Network network;
  Site a, b;
  Endpoint a_at, b_at;
  PeerId b_of_a, a_of_b;
  std::vector<LogEntry> log;
};

}  // namespace greywire::test
