// What other threads leave for the protocol thread: handshake messages, peers that want attention, answers to probes,
// and calls of the control side. Bounded where strangers can fill it. An eventfd wakes the reader.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "router/forwarder/sink.h"
#include "router/wireguard/messages.h"

namespace greywire::engine {

struct HandshakeDatagram {
  std::array<std::uint8_t, wireguard::kInitiationSize> bytes;
  std::uint16_t size = 0;
  wireguard::Route from;
  std::span<const std::uint8_t> span() const { return {bytes.data(), size}; }
};

class Inbox {
 public:
  static constexpr std::size_t kMaxHandshakes = 4096;
  static constexpr std::size_t kMaxAnswers = 1024;
  static constexpr std::size_t kUnderLoad = 512;  // handshakes waiting
  static constexpr std::size_t kMaxProbeReplies = 4096;
  static constexpr std::size_t kMaxUnknownSessions = 16;

  struct Contents {
    std::vector<std::function<void()>> calls;
    std::vector<HandshakeDatagram> handshakes;
    // Responses and cookie replies: a flood of initiations does not stand in their way.
    std::vector<HandshakeDatagram> answers;
    std::vector<PeerId> attention;
    std::vector<ProbeReply> probe_replies;
    std::vector<Endpoint> unknown_sessions;
  };

  Inbox() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Inbox() { ::close(event_); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;
  int fd() const { return event_; }

  // Any thread.
  void call(std::function<void()> fn) {
    with([&](Contents& c) { c.calls.push_back(std::move(fn)); });
  }
  // `datagram` begins with a message type. False when the queue is full.
  bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) {
    bool taken = false;
    with([&](Contents& c) {
      const bool initiation = datagram[0] == static_cast<std::uint8_t>(wireguard::MessageType::kInitiation);
      auto& queue = initiation ? c.handshakes : c.answers;
      if (queue.size() >= kMaxHandshakes / 2) crowded_.store(true, std::memory_order_relaxed);
      if (queue.size() >= (initiation ? kMaxHandshakes : kMaxAnswers)) return;
      taken = true;
      HandshakeDatagram& message = queue.emplace_back();
      // Longer than any handshake message is wrong whatever it holds; its size says so.
      message.size = static_cast<std::uint16_t>(std::min(datagram.size(), message.bytes.size()));
      if (datagram.size() > message.bytes.size()) message.size = wireguard::kMinTransportSize;
      std::memcpy(message.bytes.data(), datagram.data(), message.size);
      message.from = from;
    });
    return taken;
  }
  void attention(PeerId peer) {
    with([&](Contents& c) { c.attention.push_back(peer); });
  }
  void probe_reply(const ProbeReply& reply) {
    with([&](Contents& c) {
      if (c.probe_replies.size() < kMaxProbeReplies) c.probe_replies.push_back(reply);
    });
  }
  void unknown_session(const Endpoint& from) {
    with([&](Contents& c) {
      if (c.unknown_sessions.size() < kMaxUnknownSessions) c.unknown_sessions.push_back(from);
    });
  }
  // Whether initiations filled half of their queue since it was asked last.
  bool was_crowded() {
    return crowded_.load(std::memory_order_relaxed) && crowded_.exchange(false, std::memory_order_relaxed);
  }
  void wake() { signal(); }

  // The protocol thread. `into` keeps its memory from round to round.
  void take(Contents& into) {
    std::uint64_t count;
    [[maybe_unused]] const auto n = ::read(event_, &count, sizeof count);
    std::lock_guard guard(mutex_);
    std::swap(into, contents_);
    signalled_ = false;
  }

 private:
  template <class Fn>
  void with(Fn&& fn) {
    bool wake_up = false;
    {
      std::lock_guard guard(mutex_);
      fn(contents_);
      wake_up = !signalled_;
      signalled_ = true;
    }
    if (wake_up) signal();
  }
  void signal() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(event_, &one, sizeof one);
  }

  const int event_;
  std::mutex mutex_;
  bool signalled_ = false;
  std::atomic<bool> crowded_{false};
  Contents contents_;
};

}  // namespace greywire::engine
