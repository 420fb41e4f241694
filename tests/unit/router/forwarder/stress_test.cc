// Workers seal, open and look up over shared peers and sessions while the owner rekeys, adds and removes
// peers and allowed-IPs. Meant for ThreadSanitizer and AddressSanitizer; the figures only show that something
// happened.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "router/crypto/x25519.h"
#include "tests/sim/site.h"
#include "tests/sim/train_aead.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::test {
namespace {

// Datagrams on their way to a side, from any thread. Bounded: what does not fit is lost, as in a socket
// buffer.
class Wire {
 public:
  void put(std::span<const std::uint8_t> datagram) {
    std::lock_guard guard(mutex_);
    if (queue_.size() < 512) queue_.emplace_back(datagram.begin(), datagram.end());
  }
  std::vector<Bytes> take() {
    std::lock_guard guard(mutex_);
    return std::exchange(queue_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Bytes> queue_;
};

struct Side;

// A data worker: its own forwarder over what the side publishes.
struct Worker final : ForwarderSink {
  Worker(Side& of, std::uint64_t seed)
      : side(of),
        aead(seed % 2 == 0 ? std::make_unique<TrainAead>() : make_aead(AeadProvider::kSodium)),
        outbound(*aead, *this, drops),
        inbound(*aead, *this, outbound, drops, seed),
        random(seed) {}
  void send(std::span<const SealedTrain> trains) override;
  bool write(LinkId, const MergedFrame& frame) override;
  void attention(PeerId peer) override;
  bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) override;
  void probe_reply(const ProbeReply&) override {}
  void run();

  Side& side;
  std::unique_ptr<Aead> aead;
  DropCounters drops;
  Outbound outbound;
  Inbound inbound;
  SeededRandom random;
  QuiescentDomain::Reader* reader = nullptr;
};

// One end: the owner's state, and workers.
struct Side final : wireguard::Outbox {
  Side(std::uint64_t seed, std::uint8_t own_host)
      : random(seed),
        aead(make_aead(AeadProvider::kSodium)),
        device(domain, random, *aead, *this),
        routes(domain),
        book(routes),
        host(own_host) {
    device.set_private_key(generate_private_key(random));
    for (unsigned i = 0; i < 2; ++i) {
      workers.push_back(std::make_unique<Worker>(*this, seed * 100 + i));
      workers.back()->reader = &domain.add_reader();
    }
  }
  ~Side() override { delete tables.load(); }

  void send(const wireguard::Route&, std::span<const std::uint8_t> datagram, std::uint8_t) override {
    out->put(datagram);
  }

  void publish() {
    auto next = std::make_unique<ForwardingTables>();
    next->links.resize(1);
    next->links[0].present = true;
    for (const auto& [id, peer] : device.peers()) {
      auto entry = std::make_shared<PeerEntry>();
      entry->shared = peer->shared.get();
      entry->reassembly = std::make_shared<PeerReassembly>();
      next->peers.resize(id.value + 1);
      next->peers[id.value] = entry;
    }
    auto* old = tables.exchange(next.release());
    if (old != nullptr) domain.retire([old] { delete old; });
  }
  void add(const PublicKey& key, const Endpoint& where, std::string_view allowed) {
    auto& peer = device.add_peer(key, Origin::kConfig);
    device.set_endpoint(peer, where);
    publish();
    book.assign(prefix(allowed), peer.id, Origin::kConfig);
    book.flush();
  }
  void remove(PeerId id) {
    book.remove_peer(id);
    book.flush();
    // Unpublish before the device lets go.
    auto next = std::make_unique<ForwardingTables>(*tables.load());
    next->peers[id.value] = nullptr;
    auto* old = tables.exchange(next.release());
    domain.retire([old] { delete old; });
    device.remove_peer(id);
  }

  TimePoint now() const { return TimePoint{Duration{clock.load(std::memory_order_relaxed)}}; }
  void serve() {
    std::vector<PeerId> wanted;
    std::vector<Bytes> messages;
    {
      std::lock_guard guard(mutex);
      wanted.swap(attention);
      messages.swap(handshakes);
    }
    for (const PeerId id : wanted) device.attend(id, now_at(now()));
    const wireguard::Route from{endpoint("192.0.2.1:1"), {}, 0, false};
    for (const auto& m : messages) device.receive_handshake(m, from, now_at(now()));
    device.advance(now_at(now()));
  }

