// What other threads leave for the protocol thread: handshake messages, peers that want attention, answers to probes,
// and calls of the control side. Bounded where strangers can fill it. An eventfd wakes the reader.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "router/engine/handshake_queue.h"
#include "router/forwarder/sink.h"
#include "router/wireguard/handshake_gate.h"

namespace greywire::engine {

class Inbox {
 public:
  using Outcome = wireguard::HandshakeGate::Outcome;
  static constexpr std::size_t kMaxHandshakes = 1024;  // of each kind
  static constexpr std::size_t kUnderLoad = 512;       // of one kind, waiting
  static constexpr std::size_t kHandshakesAtOnce = 32;
  static constexpr std::size_t kMaxProbeReplies = 4096;
  static constexpr std::size_t kMaxUnknownSessions = 16;

  struct Contents {
    std::vector<std::function<void()>> calls;
    std::vector<HandshakeDatagram> handshakes;
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
  // What a gate let through. False when the queue is full. Answers to our own handshakes and senders that proved their
  // address stand in queues of their own, before initiations from anybody.
  bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from, Outcome outcome) {
    bool taken = false;
    with([&](Contents&) {
      HandshakeQueue& queue = outcome == Outcome::kAnswer   ? answers_
                              : outcome == Outcome::kProven ? proven_
                                                            : initiations_;
      taken = queue.push(datagram, from);
      note_load();
    });
    return taken;
  }
  // More waits than is computed in a tenth of a second: cookies are due.
  bool under_load() const { return under_load_.load(std::memory_order_relaxed); }
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
  void wake() { signal(); }

  // The protocol thread. `into` keeps its memory from round to round. Handshakes come a few at a time, the urgent first,
  // since each may take 0.2 ms and nothing else is done meanwhile; the rest keeps the inbox awake.
  void take(Contents& into) {
    std::uint64_t count;
    [[maybe_unused]] const auto n = ::read(event_, &count, sizeof count);
    std::lock_guard guard(mutex_);
    std::swap(into, contents_);
    std::size_t room = kHandshakesAtOnce;
    for (HandshakeQueue* queue : {&answers_, &proven_, &initiations_}) room -= queue->take(into.handshakes, room);
    note_load();
    signalled_ = !answers_.empty() || !proven_.empty() || !initiations_.empty();
    if (signalled_) signal();
  }

 private:
  void note_load() {
    under_load_.store(initiations_.size() >= kUnderLoad || answers_.size() >= kUnderLoad, std::memory_order_relaxed);
  }
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
  std::atomic<bool> under_load_{false};
  Contents contents_;
  HandshakeQueue answers_{kMaxHandshakes};
  HandshakeQueue proven_{kMaxHandshakes};
  HandshakeQueue initiations_{kMaxHandshakes};
};

}  // namespace greywire::engine
