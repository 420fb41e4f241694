// What one peer can send at most, so that the way in of the device opposite can be measured with hardly any of the machine's time
// going to the sender: a peer that shakes hands, seals trains of datagrams beforehand, and then sends them at a rate.
//   sealed_load key                                        the peer's public key; its address inside is 10.0.0.1
//   sealed_load run ADDRESS PORT SERVER_KEY TRAINS RATE    RATE trains a second of 45 datagrams with 1,420 bytes inside, TCP of
//                                                          one stream to 10.0.0.2, each numbered by its counter
// `run` prints one line of JSON. The datagrams are kept in memory: 65 KB a train.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "router/base/byte_order.h"
#include "router/crypto/aead.h"
#include "router/crypto/blake2s.h"
#include "router/crypto/system_random.h"
#include "router/crypto/x25519.h"
#include "router/engine/boot_clock.h"
#include "router/wireguard/device.h"
#include "router/wireguard/messages.h"
#include "tests/unit/router/packet/packets.h"

namespace {

using namespace greywire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPackets = 45;
constexpr std::uint32_t kInner = 1420;
constexpr std::uint32_t kDatagram = kInner + wireguard::kMinTransportSize;
constexpr std::size_t kTrain = kPackets * kDatagram;
constexpr std::size_t kTrainsACall = 4;

PrivateKey own_key() {
  const std::array<std::uint8_t, 4> seed = {'l', 'o', 'a', 'd'};
  return clamp(PrivateKey::from_bytes(blake2s_hash(seed)));
}

wireguard::Now now() { return {engine::boot_now(), engine::wall_now()}; }

// The handshake, over a connected socket.
class Peer final : private wireguard::Outbox {
 public:
  Peer(const sockaddr_in& target, const PublicKey& server) : device_(domain_, random_, *aead_, *this) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int buffer = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    ::connect(fd_, reinterpret_cast<const sockaddr*>(&target), sizeof target);
    device_.set_private_key(own_key());
    server_ = &device_.add_peer(server, Origin::kConfig);
    const auto* address = reinterpret_cast<const std::uint8_t*>(&target.sin_addr);
    route_.remote = {IpAddress::v4(std::span<const std::uint8_t, 4>(address, 4)), ntohs(target.sin_port), 0};
    device_.set_endpoint(*server_, route_.remote);
  }
  ~Peer() override { ::close(fd_); }

  int fd() const { return fd_; }
  Aead& aead() { return *aead_; }
  wireguard::Session* connect() {
    device_.initiate(*server_, now());
    for (int tries = 0; tries < 50 && !server_->current; ++tries) {
      pollfd event{fd_, POLLIN, 0};
      if (::poll(&event, 1, 200) <= 0) {
        device_.advance(now());
        continue;
      }
      std::array<std::uint8_t, 2048> bytes;
      const ssize_t size = ::recv(fd_, bytes.data(), bytes.size(), 0);
      if (size > 0) device_.receive_handshake(std::span(bytes).first(static_cast<std::size_t>(size)), route_, now());
    }
    return server_->current.get();
  }

 private:
  void send(const wireguard::Route&, std::span<const std::uint8_t> datagram, std::uint8_t) override {
    [[maybe_unused]] const auto n = ::send(fd_, datagram.data(), datagram.size(), 0);
  }

  int fd_ = -1;
  SystemRandom random_;
  QuiescentDomain domain_;
  std::unique_ptr<Aead> aead_ = make_aead(measure_best_aead());
  wireguard::Device device_;
  wireguard::Peer* server_ = nullptr;
  wireguard::Route route_;
};

// Packets as they leave a stream that is cut, each train from where the last one began.
std::vector<test::Bytes> plain_train() {
  std::vector<test::Bytes> packets;
  for (std::size_t i = 0; i < kPackets; ++i) {
    test::PacketSpec spec;
    spec.options = test::Bytes(12, 1);
    spec.payload = test::Bytes(kInner - 52, 3);
    spec.sequence = static_cast<std::uint32_t>(i * spec.payload.size());
    packets.push_back(test::tcp_packet(spec));
    if (packets.back().size() != kInner) std::fputs("sealed_load: a packet of the wrong size\n", stderr), std::exit(1);
  }
  return packets;
}

std::vector<std::uint8_t> seal_trains(Aead& aead, wireguard::Session& session, std::size_t trains) {
  const auto plain = plain_train();
  std::vector<std::uint8_t> bytes(trains * kTrain);
  std::vector<SealJob> jobs;
  for (std::size_t train = 0; train < trains; ++train) {
    std::uint64_t counter = 0;
    if (!session.claim_counters(kPackets, engine::boot_now(), counter)) break;
    jobs.clear();
    for (std::size_t i = 0; i < kPackets; ++i, ++counter) {
      std::uint8_t* datagram = bytes.data() + train * kTrain + i * kDatagram;
      wireguard::write_transport_header(datagram, session.remote_index, counter);
      std::uint8_t* text = datagram + wireguard::kTransportHeaderSize;
      std::copy(plain[i].begin(), plain[i].end(), text);
      jobs.push_back({counter, text, text, kInner});
    }
    aead.seal(session.send_key(), jobs);
  }
  return bytes;
}

std::size_t send_trains(int fd, std::span<std::uint8_t> bytes) {
  std::array<mmsghdr, kTrainsACall> messages{};
  std::array<iovec, kTrainsACall> parts{};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  auto* c = reinterpret_cast<cmsghdr*>(control.data());
  c->cmsg_level = SOL_UDP;
  c->cmsg_type = UDP_SEGMENT;
  c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto segment = static_cast<std::uint16_t>(kDatagram);
  std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
  const std::size_t count = std::min(kTrainsACall, bytes.size() / kTrain);
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {bytes.data() + i * kTrain, kTrain};
    messages[i].msg_hdr = {nullptr, 0, &parts[i], 1, control.data(), control.size(), 0};
  }
  const int sent = ::sendmmsg(fd, messages.data(), static_cast<unsigned>(count), 0);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

int run(const sockaddr_in& target, const PublicKey& server, std::size_t trains, double rate) {
  Peer peer(target, server);
  wireguard::Session* session = peer.connect();
  if (session == nullptr) return std::fputs("sealed_load: no handshake with the device\n", stderr), 1;
  auto bytes = seal_trains(peer.aead(), *session, trains);
  std::size_t sent = 0;
  const auto start = Clock::now();
  while (sent < trains) {
    const double due = rate * std::chrono::duration<double>(Clock::now() - start).count();
    if (due < static_cast<double>(sent)) {
      std::this_thread::sleep_until(start + std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(sent) / rate)));
      continue;
    }
    sent += send_trains(peer.fd(), std::span(bytes).subspan(sent * kTrain));
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  fmt::print("{{\"datagrams\": {}, \"inner_bytes\": {}, \"seconds\": {:.4f}}}\n", trains * kPackets, trains * kPackets * kInner, took);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "key" && argc == 2) return fmt::print("{}\n", derive_public_key(own_key()).to_base64()), 0;
  if (what != "run" || argc != 7) return std::fputs("see the head of sealed_load.cc\n", stderr), 2;
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[3])));
  if (::inet_pton(AF_INET, argv[2], &target.sin_addr) != 1) return 2;
  const auto server = PublicKey::from_base64(argv[4]);
  const auto trains = static_cast<std::size_t>(std::clamp(std::atoi(argv[5]), 1, 100'000));
  const double rate = std::atof(argv[6]);
  if (!server || rate <= 0) return std::fputs("sealed_load: not a key, or no rate\n", stderr), 2;
  return run(target, *server, trains, rate);
}
