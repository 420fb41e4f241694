#include "router/crypto/handshake_aead.h"

#include "router/crypto/aead.h"
#include "router/crypto/constant_time.h"
#include "tests/unit/router/crypto/vectors.h"

namespace greywire {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::fixed;

struct Vector {
  std::int64_t id;
  Bytes key, nonce, additional, message, sealed;
  bool valid;
};

// Vectors with a nonce of another size than `nonce_size` are counted only: the types do not let them through.
template <std::size_t NonceSize, class Function>
void for_each_vector(const std::string& file, Function function) {
  const auto vectors = testing::load_vectors(file);
  std::size_t run = 0;
  std::size_t other_size = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      Vector v{test.at("tcId").as_int64(),
               bytes_of(test, "key"),
               bytes_of(test, "iv"),
               bytes_of(test, "aad"),
               bytes_of(test, "msg"),
               bytes_of(test, "ct"),
               test.at("result").as_string() == "valid"};
      const Bytes tag = bytes_of(test, "tag");
      v.sealed.insert(v.sealed.end(), tag.begin(), tag.end());
      if (v.nonce.size() != NonceSize) {
        EXPECT_FALSE(v.valid) << v.id;
        ++other_size;
        continue;
      }
      function(v);
      ++run;
    }
  }
  EXPECT_EQ(run + other_size, vectors.at("numberOfTests").to_number<std::size_t>());
  EXPECT_GT(run, 250U);
}

template <std::size_t NonceSize, class Seal, class Open>
void check(const Vector& v, Seal seal, Open open) {
  const auto key = fixed<32>(v.key);
  const auto nonce = fixed<NonceSize>(v.nonce);
  Bytes plain(v.message.size(), 0xaa);
  EXPECT_EQ(open(plain, key, nonce, v.sealed, v.additional), v.valid) << v.id;
  EXPECT_EQ(plain, v.valid ? v.message : Bytes(v.message.size())) << v.id;
  Bytes sealed(v.sealed.size());
  ASSERT_TRUE(seal(sealed, key, nonce, v.message, v.additional)) << v.id;
  EXPECT_EQ(sealed == v.sealed, v.valid) << v.id;
}

TEST(HandshakeAead, WycheproofChaCha20Poly1305) {
  for_each_vector<kNonceSize>("wycheproof_chacha20_poly1305_test.json", [](const Vector& v) {
    check<kNonceSize>(
        v,
        [](std::span<std::uint8_t> out, auto key, Nonce n, const Bytes& in, const Bytes& ad) {
          return aead_seal(out, key, n, in, ad);
        },
        [](std::span<std::uint8_t> out, auto key, Nonce n, const Bytes& in, const Bytes& ad) {
          return aead_open(out, key, n, in, ad);
        });
  });
}

TEST(HandshakeAead, WycheproofXChaCha20Poly1305) {
  for_each_vector<kXNonceSize>("wycheproof_xchacha20_poly1305_test.json", [](const Vector& v) {
    check<kXNonceSize>(
        v,
        [](std::span<std::uint8_t> out, auto key, XNonce n, const Bytes& in, const Bytes& ad) {
          return xaead_seal(out, key, n, in, ad);
        },
        [](std::span<std::uint8_t> out, auto key, XNonce n, const Bytes& in, const Bytes& ad) {
          return xaead_open(out, key, n, in, ad);
        });
  });
}

TEST(HandshakeAead, CounterIsLittleEndianAfterFourZeros) {
  const Bytes key(32, 7), message(40, 1), additional(32, 2);
  const Bytes nonce = testing::unhex("000000000807060504030201");
  Bytes a(56), b(56);
  ASSERT_TRUE(aead_seal(a, fixed<32>(key), 0x0102030405060708, message, additional));
  ASSERT_TRUE(aead_seal(b, fixed<32>(key), fixed<12>(nonce), message, additional));
  EXPECT_EQ(a, b);
}

TEST(HandshakeAead, InPlaceAndEveryBitOfATamperedMessage) {
  const Bytes key(32, 7), additional(32, 2), message(12, 9);
  Bytes buffer = message;
  buffer.resize(message.size() + kTagSize);
  ASSERT_TRUE(aead_seal(buffer, fixed<32>(key), 0, std::span(buffer).first(message.size()), additional));
  for (std::size_t bit = 0; bit < buffer.size() * 8; ++bit) {
    Bytes tampered = buffer;
    tampered[bit / 8] = static_cast<std::uint8_t>(tampered[bit / 8] ^ 1U << bit % 8);
    const auto out = std::span(tampered).first(message.size());
    EXPECT_FALSE(aead_open(out, fixed<32>(key), 0, tampered, additional)) << bit;
    EXPECT_TRUE(constant_time_is_zero(out)) << bit;
  }
  EXPECT_TRUE(aead_open(std::span(buffer).first(message.size()), fixed<32>(key), 0, buffer, additional));
  EXPECT_EQ(Bytes(buffer.begin(), buffer.begin() + 12), message);
}

TEST(HandshakeAead, WrongSizesAreRefused) {
  const Bytes key(32), nonce(24);
  Bytes out(20, 0xaa);
  EXPECT_FALSE(aead_seal(out, fixed<32>(key), 0, Bytes(5), {}));
  EXPECT_FALSE(xaead_seal(out, fixed<32>(key), fixed<24>(nonce), Bytes(3), {}));
  EXPECT_EQ(out, Bytes(20, 0xaa));
  EXPECT_FALSE(aead_open(out, fixed<32>(key), 0, Bytes(35), {}));
  EXPECT_EQ(out, Bytes(20));
  EXPECT_FALSE(aead_open({}, fixed<32>(key), 0, Bytes(15), {}));
  EXPECT_FALSE(xaead_open({}, fixed<32>(key), fixed<24>(nonce), {}, {}));
}

}  // namespace
}  // namespace greywire
