// The least that can be a tunnel, and so what its kernel work costs: each frame of a TUN, with its virtio header, goes as one
// train of datagrams to the other end and there to the TUN. No encryption, no look-up, no check, one peer; for
// tests/bench/compare and tests/bench/floor, and for nothing that others can reach.
//   relay NAME PORT ADDRESS:PORT      makes the TUN NAME and carries it between its port and the other relay's, until ended
// A frame and its header must fit one datagram: set gso_max_size of NAME to 65,497 (65,507 less the header). IPv4.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "router/engine/tun_device.h"
#include "router/engine/udp_socket.h"

namespace {

using namespace greywire;

constexpr std::size_t kFrames = 8;       // read, and sent by one system call
constexpr std::size_t kMessages = 16;    // received by one
constexpr std::uint16_t kSegment = 1472;  // fills a datagram on a way of 1,500 bytes
constexpr std::size_t kMaxMessage = 65507;
constexpr std::size_t kStride = 65536;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "relay: {}\n", what);
  std::exit(1);
}

template <class T>
T taken(Result<T> result) {
  if (!result) fail(result.error().text);
  return std::move(*result);
}

class Relay {
 public:
  Relay(const std::string& name, std::uint16_t port, const Endpoint& other)
      : device_(taken(engine::TunDevice::open(name, engine::TunKind::kTun, 1))),
        socket_(taken(engine::UdpSocket::open(Family::kV4, port, {}))),
        batch_(kMessages),
        frames_(std::make_unique<std::uint8_t[]>(kFrames * kStride)),
        other_(other) {}

  void run() {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    for (const int fd : {device_.fd(0), socket_.fd()}) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = fd;
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    for (;;) {
      epoll_event events[2];
      const int count = ::epoll_wait(epoll, events, 2, -1);
      if (count < 0 && errno != EINTR) fail(std::strerror(errno));
      for (int i = 0; i < count; ++i) events[i].data.fd == socket_.fd() ? in() : out();
    }
  }

 private:
  void out() {
    trains_.clear();
    for (std::size_t i = 0; i < kFrames; ++i) {
      std::uint8_t* at = frames_.get() + i * kStride;
      VirtioNetHeader header;
      const auto size = device_.read(0, header, {at + sizeof header, kMaxMessage - sizeof header});
      if (engine::TunDevice::is_gone(size)) fail(device_.name() + " is gone");
      if (size == -EFAULT) fail(fmt::format("a frame is too big: ip link set {} gso_max_size 65497", device_.name()));
      if (size <= 0) break;
      std::memcpy(at, &header, sizeof header);
      engine::SendTrain train;
      train.destination = other_;
      train.bytes = at;
      train.size = static_cast<std::uint32_t>(size) + sizeof header;
      train.segment_size = kSegment;
      trains_.push_back(train);
    }
    if (!trains_.empty()) socket_.send(trains_);
  }

  void in() {
    if (socket_.receive(batch_) <= 0) return;
    for (const engine::ReceivedMessage& message : batch_) {
      // Datagrams of another size that came as one message were frames of one datagram each.
      const std::uint32_t step = message.segment_size == 0 || message.segment_size == kSegment ? message.size : message.segment_size;
      for (std::uint32_t at = 0; at < message.size; at += step) {
        write(message.bytes + at, std::min(step, message.size - at));
      }
    }
  }

  void write(std::uint8_t* bytes, std::size_t size) {
    VirtioNetHeader header;
    if (size <= sizeof header) return;
    std::memcpy(&header, bytes, sizeof header);
    const iovec part{bytes + sizeof header, size - sizeof header};
    device_.write(0, header, &part, 1);
  }

  engine::TunDevice device_;
  engine::UdpSocket socket_;
  engine::ReceiveBatch batch_;
  std::unique_ptr<std::uint8_t[]> frames_;
  std::vector<engine::SendTrain> trains_;
  const Endpoint other_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: relay NAME PORT ADDRESS:PORT");
  const auto other = taken(Endpoint::parse(argv[3]));
  if (!other.address.is_v4()) fail(fmt::format("{}: not IPv4", argv[3]));
  Relay(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])), other).run();
}
