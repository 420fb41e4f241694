// A site's key is exchanged without a pause: for a window it has the new identity and the previous one.
#include <gtest/gtest.h>

#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

using wireguard::Identity;
using wireguard::IdentitySlot;

PrivateKey key_of(std::uint8_t byte) {
  std::array<std::uint8_t, kKeySize> bytes;
  bytes.fill(byte);
  return clamp(PrivateKey(bytes));
}

PublicKey public_of(const PrivateKey& key) { return Identity::from(key).public_key; }

// Both send once a second; every packet must arrive.
class Traffic {
 public:
  explicit Traffic(Pair& pair) : pair_(pair) {}
  void run_for(std::chrono::seconds time) {
    for (auto second = 0s; second < time; ++second) {
      pair_.send_from_a(++sent_);
      pair_.send_from_b(sent_);
      pair_.run_for(1s);
      at_a_ += pair_.a.take_delivered().size();
      at_b_ += pair_.b.take_delivered().size();
    }
  }
  void expect_nothing_lost(const char* when) {
    EXPECT_EQ(at_a_, sent_) << when;
    EXPECT_EQ(at_b_, sent_) << when;
  }

 private:
  Pair& pair_;
  std::uint32_t sent_ = 0;
  std::size_t at_a_ = 0, at_b_ = 0;
};

bool knows_previous(Pair& pair) { return pair.a.peer(pair.b_of_a).identity == IdentitySlot::kPrevious; }

TEST(KeyChange, LosesNothingWhicheverEndBegins) {
  for (const bool a_first : {true, false}) {
    Pair pair(draw_seed("LosesNothingWhicheverEndBegins"));
    if (a_first) {
      pair.connect();
    } else {
      pair.send_from_b();
      pair.run_for(100ms);
      pair.a.take_delivered();
    }
    Traffic traffic(pair);
    traffic.run_for(10s);
    const PrivateKey old_key = pair.a.device.identity().private_key, new_key = key_of(77);
    const auto handshakes = pair.a.peer(pair.b_of_a).handshakes;
    pair.a.device.set_identities(new_key, old_key, now_at(pair.network.now()));
    EXPECT_TRUE(pair.a.peer(pair.b_of_a).has_session()) << "made under what is the previous identity now";
    EXPECT_TRUE(knows_previous(pair));
    traffic.run_for(400s);
    traffic.expect_nothing_lost("B does not know the new key yet");
    EXPECT_GE(pair.a.peer(pair.b_of_a).handshakes, handshakes + 2) << "renewed under the previous identity";
    EXPECT_TRUE(knows_previous(pair));

    EXPECT_FALSE(pair.a.peer(pair.b_of_a).knows_own);
    ASSERT_TRUE(pair.b.device.change_key(pair.b.peer(pair.a_of_b), public_of(new_key)));
    pair.b.initiate(pair.a_of_b, pair.network.now());
    traffic.run_for(1s);
    EXPECT_FALSE(knows_previous(pair));
    EXPECT_TRUE(pair.a.peer(pair.b_of_a).knows_own);
    traffic.run_for(400s);
    traffic.expect_nothing_lost("B knows the new key");

    pair.a.device.set_identities(new_key, {}, now_at(pair.network.now()));
    EXPECT_TRUE(pair.a.peer(pair.b_of_a).has_session());
    traffic.run_for(400s);
    traffic.expect_nothing_lost("the previous identity is gone");
  }
}

// A peer that was given the new key, and calls nobody itself, while A goes on calling under the previous one: the next try finds
// out, however much traffic asks for handshakes meanwhile.
TEST(KeyChange, AnInitiationThatIsNotAnsweredIsTriedUnderTheOtherKey) {
  for (const Duration interval : {Duration(10s), Duration(100ms), Duration(10ms)}) {
    PairOptions options;
    options.b_knows_a = false;
    Pair pair(draw_seed("AnInitiationThatIsNotAnsweredIsTriedUnderTheOtherKey"), options);
    pair.connect();
    const PrivateKey old_key = pair.a.device.identity().private_key, new_key = key_of(3);
    pair.a.device.set_identities(new_key, old_key, now_at(pair.network.now()));
    pair.b.device.set_endpoint(pair.b.peer(pair.a_of_b), {});
    ASSERT_TRUE(pair.b.device.change_key(pair.b.peer(pair.a_of_b), public_of(new_key)));
    pair.network.run_until(pair.network.now() + 200s);  // the session has ended
    pair.log.clear();
    const TimePoint asked = pair.network.now();
    while (pair.network.now() < asked + 20s && knows_previous(pair)) {
      pair.send_from_a();
      pair.run_for(interval);
    }
    EXPECT_FALSE(knows_previous(pair));
    const auto calls = pair.logged(1, false);
    ASSERT_EQ(calls.size(), 2U) << "under the previous key first, which B knows no more";
    EXPECT_LE(calls[1].when - asked, 6s);
    pair.run_for(1s);
    EXPECT_FALSE(pair.b.take_delivered().empty());
  }
}

