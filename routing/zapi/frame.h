// ZAPI framing: cuts a byte stream into messages, whatever the cuts of the reads.
//
// Header, big endian: u16 length (with these 10 bytes), u8 marker 254, u8 version 6, u32 VRF, u16 command.
// FRR up to 10.3 sends at most 16,384 bytes a message; from 10.4 on as much as the u16 says, so all of it is
// taken. At most one incomplete message is kept: 65,535 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "router/base/result.h"

namespace greywire::routing::zapi {

inline constexpr std::size_t kHeaderBytes = 10;
inline constexpr std::uint8_t kMarker = 254;
inline constexpr std::uint8_t kVersion = 6;
inline constexpr std::uint16_t kInvalidCommand = 0xffff;  // no release knows it: each answers with its ERROR

struct Frame {
  std::uint32_t vrf = 0;
  std::uint16_t command = 0;
  std::span<const std::uint8_t> body;
};

class FrameReader {
 public:
  // Hands in what was read. The bytes must stay valid until next() has returned nothing.
  void feed(std::span<const std::uint8_t> bytes) { input_ = bytes; }

  // The next whole message, or nothing until more is fed. The body is valid until the following call. After
  // an error the stream cannot be continued: reset() for the next connection.
  Result<std::optional<Frame>> next();

  void reset();
  std::size_t buffered() const { return pending_.size(); }

 private:
  bool complete_pending(std::size_t bytes);

  std::span<const std::uint8_t> input_;
  std::vector<std::uint8_t> pending_;  // the beginning of a message that was cut
  bool pending_was_returned_ = false;
};

}  // namespace greywire::routing::zapi
