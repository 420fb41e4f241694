#include "router/crypto/blake2s.h"

#include <numeric>

#include "tests/unit/router/crypto/vectors.h"

namespace greywire {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::unhex;

Bytes counting(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(Blake2s, KnownAnswers) {
  const auto vectors = testing::load_vectors("blake2s_kat.json");
  const struct {
    const char* name;
    std::size_t output;
    std::size_t key;
  } kinds[] = {{"unkeyed", 32, 0}, {"keyed_00_1f", 32, 32}, {"mac16_key16", 16, 16}};
  for (const auto& kind : kinds) {
    const auto& list = vectors.at(kind.name).as_array();
    ASSERT_EQ(list.size(), 256U);
    for (std::size_t size = 0; size < list.size(); ++size) {
      Bytes hash(kind.output);
      Blake2s(kind.output, counting(kind.key)).update(counting(size)).finish(hash);
      EXPECT_EQ(hash, unhex(std::string_view(list[size].as_string())))
          << kind.name << " of " << size << " bytes";
    }
  }
}

TEST(Blake2s, Rfc7693AppendixB) {
  const std::string text = "abc";
  const Hash hash = blake2s_hash(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  EXPECT_EQ(Bytes(hash.begin(), hash.end()),
            unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"));
}

TEST(Blake2s, AnyCutOfTheInputGivesTheSameHash) {
  const Bytes input = counting(200);
  const Hash expected = blake2s_hash(input);
  for (std::size_t first = 0; first <= input.size(); ++first) {
    for (const std::size_t step : {1U, 7U, 63U, 64U, 65U}) {
      Blake2s hash;
      hash.update(std::span(input).first(first));
      for (std::size_t at = first; at < input.size(); at += step)
        hash.update(std::span(input).subspan(at, std::min(step, input.size() - at)));
      Hash result;
      hash.finish(result);
      ASSERT_EQ(result, expected) << first << " then by " << step;
    }
    EXPECT_EQ(
        blake2s_hash(std::span(input).first(first / 2),
                     std::span(input).subspan(first / 2, first - first / 2), std::span(input).subspan(first)),
        expected);
  }
}

TEST(Blake2s, ACopyOfAKeyedStateGoesOnByItself) {
  const Bytes key = counting(32);
  const Blake2s keyed(kMacSize, key);
  for (const std::size_t size : {0U, 1U, 64U, 116U, 132U}) {
    const Bytes input = counting(size);
    Mac mac;
    Blake2s(keyed).update(input).finish(mac);
    EXPECT_EQ(mac, blake2s_mac16(key, input)) << size;
  }
}

TEST(Blake2s, FinishWritesNoMoreThanAskedFor) {
  std::array<std::uint8_t, 33> out;
  out.fill(0xaa);
  Blake2s().update(counting(3)).finish(out);
  EXPECT_EQ(out[32], 0xaa);
  out.fill(0xaa);
  Blake2s(16).update(counting(3)).finish(out);
  EXPECT_EQ(out[16], 0xaa);
  std::array<std::uint8_t, 4> few;
  Blake2s().update(counting(3)).finish(few);
  const Hash whole = blake2s_hash(counting(3));
  EXPECT_TRUE(std::equal(few.begin(), few.end(), whole.begin()));
}

TEST(Hmac, OfOneBlockAndOfLongKeys) {
  // HMAC(key, x) of a key over a block is the HMAC with the key's hash.
  const Bytes key = counting(65);
  const Hash hashed = blake2s_hash(key);
  EXPECT_EQ(hmac_blake2s(key, counting(10)), hmac_blake2s(hashed, counting(10)));
  // A key is padded with zeros.
  Bytes padded = counting(20);
  padded.resize(64);
  EXPECT_EQ(hmac_blake2s(counting(20), counting(10)), hmac_blake2s(padded, counting(10)));
}

TEST(Kdf, KnownAnswers) {
  const auto vectors = testing::load_vectors("kdf3.json");
  ASSERT_FALSE(vectors.as_array().empty());
  for (const auto& vector : vectors.as_array()) {
    const Bytes key = bytes_of(vector, "key");
    const Bytes input = bytes_of(vector, "input");
    Hash t0, t1, t2;
    kdf3(t0, t1, t2, key, input);
    EXPECT_EQ(Bytes(t0.begin(), t0.end()), bytes_of(vector, "t0"));
    EXPECT_EQ(Bytes(t1.begin(), t1.end()), bytes_of(vector, "t1"));
    EXPECT_EQ(Bytes(t2.begin(), t2.end()), bytes_of(vector, "t2"));

    Hash u0, u1;
    kdf2(u0, u1, key, input);
    EXPECT_EQ(u0, t0);
    EXPECT_EQ(u1, t1);
    kdf1(u0, key, input);
    EXPECT_EQ(u0, t0);
  }
}

TEST(Kdf, OutputsMayBeTheInputs) {
  Hash key = blake2s_hash(counting(1));
  Hash input = blake2s_hash(counting(2));
  Hash t1, t2, t3;
  kdf3(t1, t2, t3, key, input);
  Hash third;
  kdf3(key, input, third, key, input);
  EXPECT_EQ(key, t1);
  EXPECT_EQ(input, t2);
  EXPECT_EQ(third, t3);
}

}  // namespace
}  // namespace greywire
