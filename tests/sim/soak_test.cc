// Ten minutes of three sites doing anything, over an underlay that does anything; invariants after every
// event.
#include <gtest/gtest.h>

#include "tests/sim/network.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::test {
namespace {

constexpr std::size_t kSites = 3;

class Soak {
 public:
  explicit Soak(std::uint64_t seed) : random_(seed), network_(seed + 1) {
    for (std::size_t i = 0; i < kSites; ++i) {
      sites_.push_back(std::make_unique<Site>(seed + 10 + i));
      places_.push_back(endpoint("192.0.2." + std::to_string(i + 1) + ":51820"));
      network_.attach(*sites_[i], places_[i]);
    }
    for (std::size_t i = 0; i < kSites; ++i) {
      for (std::size_t j = 0; j < kSites; ++j) {
        if (i != j) connect(i, j);
      }
    }
    network_.on_step = [this] { check(); };
    network_.on_datagram = [this](const Endpoint&, const SentDatagram& d, bool lost) {
      ++datagrams_;
      lost_ += lost ? 1 : 0;
      if (recorded_.size() < 500 || random_.below(20) == 0) recorded_.push_back(d);
    };
  }

  void run(Duration time) {
    const TimePoint end = network_.now() + time;
    while (network_.now() < end && !::testing::Test::HasFatalFailure()) {
      act();
      network_.run_until(network_.now() + Duration{static_cast<std::int64_t>(random_.below(200'000'000))});
    }
  }

  // With a good underlay again, every pair finds together.
  void heal() {
    network_.model = {};
    network_.run_until(network_.now() + 30s);
    for (std::size_t i = 0; i < kSites; ++i) {
      place(i, endpoint("192.0.2." + std::to_string(i + 1) + ":51820"));
      for (std::size_t j = 0; j < kSites; ++j) {
        if (i == j) continue;
        auto& peer = *sites_[i]->device.find(sites_[j]->public_key());
        sites_[i]->device.set_endpoint(peer, places_[j]);
      }
    }
    for (auto& site : sites_) {
      site->take_delivered();
      site->under_load = false;
    }
    counting_ = true;
    for (int round = 0; round < 40; ++round) {
      for (std::size_t i = 0; i < kSites; ++i) {
        for (std::size_t j = 0; j < kSites; ++j) {
          if (i != j) send(i, j, 100);
        }
      }
      network_.run_until(network_.now() + 1s);
    }
    for (std::size_t i = 0; i < kSites; ++i) {
      EXPECT_GE(sites_[i]->take_delivered().size(), 2U * 15U) << "site " << i;
    }
  }

  std::uint64_t datagrams() const { return datagrams_; }
  std::uint64_t lost() const { return lost_; }

