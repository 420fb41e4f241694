// Noise against three others: a published transcript, vectors from Python, and a second implementation in
// C++.
#include "router/wireguard/noise.h"

#include <gtest/gtest.h>

#include <deque>

#include "router/crypto/x25519.h"
#include "router/wireguard/peer_data.h"
#include "router/wireguard/transport.h"
#include "tests/sim/seed.h"
#include "tests/unit/router/crypto/vectors.h"
#include "tests/unit/router/wireguard/reference_noise.h"

namespace greywire::wireguard {
namespace {

using reference::IkPsk2;
using testing::bytes_of;
using testing::fixed;
using testing::load_vectors;
using Bytes = std::vector<std::uint8_t>;

// Gives what it was told to give, and nothing else.
class GivenRandom final : public RandomSource {
 public:
  void give(const Bytes& next) { queue_.insert(queue_.end(), next.begin(), next.end()); }
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) {
      if (queue_.empty()) throw std::runtime_error("more randomness than expected");
      byte = queue_.front();
      queue_.pop_front();
    }
  }
  bool empty() const { return queue_.empty(); }

 private:
  std::deque<std::uint8_t> queue_;
};

template <class Key>
Key key_from(const Bytes& bytes) {
  return Key(fixed<32>(bytes));
}
template <class Container>
Bytes to_bytes(const Container& c) {
  return Bytes(c.begin(), c.end());
}
const Bytes kPrologue = reference::bytes("WireGuard v1 zx2c4 Jason@zx2c4.com");

TEST(ReferenceNoise, ReproducesThePublishedTranscript) {
  const auto vectors = load_vectors("noise_IKpsk2_cacophony.json");
  for (const auto& v : vectors.as_array()) {
    const Bytes responder = bytes_of(v, "resp_static");
    const Bytes prologue = bytes_of(v, "init_prologue");
    const Bytes psk = testing::unhex(std::string_view(v.at("init_psks").as_array()[0].as_string()));
    IkPsk2 i(prologue, reference::public_key(responder)), r(prologue, reference::public_key(responder));
    i.secret = bytes_of(v, "init_static");
    i.ephemeral = bytes_of(v, "init_ephemeral");
    i.remote_static = bytes_of(v, "init_remote_static");
    r.secret = responder;
    r.ephemeral = bytes_of(v, "resp_ephemeral");
    i.psk = r.psk = psk;
    const auto& messages = v.at("messages").as_array();
    const Bytes first = i.write_initiation(bytes_of(messages[0], "payload"));
    EXPECT_EQ(first, bytes_of(messages[0], "ciphertext"));
    EXPECT_EQ(r.read_initiation(first), bytes_of(messages[0], "payload"));
    const Bytes second = r.write_response(bytes_of(messages[1], "payload"));
    EXPECT_EQ(second, bytes_of(messages[1], "ciphertext"));
    EXPECT_EQ(i.read_response(second), bytes_of(messages[1], "payload"));
    EXPECT_EQ(i.h, bytes_of(v, "handshake_hash"));
    for (std::size_t n = 2; n < messages.size(); ++n) {
      const Bytes key = n % 2 == 0 ? i.key_to_responder() : i.key_to_initiator();
      EXPECT_EQ(reference::seal(key, (n - 2) / 2, bytes_of(messages[n], "payload"), {}),
                bytes_of(messages[n], "ciphertext"));
    }
  }
}

struct Roles {
  explicit Roles(const boost::json::value& v)
      : initiator(Identity::from(key_from<PrivateKey>(bytes_of(v, "initiator_static")))),
        responder(Identity::from(key_from<PrivateKey>(bytes_of(v, "responder_static")))) {
    at_initiator.set_keys(initiator, responder.public_key);
    at_responder.set_keys(responder, initiator.public_key);
    at_initiator.preshared_key = at_responder.preshared_key =
        key_from<PresharedKey>(bytes_of(v, "preshared_key"));
  }
  Identity initiator, responder;
  HandshakeState at_initiator, at_responder;
};

