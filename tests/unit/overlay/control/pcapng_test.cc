#include "overlay/control/pcapng.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace greywire::control {
namespace {

std::uint32_t word(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// The types of the blocks; each says its length at both ends.
std::vector<std::uint32_t> types(const std::string& file) {
  std::vector<std::uint32_t> out;
  for (std::size_t at = 0; at < file.size();) {
    const std::uint32_t size = word(file, at + 4);
    EXPECT_EQ(size % 4, 0U);
    EXPECT_LE(at + size, file.size());
    if (size < pcapng::kLeastBlock || at + size > file.size()) return out;
    EXPECT_EQ(word(file, at + size - 4), size);
    out.push_back(word(file, at));
    at += size;
  }
  return out;
}

TEST(Pcapng, BlocksAreWhole) {
  std::string file;
  pcapng::begin(file, PcapLink::kEthernet, "tap-fra", 65535);
  for (std::size_t size = 0; size < 9; ++size) {
    pcapng::packet(file, {1767323045, 5}, size % 2 == 0, std::vector<std::uint8_t>(size, 7), 100);
  }
  pcapng::statistics(file, {1, 2}, 9, 4);
  std::vector<std::uint32_t> wanted{pcapng::kSectionHeader, pcapng::kInterface};
  wanted.insert(wanted.end(), 9, pcapng::kEnhancedPacket);
  wanted.push_back(pcapng::kStatistics);
  EXPECT_EQ(types(file), wanted);
}

TEST(Pcapng, APacketSaysWhenHowLongAndWhichWay) {
  std::string block;
  pcapng::packet(block, {1767323045, 678}, true, std::vector<std::uint8_t>{1, 2, 3, 4, 5}, 1500);
  const std::uint64_t at = std::uint64_t{word(block, 12)} << 32 | word(block, 16);
  EXPECT_EQ(at, 1767323045ULL * 1'000'000'000 + 678);
  EXPECT_EQ(word(block, 20), 5U);
  EXPECT_EQ(word(block, 24), 1500U);
  EXPECT_EQ(block[28], 1);
  EXPECT_EQ(word(block, 36) & 0xffff, 2U) << "epb_flags";
  EXPECT_EQ(word(block, 40), 2U) << "outbound";
}

}  // namespace
}  // namespace greywire::control
