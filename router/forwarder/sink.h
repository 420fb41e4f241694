// What the forwarder hands to the system, a batch at a time. The engine's workers implement it with sockets and devices,
// tests with vectors. Called on the worker's thread; all memory is valid during the call only.
#pragma once

#include <cstdint>
#include <span>

#include "router/base/ids.h"
#include "router/packet/gro_merge.h"
#include "router/wireguard/peer_data.h"

namespace greywire {

// Sealed datagrams of one peer, back to back: all `segment_size` bytes long but a shorter last one.
struct SealedTrain {
  wireguard::PeerData* peer = nullptr;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t size = 0;
  std::uint16_t segment_size = 0;
  std::uint16_t count = 0;
  std::uint8_t ds_field = 0;
};

// The answer to a probe of ours, as it came out of the tunnel.
struct ProbeReply {
  PeerId peer;
  std::uint64_t sequence = 0;
  TimePoint sent;
};

class ForwarderSink {
 public:
  virtual ~ForwarderSink() = default;
  virtual void send(std::span<const SealedTrain> trains) = 0;
  // Returns false when the device did not take it; the forwarder counts the drop.
  virtual bool write(LinkId link, const MergedFrame& frame) = 0;
  // Whether write() takes super-frames of UDP on this link. Asked once a batch.
  virtual MergeUdp merges_udp(LinkId /*link*/) const { return MergeUdp::kNo; }
  // The peer's PeerData::request() said that it must be queued.
  virtual void attention(PeerId peer) = 0;
  // False when the queue for handshakes is full.
  virtual bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) = 0;
  // Transport data for a session that does not exist came from there; told of at most now and then.
  virtual void unknown_session(const Endpoint& /*from*/) {}
  virtual void probe_reply(const ProbeReply& reply) = 0;
};

}  // namespace greywire
