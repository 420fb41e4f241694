// What WireGuard and GRE cost beside the AEAD: handshakes, the look before them, the replay window, headers on and off.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "router/crypto/system_random.h"
#include "router/crypto/x25519.h"
#include "router/gre/tunnel.h"
#include "router/packet/ip_header.h"
#include "router/wireguard/cookie.h"
#include "router/wireguard/handshake_gate.h"
#include "router/wireguard/noise.h"
#include "router/wireguard/replay_window.h"

namespace greywire {
namespace {

using namespace wireguard;

struct Ends {
  Ends() : initiator(make()), responder(make()) {
    at_initiator.set_keys(initiator, responder.public_key);
    at_responder.set_keys(responder, initiator.public_key);
  }
  Identity make() { return Identity::from(generate_private_key(random)); }
  Timestamp next_stamp() { return tai64n({1'700'000'000 + ++stamps, 0}); }

  SystemRandom random;
  Identity initiator, responder;
  HandshakeState at_initiator, at_responder;
  std::int64_t stamps = 0;
  std::array<std::uint8_t, kInitiationSize> initiation;
  std::array<std::uint8_t, kResponseSize> response;
};

void noise_initiation(benchmark::State& state) {
  Ends ends;
  for (auto _ : state) {
    if (!create_initiation(ends.at_initiator, ends.initiator, 1, ends.next_stamp(), ends.random, ends.initiation)) {
      return state.SkipWithError("no initiation");
    }
  }
}
BENCHMARK(noise_initiation);

// Both ends, from the first message to both pairs of session keys.
void noise_handshake(benchmark::State& state) {
  Ends ends;
  TimePoint now{std::chrono::hours(1)};
  for (auto _ : state) {
    now += std::chrono::seconds(1);
    create_initiation(ends.at_initiator, ends.initiator, 1, ends.next_stamp(), ends.random, ends.initiation);
    const auto opened = open_initiation(ends.responder, ends.initiation);
    AcceptedInitiation accepted;
    if (!opened || accept_initiation(ends.at_responder, *opened, ends.initiation, now, accepted)) {
      return state.SkipWithError("not accepted");
    }
    const auto there = create_response(ends.at_responder, accepted, 2, ends.random, ends.response);
    const auto here = consume_response(ends.at_initiator, ends.initiator, ends.response);
    if (!there || !here) return state.SkipWithError("not established");
  }
}
BENCHMARK(noise_handshake);

// An initiation from nobody, for our key (1) or with a wrong mac1 (0), each from another port.
void handshake_gate(benchmark::State& state) {
  Ends ends;
  DropCounters drops;
  HandshakeGate gate(ends.random, drops);
  const ReceiverKeys keys(ends.responder.public_key);
  MessageAuthenticator authenticator;
  authenticator.set_remote(ends.responder.public_key);
  create_initiation(ends.at_initiator, ends.initiator, 1, ends.next_stamp(), ends.random, ends.initiation);
  const TimePoint now{std::chrono::hours(1)};
  if (state.range(0) == 1) authenticator.add_macs(ends.initiation, now);
  std::array<std::uint8_t, kCookieReplySize> reply;
  std::uint16_t port = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(gate.judge(ends.initiation, {IpAddress::v4(0xc0000201U), ++port, 0}, {&keys, 1}, false, now, reply));
  }
}
BENCHMARK(handshake_gate)->Arg(0)->Arg(1);

// In order (1), or each 64 in reverse (0).
void replay_window(benchmark::State& state) {
  ReplayWindow window;
  std::uint64_t counter = 0;
  for (auto _ : state) {
    for (std::uint64_t i = 0; i < 64; ++i) {
      benchmark::DoNotOptimize(window.accept(state.range(0) == 1 ? counter + i : counter + 63 - i));
    }
    counter += 64;
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(replay_window)->Arg(1)->Arg(0);

gre::TunnelConfig tunnel(Family family, bool options) {
  gre::TunnelConfig config;
  config.local = family == Family::kV4 ? IpAddress::v4(0x0aff0001U) : *IpAddress::parse("fd00::1");
  config.remote = family == Family::kV4 ? IpAddress::v4(0x0aff0002U) : *IpAddress::parse("fd00::2");
  config.key = 42;
  config.sequence = config.checksum = options;
  return config;
}

constexpr std::size_t kPayload = 1396;

// Headers for 1,396 bytes: IPv4 or IPv6, with a key (0) or with sequence number and checksum too (1).
void gre_encapsulate(benchmark::State& state) {
  const auto config = tunnel(state.range(0) == 4 ? Family::kV4 : Family::kV6, state.range(1) == 1);
  const gre::Encapsulation encapsulation(config);
  std::vector<std::uint8_t> packet(encapsulation.header_size() + kPayload, 0x45);
  gre::DeliveryFields fields;
  for (auto _ : state) {
    ++fields.ipv4_id, ++fields.sequence;
    encapsulation.write(packet.data(), kPayload, gre::kProtocolIpv4, fields);
    if (encapsulation.has_checksum()) encapsulation.finish_checksum(packet.data(), 1);
    benchmark::DoNotOptimize(packet.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(gre_encapsulate)->Args({4, 0})->Args({4, 1})->Args({6, 0})->Args({6, 1});

// What a packet belongs to and where its payload begins: the quick way (0) or the whole one (1).
void gre_decapsulate(benchmark::State& state) {
  auto sender = tunnel(Family::kV4, false), receiver = sender;
  std::swap(receiver.local, receiver.remote);
  const gre::Encapsulation encapsulation(sender);
  std::vector<std::uint8_t> packet(encapsulation.header_size() + kPayload, 0x45);
  encapsulation.write(packet.data(), kPayload, gre::kProtocolIpv4, {});
  const gre::PlainArrival plain(receiver);
  const gre::DemuxKey key = gre::demux_key(receiver);
  for (auto _ : state) {
    benchmark::ClobberMemory();
    if (state.range(0) == 0) {
      if (plain.header_size(packet) == 0) return state.SkipWithError("not taken");
    } else {
      gre::Decapsulated out;
      if (gre::decapsulate(packet, out) || !(gre::demux_key(out) == key)) return state.SkipWithError("not taken");
    }
  }
}
BENCHMARK(gre_decapsulate)->Arg(0)->Arg(1);

}  // namespace
}  // namespace greywire
