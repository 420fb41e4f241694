// The probe inside the tunnel: an ICMP echo from our overlay address to the peer's, with a payload by which the engine
// knows its own. A Greywire peer answers it in its engine, any other in its kernel, so that no route is needed for it
// at the far end of a link that is down.
//
// payload: "GWPROBE1" | nonce 8 | sequence 8 | time sent 8 (ns, ours alone to read)
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "router/base/byte_order.h"
#include "router/base/time.h"
#include "router/packet/icmp.h"

namespace greywire {

inline constexpr std::size_t kProbePayloadSize = 32;
inline constexpr std::uint8_t kProbeMagic[8] = {'G', 'W', 'P', 'R', 'O', 'B', 'E', '1'};

struct ProbePayload {
  std::uint64_t nonce = 0;  // of this process: answers to somebody else's probes are not ours
  std::uint64_t sequence = 0;
  TimePoint sent;
};

inline std::array<std::uint8_t, kProbePayloadSize> encode_probe(const ProbePayload& probe) {
  std::array<std::uint8_t, kProbePayloadSize> out{};
  std::memcpy(out.data(), kProbeMagic, 8);
  store_be64(out.data() + 8, probe.nonce);
  store_be64(out.data() + 16, probe.sequence);
  store_be64(out.data() + 24, static_cast<std::uint64_t>(probe.sent.time_since_epoch().count()));
  return out;
}

inline bool is_probe(std::span<const std::uint8_t> payload) {
  return payload.size() >= kProbePayloadSize && std::memcmp(payload.data(), kProbeMagic, 8) == 0;
}

inline std::optional<ProbePayload> decode_probe(std::span<const std::uint8_t> payload) {
  if (!is_probe(payload)) return std::nullopt;
  ProbePayload probe;
  probe.nonce = load_be64(payload.data() + 8);
  probe.sequence = load_be64(payload.data() + 16);
  probe.sent = TimePoint{Duration{static_cast<std::int64_t>(load_be64(payload.data() + 24))}};
  return probe;
}

}  // namespace greywire
