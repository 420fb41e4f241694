#include "router/crypto/keys.h"

#include <type_traits>
#include <unordered_set>

#include "router/crypto/system_random.h"
#include "tests/unit/router/crypto/vectors.h"

namespace greywire {
namespace {

using testing::Bytes;
using testing::fixed;
using testing::unhex;

const Bytes kCounting = unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
constexpr const char* kCountingBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr const char* kCountingHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

static_assert(!std::is_convertible_v<PrivateKey, SymmetricKey>);
static_assert(!std::is_constructible_v<PublicKey, PrivateKey>);
static_assert(std::is_nothrow_move_constructible_v<PrivateKey> &&
              std::is_nothrow_move_assignable_v<PrivateKey>);

TEST(Keys, TextForms) {
  const PublicKey key(fixed<32>(kCounting));
  EXPECT_EQ(key.to_base64(), kCountingBase64);
  EXPECT_EQ(key.to_hex(), kCountingHex);
  EXPECT_EQ(PublicKey::from_base64(kCountingBase64).value(), key);
  EXPECT_EQ(PublicKey::from_hex(kCountingHex).value(), key);
  EXPECT_EQ(PublicKey::from_hex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F").value(),
            key);
  const auto secret = PrivateKey::from_base64(kCountingBase64).value();
  EXPECT_EQ(secret.reveal_base64(), kCountingBase64);
  EXPECT_EQ(secret.reveal_hex(), kCountingHex);
  EXPECT_EQ(PresharedKey::from_hex(kCountingHex).value(), PresharedKey::from_bytes(fixed<32>(kCounting)));
}

TEST(Keys, TextRoundTripsOfRandomKeys) {
  SystemRandom random;
  for (int i = 0; i < 200; ++i) {
    PublicKey key;
    random.fill(key.writable_bytes());
    EXPECT_EQ(PublicKey::from_base64(key.to_base64()).value(), key);
    EXPECT_EQ(PublicKey::from_hex(key.to_hex()).value(), key);
  }
}

TEST(Keys, BadTextIsRefusedAndNotQuoted) {
  const std::string good64 = kCountingBase64;
  const std::string good16 = kCountingHex;
  const std::string bad64[] = {"",
                               good64.substr(1),
                               good64.substr(0, 43),
                               good64 + "\n",
                               " " + good64.substr(0, 43),
                               good64.substr(0, 43) + "A",   // 33 bytes
                               good64.substr(0, 42) + "==",  // 31 bytes
                               good64.substr(0, 42) + "9=",  // bits beyond the key
                               "!" + good64.substr(1),
                               "-_" + good64.substr(2),  // the URL alphabet
                               good64.substr(0, 20) + "=" + good64.substr(21),
                               std::string(44, '\0'),
                               good16};
  for (const auto& text : bad64) {
    const auto result = PrivateKey::from_base64(text);
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().text.find("private key"), std::string::npos);
    if (!text.empty()) {
      EXPECT_EQ(result.error().text.find(text), std::string::npos);
    }
    EXPECT_FALSE(PublicKey::from_base64(text)) << text;
  }
  const std::string bad16[] = {
      "",           good16.substr(1),        good16.substr(2),       good16 + "00",
      good16 + " ", "0x" + good16.substr(2), "g" + good16.substr(1), good16.substr(0, 63) + "\0"};
  for (const auto& text : bad16) {
    EXPECT_FALSE(PresharedKey::from_hex(text)) << text;
    EXPECT_FALSE(PublicKey::from_hex(text)) << text;
  }
}

TEST(Keys, ZeroMeansNone) {
  EXPECT_TRUE(PublicKey().is_zero());
  EXPECT_TRUE(PresharedKey().is_zero());
  for (std::size_t i = 0; i < kKeySize; ++i) {
    PrivateKey key;
    key.writable_bytes()[i] = 0x80;
    EXPECT_FALSE(key.is_zero()) << i;
    EXPECT_FALSE(key == PrivateKey()) << i;
  }
}

TEST(Keys, SecretsAreWipedWhenDestroyedOrMovedFrom) {
  alignas(SymmetricKey) std::uint8_t memory[sizeof(SymmetricKey)];
  auto* key = new (memory) SymmetricKey(fixed<32>(kCounting));
  const volatile std::uint8_t* seen = memory;
  ASSERT_EQ(seen[31], 31);
  key->~SymmetricKey();
  for (std::size_t i = 0; i < kKeySize; ++i) EXPECT_EQ(seen[i], 0) << i;

  PrivateKey from(fixed<32>(kCounting));
  PrivateKey to(std::move(from));
  EXPECT_TRUE(from.is_zero());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(to.reveal_hex(), kCountingHex);
  from = std::move(to);
  EXPECT_TRUE(to.is_zero());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(from.reveal_hex(), kCountingHex);
  PrivateKey& same = from;
  from = std::move(same);
  EXPECT_EQ(from.reveal_hex(), kCountingHex);
  const PrivateKey copy = from;
  from.clear();
  EXPECT_TRUE(from.is_zero());
  EXPECT_EQ(copy.reveal_hex(), kCountingHex);
}

TEST(Keys, Clamp) {
  PrivateKey ones(fixed<32>(Bytes(32, 0xff)));
  const PrivateKey clamped = clamp(ones);
  EXPECT_EQ(clamped.bytes()[0], 0xf8);
  EXPECT_EQ(clamped.bytes()[31], 0x7f);
  EXPECT_EQ(clamp(clamped), clamped);
  EXPECT_EQ(clamp(PrivateKey()).bytes()[31], 0x40);
}

TEST(Keys, PublicKeysAreOrderedAndHashed) {
  PublicKey low, high;
  low.writable_bytes()[31] = 0xff;
  high.writable_bytes()[0] = 1;
  EXPECT_LT(low, high);
  std::unordered_set<PublicKey> set = {low, high, low};
  EXPECT_EQ(set.size(), 2U);
}

TEST(WipeOnExit, ClearsOnEveryWayOut) {
  std::array<std::uint8_t, 4> secret = {1, 2, 3, 4};
  try {
    const WipeOnExit wiper(secret);
    throw std::runtime_error("a way out");
  } catch (const std::runtime_error&) {
    EXPECT_TRUE(constant_time_is_zero(secret));
  }
}

}  // namespace
}  // namespace greywire
