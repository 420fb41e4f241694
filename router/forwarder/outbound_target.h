// Where a frame goes and how it is wrapped: what Outbound works out once a frame. Private to outbound*.cc.
#pragma once

#include <cstdint>
#include <span>

#include "router/forwarder/outbound.h"

namespace greywire {

struct Outbound::Target {
  LinkId link;
  std::span<std::uint8_t> packet;  // the frame from its IP header on; empty on a TAP
  std::span<const std::uint8_t> ethernet;  // the whole frame on a TAP
  IpPacketInfo info;
  const PeerEntry* peer = nullptr;
  const TunnelEntry* tunnel = nullptr;
  wireguard::Session* session = nullptr;
  std::uint32_t inner_mtu = 0;
  std::uint8_t ds_field = 0;
  Mtu payload_mtu{};  // what fits into inner_mtu behind the delivery header
  TimePoint now;
  bool stays = false;  // the frame is valid, and nobody changes it, until flush()

  // With a tunnel only.
  const gre::Encapsulation* encapsulation = nullptr;
  gre::DeliveryFields delivery;
  std::uint16_t gre_protocol = 0;
  bool delivery_df = false;          // what does not fit is not to be fragmented
  std::uint64_t next_sequence = 0;   // position in the tunnel's SequenceOut
  std::uint64_t payload_sum = 0;     // of the payload written last, where the tunnel has a checksum

  bool sums() const { return encapsulation != nullptr && encapsulation->has_checksum(); }
};

}  // namespace greywire
