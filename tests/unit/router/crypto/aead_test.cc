#include "router/crypto/aead.h"

#include <sodium.h>

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <memory>
#include <optional>

#include "router/base/byte_order.h"
#include "router/crypto/constant_time.h"
#include "router/crypto/handshake_aead.h"
#include "tests/unit/router/crypto/vectors.h"

namespace greywire {
namespace {

using testing::Bytes;
using testing::bytes_of;
using testing::fixed;

// libsodium directly, as the second opinion on every provider.
Bytes reference_seal(const SymmetricKey& key, std::uint64_t counter, const Bytes& plain) {
  std::uint8_t nonce[12] = {};
  store_le64(nonce + 4, counter);
  Bytes sealed(plain.size() + kTagSize);
  crypto_aead_chacha20poly1305_ietf_encrypt(sealed.data(), nullptr, plain.data(), plain.size(), nullptr, 0,
                                            nullptr, nonce, key.data());
  return sealed;
}

// A block of the heap of exactly this size, so that AddressSanitizer sees a provider that reads or writes
// past it.
struct Exact {
  explicit Exact(const Bytes& bytes) : memory(new std::uint8_t[std::max<std::size_t>(bytes.size(), 1)]) {
    std::copy(bytes.begin(), bytes.end(), memory.get());
  }
  explicit Exact(std::size_t size) : Exact(Bytes(size, 0xaa)) {}
  std::uint8_t* data() { return memory.get(); }
  Bytes bytes(std::size_t size) const { return {memory.get(), memory.get() + size}; }
  std::unique_ptr<std::uint8_t[]> memory;
};

class AeadTest : public ::testing::TestWithParam<AeadProvider> {
 protected:
  std::unique_ptr<Aead> aead_ = make_aead(GetParam());
  std::mt19937_64 random_{12345};
  SymmetricKey random_key() { return SymmetricKey(fixed<32>(testing::random_bytes(random_, 32))); }
};

TEST_P(AeadTest, EverySizeInPlaceAndOutOfPlace) {
  for (std::uint32_t size = 0; size <= 2048; ++size) {
    const SymmetricKey key = random_key();
    const std::uint64_t counter = size % 3 == 0 ? random_() : size;
    const Bytes plain = testing::random_bytes(random_, size);
    const Bytes expected = reference_seal(key, counter, plain);

    Exact in(plain);
    Exact out(size + kTagSize);
    const SealJob apart[] = {{counter, in.data(), out.data(), size}};
    aead_->seal(key, apart);
    ASSERT_EQ(out.bytes(size + kTagSize), expected) << size;
    ASSERT_EQ(in.bytes(size), plain) << size;

    Bytes padded = plain;
    padded.resize(size + kTagSize);
    Exact same(padded);
    const SealJob in_place[] = {{counter, same.data(), same.data(), size}};
    aead_->seal(key, in_place);
    ASSERT_EQ(same.bytes(size + kTagSize), expected) << size;

    Exact opened(size);
    OpenJob open_apart[] = {{counter, same.data(), opened.data(), size}};
    aead_->open(key, open_apart);
    ASSERT_TRUE(open_apart[0].ok) << size;
    ASSERT_EQ(opened.bytes(size), plain) << size;
    ASSERT_EQ(same.bytes(size + kTagSize), expected) << size;

    OpenJob open_in_place[] = {{counter, same.data(), same.data(), size}};
    aead_->open(key, open_in_place);
    ASSERT_TRUE(open_in_place[0].ok) << size;
    ASSERT_EQ(same.bytes(size), plain) << size;
  }
}

TEST_P(AeadTest, LargeAndUnaligned) {
  for (const std::uint32_t size : {4096U, 9000U, 65'000U}) {
    for (const std::size_t shift : {1U, 3U, 15U, 17U}) {
      const SymmetricKey key = random_key();
      const Bytes plain = testing::random_bytes(random_, size);
      Bytes buffer(size + kTagSize + shift);
      std::copy(plain.begin(), plain.end(), buffer.begin() + static_cast<std::ptrdiff_t>(shift));
      const SealJob job[] = {{7, buffer.data() + shift, buffer.data() + shift, size}};
      aead_->seal(key, job);
      EXPECT_EQ(Bytes(buffer.begin() + static_cast<std::ptrdiff_t>(shift), buffer.end()),
                reference_seal(key, 7, plain));
    }
  }
}

TEST_P(AeadTest, WrongTagsLeaveZeros) {
  for (const std::uint32_t size : {0U, 1U, 15U, 16U, 63U, 64U, 65U, 200U, 512U, 1420U}) {
    const SymmetricKey key = random_key();
    const Bytes sealed = reference_seal(key, 9, testing::random_bytes(random_, size));
    for (int i = 0; i < 60; ++i) {
      Bytes tampered = sealed;
      // Every byte of the tag, then bytes of the ciphertext.
      const std::size_t at = i < 16 ? size + static_cast<std::size_t>(i) : random_() % tampered.size();
      tampered[at] = static_cast<std::uint8_t>(tampered[at] ^ 1U << random_() % 8);
      Exact in(tampered);
      Exact out(size);
      OpenJob jobs[] = {{9, in.data(), out.data(), size, true}, {9, in.data(), in.data(), size, true}};
      aead_->open(key, jobs);
      EXPECT_FALSE(jobs[0].ok) << size << " at " << at;
      EXPECT_FALSE(jobs[1].ok) << size << " at " << at;
      EXPECT_EQ(out.bytes(size), Bytes(size));
      EXPECT_EQ(in.bytes(size), Bytes(size));
    }
    Exact in(sealed);
    Exact out(size);
    OpenJob wrong_counter[] = {{10, in.data(), out.data(), size}};
    aead_->open(key, wrong_counter);
    EXPECT_FALSE(wrong_counter[0].ok);
    OpenJob right[] = {{9, in.data(), out.data(), size}};
    aead_->open(random_key(), right);
    EXPECT_FALSE(right[0].ok);
    aead_->open(key, right);
    EXPECT_TRUE(right[0].ok);
  }
}

TEST_P(AeadTest, BatchesOfMixedSizesKeysAndFailures) {
  for (int round = 0; round < 100; ++round) {
    const SymmetricKey key = random_key();
    const std::size_t count = random_() % 130;
    std::vector<Bytes> plain(count), buffers(count);
    std::vector<SealJob> seals(count);
    for (std::size_t i = 0; i < count; ++i) {
      plain[i] = testing::random_bytes(random_, random_() % 1500);
      buffers[i] = plain[i];
      buffers[i].resize(plain[i].size() + kTagSize);
      seals[i] = {i, buffers[i].data(), buffers[i].data(), static_cast<std::uint32_t>(plain[i].size())};
    }
    aead_->seal(key, seals);
    std::vector<OpenJob> opens(count);
    std::vector<bool> good(count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(buffers[i], reference_seal(key, i, plain[i]));
      good[i] = random_() % 4 != 0;
      if (!good[i]) buffers[i].back() ^= 1;
      opens[i] = {i, buffers[i].data(), buffers[i].data(), static_cast<std::uint32_t>(plain[i].size())};
    }
    aead_->open(key, opens);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_EQ(opens[i].ok, good[i]);
      buffers[i].resize(plain[i].size());
      EXPECT_EQ(buffers[i], good[i] ? plain[i] : Bytes(plain[i].size()));
    }
  }
}

// Trains are runs of one size, which a provider may take many at a time. Some ciphertexts are all ones or all zeros: the
// sums of Poly1305 carry the farthest there.
TEST_P(AeadTest, RunsOfOneSizeEverySizeAndCount) {
  std::vector<std::pair<std::uint32_t, std::size_t>> runs;
  for (std::uint32_t size = 0; size <= 1500; size += size < 200 ? 1U : 13U) runs.emplace_back(size, 16);
  for (std::size_t count = 1; count <= 50; ++count) runs.emplace_back(static_cast<std::uint32_t>(random_() % 1500), count);
  for (std::size_t count = 1; count <= 50; ++count) runs.emplace_back(static_cast<std::uint32_t>(count * 3), count);
  for (const auto& [size, count] : runs) {
    const SymmetricKey key = random_key();
    const std::uint64_t first = random_() % 2 ? random_() : 0xfffffff8;
    std::vector<Bytes> plain(count), expected(count);
    std::vector<Exact> buffers, apart;
    std::vector<SealJob> seals;
    for (std::size_t i = 0; i < count; ++i) {
      plain[i] = testing::random_bytes(random_, size);
      if (i % 4 < 2) {
        plain[i] = reference_seal(key, first + i, Bytes(size));
        plain[i].resize(size);
        for (auto& byte : plain[i]) byte = static_cast<std::uint8_t>(byte ^ (i % 4 == 0 ? 0xff : 0));
      }
      expected[i] = reference_seal(key, first + i, plain[i]);
      Bytes padded = plain[i];
      padded.resize(size + kTagSize);
      buffers.emplace_back(padded);
      seals.push_back({first + i, buffers[i].data(), buffers[i].data(), size});
    }
    aead_->seal(key, seals);
    std::vector<OpenJob> opens, opens_apart;
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(buffers[i].bytes(size + kTagSize), expected[i]) << size << " bytes, " << i << " of " << count;
      if (i % 5 == 4) buffers[i].data()[size + i % kTagSize] ^= 0x80;
      apart.emplace_back(size);
      opens_apart.push_back({first + i, buffers[i].data(), apart[i].data(), size, false});
      opens.push_back({first + i, buffers[i].data(), buffers[i].data(), size, false});
    }
    aead_->open(key, opens_apart);
    aead_->open(key, opens);
    for (std::size_t i = 0; i < count; ++i) {
      const bool good = i % 5 != 4;
      ASSERT_EQ(opens[i].ok, good) << size << " bytes, " << i << " of " << count;
      ASSERT_EQ(opens_apart[i].ok, good) << size << " bytes, " << i << " of " << count;
      ASSERT_EQ(buffers[i].bytes(size), good ? plain[i] : Bytes(size));
      ASSERT_EQ(apart[i].bytes(size), good ? plain[i] : Bytes(size));
    }
  }
}

// Headers in place, the payload elsewhere, and zeros nowhere: as if all had been in one piece. Nothing is read of the payload's
// memory but the payload.
TEST_P(AeadTest, APlaintextInTwoPlaces) {
  for (int round = 0; round < 400; ++round) {
    const SymmetricKey key = random_key();
    const std::size_t count = 1 + random_() % 40;
    const auto head = static_cast<std::uint16_t>(kSealUnit * (random_() % 4));
    const auto padding = static_cast<std::uint16_t>(random_() % (random_() % 2 ? 16 : kSealUnit));
    const std::size_t text = head + random_() % (round % 2 ? 100 : 1500);
    const auto size = static_cast<std::uint32_t>(text + padding);
    std::vector<Bytes> plain(count);
    std::vector<Exact> payloads, outs;
    std::vector<SealJob> jobs;
    for (std::size_t i = 0; i < count; ++i) {
      plain[i] = testing::random_bytes(random_, text);
      payloads.emplace_back(Bytes(plain[i].begin() + head, plain[i].end()));
      outs.emplace_back(size + kTagSize);
      std::copy_n(plain[i].begin(), head, outs[i].data());
      jobs.push_back({i, payloads[i].data() - head, outs[i].data(), size, head, padding});
    }
    aead_->seal(key, jobs);
    for (std::size_t i = 0; i < count; ++i) {
      plain[i].resize(size);
      ASSERT_EQ(outs[i].bytes(size + kTagSize), reference_seal(key, i, plain[i]))
          << i << " of " << count << ", head " << head << ", text " << text << ", padding " << padding;
    }
  }
}

// A sum (RFC 1071, of little-endian words) is right or said not to be known, whatever the bytes; a wrong tag is found beside it.
TEST_P(AeadTest, OpensAndSums) {
  bool known = false;
  for (int round = 0; round < 400; ++round) {
    const SymmetricKey key = random_key();
    const std::size_t count = 1 + random_() % 40;
    const auto size = static_cast<std::uint32_t>(round % 20 == 0 ? 65'000 : 1 + random_() % 1500);
    std::vector<Bytes> plain(count), buffers(count);
    std::vector<OpenJob> jobs;
    for (std::size_t i = 0; i < count; ++i) {
      plain[i] = i % 3 == 0 ? Bytes(size, 0xff) : i % 3 == 1 ? Bytes(size, 0x7f) : testing::random_bytes(random_, size);
      buffers[i] = reference_seal(key, i, plain[i]);
      if (i % 5 == 4) buffers[i].back() ^= 1;
      jobs.push_back({.counter = i, .in = buffers[i].data(), .out = buffers[i].data(), .size = size});
    }
    aead_->open_and_sum(key, jobs);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(jobs[i].ok, i % 5 != 4);
      if (!jobs[i].ok || jobs[i].sum == 0) continue;
      known = true;
      ASSERT_TRUE(std::equal(plain[i].begin(), plain[i].end(), buffers[i].begin()));
      std::uint64_t words = 0;
      for (std::size_t at = 0; at < size; ++at) words += std::uint64_t{plain[i][at]} << (at % 2 * 8);
      ASSERT_EQ(jobs[i].sum % 0xffff, words % 0xffff) << size;
    }
  }
  EXPECT_EQ(known, GetParam() == AeadProvider::kAvx512);
}

// No published vector has neither additional data nor a nonce that does not begin with four zeros; those with them go through
// handshake_aead_test. Instead: packets whose sum in Poly1305 ends at a chosen number, where the last reduction and its
// carries are the hardest. One block is solved for; the tag then follows from the number, without another Poly1305.
class ChosenSum {
 public:
  using Number = boost::multiprecision::cpp_int;
  static Number two(unsigned power) { return Number(1) << power; }
  static Number prime() { return two(130) - 5; }

