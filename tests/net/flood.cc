// Sends forged handshake initiations as fast as it can, or at a rate, for tests of a device under load:
//   flood ADDRESS PORT SECONDS RATE [PUBLIC_KEY [SOURCES [TRAIN]]]
// RATE is datagrams a second, 0 as many as go. With the base64 PUBLIC_KEY of the device each mac1 is right (and the rest
// noise), without it or with "-" it is wrong. SOURCES, a power of two up to 65,536, spreads them over addresses from
// 198.18.0.0 on (0: one source, that of the route); the namespace must own them. TRAIN of up to 64 hands the kernel that
// many at once as one UDP_SEGMENT train, which is several times as fast as one by one. Prints how many it sent.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "router/crypto/system_random.h"
#include "router/wireguard/cookie.h"
#include "router/wireguard/messages.h"

namespace {

using namespace greywire;
using Clock = std::chrono::steady_clock;
constexpr unsigned kBatch = 64;
constexpr std::uint32_t kFirstSource = 0xc6120000;  // 198.18.0.0/15: for benchmarks (RFC 2544)

struct Options {
  sockaddr_in target{};
  double seconds = 0;
  double rate = 0;
  std::string_view key;
  std::uint32_t sources = 0;
  unsigned train = 1;
};

class Flood {
 public:
  explicit Flood(const Options& options) : options_(options), authenticates_(options.key.size() == 44) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int buffer = 4 << 20;
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (authenticates_) authenticator_.set_remote(PublicKey::from_base64(options.key).value());
    const int segment = wireguard::kInitiationSize;
    if (options_.train > 1) ::setsockopt(socket_, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    for (unsigned i = 0; i < kBatch; ++i) {
      parts_[i] = {messages_[i].data(), messages_[i].size()};
      random_.fill(messages_[i]);
      wireguard::store_type(messages_[i].data(), wireguard::MessageType::kInitiation);
    }
    for (unsigned i = 0; i < kBatch / options_.train; ++i) {
      auto& header = headers_[i].msg_hdr;
      header.msg_name = &options_.target;
      header.msg_namelen = sizeof options_.target;
      header.msg_iov = &parts_[i * options_.train];
      header.msg_iovlen = options_.train;
    }
  }
  ~Flood() { ::close(socket_); }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  unsigned long long run() {
    const auto start = Clock::now();
    unsigned long long sent = 0;
    for (;;) {
      const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
      if (elapsed >= options_.seconds) return sent;
      if (options_.rate > 0 && static_cast<double>(sent) > options_.rate * elapsed) {
        std::this_thread::sleep_for(std::chrono::microseconds(500));
        continue;
      }
      for (unsigned i = 0; i < kBatch; ++i) prepare(i);
      const int taken = ::sendmmsg(socket_, headers_.data(), kBatch / options_.train, 0);
      if (taken > 0) sent += static_cast<unsigned>(taken) * options_.train;
    }
  }

 private:
  void prepare(unsigned i) {
    auto& message = messages_[i];
    ++number_;
    std::memcpy(message.data() + wireguard::initiation::kSender, &number_, sizeof number_);
    std::memcpy(message.data() + wireguard::initiation::kEphemeral, &number_, sizeof number_);
    if (authenticates_) authenticator_.add_macs(message, TimePoint{});
    if (options_.sources == 0 || i >= kBatch / options_.train) return;
    auto& header = headers_[i].msg_hdr;  // of a whole train
    header.msg_control = control_[i].data();
    header.msg_controllen = control_[i].size();
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(kFirstSource + (number_ * 40503U) % options_.sources);
    std::memcpy(CMSG_DATA(c), &info, sizeof info);
  }

  Options options_;
  const bool authenticates_;
  wireguard::MessageAuthenticator authenticator_;
  SystemRandom random_;
  int socket_ = -1;
  std::uint32_t number_ = 0;
  std::array<std::array<std::uint8_t, wireguard::kInitiationSize>, kBatch> messages_;
  std::array<iovec, kBatch> parts_{};
  std::array<mmsghdr, kBatch> headers_{};
  struct alignas(cmsghdr) Control : std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> {};
  std::array<Control, kBatch> control_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return std::fputs("flood ADDRESS PORT SECONDS RATE [PUBLIC_KEY|- [SOURCES [TRAIN]]]\n", stderr), 2;
  Options options;
  options.target.sin_family = AF_INET;
  options.target.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  if (::inet_pton(AF_INET, argv[1], &options.target.sin_addr) != 1) return 2;
  options.seconds = std::atof(argv[3]);
  options.rate = std::atof(argv[4]);
  if (argc > 5) options.key = argv[5];
  if (argc > 6) options.sources = static_cast<std::uint32_t>(std::atoi(argv[6]));
  if (argc > 7) options.train = static_cast<unsigned>(std::atoi(argv[7]));
  if (options.train == 0 || kBatch % options.train != 0) return std::fputs("TRAIN must divide 64\n", stderr), 2;
  std::printf("%llu\n", Flood(options).run());
}