TEST(Noise, BothRolesMatchThePythonVectorsByteForByte) {
  const auto vectors = load_vectors("wireguard_handshake.json");
  for (const auto& v : vectors.as_array()) {
    SCOPED_TRACE(std::string(v.at("name").as_string()));
    Roles r(v);
    EXPECT_EQ(to_bytes(r.initiator.public_key.bytes()), bytes_of(v, "initiator_public"));
    const auto local = v.at("initiator_index").to_number<std::uint32_t>();
    const auto remote = v.at("responder_index").to_number<std::uint32_t>();
    const Timestamp stamp =
        tai64n({v.at("seconds").to_number<std::int64_t>(), v.at("nanoseconds").to_number<std::uint32_t>()});
    EXPECT_EQ(to_bytes(stamp), bytes_of(v, "timestamp"));
    GivenRandom random;
    random.give(bytes_of(v, "initiator_ephemeral"));
    std::array<std::uint8_t, kInitiationSize> initiation;
    ASSERT_TRUE(create_initiation(r.at_initiator, r.initiator, local, stamp, random, initiation));
    const Bytes expected = bytes_of(v, "initiation");
    EXPECT_EQ(Bytes(initiation.begin(), initiation.begin() + 116),
              Bytes(expected.begin(), expected.begin() + 116));

    const auto opened = open_initiation(r.responder, fixed<kInitiationSize>(expected));
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->remote_static, r.initiator.public_key);
    EXPECT_EQ(opened->remote_index, local);
    AcceptedInitiation accepted;
    EXPECT_EQ(
        accept_initiation(r.at_responder, *opened, fixed<kInitiationSize>(expected), TimePoint{}, accepted),
        std::nullopt);
    EXPECT_EQ(r.at_responder.latest_timestamp, stamp);
    random.give(bytes_of(v, "responder_ephemeral"));
    std::array<std::uint8_t, kResponseSize> response;
    const auto there = create_response(r.at_responder, accepted, remote, random, response);
    ASSERT_TRUE(there);
    EXPECT_TRUE(random.empty());
    const Bytes expected_response = bytes_of(v, "response");
    EXPECT_EQ(Bytes(response.begin(), response.begin() + 60),
              Bytes(expected_response.begin(), expected_response.begin() + 60));

    const auto here = consume_response(r.at_initiator, r.initiator, fixed<kResponseSize>(expected_response));
    ASSERT_TRUE(here);
    EXPECT_EQ(to_bytes(here->keys.send.bytes()), bytes_of(v, "to_responder"));
    EXPECT_EQ(to_bytes(here->keys.receive.bytes()), bytes_of(v, "to_initiator"));
    EXPECT_TRUE(here->keys.send == there->keys.receive);
    EXPECT_TRUE(here->keys.receive == there->keys.send);
    EXPECT_EQ(here->local_index, local);
    EXPECT_EQ(here->remote_index, remote);
    EXPECT_EQ(there->local_index, remote);
    EXPECT_EQ(there->remote_index, local);
    EXPECT_FALSE(r.at_initiator.initiation_pending);
    EXPECT_FALSE(consume_response(r.at_initiator, r.initiator, fixed<kResponseSize>(expected_response)))
        << "once only";
  }
}

