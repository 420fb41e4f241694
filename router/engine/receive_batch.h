// Preallocated room for what one UdpSocket::receive() brings, and the description of each message in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "router/base/ip_address.h"

namespace greywire::engine {

// One datagram, or a train of them from the same source: pieces of `segment_size` bytes, the last may be
// shorter.
struct ReceivedMessage {
  std::uint8_t* bytes =
      nullptr;             // may be changed in place; kSlack bytes before and after may be overwritten too
  std::uint32_t size = 0;  // 0 to 65,535
  std::uint16_t segment_size = 0;  // 0: a single datagram
  Endpoint source;
  IpAddress local;                  // the address it was sent to, where has_local
  std::uint32_t local_ifindex = 0;  // the interface it came in by
  bool has_local = false;
  std::uint8_t ds_field = 0;  // DSCP and ECN of the outer header
};

// The messages of the last receive() stay valid until the next one. One thread at a time. Move-only.
class ReceiveBatch {
 public:
  static constexpr std::size_t kBufferBytes = 65536;  // a message's largest size, rounded
  static constexpr std::size_t kSlack = 128;          // around each buffer
  static constexpr std::size_t kMaxMessages = 64;

  // Allocates everything: `messages` (cut to 1…kMaxMessages) times 64 KiB. Throws std::bad_alloc.
  explicit ReceiveBatch(std::size_t messages = 16);
  ReceiveBatch(ReceiveBatch&&) noexcept;
  ReceiveBatch& operator=(ReceiveBatch&&) noexcept;
  ~ReceiveBatch();

  std::size_t capacity() const;
  std::size_t size() const;  // of the last receive()
  const ReceivedMessage& operator[](std::size_t i) const;
  const ReceivedMessage* begin() const;
  const ReceivedMessage* end() const;

 private:
  friend class UdpSocket;
  struct Storage;
  std::unique_ptr<Storage> storage_;
};

}  // namespace greywire::engine
