// The forwarder without a system: from a device's frame to sealed datagrams, and from datagrams to what a device is given,
// beside the bare AEAD over the same packets. `share` is its part of the time.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "router/allowed_ips/allowed_ips_book.h"
#include "router/crypto/system_random.h"
#include "router/forwarder/inbound.h"
#include "router/forwarder/outbound.h"
#include "router/pmtu/overhead.h"
#include "router/wireguard/device.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;
using Clock = std::chrono::steady_clock;

constexpr LinkId kGreLink{1};
constexpr TimePoint kNow{std::chrono::seconds(1000)};
constexpr wireguard::Now kBoth{kNow, {1'700'000'000, 0}};

// One end: a device with a peer, and a forwarder whose output stays where it is.
class End final : public wireguard::Outbox, public ForwarderSink {
 public:
  explicit End(std::uint8_t host)
      : aead(make_aead(measure_best_aead())),
        outbound(*aead, *this, drops),
        inbound(*aead, *this, outbound, drops, 1),
        host_(host),
        device_(domain_, random_, *aead, *this),
        routes_(domain_),
        book_(routes_) {
    PrivateKey key;
    random_.fill(key.writable_bytes());
    device_.set_private_key(clamp(key));
  }

  void connect(End& other) {
    const auto peer_host = static_cast<std::uint8_t>(3 - host_);
    peer_ = &device_.add_peer(other.device_.identity().public_key, Origin::kConfig);
    device_.set_endpoint(*peer_, {IpAddress::v4(0xc0000200U + peer_host), 51820, 0});
    book_.assign(Prefix(IpAddress::v4(0x0a000000U + peer_host), 32), peer_->id, Origin::kConfig);
    book_.flush();
    auto entry = std::make_shared<PeerEntry>();
    entry->shared = peer_->shared.get();
    entry->shared->inner_mtu.store(1440);
    gre::TunnelConfig config;
    config.local = IpAddress::v4(0x0aff0000U + host_);
    config.remote = IpAddress::v4(0x0aff0000U + peer_host);
    auto tunnel = std::make_shared<TunnelEntry>(TunnelId{0}, kGreLink, peer_->id, config);
    tunnel->check_sources = false;
    entry->strict = false;
    entry->sources = PrefixSet({{Prefix(IpAddress::v4(0x0a000000U), 8)}});
    entry->tunnels = {tunnel};
    tables.links.resize(2);
    tables.links[0].present = tables.links[1].present = true;
    tables.links[1].tunnel = tunnel;
    tables.peers.resize(1);
    tables.peers[0] = entry;
  }
  void start() { device_.initiate(*peer_, kBoth); }

  // wireguard::Outbox, ForwarderSink
  void send(const wireguard::Route&, std::span<const std::uint8_t> datagram, std::uint8_t) override {
    const Bytes copy(datagram.begin(), datagram.end());
    const wireguard::Route from{{IpAddress::v4(0xc0000200U + host_), 51820, 0}, {}, 0, false};
    far->device_.receive_handshake(copy, from, kBoth);
  }
  void send(std::span<const SealedTrain> trains) override {
    for (const SealedTrain& train : trains) {
      packets += train.count;
      if (kept == nullptr) continue;
      if (kept_count == kept->size()) kept->emplace_back();
      Train& copy = (*kept)[kept_count++];
      copy.bytes.assign(train.bytes, train.bytes + train.size);
      copy.segment_size = train.segment_size;
    }
  }
  bool write(LinkId, const MergedFrame& frame) override {
    packets += static_cast<std::int64_t>(frame.packets);
    return true;
  }
  MergeUdp merges_udp(LinkId) const override { return MergeUdp::kYes; }
  void attention(PeerId) override {}
  bool handshake(std::span<const std::uint8_t>, const wireguard::Route&) override { return true; }
  void probe_reply(const ProbeReply&) override {}

  const AllowedIpsRoot& root() const { return *routes_.root().load(); }
  const wireguard::IndexTable& index() const { return device_.index_table(); }

  struct Train {
    Bytes bytes;
    std::uint16_t segment_size;
  };
  std::unique_ptr<Aead> aead;
  DropCounters drops;
  Outbound outbound;
  Inbound inbound;
  ForwardingTables tables;
  std::int64_t packets = 0;
  std::vector<Train>* kept = nullptr;  // filled anew from the first on, as a ReceiveBatch is
  std::size_t kept_count = 0;
  End* far = nullptr;

 private:
  const std::uint8_t host_;
  SystemRandom random_;
  QuiescentDomain domain_;
  wireguard::Device device_;
  AllowedIpsTable routes_;
  AllowedIpsBook book_;
  wireguard::Peer* peer_ = nullptr;
};

enum class Traffic { kTcp, kTcpSingle, kUdp64 };

struct Frame {
  VirtioNetHeader header;
  Bytes bytes;
};

Frame frame_of(Traffic traffic, std::uint32_t mtu) {
  test::PacketSpec spec{.options = Bytes(traffic == Traffic::kUdp64 ? 0 : 12, 1)};
  const std::uint32_t size = mtu - 52;
  switch (traffic) {
    case Traffic::kTcp:
      spec.payload = Bytes(45 * size, 3);
      return {{.flags = kNeedsCsum, .gso_type = kGsoTcpV4, .gso_size = static_cast<std::uint16_t>(size)}, test::tcp_packet(spec)};
    case Traffic::kTcpSingle:
      spec.payload = Bytes(size, 3);
      return {{}, test::tcp_packet(spec)};
    case Traffic::kUdp64:
      spec.payload = Bytes(std::size_t{64} * 64, 3);
      return {{.flags = kNeedsCsum, .gso_type = kGsoUdpL4, .gso_size = 64}, test::udp_packet(spec)};
  }
  return {};
}

struct Pair {
  Pair() {
    a.far = &b;
    b.far = &a;
    a.connect(b);
    b.connect(a);
    a.start();
  }
  End a{1}, b{2};
};

// Rounds of the forwarder and of the bare AEAD over as many packets of the same size, by turns, so that whatever else the
// machine does meets both. Each is said as its median.
class Turns {
 public:
  Turns(Aead& aead, std::uint32_t size, std::size_t count, bool open) : aead_(aead), open_(open), memory_(count, Bytes(size + kTagSize)) {
    for (std::size_t i = 0; i < count; ++i) {
      seal_.push_back({i, memory_[i].data(), memory_[i].data(), size});
      jobs_.push_back({i, memory_[i].data(), memory_[i].data(), size, false});
    }
  }

  void forwarder_took(Clock::duration time, std::int64_t packets) { forwarder_.push_back(ns(time) / static_cast<double>(packets)); }
  void take_aead() {
    const auto start = Clock::now();
    aead_.seal(key_, seal_);
    const auto sealed = Clock::now();
    if (open_) aead_.open(key_, jobs_);
    const auto end = Clock::now();
    alone_.push_back(ns(open_ ? end - sealed : sealed - start) / static_cast<double>(seal_.size()));
  }
  void report(benchmark::State& state) {
    const double packet = median(forwarder_), aead = median(alone_);
    state.counters["packet_ns"] = packet;
    state.counters["aead_ns"] = aead;
    state.counters["share"] = aead / packet;
  }

 private:
  static double ns(Clock::duration time) { return std::chrono::duration<double, std::nano>(time).count(); }
  static double median(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  Aead& aead_;
  const bool open_;
  const SymmetricKey key_{};
  std::vector<Bytes> memory_;
  std::vector<SealJob> seal_;
  std::vector<OpenJob> jobs_;
  std::vector<double> forwarder_, alone_;
};

// The largest inner packet that fits, padding included, and its plaintext.
std::uint32_t payload_mtu(LinkId link) { return link == kGreLink ? 1440 - 24 : 1420; }
std::uint32_t plaintext(Traffic traffic, LinkId link) {
  const std::uint32_t gre = link == kGreLink ? 24 : 0;
  return pmtu::padded_size((traffic == Traffic::kUdp64 ? 92 : payload_mtu(link)) + gre, Mtu{1440});
}

std::size_t packets_of(Traffic traffic) { return traffic == Traffic::kUdp64 ? 64 : 45; }

void forwarder_out(benchmark::State& state, Traffic traffic, LinkId link) {
  Pair pair;
  const Frame frame = frame_of(traffic, payload_mtu(link));
  Bytes work = frame.bytes;
  Turns turns(*pair.a.aead, plaintext(traffic, link), packets_of(traffic), false);
  const int frames = traffic == Traffic::kTcpSingle ? 45 : 1;
  for (auto _ : state) {
    pair.a.packets = 0;
    const auto start = Clock::now();
    for (int i = 0; i < frames; ++i) pair.a.outbound.frame(pair.a.tables, pair.a.root(), link, frame.header, work, kNow);
    pair.a.outbound.flush(kNow);
    const auto took = Clock::now() - start;
    if (pair.a.packets == 0) return state.SkipWithError("nothing was sent");
    turns.forwarder_took(took, pair.a.packets);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
    turns.take_aead();
  }
  turns.report(state);
}

void forwarder_in(benchmark::State& state, Traffic traffic, LinkId link) {
  Pair pair;
  const Frame frame = frame_of(traffic, payload_mtu(link));
  Bytes work = frame.bytes;
  Turns turns(*pair.a.aead, plaintext(traffic, link), packets_of(traffic), true);
  std::vector<End::Train> trains;
  pair.a.kept = &trains;
  const wireguard::Route from{{IpAddress::v4(0xc0000201U), 51820, 0}, {}, 0, false};
  for (auto _ : state) {
    pair.a.kept_count = 0;
    pair.b.packets = 0;
    pair.a.outbound.frame(pair.a.tables, pair.a.root(), link, frame.header, work, kNow);
    pair.a.outbound.flush(kNow);
    const auto start = Clock::now();
    pair.b.inbound.begin(pair.b.tables, pair.b.root(), pair.b.index(), kNow);
    for (auto& train : std::span(trains).first(pair.a.kept_count)) pair.b.inbound.message(train.bytes, train.segment_size, from, 0);
    pair.b.inbound.finish();
    const auto took = Clock::now() - start;
    if (pair.b.packets == 0) return state.SkipWithError("nothing was delivered");
    turns.forwarder_took(took, pair.b.packets);
    state.SetIterationTime(std::chrono::duration<double>(took).count());
    turns.take_aead();
  }
  turns.report(state);
}

BENCHMARK_CAPTURE(forwarder_out, tcp_1420, Traffic::kTcp, kPlainLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_out, tcp_1420_one_by_one, Traffic::kTcpSingle, kPlainLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_out, tcp_gre, Traffic::kTcp, kGreLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_out, udp_64, Traffic::kUdp64, kPlainLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_in, tcp_1420, Traffic::kTcp, kPlainLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_in, tcp_gre, Traffic::kTcp, kGreLink)->UseManualTime();
BENCHMARK_CAPTURE(forwarder_in, udp_64, Traffic::kUdp64, kPlainLink)->UseManualTime();

}  // namespace
}  // namespace greywire
