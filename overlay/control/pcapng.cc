#include "overlay/control/pcapng.h"

#include <cstring>

namespace greywire::control::pcapng {
namespace {

constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
enum Option : std::uint16_t { kEnd = 0, kUserAppl = 4, kIfName = 2, kIfTsresol = 9, kEpbFlags = 2, kIsbIfRecv = 4, kIsbIfDrop = 5 };

template <class T>
void put(std::string& out, T value) {  // in the byte order of this machine, which the section's magic shows
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_padded(std::string& out, const void* bytes, std::size_t size) {
  out.append(static_cast<const char*>(bytes), size);
  out.append((4 - size % 4) % 4, '\0');
}

void put_option(std::string& out, Option option, const void* bytes, std::size_t size) {
  put(out, static_cast<std::uint16_t>(option));
  put(out, static_cast<std::uint16_t>(size));
  put_padded(out, bytes, size);
}

void put_time(std::string& out, WallTime at) {
  const auto nanoseconds = static_cast<std::uint64_t>(at.seconds) * 1'000'000'000 + at.nanoseconds;
  put(out, static_cast<std::uint32_t>(nanoseconds >> 32));
  put(out, static_cast<std::uint32_t>(nanoseconds));
}

// A block around what `body` appends.
template <class Body>
void block(std::string& out, std::uint32_t type, Body&& body) {
  const std::size_t start = out.size();
  put(out, type);
  put(out, std::uint32_t{0});
  body();
  const auto size = static_cast<std::uint32_t>(out.size() - start + 4);
  std::memcpy(out.data() + start + 4, &size, sizeof size);
  put(out, size);
}

}  // namespace

void begin(std::string& out, PcapLink link, std::string_view interface, std::uint32_t snap_length) {
  block(out, kSectionHeader, [&] {
    put(out, kByteOrderMagic);
    put(out, std::uint16_t{1});
    put(out, std::uint16_t{0});
    put(out, ~std::uint64_t{0});  // the section's length is not known
    constexpr std::string_view kProgram = "greywire " GREYWIRE_VERSION;
    put_option(out, kUserAppl, kProgram.data(), kProgram.size());
    put_option(out, kEnd, nullptr, 0);
  });
  block(out, kInterface, [&] {
    put(out, static_cast<std::uint16_t>(link));
    put(out, std::uint16_t{0});
    put(out, snap_length);
    put_option(out, kIfName, interface.data(), interface.size());
    constexpr std::uint8_t kNanoseconds = 9;
    put_option(out, kIfTsresol, &kNanoseconds, 1);
    put_option(out, kEnd, nullptr, 0);
  });
}

void packet(std::string& out, WallTime at, bool outbound, std::span<const std::uint8_t> bytes, std::uint32_t original_size) {
  block(out, kEnhancedPacket, [&] {
    put(out, std::uint32_t{0});
    put_time(out, at);
    put(out, static_cast<std::uint32_t>(bytes.size()));
    put(out, original_size);
    put_padded(out, bytes.data(), bytes.size());
    const std::uint32_t flags = outbound ? 2 : 1;
    put_option(out, kEpbFlags, &flags, sizeof flags);
    put_option(out, kEnd, nullptr, 0);
  });
}

void statistics(std::string& out, WallTime at, std::uint64_t received, std::uint64_t lost) {
  block(out, kStatistics, [&] {
    put(out, std::uint32_t{0});
    put_time(out, at);
    put_option(out, kIsbIfRecv, &received, sizeof received);
    put_option(out, kIsbIfDrop, &lost, sizeof lost);
    put_option(out, kEnd, nullptr, 0);
  });
}

}  // namespace greywire::control::pcapng
