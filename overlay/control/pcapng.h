// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), as tcpdump and Wireshark read it: one section, one interface, times in
// nanoseconds. Each call appends one whole block. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "router/base/time.h"

namespace greywire::control {

enum class PcapLink : std::uint16_t { kEthernet = 1, kRawIp = 101 };

namespace pcapng {

inline constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
inline constexpr std::uint32_t kInterface = 1;
inline constexpr std::uint32_t kStatistics = 5;
inline constexpr std::uint32_t kEnhancedPacket = 6;
inline constexpr std::size_t kLeastBlock = 12;           // type, length, length
inline constexpr std::uint32_t kMostBlock = 1024 * 1024;  // no block of ours is larger

void begin(std::string& out, PcapLink link, std::string_view interface, std::uint32_t snap_length);
void packet(std::string& out, WallTime at, bool outbound, std::span<const std::uint8_t> bytes, std::uint32_t original_size);
void statistics(std::string& out, WallTime at, std::uint64_t received, std::uint64_t lost);

}  // namespace pcapng
}  // namespace greywire::control