 private:
  void connect(std::size_t i, std::size_t j) {
    PeerSetup setup;
    setup.endpoint = places_[j];
    const auto host = std::to_string(j + 1);
    setup.allowed_ips = {prefix("10.0.0." + host + "/32"), prefix("fd00::" + host + "/128")};
    setup.keepalive = random_.below(2) == 0 ? 0 : static_cast<std::uint16_t>(1 + random_.below(30));
    sites_[i]->add_peer(sites_[j]->public_key(), setup, network_.now());
  }
  void send(std::size_t i, std::size_t j, std::size_t payload) {
    PacketSpec spec;
    spec.host = static_cast<std::uint8_t>(i + 1);
    spec.peer = static_cast<std::uint8_t>(j + 1);
    spec.family = random_.below(2) == 0 ? Family::kV4 : Family::kV6;
    spec.dont_fragment = random_.below(2) == 0;
    spec.payload.resize(payload);
    sites_[i]->frame(kPlainLink, udp_packet(spec), network_.now());
  }
  void place(std::size_t i, const Endpoint& where) {
    network_.detach(places_[i]);
    places_[i] = where;
    network_.attach(*sites_[i], where);
  }
  void act() {
    const std::size_t i = random_.below(kSites), j = (i + 1 + random_.below(kSites - 1)) % kSites;
    Site& site = *sites_[i];
    switch (random_.below(40)) {
      case 0:
        network_.model.down = !network_.model.down;
        break;
      case 1:
        network_.model.loss = static_cast<double>(random_.below(60)) / 100;
        break;
      case 2:
        network_.model.repeat = static_cast<double>(random_.below(30)) / 100;
        break;
      case 3:
        network_.model.delay = Duration{static_cast<std::int64_t>(random_.below(400'000'000))};
        network_.model.jitter = Duration{static_cast<std::int64_t>(random_.below(100'000'000))};
        break;
      case 4:
        place(i, {IpAddress::v4(0xcb007100U + static_cast<std::uint32_t>(random_.below(250))),
                  static_cast<std::uint16_t>(1 + random_.below(60000)), 0});
        break;
      case 5:
        site.initiate(site.device.find(sites_[j]->public_key())->id, network_.now());
        break;
      case 6:
        site.under_load = !site.under_load;
        break;
      case 7:
        site.remove_peer(site.device.find(sites_[j]->public_key())->id);
        connect(i, j);
        break;
      case 8:
        forge(site);
        break;
      case 9:
        site.shared(site.device.find(sites_[j]->public_key())->id).inner_mtu =
            1280 + static_cast<std::uint32_t>(random_.below(160));
        break;
      case 10:
        site.device.set_persistent_keepalive(*site.device.find(sites_[j]->public_key()),
                                             static_cast<std::uint16_t>(random_.below(3) * 7),
                                             now_at(network_.now()));
        break;
      default:
        for (std::size_t n = random_.below(20); n-- > 0;) send(i, j, random_.below(1600));
    }
  }
  // An old datagram again, perhaps changed, perhaps cut, from anywhere.
  void forge(Site& site) {
    if (recorded_.empty()) return;
    Bytes bytes = recorded_[random_.below(recorded_.size())].bytes;
    for (std::size_t n = random_.below(4); n-- > 0 && !bytes.empty();)
      bytes[random_.below(bytes.size())] ^= static_cast<std::uint8_t>(random_.below(256));
    if (random_.below(4) == 0) bytes.resize(random_.below(bytes.size() + 1));
    site.receive(bytes, places_[random_.below(kSites)], network_.now());
  }
  void check() {
    for (auto& site : sites_) {
      std::size_t indices = 0;
      for (const auto& [id, peer] : site->device.peers()) {
        for (const auto* session : {peer->previous.get(), peer->current.get(), peer->next.get()}) {
          if (session == nullptr) continue;
          ++indices;
          EXPECT_EQ(site->device.index_table().find(session->local_index), session);
        }
        if (peer->handshake.initiation_pending) ++indices;
        EXPECT_TRUE(!peer->has_session() ||
                    (peer->erase_keys_at > network_.now() && peer->erase_keys_at != kNever))
            << "keys live on";
        const auto* sending = peer->shared->current.load();
        EXPECT_TRUE(sending == nullptr || sending == peer->current.get() || sending == peer->previous.get());
        EXPECT_TRUE(sending == nullptr || sending->confirmed) << "data under a session that is not confirmed";
      }
      EXPECT_EQ(site->device.index_table().used(), indices) << "an index leaks";
      EXPECT_GT(site->next_deadline(), network_.now());
      EXPECT_EQ(site->drops(DropReason::kInternal), 0U);
      site->reader.quiescent();
      EXPECT_EQ(site->domain.reclaim(), 0U);
      const std::size_t host = static_cast<std::size_t>(&site - sites_.data()) + 1;
      for (const auto& frame : counting_ ? std::vector<DeliveredFrame>{} : site->take_delivered()) {
        if (frame.bytes.at(0) >> 4 == 4 && frame.bytes.at(9) == 17) {
          EXPECT_EQ(frame.bytes.at(19), host) << "delivered to the wrong site";
        }
      }
    }
  }

  SeededRandom random_;
  Network network_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<Endpoint> places_;
  std::vector<SentDatagram> recorded_;
  std::uint64_t datagrams_ = 0, lost_ = 0;
  bool counting_ = false;  // what is delivered is left for heal()
};

TEST(Soak, TenMinutesOfAnything) {
  Soak soak(draw_seed("TenMinutesOfAnything"));
  soak.run(600s);
  EXPECT_GT(soak.datagrams(), 1000U);
  soak.heal();
}

}  // namespace
}  // namespace greywire::test