TEST(KeyChange, TheEndOfTheWindowEndsSessionsOfThePreviousKey) {
  Pair pair(draw_seed("TheEndOfTheWindowEndsSessionsOfThePreviousKey"));
  pair.connect();
  const PrivateKey old_key = pair.a.device.identity().private_key;
  pair.a.device.set_identities(key_of(5), old_key, now_at(pair.network.now()));
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).has_session());
  pair.a.device.set_identities(key_of(5), {}, now_at(pair.network.now()));
  EXPECT_FALSE(pair.a.peer(pair.b_of_a).has_session());
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).handshake.previous_static_static.is_zero());
  EXPECT_TRUE(pair.a.device.previous_identity().empty());
  pair.send_from_b();
  pair.run_for(30s);
  EXPECT_TRUE(pair.a.take_delivered().empty()) << "B knows a key that counts no more";
}

// What was tried is taken back: the first key again, and no other.
TEST(KeyChange, GoingBackKeepsWhatIsUnderTheFirstKey) {
  Pair pair(draw_seed("GoingBackKeepsWhatIsUnderTheFirstKey"));
  pair.connect();
  const PrivateKey first = pair.a.device.identity().private_key;
  pair.a.device.set_identities(key_of(5), first, now_at(pair.network.now()));
  pair.a.device.set_identities(first, {}, now_at(pair.network.now()));
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).has_session());
  EXPECT_FALSE(knows_previous(pair));
  Traffic traffic(pair);
  traffic.run_for(300s);
  traffic.expect_nothing_lost("back under the first key");
}

// Each of the three sessions ends with the identity that it was made under.
TEST(KeyChange, ASessionOfThePreviousKeyEndsBesideOneOfTheNewKey) {
  Pair pair(draw_seed("ASessionOfThePreviousKeyEndsBesideOneOfTheNewKey"));
  pair.connect();
  const PrivateKey old_key = pair.a.device.identity().private_key;
  pair.a.device.set_identities(key_of(5), old_key, now_at(pair.network.now()));
  ASSERT_TRUE(pair.b.device.change_key(pair.b.peer(pair.a_of_b), public_of(key_of(5))));
  pair.b.initiate(pair.a_of_b, pair.network.now());
  pair.run_for(1s);
  ASSERT_TRUE(pair.a.peer(pair.b_of_a).previous);
  EXPECT_EQ(pair.a.peer(pair.b_of_a).previous->made_under, IdentitySlot::kPrevious);
  pair.a.device.set_identities(key_of(5), {}, now_at(pair.network.now()));
  EXPECT_FALSE(pair.a.peer(pair.b_of_a).previous);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).current);
}

// Whoever recorded a call that B made under its first key cannot use it again once that key has come back.
TEST(KeyChange, AKeyThatComesBackTakesNoOldInitiation) {
  Pair pair(draw_seed("AKeyThatComesBackTakesNoOldInitiation"));
  pair.b.initiate(pair.a_of_b, pair.network.now());
  Bytes recorded;
  for (const auto& datagram : pair.b.take_sent()) {
    if (datagram.type() == 1) recorded = datagram.bytes;
    pair.a.receive(datagram.bytes, pair.b_at, pair.network.now());
  }
  ASSERT_FALSE(recorded.empty());
  const PublicKey first = pair.b.public_key();
  ASSERT_TRUE(pair.a.device.change_key(pair.a.peer(pair.b_of_a), public_of(key_of(9))));
  ASSERT_TRUE(pair.a.device.change_key(pair.a.peer(pair.b_of_a), first));
  pair.run_for(1s);
  pair.a.receive(recorded, endpoint("203.0.113.66:1"), pair.network.now());
  EXPECT_EQ(pair.a.drops(DropReason::kHandshakeReplay), 1U);
  EXPECT_NE(pair.a.shared(pair.b_of_a).route().remote, endpoint("203.0.113.66:1"));
}

// With the previous private key anybody can forge a call of B for it, with a stamp beyond all others: what is for the new key
// goes on counting by itself.
TEST(KeyChange, StampsCountForOneIdentity) {
  Pair pair(draw_seed("StampsCountForOneIdentity"));
  pair.connect();
  const PrivateKey old_key = pair.a.device.identity().private_key;
  pair.a.device.set_identities(key_of(5), old_key, now_at(pair.network.now()));
  auto& handshake = pair.a.peer(pair.b_of_a).handshake;
  EXPECT_EQ(handshake.latest_timestamp, wireguard::Timestamp{});
  handshake.previous_latest_timestamp.fill(0xff);
  ASSERT_TRUE(pair.b.device.change_key(pair.b.peer(pair.a_of_b), public_of(key_of(5))));
  pair.b.initiate(pair.a_of_b, pair.network.now());
  pair.run_for(1s);
  EXPECT_FALSE(knows_previous(pair));
  EXPECT_NE(handshake.latest_timestamp, wireguard::Timestamp{});
  pair.a.device.set_identities(key_of(5), {}, now_at(pair.network.now()));
  EXPECT_EQ(handshake.previous_latest_timestamp, wireguard::Timestamp{});
}

TEST(KeyChange, AnotherPeersKeyIsRefused) {
  Pair pair(draw_seed("AnotherPeersKeyIsRefused"));
  const auto other = pair.a.add_peer(public_of(key_of(9)), {}, pair.network.now());
  EXPECT_FALSE(pair.a.device.change_key(pair.a.peer(pair.b_of_a), public_of(key_of(9))));
  EXPECT_TRUE(pair.a.device.change_key(pair.a.peer(other), public_of(key_of(8))));
  EXPECT_EQ(pair.a.device.find(public_of(key_of(9))), nullptr);
  EXPECT_EQ(pair.a.device.find(public_of(key_of(8)))->id, other);
}

}  // namespace
}  // namespace greywire::test
