// UDP datagrams at a rate, and round trips, through whatever lies between two addresses; for tests/bench/compare.
//   udp_load sink ADDRESS PORT                          counts data and answers echoes and questions, until it is ended
//   udp_load send ADDRESS PORT BYTES RATE SECONDS [TRAIN]  RATE datagrams a second (0: as many as go) of BYTES of payload
//   udp_load echo ADDRESS PORT BYTES COUNT INTERVAL_US  COUNT round trips, one each INTERVAL_US
// `send` and `echo` print one line of JSON. Datagrams leave in trains by UDP_SEGMENT, as those of QUIC servers do, of TRAIN (as
// many as fit) each, several trains a system call. IPv4.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::uint32_t kMagic = 0x6c647567;
enum class Kind : std::uint32_t { kData, kQuestion, kAnswer, kEcho };

struct Header {
  std::uint32_t magic;
  Kind kind;
  std::uint32_t run;
  std::uint32_t number;
  std::uint64_t value;  // kAnswer: how many came; kEcho: when it was sent, ns
};

constexpr std::size_t kMaxDatagram = 65000;
constexpr std::size_t kMaxTrain = 64;  // datagrams
constexpr unsigned kMessages = 16;

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "udp_load: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

sockaddr_in address_of(const char* address, const char* port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  if (inet_pton(AF_INET, address, &a.sin_addr) != 1) fail(address);
  return a;
}

int make_socket() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  const int buffer = 8 << 20;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  return fd;
}

int connected_socket(const sockaddr_in& to) {
  const int fd = make_socket();
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) fail("connect");
  return fd;
}

int sink(const sockaddr_in& at) {
  const int fd = make_socket();
  const int on = 1;
  ::setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail("bind");
  struct Slot {
    std::array<std::uint8_t, 65536> bytes;
    alignas(cmsghdr) std::array<std::uint8_t, 64> control;
    sockaddr_in from;
    iovec part;
  };
  const auto slots = std::make_unique<std::array<Slot, kMessages>>();
  std::array<mmsghdr, kMessages> messages{};
  std::uint32_t run = 0;
  std::uint64_t count = 0;
  for (;;) {
    for (unsigned i = 0; i < kMessages; ++i) {
      Slot& slot = (*slots)[i];
      slot.part = {slot.bytes.data(), slot.bytes.size()};
      messages[i].msg_hdr = {&slot.from, sizeof slot.from, &slot.part, 1, slot.control.data(), slot.control.size(), 0};
    }
    const int n = ::recvmmsg(fd, messages.data(), kMessages, MSG_WAITFORONE, nullptr);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("recvmmsg");
    for (int i = 0; i < n; ++i) {
      Slot& slot = (*slots)[static_cast<std::size_t>(i)];
      mmsghdr& message = messages[static_cast<std::size_t>(i)];
      std::size_t segment = message.msg_len;
      for (cmsghdr* c = CMSG_FIRSTHDR(&message.msg_hdr); c != nullptr; c = CMSG_NXTHDR(&message.msg_hdr, c)) {
        int size = 0;
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
        std::memcpy(&size, CMSG_DATA(c), sizeof size);
        if (size > 0) segment = static_cast<std::size_t>(size);
      }
      for (std::size_t at_byte = 0; at_byte + sizeof(Header) <= message.msg_len; at_byte += segment) {
        Header header;
        std::memcpy(&header, slot.bytes.data() + at_byte, sizeof header);
        if (header.magic != kMagic) continue;
        const std::size_t size = std::min(segment, message.msg_len - at_byte);
        if (header.kind == Kind::kData) {
          if (header.run != run) run = header.run, count = 0;
          ++count;
          continue;
        }
        if (header.kind == Kind::kQuestion) {
          header.kind = Kind::kAnswer;
          header.value = header.run == run ? count : 0;
          std::memcpy(slot.bytes.data() + at_byte, &header, sizeof header);
        }
        ::sendto(fd, slot.bytes.data() + at_byte, size, 0, reinterpret_cast<const sockaddr*>(&slot.from), sizeof slot.from);
      }
    }
  }
}

bool wait_readable(int fd, int ms) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, ms) > 0;
}

std::uint64_t ask_count(int fd, std::uint32_t run) {
  for (int tries = 0; tries < 20; ++tries) {
    const Header question{kMagic, Kind::kQuestion, run, 0, 0};
    ::send(fd, &question, sizeof question, 0);
    while (wait_readable(fd, 200)) {
      Header answer{};
      if (::recv(fd, &answer, sizeof answer, MSG_DONTWAIT) != sizeof answer) break;
      if (answer.magic == kMagic && answer.kind == Kind::kAnswer && answer.run == run) return answer.value;
    }
  }
  fmt::print(stderr, "udp_load: the sink does not answer\n");
  std::exit(1);
}

