// Many WireGuard peers in one process, each with a device and a UDP socket of its own, for tests of the device that they
// all talk to. Peer i has a key that follows from i, and the inner address 10.128.0.0 + i.
//   peer_swarm config FIRST COUNT          their public keys and allowed-IPs, as `wg addconf` reads them
//   peer_swarm run ADDRESS PORT SERVER_KEY FIRST COUNT SPREAD_MS SECONDS INTERVAL_MS
// `run` lets a peer start its handshake every SPREAD_MS, and once it has a session send an echo request to 10.0.0.1 every
// INTERVAL_MS (0: none). After SECONDS it prints one JSON line: how long each handshake took in ms (-1: not done), echo
// requests sent and answers received. Figures are those of the peers, the device under test need not be Greywire's.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "router/crypto/aead.h"
#include "router/crypto/blake2s.h"
#include "router/crypto/system_random.h"
#include "router/crypto/x25519.h"
#include "router/engine/boot_clock.h"
#include "router/packet/icmp.h"
#include "router/wireguard/device.h"

namespace {

using namespace greywire;

// The same key for the same number in every run.
PrivateKey key_of(unsigned number) {
  std::array<std::uint8_t, 4> bytes;
  store_le32(bytes.data(), number);
  return clamp(PrivateKey::from_bytes(blake2s_hash(bytes)));
}

std::array<std::uint8_t, 4> inner_address(unsigned number) {
  return {10, static_cast<std::uint8_t>(128 + (number >> 16)), static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

wireguard::Now now() { return {engine::boot_now(), engine::wall_now()}; }

class SwarmPeer final : private wireguard::Outbox {
 public:
  SwarmPeer(unsigned number, Aead& aead, const sockaddr_in& target, const PublicKey& server)
      : number_(number), aead_(aead), device_(domain_, random_, aead, *this) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int buffer = 1 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    ::connect(fd_, reinterpret_cast<const sockaddr*>(&target), sizeof target);
    device_.set_private_key(key_of(number));
    server_ = &device_.add_peer(server, Origin::kConfig);
    Endpoint endpoint;
    endpoint.address = IpAddress::v4(std::span<const std::uint8_t, 4>(
        reinterpret_cast<const std::uint8_t*>(&target.sin_addr), 4));
    endpoint.port = ntohs(target.sin_port);
    device_.set_endpoint(*server_, endpoint);
    route_.remote = endpoint;
  }
  ~SwarmPeer() override { ::close(fd_); }

  int fd() const { return fd_; }
  void start(wireguard::Now at) {
    started_ = at.boot;
    device_.initiate(*server_, at);
  }
  bool started() const { return started_ != TimePoint{}; }
  bool connected() const { return connected_ != TimePoint{}; }
  double handshake_ms() const {
    return connected() ? std::chrono::duration<double, std::milli>(connected_ - started_).count() : -1;
  }
  void advance(wireguard::Now at) {
    if (device_.next_deadline() <= at.boot) device_.advance(at);
  }
  void receive(wireguard::Now at) {
    std::uint8_t bytes[2048];
    for (;;) {
      const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
      if (size < 0) return;
      if (size < static_cast<ssize_t>(wireguard::kMinTransportSize)) continue;
      const std::span datagram(bytes, static_cast<std::size_t>(size));
      if (bytes[0] != static_cast<std::uint8_t>(wireguard::MessageType::kTransportData)) {
        device_.receive_handshake(datagram, route_, at);
        if (!connected() && server_->current) connected_ = at.boot;
      } else {
        data(datagram, at);
      }
    }
  }
  void echo(wireguard::Now at) {
    static constexpr std::uint8_t kServer[] = {10, 0, 0, 1};
    std::uint8_t packet[128];
    const std::uint8_t payload[32] = {};
    const std::size_t size =
        write_echo_request(packet, IpAddress::v4(inner_address(number_)), IpAddress::v4(kServer),
                           static_cast<std::uint16_t>(number_), ++sequence_, payload);
    if (device_.send_packet(*server_, {packet, size}, 0, at)) ++sent;
  }

  unsigned long long sent = 0;
  unsigned long long received = 0;

 private:
  void send(const wireguard::Route&, std::span<const std::uint8_t> datagram, std::uint8_t) override {
    [[maybe_unused]] const auto n = ::send(fd_, datagram.data(), datagram.size(), 0);
  }
  void data(std::span<std::uint8_t> datagram, wireguard::Now at) {
    wireguard::Session* session =
        device_.index_table().find(load_le32(datagram.data() + wireguard::transport::kReceiver));
    if (session == nullptr) return;
    OpenJob job{load_le64(datagram.data() + wireguard::transport::kCounter),
                datagram.data() + wireguard::kTransportHeaderSize, datagram.data() + wireguard::kTransportHeaderSize,
                static_cast<std::uint32_t>(datagram.size() - wireguard::kMinTransportSize), false};
    aead_.open(session->receive_key(), {&job, 1});
    if (!job.ok || !session->replay.accept(job.counter)) return;
    server_->shared->any_received(at.boot);
    if (job.size != 0) ++received;
  }

  const unsigned number_;
  Aead& aead_;
  SystemRandom random_;
  QuiescentDomain domain_;
  wireguard::Device device_;
  wireguard::Peer* server_ = nullptr;
  wireguard::Route route_;
  int fd_ = -1;
  TimePoint started_{};
  TimePoint connected_{};
  std::uint16_t sequence_ = 0;
};

struct Run {
  sockaddr_in target{};
  PublicKey server;
  unsigned first = 0, count = 0;
  Duration spread{}, interval{};
  double seconds = 0;
};

void report(const std::vector<std::unique_ptr<SwarmPeer>>& peers) {
  unsigned long long sent = 0, received = 0;
  std::string times;
  for (const auto& peer : peers) {
    sent += peer->sent;
    received += peer->received;
    times += fmt::format("{}{:.1f}", times.empty() ? "" : ",", peer->handshake_ms());
  }
  fmt::print("{{\"sent\":{},\"received\":{},\"handshake_ms\":[{}]}}\n", sent, received, times);
}

void run(const Run& options) {
  const auto aead = make_aead(AeadProvider::kSodium);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<SwarmPeer>> peers;
  for (unsigned i = 0; i < options.count; ++i) {
    peers.push_back(std::make_unique<SwarmPeer>(options.first + i, *aead, options.target, options.server));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = i;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, peers.back()->fd(), &event);
  }
  const TimePoint begin = engine::boot_now();
  const TimePoint end = begin + std::chrono::nanoseconds(static_cast<std::int64_t>(options.seconds * 1e9));
  // Answers to the last requests still count.
  const TimePoint quiet = end - std::chrono::milliseconds(500);
  std::vector<TimePoint> next(options.count);
  std::vector<epoll_event> events(256);
  for (auto at = now(); at.boot < end; at = now()) {
    for (unsigned i = 0; i < options.count; ++i) {
      SwarmPeer& peer = *peers[i];
      if (!peer.started() && at.boot >= begin + options.spread * i) peer.start(at);
      if (!peer.started()) break;
      peer.advance(at);
      if (!peer.connected() || options.interval == Duration{} || at.boot >= quiet) continue;
      // The first answers would come under the session of an earlier run, until the device knows that this one works.
      if (next[i] == TimePoint{}) next[i] = at.boot + std::chrono::milliseconds(200);
      for (unsigned n = 0; n < 16 && next[i] <= at.boot; ++n, next[i] += options.interval) peer.echo(at);
    }
    const int ready = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 1);
    const auto arrived = now();
    for (int i = 0; i < ready; ++i) peers[events[static_cast<std::size_t>(i)].data.u32]->receive(arrived);
  }
  report(peers);
  ::close(epoll);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return static_cast<unsigned>(std::atoi(argv[i])); };
  if (what == "config" && argc == 4) {
    for (unsigned i = number(2); i < number(2) + number(3); ++i) {
      const auto a = inner_address(i);
      fmt::print("[Peer]\nPublicKey = {}\nAllowedIPs = {}.{}.{}.{}/32\n", derive_public_key(key_of(i)).to_base64(), a[0],
                 a[1], a[2], a[3]);
    }
    return 0;
  }
  if (what != "run" || argc != 10) return std::fputs("see the head of peer_swarm.cc\n", stderr), 2;
  const rlimit files{65536, 65536};
  ::setrlimit(RLIMIT_NOFILE, &files);
  Run options;
  options.target.sin_family = AF_INET;
  options.target.sin_port = htons(static_cast<std::uint16_t>(number(3)));
  if (::inet_pton(AF_INET, argv[2], &options.target.sin_addr) != 1) return 2;
  options.server = PublicKey::from_base64(argv[4]).value();
  options.first = number(5);
  options.count = number(6);
  options.spread = std::chrono::milliseconds(number(7));
  options.seconds = std::atof(argv[8]);
  options.interval = std::chrono::milliseconds(number(9));
  run(options);
}