  SeededRandom random;
  QuiescentDomain domain;
  std::unique_ptr<Aead> aead;
  wireguard::Device device;
  AllowedIpsTable routes;
  AllowedIpsBook book;
  const std::uint8_t host;
  std::atomic<const ForwardingTables*> tables{nullptr};
  std::atomic<std::int64_t> clock{std::chrono::nanoseconds(1000s).count()};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> delivered{0};
  Wire* out = nullptr;
  Wire* in = nullptr;
  std::mutex mutex;
  std::vector<PeerId> attention;
  std::vector<Bytes> handshakes;
  std::vector<std::unique_ptr<Worker>> workers;
};

void Worker::send(std::span<const SealedTrain> trains) {
  for (const SealedTrain& train : trains) {
    static_cast<void>(train.peer->route());
    for (std::uint32_t offset = 0; offset < train.size; offset += train.segment_size) {
      side.out->put({train.bytes + offset, std::min<std::size_t>(train.segment_size, train.size - offset)});
    }
  }
}
bool Worker::write(LinkId, const MergedFrame& frame) {
  side.delivered.fetch_add(frame.packets, std::memory_order_relaxed);
  return true;
}
void Worker::attention(PeerId peer) {
  std::lock_guard guard(side.mutex);
  side.attention.push_back(peer);
}
bool Worker::handshake(std::span<const std::uint8_t> datagram, const wireguard::Route&) {
  std::lock_guard guard(side.mutex);
  side.handshakes.emplace_back(datagram.begin(), datagram.end());
  return true;
}

void Worker::run() {
  while (!side.stop.load(std::memory_order_relaxed)) {
    reader->online();
    const ForwardingTables& tables = *side.tables.load(std::memory_order_seq_cst);
    const AllowedIpsRoot& routes = *side.routes.root().load(std::memory_order_seq_cst);
    const TimePoint now = side.now();
    auto datagrams = side.in->take();
    inbound.begin(tables, routes, side.device.index_table(), now);
    for (auto& d : datagrams) {
      const auto port = static_cast<std::uint16_t>(1 + random.below(3));  // it roams all the time
      inbound.message(d, 0, wireguard::Route{{IpAddress::v4(0xc0000201U), port, 0}, {}, 0, false}, 0);
    }
    inbound.finish();
    std::array<Bytes, 8> frames;  // until the flush
    for (Bytes& frame : frames) {
      PacketSpec spec;
      spec.host = side.host;
      spec.peer = static_cast<std::uint8_t>(random.below(4) == 0 ? 20 + random.below(10) : 3 - side.host);
      spec.payload.resize(random.below(1000));
      frame = udp_packet(spec);
      outbound.frame(tables, routes, kPlainLink, {}, frame, now);
    }
    outbound.flush(now);
    reader->quiescent();
    if (random.below(4) == 0) {
      reader->offline();
      std::this_thread::yield();
    }
  }
  reader->offline();
}

// What the owner does between serving: one random change.
void disturb(Side& side, SeededRandom& random, std::vector<PeerId>& extra) {
  switch (random.below(6)) {
    case 0:
    case 1: {
      if (extra.size() >= 8) break;
      const auto key = derive_public_key(generate_private_key(random));
      side.add(key, endpoint("192.0.2.9:9"), "10.0.0." + std::to_string(20 + random.below(10)) + "/32");
      extra.push_back(side.device.find(key)->id);
      break;
    }
    case 2:
      if (extra.empty()) break;
      side.remove(extra.back());
      extra.pop_back();
      break;
    case 3: {
      std::vector<LearnedRoute> routes;
      for (int i = 0; i < 20; ++i) {
        const auto action = static_cast<LearnedRoute::Action>(random.below(3));
        routes.push_back(
            {Prefix(IpAddress::v4(0x0a000014U + static_cast<std::uint32_t>(random.below(256))), 32), action,
             PeerId{0}});
      }
      side.book.learn(routes);
      side.book.flush();
      break;
    }
    case 4:
      side.device.initiate(*side.device.find(PeerId{0}), now_at(side.now()));
      break;
    case 5:
      side.device.find(PeerId{0})->shared->inner_mtu.store(1280 +
                                                           static_cast<std::uint32_t>(random.below(160)));
      break;
  }
}

TEST(Stress, WorkersGoOnWhileTheOwnerChangesEverything) {
  const auto seed = draw_seed("WorkersGoOnWhileTheOwnerChangesEverything") % 1'000'000;
  Wire a_to_b, b_to_a;
  Side a(seed + 1, 1), b(seed + 2, 2);
  a.out = b.in = &a_to_b;
  b.out = a.in = &b_to_a;
  a.add(b.device.identity().public_key, endpoint("192.0.2.2:2"), "10.0.0.2/32");
  b.add(a.device.identity().public_key, endpoint("192.0.2.1:1"), "10.0.0.1/32");
  std::vector<std::thread> threads;
  for (Side* side : {&a, &b}) {
    for (auto& worker : side->workers) threads.emplace_back([&worker] { worker->run(); });
  }
  SeededRandom random(seed);
  std::vector<PeerId> extra_a, extra_b;
  std::uint64_t sessions = 0;
  const wireguard::Session* last = nullptr;
  for (int round = 0; round < 1000; ++round) {
    // A minute passes in about 60 rounds: rekeys, rejects and erased keys while workers hold sessions.
    for (Side* side : {&a, &b}) {
      side->clock.fetch_add(std::chrono::nanoseconds(1s).count(), std::memory_order_relaxed);
      side->serve();
    }
    if (random.below(4) == 0) disturb(a, random, extra_a);
    if (random.below(4) == 0) disturb(b, random, extra_b);
    const auto* current = a.device.find(PeerId{0})->current.get();
    sessions += current != last ? 1 : 0;
    last = current;
    std::this_thread::yield();
  }
  a.stop = b.stop = true;
  for (auto& t : threads) t.join();
  EXPECT_GT(sessions, 10U);
  EXPECT_GT(a.delivered.load(), 100U);
  EXPECT_GT(b.delivered.load(), 100U);
  for (Side* side : {&a, &b}) {
    EXPECT_EQ(side->domain.reclaim(), 0U) << "with every worker offline all is freed";
    for (const auto& worker : side->workers) EXPECT_EQ(worker->drops.get(DropReason::kInternal), 0U);
  }
}

}  // namespace
}  // namespace greywire::test
