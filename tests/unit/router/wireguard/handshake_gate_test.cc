#include "router/wireguard/handshake_gate.h"

#include <gtest/gtest.h>

#include "router/wireguard/constants.h"
#include "tests/sim/seed.h"

namespace greywire::wireguard {
namespace {

using Outcome = HandshakeGate::Outcome;
using Bytes = std::vector<std::uint8_t>;

TimePoint at(Duration d) { return TimePoint{500s + d}; }
Endpoint from(std::uint32_t host, std::uint16_t port = 51820) { return {IpAddress::v4(0xc0000200 + host), port}; }

class Gate : public ::testing::Test {
 protected:
  Gate() : random(test::draw_seed("Gate")), gate(random, drops) {
    std::array<std::uint8_t, 32> key;
    random.fill(key);
    own = PublicKey(key);
    keys = ReceiverKeys(own);
  }
  Bytes message(MessageType type, std::size_t size, MessageAuthenticator& sender, TimePoint now = at(0s)) {
    Bytes bytes(size);
    random.fill(bytes);
    std::fill(bytes.end() - 32, bytes.end(), std::uint8_t{0});
    store_type(bytes.data(), type);
    sender.add_macs(bytes, now);
    return bytes;
  }
  Bytes initiation(MessageAuthenticator& sender, TimePoint now = at(0s)) {
    return message(MessageType::kInitiation, kInitiationSize, sender, now);
  }
  MessageAuthenticator device() const {
    MessageAuthenticator sender;
    sender.set_remote(own);
    return sender;
  }
  Outcome judge(const Bytes& bytes, const Endpoint& source, bool under_load, TimePoint now) {
    return gate.judge(bytes, source, {&keys, 1}, under_load, now, reply);
  }
  // A device at `source` that got its cookie.
  MessageAuthenticator proven(const Endpoint& source, TimePoint now) {
    MessageAuthenticator sender = device();
    EXPECT_EQ(judge(initiation(sender, now), source, true, now), Outcome::kCookieReply);
    EXPECT_TRUE(sender.consume_cookie_reply(reply, now));
    return sender;
  }

  test::SeededRandom random;
  DropCounters drops;
  HandshakeGate gate;
  PublicKey own;
  ReceiverKeys keys;
  std::array<std::uint8_t, kCookieReplySize> reply{};
};

TEST_F(Gate, LetsThroughWhatWasMadeForTheKey) {
  auto sender = device();
  EXPECT_EQ(judge(initiation(sender), from(1), false, at(0s)), Outcome::kInitiation);
  EXPECT_EQ(judge(message(MessageType::kResponse, kResponseSize, sender), from(1), false, at(0s)), Outcome::kAnswer);
  EXPECT_EQ(judge(message(MessageType::kCookieReply, kCookieReplySize, sender), from(1), true, at(0s)), Outcome::kAnswer)
      << "a cookie reply has no mac1, and no cookie is asked for it";
  MessageAuthenticator other;
  std::array<std::uint8_t, 32> key{7};
  other.set_remote(PublicKey(key));
  EXPECT_EQ(judge(initiation(other), from(1), false, at(0s)), Outcome::kDropped);
  EXPECT_EQ(drops.get(DropReason::kBadMac1), 1U);
}

TEST_F(Gate, UnderLoadOnlyProvenAddressesPass) {
  auto sender = proven(from(1), at(0s));
  EXPECT_EQ(judge(initiation(sender), from(1), true, at(0s)), Outcome::kProven);
  EXPECT_EQ(judge(message(MessageType::kResponse, kResponseSize, sender), from(1), true, at(0s)), Outcome::kAnswer);
  EXPECT_EQ(judge(initiation(sender), from(1, 51821), true, at(0s)), Outcome::kCookieReply) << "the port is bound too";
  EXPECT_EQ(judge(initiation(sender), from(2), true, at(0s)), Outcome::kCookieReply);
  EXPECT_EQ(drops.get(DropReason::kBadMac2), 3U);
}

TEST_F(Gate, ACookieIsGoodFor120SecondsAndThenAskedForAnew) {
  auto sender = proven(from(1), at(0s));
  const Bytes message = initiation(sender, at(114s));
  EXPECT_EQ(judge(message, from(1), true, at(120s) - 1ns), Outcome::kProven);
  EXPECT_EQ(judge(message, from(1), true, at(120s)), Outcome::kCookieReply);
  EXPECT_EQ(judge(message, from(1), true, at(121s)), Outcome::kCookieReply) << "the secret is another one";
}

TEST_F(Gate, LoadLingersForASecond) {
  auto sender = device();
  EXPECT_EQ(judge(initiation(sender), from(1), true, at(0s)), Outcome::kCookieReply);
  EXPECT_EQ(judge(initiation(sender), from(1), false, at(1s) - 1ns), Outcome::kCookieReply);
  EXPECT_EQ(judge(initiation(sender), from(1), false, at(1s)), Outcome::kInitiation);
}

TEST_F(Gate, AnAddressIsLimitedToTwentyASecondWithItsCookie) {
  auto sender = proven(from(1), at(0s));
  unsigned passed = 0;
  for (int i = 0; i < 30; ++i) {
    if (judge(initiation(sender), from(1), true, at(1s)) == Outcome::kProven) ++passed;
  }
  EXPECT_EQ(passed, 5U);
  for (int i = 1; i <= 40; ++i) {
    if (judge(initiation(sender), from(1), true, at(1s) + i * 25ms) == Outcome::kProven) ++passed;
  }
  EXPECT_EQ(passed, 5U + 20U);
}

TEST_F(Gate, AFloodFromOneAddressAndPortCostsNeitherHashesNorCookies) {
  auto sender = device();
  unsigned answered = 0, dropped = 0;
  for (int i = 0; i < 10'000; ++i) {  // in a second
    const Outcome outcome = judge(initiation(sender), from(1), true, at(i * 100us));
    (outcome == Outcome::kCookieReply ? answered : dropped) += 1;
  }
  EXPECT_EQ(answered, 5U + 4U);
  EXPECT_EQ(drops.get(DropReason::kBadMac2), 50U + 199U) << "200 a second after a burst of 50 are looked at";
  EXPECT_EQ(drops.get(DropReason::kRateLimited), 10'000U - 249U);
  auto other = proven(from(2), at(1s));
  EXPECT_EQ(judge(initiation(other), from(2), true, at(1s)), Outcome::kProven) << "nobody else notices";
}

TEST_F(Gate, RefusesWhatIsNoHandshakeMessage) {
  auto sender = device();
  for (const std::size_t size : {0U, 4U, 31U}) EXPECT_EQ(judge(Bytes(size, 1), from(1), false, at(0s)), Outcome::kDropped);
  EXPECT_EQ(drops.get(DropReason::kTooShort), 3U);
  for (const std::size_t byte : {1U, 2U, 3U}) {
    Bytes reserved = initiation(sender);
    reserved[byte] = 1;
    EXPECT_EQ(judge(reserved, from(1), false, at(0s)), Outcome::kDropped);
  }
  Bytes transport = initiation(sender);
  transport[0] = 4;
  EXPECT_EQ(judge(transport, from(1), false, at(0s)), Outcome::kDropped);
  EXPECT_EQ(drops.get(DropReason::kBadType), 4U);
  Bytes longer = initiation(sender);
  longer.push_back(0);
  EXPECT_EQ(judge(longer, from(1), false, at(0s)), Outcome::kDropped);
  EXPECT_EQ(drops.get(DropReason::kBadLength), 1U);
}

}  // namespace
}  // namespace greywire::wireguard