TEST(Noise, TransportMessagesMatchThePythonVectors) {
  const auto aead = make_aead(AeadProvider::kSodium);
  const auto vectors = load_vectors("wireguard_handshake.json");
  for (const auto& v : vectors.as_array()) {
    const auto local = v.at("initiator_index").to_number<std::uint32_t>();
    const auto remote = v.at("responder_index").to_number<std::uint32_t>();
    TransportKeys keys;
    keys.send = key_from<SymmetricKey>(bytes_of(v, "to_responder"));
    keys.receive = key_from<SymmetricKey>(bytes_of(v, "to_initiator"));
    PeerData owner{PeerId{0}};
    Session initiator(owner, keys, local, remote, true, TimePoint{});
    std::swap(keys.send, keys.receive);
    Session responder(owner, keys, remote, local, false, TimePoint{});
    Bytes out(256);
    out.resize(seal_packet(*aead, initiator, 0, {}, 1420, out.data()));
    EXPECT_EQ(out, bytes_of(v, "keepalive"));
    out.assign(256, 0xee);
    out.resize(seal_packet(*aead, responder, 7, bytes_of(v, "packet"), 1420, out.data()));
    EXPECT_EQ(out, bytes_of(v, "data"));
  }
}

TEST(Noise, SpeaksWithTheSecondImplementationInBothRoles) {
  test::SeededRandom random(test::draw_seed("SpeaksWithTheSecondImplementationInBothRoles"));
  for (int round = 0; round < 50; ++round) {
    const auto ours = Identity::from(generate_private_key(random));
    const Bytes their_secret = to_bytes(generate_private_key(random).bytes());
    const Bytes their_ephemeral = to_bytes(generate_private_key(random).bytes());
    const PublicKey theirs = key_from<PublicKey>(reference::public_key(their_secret));
    HandshakeState state;
    state.set_keys(ours, theirs);
    Bytes psk(32);
    if (round % 2 == 0) random.fill(psk);
    state.preshared_key = key_from<PresharedKey>(psk);
    const auto fill = [&](IkPsk2& other) {
      other.secret = their_secret;
      other.ephemeral = their_ephemeral;
      other.psk = psk;
      other.remote_static = to_bytes(ours.public_key.bytes());
    };

    IkPsk2 responder(kPrologue, to_bytes(theirs.bytes()));
    fill(responder);
    const Timestamp stamp = tai64n({1'700'000'000 + round, 0});
    Bytes initiation(kInitiationSize), response(kResponseSize);
    ASSERT_TRUE(
        create_initiation(state, ours, 5, stamp, random,
                          std::span<std::uint8_t, kInitiationSize>(initiation.data(), kInitiationSize)));
    EXPECT_EQ(responder.read_initiation(reference::slice(initiation, 8, 108)), to_bytes(stamp));
    EXPECT_EQ(responder.remote_static, to_bytes(ours.public_key.bytes()));
    const Bytes answer = responder.write_response({});
    std::copy(answer.begin(), answer.end(), response.begin() + 12);
    store_le32(response.data() + 4, 99);
    store_le32(response.data() + 8, 5);
    const auto established = consume_response(state, ours, fixed<kResponseSize>(response));
    ASSERT_TRUE(established);
    EXPECT_EQ(to_bytes(established->keys.send.bytes()), responder.key_to_responder());
    EXPECT_EQ(to_bytes(established->keys.receive.bytes()), responder.key_to_initiator());

    IkPsk2 initiator(kPrologue, to_bytes(ours.public_key.bytes()));
    fill(initiator);
    const Bytes first = initiator.write_initiation(to_bytes(stamp));
    std::copy(first.begin(), first.end(), initiation.begin() + 8);
    const auto opened = open_initiation(ours, fixed<kInitiationSize>(initiation));
    ASSERT_TRUE(opened);
    AcceptedInitiation accepted;
    ASSERT_EQ(accept_initiation(state, *opened, fixed<kInitiationSize>(initiation), TimePoint{}, accepted),
              std::nullopt);
    const auto responded = create_response(
        state, accepted, 7, random, std::span<std::uint8_t, kResponseSize>(response.data(), kResponseSize));
    ASSERT_TRUE(responded);
    EXPECT_TRUE(initiator.read_response(reference::slice(response, 12, 48)).empty());
    EXPECT_EQ(to_bytes(responded->keys.receive.bytes()), initiator.key_to_responder());
    EXPECT_EQ(to_bytes(responded->keys.send.bytes()), initiator.key_to_initiator());
  }
}

TEST(Noise, EveryChangedByteOfAMessageIsNoticed) {
  const auto vectors = load_vectors("wireguard_handshake.json");
  const auto& v = vectors.as_array()[1];
  const Bytes initiation = bytes_of(v, "initiation"), response = bytes_of(v, "response");
  for (std::size_t at = 8; at < 116; ++at) {
    Roles r(v);
    Bytes changed = initiation;
    changed[at] ^= 0x40;
    const auto opened = open_initiation(r.responder, fixed<kInitiationSize>(changed));
    if (!opened) continue;
    AcceptedInitiation accepted;
    EXPECT_TRUE(
        accept_initiation(r.at_responder, *opened, fixed<kInitiationSize>(changed), TimePoint{}, accepted))
        << at;
    EXPECT_EQ(r.at_responder.latest_timestamp, Timestamp{}) << "nothing is committed";
  }
  Roles r(v);
  GivenRandom random;
  random.give(bytes_of(v, "initiator_ephemeral"));
  std::array<std::uint8_t, kInitiationSize> ours;
  const Timestamp stamp =
      tai64n({v.at("seconds").to_number<std::int64_t>(), v.at("nanoseconds").to_number<std::uint32_t>()});
  ASSERT_TRUE(create_initiation(r.at_initiator, r.initiator,
                                v.at("initiator_index").to_number<std::uint32_t>(), stamp, random, ours));
  for (std::size_t at = 8; at < 60; ++at) {
    Bytes changed = response;
    changed[at] ^= 0x40;
    EXPECT_FALSE(consume_response(r.at_initiator, r.initiator, fixed<kResponseSize>(changed))) << at;
  }
  EXPECT_TRUE(consume_response(r.at_initiator, r.initiator, fixed<kResponseSize>(response)))
      << "forgeries end nothing";
}

TEST(Noise, LowOrderKeysAndNoIdentityMakeNothing) {
  const auto vectors = load_vectors("wycheproof_x25519_test.json");
  test::SeededRandom random(test::draw_seed("LowOrderKeysAndNoIdentityMakeNothing"));
  const auto own = Identity::from(generate_private_key(random));
  std::size_t low = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& t : group.at("tests").as_array()) {
      bool zero_secret = false;
      for (const auto& flag : t.at("flags").as_array()) zero_secret |= flag.as_string() == "ZeroSharedSecret";
      if (!zero_secret) continue;
      ++low;
      HandshakeState state;
      state.set_keys(own, key_from<PublicKey>(bytes_of(t, "public")));
      EXPECT_FALSE(state.usable);
      std::array<std::uint8_t, kInitiationSize> message;
      EXPECT_FALSE(create_initiation(state, own, 1, Timestamp{}, random, message));
    }
  }
  EXPECT_GE(low, 5U);
  HandshakeState state;
  state.set_keys(own, PublicKey{});
  EXPECT_FALSE(state.usable) << "the zero key is of low order";
  state.set_keys(Identity{}, own.public_key);
  EXPECT_FALSE(state.usable);
  std::array<std::uint8_t, kInitiationSize> message{};
  EXPECT_FALSE(open_initiation(Identity{}, message));
}

TEST(Tai64n, FollowsTheVectorsWithTheNanosecondsWhitened) {
  const auto vectors = load_vectors("tai64n.json");
  for (const auto& v : vectors.as_array()) {
    const auto stamp =
        tai64n({v.at("unix").to_number<std::int64_t>(), v.at("nsec").to_number<std::uint32_t>()});
    Bytes expected = bytes_of(v, "tai64n");
    expected[9] = expected[10] = expected[11] = 0;
    EXPECT_EQ(to_bytes(stamp), expected);
  }
  EXPECT_LT(tai64n({1, 0}), tai64n({1, 1U << 24}));
  EXPECT_LT(tai64n({1, 999'999'999}), tai64n({2, 0}));
}

}  // namespace
}  // namespace greywire::wireguard