// Up to `wanted` datagrams in one system call; returns how many went.
class Sender {
 public:
  Sender(int fd, std::size_t bytes, std::size_t train, std::uint32_t run) : fd_(fd), bytes_(bytes) {
    per_train_ = std::clamp<std::size_t>(kMaxDatagram / bytes, 1, train);
    buffer_.resize(per_train_ * bytes);
    for (std::size_t i = 0; i < per_train_; ++i) {
      const Header header{kMagic, Kind::kData, run, 0, 0};
      std::memcpy(buffer_.data() + i * bytes, &header, sizeof header);
    }
  }
  std::uint64_t send(std::uint64_t wanted) {
    unsigned count = 0;
    std::uint64_t left = wanted;
    for (; count < kMessages && left != 0; ++count) {
      const auto datagrams = std::min<std::uint64_t>(left, per_train_);
      left -= datagrams;
      Message& m = made_[count];
      m.part = {buffer_.data(), datagrams * bytes_};
      messages_[count].msg_hdr = {nullptr, 0, &m.part, 1, nullptr, 0, 0};
      if (datagrams == 1) continue;
      messages_[count].msg_hdr.msg_control = m.control.data();
      messages_[count].msg_hdr.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
      cmsghdr* c = CMSG_FIRSTHDR(&messages_[count].msg_hdr);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
      const auto segment = static_cast<std::uint16_t>(bytes_);
      std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
    const int done = ::sendmmsg(fd_, messages_.data(), count, 0);
    if (done < 0) {
      if (errno == ENOBUFS || errno == EINTR) return 0;
      fail("sendmmsg");
    }
    std::uint64_t went = 0;
    for (int i = 0; i < done; ++i) went += made_[static_cast<std::size_t>(i)].part.iov_len / bytes_;
    return went;
  }

 private:
  struct Message {
    iovec part;
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> control;
  };
  const int fd_;
  const std::size_t bytes_;
  std::size_t per_train_;
  std::vector<std::uint8_t> buffer_;
  std::array<Message, kMessages> made_{};
  std::array<mmsghdr, kMessages> messages_{};
};

int send(const sockaddr_in& to, std::size_t bytes, double rate, double seconds, std::size_t train) {
  constexpr auto kTick = std::chrono::microseconds(500);
  const int fd = connected_socket(to);
  const std::uint32_t run = std::random_device{}() | 1;
  Sender sender(fd, bytes, train, run);
  std::uint64_t sent = 0;
  const auto start = Clock::now();
  auto next = start;
  for (;;) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    if (elapsed >= seconds) break;
    if (rate == 0) {
      sent += sender.send(kMessages * kMaxTrain);
      continue;
    }
    const auto due = static_cast<std::uint64_t>(rate * elapsed);
    if (due > sent) sent += sender.send(due - sent);
    if (static_cast<std::uint64_t>(rate * elapsed) <= sent + kMessages * kMaxTrain) {
      next = std::max(next + kTick, Clock::now());
      std::this_thread::sleep_until(next);
    }
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::uint64_t received = ask_count(fd, run);
  fmt::print("{{\"sent\": {}, \"received\": {}, \"seconds\": {:.4f}}}\n", sent, received, took);
  return 0;
}

int echo(const sockaddr_in& to, std::size_t bytes, unsigned count, unsigned interval_us) {
  const int fd = connected_socket(to);
  const std::uint32_t run = std::random_device{}() | 1;
  std::vector<std::uint8_t> message(bytes), answer(65536);
  std::vector<double> round_trips;
  unsigned sent = 0;
  auto next = Clock::now();
  const auto last = next + std::chrono::microseconds(static_cast<std::uint64_t>(interval_us) * count) + std::chrono::seconds(1);
  while (round_trips.size() < count && Clock::now() < last) {
    if (sent < count && Clock::now() >= next) {
      const Header header{kMagic, Kind::kEcho, run, sent,
                          static_cast<std::uint64_t>(nanoseconds(Clock::now().time_since_epoch()).count())};
      std::memcpy(message.data(), &header, sizeof header);
      ::send(fd, message.data(), message.size(), 0);
      ++sent;
      next += std::chrono::microseconds(interval_us);
    }
    const auto now = Clock::now();
    const auto until = sent < count ? next : last;
    const timespec wait{0, std::clamp<long>(nanoseconds(until - now).count(), 0, 100'000'000)};
    pollfd p{fd, POLLIN, 0};
    if (::ppoll(&p, 1, &wait, nullptr) <= 0) continue;
    const auto size = ::recv(fd, answer.data(), answer.size(), MSG_DONTWAIT);
    Header header;
    if (size < static_cast<std::ptrdiff_t>(sizeof header)) continue;
    std::memcpy(&header, answer.data(), sizeof header);
    if (header.magic != kMagic || header.kind != Kind::kEcho || header.run != run) continue;
    const auto at = static_cast<std::uint64_t>(nanoseconds(Clock::now().time_since_epoch()).count());
    round_trips.push_back(static_cast<double>(at - header.value) / 1000);
  }
  std::sort(round_trips.begin(), round_trips.end());
  const auto part = [&](double q) {
    return round_trips.empty() ? -1 : round_trips[static_cast<std::size_t>(q * static_cast<double>(round_trips.size() - 1))];
  };
  fmt::print("{{\"sent\": {}, \"received\": {}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"max_us\": {:.1f}}}\n", sent,
             round_trips.size(), part(0.5), part(0.99), part(1));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "sink" && argc == 4) return sink(address_of(argv[2], argv[3]));
  if ((mode == "send" && (argc == 7 || argc == 8)) || (mode == "echo" && argc == 7)) {
    const auto to = address_of(argv[2], argv[3]);
    const auto bytes = std::clamp<std::size_t>(static_cast<std::size_t>(std::atoi(argv[4])), sizeof(Header), 65000);
    const auto train = argc == 8 ? std::clamp<std::size_t>(static_cast<std::size_t>(std::atoi(argv[7])), 1, kMaxTrain) : kMaxTrain;
    if (mode == "send") return send(to, bytes, std::atof(argv[5]), std::atof(argv[6]), train);
    return echo(to, bytes, static_cast<unsigned>(std::atoi(argv[5])), static_cast<unsigned>(std::atoi(argv[6])));
  }
  fmt::print(stderr, "usage: see the head of udp_load.cc\n");
  return 2;
}