  ChosenSum(const SymmetricKey& key, std::uint64_t counter) {
    std::uint8_t nonce[12] = {}, block[32] = {};
    store_le64(nonce + 4, counter);
    crypto_stream_chacha20_ietf(block, sizeof block, nonce, key.data());
    r_ = number_of({block, 16}) & Number("0x0ffffffc0ffffffc0ffffffc0fffffff");
    s_ = number_of({block + 16, 16});
  }

  // The same ciphertext but for its block `solved`, and its tag. Nothing where that block would need more than 128 bits.
  std::optional<Bytes> sealed(Bytes text, std::size_t solved, const Number& sum) const {
    const std::size_t blocks = text.size() / 16;
    Number rest = (two(128) + (Number(text.size()) << 64)) * r_;
    for (std::size_t i = 0; i < blocks; ++i) {
      if (i != solved) rest += (number_of({&text[16 * i], 16}) + two(128)) * power(blocks - i + 1);
    }
    const Number inverse = boost::multiprecision::powm(power(blocks - solved + 1), Number(prime() - 2), prime());
    const Number block = ((((sum - rest) % prime() + prime()) * inverse - two(128)) % prime() + prime()) % prime();
    if (block >= two(128)) return std::nullopt;
    put(block, &text[16 * solved]);
    text.resize(text.size() + kTagSize);
    put((sum + s_) % two(128), &text[text.size() - kTagSize]);
    return text;
  }

