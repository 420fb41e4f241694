// Transport data (whitepaper §5.4.6) one packet at a time, for the protocol thread and for tests. Workers seal and
// open batches with the same pieces in router/forwarder.
#pragma once

#include <cstdint>
#include <span>

#include "router/crypto/aead.h"
#include "router/pmtu/overhead.h"
#include "router/wireguard/messages.h"
#include "router/wireguard/session.h"

namespace greywire::wireguard {

// Writes header, ciphertext and tag to `out`, which has room for datagram_size(pmtu::padded_size(...)); returns that size.
// `packet` must not overlap `out`.
std::size_t seal_packet(Aead& aead, Session& session, std::uint64_t counter, std::span<const std::uint8_t> packet,
                        std::uint32_t inner_mtu, std::uint8_t* out);
// The same with zeros up to `padded` bytes, whatever the MTU: what a probe of the path's MTU is. At least the packet.
std::size_t seal_padded(Aead& aead, Session& session, std::uint64_t counter, std::span<const std::uint8_t> packet,
                        std::size_t padded, std::uint8_t* out);

}  // namespace greywire::wireguard
