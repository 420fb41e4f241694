// `greywire capture`: takes what the daemon captures, as pcapng, and writes it on or shows a line a packet.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode capture_command(const Surroundings& around, const Options& options);

// "10.1.0.1 > 10.2.0.1 TCP, 1420 bytes" of an IP packet, "02:… > ff:… ARP, …" of an Ethernet frame. Pure.
std::string packet_line(std::span<const std::uint8_t> packet, bool ethernet, std::uint32_t original_size);

}  // namespace greywire::cli
