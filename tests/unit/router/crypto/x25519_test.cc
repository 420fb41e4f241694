#include "router/crypto/x25519.h"

#include <algorithm>

#include "router/crypto/system_random.h"
#include "tests/unit/router/crypto/vectors.h"

namespace greywire {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::fixed;
using testing::unhex;

bool has_flag(const boost::json::value& test, std::string_view flag) {
  const auto& flags = test.at("flags").as_array();
  return std::any_of(flags.begin(), flags.end(),
                     [&](const auto& f) { return std::string_view(f.as_string()) == flag; });
}

TEST(X25519, Wycheproof) {
  const auto vectors = testing::load_vectors("wycheproof_x25519_test.json");
  std::size_t run = 0;
  std::size_t refused = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      const auto id = test.at("tcId").as_int64();
      const PrivateKey key(fixed<32>(bytes_of(test, "private")));
      const PublicKey peer(fixed<32>(bytes_of(test, "public")));
      const Bytes expected = bytes_of(test, "shared");
      const bool zero = std::all_of(expected.begin(), expected.end(), [](auto byte) { return byte == 0; });
      EXPECT_EQ(zero, has_flag(test, "ZeroSharedSecret")) << id;
      SharedSecret secret(fixed<32>(Bytes(32, 0xaa)));
      EXPECT_EQ(x25519(secret, key, peer), !zero) << id;
      EXPECT_EQ(Bytes(secret.bytes().begin(), secret.bytes().end()), expected) << id;
      refused += zero ? 1 : 0;
      ++run;
    }
  }
  EXPECT_EQ(run, vectors.at("numberOfTests").to_number<std::size_t>());
  EXPECT_GT(refused, 20U);
}

TEST(X25519, LowOrderPointsAreRefused) {
  const char* points[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  };
  SystemRandom random;
  const PrivateKey key = generate_private_key(random);
  for (const char* point : points) {
    Bytes bytes = unhex(point);
    for (const unsigned top : {0x00U, 0x80U}) {  // the top bit is not part of the coordinate
      bytes[31] = static_cast<std::uint8_t>((bytes[31] & 0x7f) | top);
      SharedSecret secret(fixed<32>(Bytes(32, 0xaa)));
      EXPECT_FALSE(x25519(secret, key, PublicKey(fixed<32>(bytes)))) << point;
      EXPECT_TRUE(secret.is_zero());
    }
  }
}

TEST(X25519, Rfc7748Section52Iterated) {
  Bytes k(32);
  k[0] = 9;
  Bytes u = k;
  const auto step = [&] {
    SharedSecret result;
    ASSERT_TRUE(x25519(result, PrivateKey(fixed<32>(k)), PublicKey(fixed<32>(u))));
    u = k;
    k.assign(result.bytes().begin(), result.bytes().end());
  };
  step();
  EXPECT_EQ(k, unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
  for (int i = 1; i < 1000; ++i) step();
  EXPECT_EQ(k, unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

TEST(X25519, BothSidesAgreeAndZeroKeysHaveNoPublicKey) {
  SystemRandom random;
  const PrivateKey a = generate_private_key(random);
  const PrivateKey b = generate_private_key(random);
  EXPECT_EQ(a, clamp(a));
  EXPECT_FALSE(a == b);
  SharedSecret ab, ba;
  ASSERT_TRUE(x25519(ab, a, derive_public_key(b)));
  ASSERT_TRUE(x25519(ba, b, derive_public_key(a)));
  EXPECT_EQ(ab, ba);
  EXPECT_TRUE(derive_public_key(PrivateKey()).is_zero());
}

}  // namespace
}  // namespace greywire