 private:
  Number power(std::size_t n) const { return boost::multiprecision::powm(r_, Number(n), prime()); }
  static Number number_of(std::span<const std::uint8_t> bytes) {
    Number n = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) n = n << 8 | bytes[i];
    return n;
  }
  static void put(Number n, std::uint8_t* out) {
    for (int i = 0; i < 16; ++i, n >>= 8) out[i] = static_cast<std::uint8_t>(n & 0xff);
  }
  Number r_, s_;
};

TEST_P(AeadTest, SumsThatEndWhereCarriesDo) {
  const auto two = ChosenSum::two;
  std::vector<ChosenSum::Number> sums = {two(44) - 1, two(44), two(64) - 1, two(64), two(88) - 1, two(88), two(128) - 1, two(128), two(129)};
  for (int i = 0; i < 9; ++i) sums.emplace_back(i), sums.push_back(ChosenSum::prime() - 1 - i);
  std::size_t made = 0;
  for (const std::size_t size : {16U, 48U, 240U, 256U, 320U, 576U, 1408U}) {
    for (const auto& sum : sums) {
      std::optional<Bytes> sealed;
      SymmetricKey key;
      std::uint64_t counter = 0;
      while (!sealed) {
        key = random_key();
        counter = random_();
        Bytes text = testing::random_bytes(random_, size);
        if (random_() % 2 == 0) std::fill(text.begin(), text.end(), static_cast<std::uint8_t>(0xff));
        sealed = ChosenSum(key, counter).sealed(text, random_() % (size / 16), sum);
      }
      ++made;
      for (const std::size_t count : {1U, 16U}) {  // alone, and as a run of one size
        std::vector<Bytes> out(count, Bytes(size));
        std::vector<OpenJob> jobs;
        for (Bytes& o : out) jobs.push_back({counter, sealed->data(), o.data(), static_cast<std::uint32_t>(size), false});
        aead_->open(key, jobs);
        for (std::size_t i = 0; i < count; ++i) {
          ASSERT_TRUE(jobs[i].ok) << size << " bytes, sum " << sum;
          ASSERT_EQ(reference_seal(key, counter, out[i]), *sealed) << size << " bytes, sum " << sum;
        }
      }
    }
  }
  EXPECT_EQ(made, 7 * sums.size());
}

INSTANTIATE_TEST_SUITE_P(Providers, AeadTest, ::testing::ValuesIn(available_aeads()),
                         [](const auto& instance) {
                           std::string name(aead_provider_name(instance.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(AeadChoice, TheFastestIsOneOfThoseThatAreThere) {
  const auto available = available_aeads();
  ASSERT_FALSE(available.empty());
  EXPECT_EQ(available.front(), AeadProvider::kSodium);
  EXPECT_NE(std::find(available.begin(), available.end(), measure_best_aead()), available.end());
  for (const AeadProvider provider : available)
    EXPECT_EQ(make_aead(provider)->name(), aead_provider_name(provider));
}

TEST(AeadChoice, APlainRoundTripThroughTheHandshakeAead) {
  const SymmetricKey key(fixed<32>(Bytes(32, 3)));
  const Bytes plain(100, 4);
  Bytes sealed(116), expected(116);
  const SealJob job[] = {{77, plain.data(), sealed.data(), 100}};
  make_aead(measure_best_aead())->seal(key, job);
  ASSERT_TRUE(aead_seal(expected, key.bytes(), 77, plain, {}));
  EXPECT_EQ(sealed, expected);
}

}  // namespace
}  // namespace greywire
