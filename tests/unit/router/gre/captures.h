// Reads the pcap files under tests/captures: raw IP, little-endian, nanosecond or microsecond stamps.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/unit/router/packet/packets.h"

namespace greywire::test {

inline std::vector<Bytes> read_pcap(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const Bytes file{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::vector<Bytes> packets;
  if (file.size() < 24 || load_le32(&file[20]) != 101) {
    ADD_FAILURE() << path << " is no capture of raw IP";
    return packets;
  }
  for (std::size_t at = 24; at + 16 <= file.size();) {
    const std::size_t size = load_le32(&file[at + 8]);
    at += 16;
    packets.emplace_back(file.begin() + static_cast<std::ptrdiff_t>(at),
                         file.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
  }
  return packets;
}

inline std::vector<std::filesystem::path> gre_captures() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(GREYWIRE_TESTS_DIR "/captures/gre")) {
    if (entry.path().extension() == ".pcap") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace greywire::test
