// Sizes, types and field offsets of the four WireGuard messages (whitepaper §5.4). All integers little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "router/base/byte_order.h"
#include "router/crypto/aead.h"
#include "router/crypto/blake2s.h"

namespace greywire::wireguard {

enum class MessageType : std::uint8_t { kInitiation = 1, kResponse = 2, kCookieReply = 3, kTransportData = 4 };

inline constexpr std::size_t kInitiationSize = 148;
inline constexpr std::size_t kResponseSize = 92;
inline constexpr std::size_t kCookieReplySize = 64;
inline constexpr std::size_t kTransportHeaderSize = 16;
inline constexpr std::size_t kMinTransportSize = kTransportHeaderSize + kTagSize;  // a keepalive
inline constexpr std::size_t kPadding = 16;
inline constexpr std::size_t kTimestampSize = 12;

// Field offsets.
namespace initiation {
inline constexpr std::size_t kSender = 4, kEphemeral = 8, kStatic = 40, kTimestamp = 88, kMac1 = 116, kMac2 = 132;
}
namespace response {
inline constexpr std::size_t kSender = 4, kReceiver = 8, kEphemeral = 12, kEmpty = 44, kMac1 = 60, kMac2 = 76;
}
namespace cookie_reply {
inline constexpr std::size_t kReceiver = 4, kNonce = 8, kCookie = 32;
}
namespace transport {
inline constexpr std::size_t kReceiver = 4, kCounter = 8;
}

// The first word of a message: its type with three reserved zero bytes.
inline void store_type(std::uint8_t* message, MessageType type) { store_le32(message, static_cast<std::uint32_t>(type)); }

// Fills the 16 bytes before an encrypted packet.
inline void write_transport_header(std::uint8_t* out, std::uint32_t receiver_index, std::uint64_t counter) {
  store_type(out, MessageType::kTransportData);
  store_le32(out + transport::kReceiver, receiver_index);
  store_le64(out + transport::kCounter, counter);
}

}  // namespace greywire::wireguard
