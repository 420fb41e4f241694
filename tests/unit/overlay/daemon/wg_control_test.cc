// What `wg` may change on a site, through the requests that it sends.
#include "overlay/daemon/wg_control.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "overlay/control/uapi_codec.h"
#include "router/crypto/x25519.h"
#include "tests/net/lib/fake_device.h"

namespace greywire::daemon {
namespace {

using greywire::testing::FakeDevice;

class WgOnASite : public ::testing::Test {
 protected:
  WgOnASite() {
    const std::array<std::uint8_t, kKeySize> secret{1}, psk{2}, peer{3}, other{4};
    config.site.private_key = PrivateKey(secret);
    config.site.public_key = derive_public_key(config.site.private_key);
    config.site.listen_port = 51820;
    auto& fra = config.peers.emplace_back();
    fra.name = "fra";
    fra.public_key = PublicKey(peer);
    fra.preshared_key = PresharedKey(psk);
    fra.keepalive = std::chrono::seconds(25);
    stranger = PublicKey(other);
    device.set_private_key(config.site.private_key);
    device.set_listen_port(51820);
    device.set_fwmark(0x33);
    wireguard::PeerChange change;
    change.public_key = fra.public_key;
    change.origin = Origin::kConfig;
    change.preshared_key = fra.preshared_key;
    change.persistent_keepalive = 25;
    change.allowed_ips.push_back({*Prefix::parse("10.255.0.2/32"), false});
    device.change_peer(change);
    device.find(fra.public_key)->allowed_ips.push_back({*Prefix::parse("10.2.0.0/16"), Origin::kLearned});
    control.set_mark(0x33);
  }

  // One set request; it must succeed.
  void set(const std::string& lines) {
    ignored.clear();
    control::UapiSession session(control, {});
    std::string reply;
    session.consume("set=1\n" + lines + "\n", reply);
    EXPECT_EQ(reply, "errno=0\n\n");
  }
  std::string fra() const { return fmt::format("public_key={}\n", config.peers[0].public_key.to_hex()); }
  std::vector<std::string> allowed_ips(const PublicKey& key) {
    std::vector<std::string> out;
    for (const auto& entry : device.find(key)->allowed_ips) out.push_back(entry.prefix.to_string());
    return out;
  }

  config::Config config;
  PublicKey stranger;
  FakeDevice device;
  std::vector<std::string> ignored;
  WgControl control{device, std::shared_ptr<const config::Config>(std::shared_ptr<void>(), &config),
                    [this](std::string_view what) { ignored.emplace_back(what); }};
};

using Strings = std::vector<std::string>;

TEST_F(WgOnASite, SetconfOfAnEmptyFileChangesNothing) {
  const auto before = control::uapi_get_reply(device.state);
  // What `wg setconf` sends for "[Interface]" alone.
  set(fmt::format("private_key={}\nfwmark=0\nlisten_port=0\nreplace_peers=true\n", std::string(64, '0')));
  EXPECT_EQ(control::uapi_get_reply(device.state), before);
  EXPECT_EQ(ignored, Strings{});
}

TEST_F(WgOnASite, SetconfOfWhatIsThereChangesNothing) {
  const auto before = control::uapi_get_reply(device.state);
  set(fmt::format("private_key={}\nfwmark=51\nlisten_port=51820\nreplace_peers=true\n{}preshared_key={}\n"
                  "persistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=10.255.0.2/32\n",
                  config.site.private_key.reveal_hex(), fra(), config.peers[0].preshared_key.reveal_hex()));
  EXPECT_EQ(ignored, Strings{});
  EXPECT_EQ(device.state.fwmark, 0x33U);
  EXPECT_EQ(control::uapi_get_reply(device.state).size(), before.size());
}

TEST_F(WgOnASite, TheConfigsOwnIsLeftAlone) {
  const std::string other = std::string(63, '1') + "0";
  set(fmt::format("private_key={}\nlisten_port=7\nfwmark=9\n", other));
  EXPECT_EQ(ignored.size(), 3U);
  set(fmt::format("{}preshared_key={}\npersistent_keepalive_interval=7\n", fra(), other));
  EXPECT_EQ(ignored.size(), 2U);
  set(fmt::format("{}remove=true\n", fra()));
  EXPECT_EQ(ignored, Strings{"`wg` cannot remove peer fra: it is in the config"});
  EXPECT_EQ(device.state.listen_port, 51820);
  EXPECT_EQ(device.state.fwmark, 0x33U);
  EXPECT_EQ(device.state.public_key, config.site.public_key);
  const auto* peer = device.find(config.peers[0].public_key);
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->preshared_key, config.peers[0].preshared_key);
  EXPECT_EQ(peer->persistent_keepalive, 25);
}

TEST_F(WgOnASite, AddsAndTakesAwayItsOwn) {
  set(fra() + "endpoint=192.0.2.9:7\nreplace_allowed_ips=true\nallowed_ip=10.9.0.0/16\n");
  EXPECT_EQ(ignored, Strings{});
  EXPECT_EQ(device.find(config.peers[0].public_key)->endpoint->to_string(), "192.0.2.9:7");
  EXPECT_EQ(allowed_ips(config.peers[0].public_key), (Strings{"10.255.0.2/32", "10.2.0.0/16", "10.9.0.0/16"}));
  const std::string mine = fmt::format("public_key={}\n", stranger.to_hex());
  set(mine + "preshared_key=" + std::string(64, '1') + "\npersistent_keepalive_interval=7\nallowed_ip=10.8.0.0/16\n");
  EXPECT_EQ(ignored, Strings{});
  EXPECT_EQ(device.find(stranger)->persistent_keepalive, 7);
  set("replace_peers=true\n");
  EXPECT_EQ(device.find(stranger), nullptr);
  EXPECT_EQ(allowed_ips(config.peers[0].public_key), (Strings{"10.255.0.2/32", "10.2.0.0/16"}))
      << "what `wg` added to a peer of the config goes too";
}

}  // namespace
}  // namespace greywire::daemon
