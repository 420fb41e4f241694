#include "router/wireguard/transport.h"

#include <cstring>

namespace greywire::wireguard {

std::size_t seal_packet(Aead& aead, Session& session, std::uint64_t counter, std::span<const std::uint8_t> packet,
                        std::uint32_t inner_mtu, std::uint8_t* out) {
  const std::size_t padded = pmtu::padded_size(static_cast<std::uint32_t>(packet.size()), Mtu{inner_mtu});
  return seal_padded(aead, session, counter, packet, padded, out);
}

std::size_t seal_padded(Aead& aead, Session& session, std::uint64_t counter, std::span<const std::uint8_t> packet,
                        std::size_t padded, std::uint8_t* out) {
  std::uint8_t* text = out + kTransportHeaderSize;
  if (!packet.empty()) std::memcpy(text, packet.data(), packet.size());
  std::memset(text + packet.size(), 0, padded - packet.size());
  write_transport_header(out, session.remote_index, counter);
  const SealJob job{counter, text, text, static_cast<std::uint32_t>(padded)};
  aead.seal(session.send_key(), {&job, 1});
  return pmtu::datagram_size(static_cast<std::uint32_t>(padded));
}

}  // namespace greywire::wireguard
