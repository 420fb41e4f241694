#include "router/wireguard/cookie.h"

#include <gtest/gtest.h>

#include "router/wireguard/constants.h"
#include "tests/sim/seed.h"
#include "tests/unit/router/crypto/vectors.h"

namespace greywire::wireguard {
namespace {

using testing::bytes_of;
using testing::fixed;
using testing::load_vectors;
using Bytes = std::vector<std::uint8_t>;

TimePoint at(Duration d) {
  return TimePoint{500s + d};
}

TEST(Macs, MatchThePythonVectors) {
  const auto vectors = load_vectors("wireguard_handshake.json");
  for (const auto& v : vectors.as_array()) {
    SCOPED_TRACE(std::string(v.at("name").as_string()));
    const PublicKey responder(fixed<32>(bytes_of(v, "responder_public")));
    const Bytes expected = bytes_of(v, "initiation");
    const bool with_cookie = !bytes_of(v, "cookie").empty();
    MessageAuthenticator sender;
    sender.set_remote(responder);
    Bytes message = expected;
    std::fill(message.begin() + 116, message.end(), std::uint8_t{0});
    sender.add_macs(message, at(0s));
    EXPECT_EQ(Bytes(message.begin() + 116, message.begin() + 132),
              Bytes(expected.begin() + 116, expected.begin() + 132));
    EXPECT_EQ(Bytes(message.begin() + 132, message.end()), Bytes(16));
    EXPECT_TRUE(ReceiverKeys(responder).mac1_valid(expected));
    const ReceiverKeys other(PublicKey(fixed<32>(bytes_of(v, "initiator_public"))));
    EXPECT_FALSE(other.mac1_valid(expected));
    EXPECT_TRUE(other.mac1_valid(bytes_of(v, "response")));

    // The reply in the vector answers this very initiation: its cookie then makes the mac2.
    const Bytes reply = bytes_of(v, "cookie_reply");
    ASSERT_TRUE(sender.consume_cookie_reply(fixed<kCookieReplySize>(reply), at(1s)));
    EXPECT_FALSE(sender.consume_cookie_reply(fixed<kCookieReplySize>(reply), at(1s)))
        << "one reply a message";
    sender.add_macs(message, at(2s));
    const Mac mac2 = blake2s_mac16(bytes_of(v, "reply_cookie"), std::span(message).first(132));
    EXPECT_EQ(Bytes(message.begin() + 132, message.end()), Bytes(mac2.begin(), mac2.end()));
    if (with_cookie) {
      const Mac published = blake2s_mac16(bytes_of(v, "cookie"), std::span(expected).first(132));
      EXPECT_EQ(Bytes(expected.begin() + 132, expected.end()), Bytes(published.begin(), published.end()));
    }
  }
}

class Cookies : public ::testing::Test {
 protected:
  Cookies() : random(test::draw_seed("Cookies")) {
    Bytes key(32);
    random.fill(key);
    const PublicKey receiver(fixed<32>(key));
    sender.set_remote(receiver);
    keys = ReceiverKeys(receiver);
    message.resize(kInitiationSize);
    random.fill(message);
    store_le32(message.data(), 1);
    fill_macs(at(0s));
  }
  void fill_macs(TimePoint now) {
    std::fill(message.begin() + 116, message.end(), std::uint8_t{0});
    sender.add_macs(message, now);
  }
  void get_cookie(TimePoint now) {
    std::array<std::uint8_t, kCookieReplySize> reply;
    checker.create_cookie_reply(keys, message, 7, source, now, random, reply);
    EXPECT_EQ(load_le32(reply.data()), 3U);
    EXPECT_EQ(load_le32(reply.data() + 4), 7U);
    ASSERT_TRUE(sender.consume_cookie_reply(reply, now));
  }
  bool mac2_is_set() const {
    return std::any_of(message.begin() + 132, message.end(), [](auto b) { return b != 0; });
  }

  test::SeededRandom random;
  MessageAuthenticator sender;
  ReceiverKeys keys;
  CookieChecker checker;
  Bytes message;
  const Endpoint source = Endpoint::parse("192.0.2.9:4000").value();
};

TEST_F(Cookies, TheRoundTripGivesAValidMac2) {
  EXPECT_FALSE(checker.mac2_valid(message, source, at(0s)));
  get_cookie(at(0s));
  fill_macs(at(5s));
  EXPECT_TRUE(keys.mac1_valid(message));
  EXPECT_TRUE(checker.mac2_valid(message, source, at(5s)));
}

TEST_F(Cookies, TheClientDropsItsCookieFiveSecondsEarly) {
  get_cookie(at(0s));
  fill_macs(at(115s) - 1ns);
  EXPECT_TRUE(mac2_is_set());
  EXPECT_TRUE(checker.mac2_valid(message, source, at(115s)));
  fill_macs(at(115s));
  EXPECT_FALSE(mac2_is_set());
}

TEST_F(Cookies, TheSecretChangesAfter120Seconds) {
  get_cookie(at(0s));
  fill_macs(at(100s));
  EXPECT_TRUE(checker.mac2_valid(message, source, at(120s) - 1ns));
  EXPECT_FALSE(checker.mac2_valid(message, source, at(120s)));
}

TEST_F(Cookies, BindsAddressAndPort) {
  get_cookie(at(0s));
  fill_macs(at(1s));
  for (const char* other :
       {"192.0.2.9:4001", "192.0.2.8:4000", "[2001:db8::1]:4000", "[::ffff:192.0.2.9]:4000"}) {
    EXPECT_FALSE(checker.mac2_valid(message, Endpoint::parse(other).value(), at(1s))) << other;
  }
}

TEST_F(Cookies, ARepliesTamperedWithIsRefused) {
  std::array<std::uint8_t, kCookieReplySize> reply;
  checker.create_cookie_reply(keys, message, 7, source, at(0s), random, reply);
  for (std::size_t i = 8; i < reply.size(); ++i) {
    auto changed = reply;
    changed[i] ^= 1;
    EXPECT_FALSE(sender.consume_cookie_reply(changed, at(0s)));
  }
  MessageAuthenticator silent;
  EXPECT_FALSE(silent.consume_cookie_reply(reply, at(0s))) << "no message of ours is answered by it";
  EXPECT_TRUE(sender.consume_cookie_reply(reply, at(0s)));
}

}  // namespace
}  // namespace greywire::wireguard
