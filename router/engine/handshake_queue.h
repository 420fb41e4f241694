// Handshake messages on their way to the protocol thread: a ring of fixed length, so that neither a flood nor the taking
// of a few at a time costs memory or copies. Guarded by its owner.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "router/wireguard/messages.h"
#include "router/wireguard/peer_data.h"

namespace greywire::engine {

struct HandshakeDatagram {
  std::array<std::uint8_t, wireguard::kInitiationSize> bytes;
  std::uint16_t size = 0;
  wireguard::Route from;
  std::span<const std::uint8_t> span() const { return {bytes.data(), size}; }
};

class HandshakeQueue {
 public:
  explicit HandshakeQueue(std::size_t capacity)
      : capacity_(capacity), ring_(std::make_unique<HandshakeDatagram[]>(capacity)) {}
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // False when it is full. At most an initiation long, as every handshake message is.
  bool push(std::span<const std::uint8_t> datagram, const wireguard::Route& from) {
    if (size_ == capacity_) return false;
    HandshakeDatagram& message = ring_[(first_ + size_++) % capacity_];
    message.size = static_cast<std::uint16_t>(std::min(datagram.size(), message.bytes.size()));
    std::memcpy(message.bytes.data(), datagram.data(), message.size);
    message.from = from;
    return true;
  }
  // Moves the oldest to the end of `into`, up to `count`; returns how many.
  template <class Vector>
  std::size_t take(Vector& into, std::size_t count) {
    const std::size_t taken = std::min(count, size_);
    for (std::size_t i = 0; i < taken; ++i) into.push_back(ring_[(first_ + i) % capacity_]);
    first_ = (first_ + taken) % capacity_;
    size_ -= taken;
    return taken;
  }

 private:
  const std::size_t capacity_;
  std::unique_ptr<HandshakeDatagram[]> ring_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace greywire::engine
