// Times and limits of the protocol (whitepaper §6.1), and those of ours where the paper leaves them open.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "router/base/time.h"

namespace greywire::wireguard {

using namespace std::chrono_literals;

inline constexpr std::uint64_t kRekeyAfterMessages = std::uint64_t{1} << 60;
inline constexpr std::uint64_t kRejectAfterMessages = ~std::uint64_t{0} - (std::uint64_t{1} << 13);
inline constexpr Duration kRekeyAfterTime = 120s;
inline constexpr Duration kRejectAfterTime = 180s;
inline constexpr Duration kRekeyAttemptTime = 90s;
inline constexpr Duration kRekeyTimeout = 5s;
inline constexpr Duration kKeepaliveTimeout = 10s;
inline constexpr Duration kRekeyTimeoutJitter = 333ms;
inline constexpr Duration kEraseKeysAfter = 3 * kRejectAfterTime;
// Receiving under an old session: renew in time for one keepalive and one handshake before it is refused.
inline constexpr Duration kRekeyOnReceiveAfter = kRejectAfterTime - kKeepaliveTimeout - kRekeyTimeout;
inline constexpr unsigned kMaxHandshakeAttempts = static_cast<unsigned>(kRekeyAttemptTime / kRekeyTimeout);

inline constexpr Duration kCookieSecretLifetime = 120s;
inline constexpr Duration kCookieMargin = 5s;               // the client drops its cookie that much earlier
inline constexpr Duration kMinInitiationInterval = 20ms;    // per peer; faster ones are a flood
inline constexpr std::uint8_t kHandshakeDsField = 0x88;     // AF41, as the kernel marks them
inline constexpr Duration kUnderLoadLinger = 1s;
inline constexpr std::size_t kMaxStagedPackets = 128;       // per peer; the oldest goes first

}  // namespace greywire::wireguard
