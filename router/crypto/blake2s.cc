#include "router/crypto/blake2s.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "router/base/byte_order.h"

namespace greywire {

namespace {

// RFC 7693 §2.6 and §2.7.
constexpr std::array<std::uint32_t, 8> kIv = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
constexpr std::uint8_t kSigma[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                         {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                         {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                         {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                         {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                         {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                         {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                         {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                         {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                         {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

using Words = std::uint32_t[16];

inline void mix(Words& v, unsigned a, unsigned b, unsigned c, unsigned d, std::uint32_t x, std::uint32_t y) {
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 12);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 7);
}

// A template, so that the message schedule is constant and the working vector stays in registers.
template <unsigned Round>
inline void round(Words& v, const Words& m) {
  constexpr auto& s = kSigma[Round];
  mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
  mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
  mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
  mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
  mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
  mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
  mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
  mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
}

}  // namespace

Blake2s::Blake2s(std::size_t output_size, std::span<const std::uint8_t> key)
    : state_(kIv),
      output_size_(static_cast<std::uint32_t>(std::clamp<std::size_t>(output_size, 1, kBlake2sHashSize))) {
  key = key.first(std::min(key.size(), kBlake2sHashSize));
  // The parameter block of RFC 7693 §2.5: digest length, key length, fanout 1, depth 1.
  state_[0] ^= 0x01010000 ^ static_cast<std::uint32_t>(key.size() << 8) ^ output_size_;
  if (!key.empty()) {
    std::memcpy(buffer_.data(), key.data(), key.size());
    buffered_ = kBlake2sBlockSize;
  }
}

void Blake2s::compress(const std::uint8_t* block, std::uint32_t count, bool last) {
  counted_ += count;
  Words m;
  Words v;
  for (unsigned i = 0; i < 16; ++i) m[i] = load_le32(block + 4 * i);
  for (unsigned i = 0; i < 8; ++i) {
    v[i] = state_[i];
    v[i + 8] = kIv[i];
  }
  v[12] ^= static_cast<std::uint32_t>(counted_);
  v[13] ^= static_cast<std::uint32_t>(counted_ >> 32);
  if (last) v[14] = ~v[14];
  round<0>(v, m);
  round<1>(v, m);
  round<2>(v, m);
  round<3>(v, m);
  round<4>(v, m);
  round<5>(v, m);
  round<6>(v, m);
  round<7>(v, m);
  round<8>(v, m);
  round<9>(v, m);
  for (unsigned i = 0; i < 8; ++i) state_[i] ^= v[i] ^ v[i + 8];
  wipe(m, sizeof m);
  wipe(v, sizeof v);
}

Blake2s& Blake2s::update(std::span<const std::uint8_t> bytes) {
  // The last block must be known as the last when it is compressed: a full buffer waits for more.
  while (!bytes.empty()) {
    if (buffered_ == kBlake2sBlockSize) {
      compress(buffer_.data(), kBlake2sBlockSize, false);
      buffered_ = 0;
    }
    const std::size_t count = std::min(bytes.size(), kBlake2sBlockSize - buffered_);
    std::memcpy(buffer_.data() + buffered_, bytes.data(), count);
    buffered_ += static_cast<std::uint32_t>(count);
    bytes = bytes.subspan(count);
  }
  return *this;
}

void Blake2s::finish(std::span<std::uint8_t> out) {
  std::memset(buffer_.data() + buffered_, 0, kBlake2sBlockSize - buffered_);
  compress(buffer_.data(), buffered_, true);
  Hash hash;
  for (unsigned i = 0; i < 8; ++i) store_le32(hash.data() + 4 * i, state_[i]);
  std::memcpy(out.data(), hash.data(), std::min<std::size_t>(out.size(), output_size_));
  wipe(hash);
  clear();
}

Hash blake2s_hash(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                  std::span<const std::uint8_t> c) {
  Hash hash;
  Blake2s().update(a).update(b).update(c).finish(hash);
  return hash;
}

Mac blake2s_mac16(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input) {
  Mac mac;
  Blake2s(kMacSize, key).update(input).finish(mac);
  return mac;
}

namespace {

// RFC 2104 with the two padded keys absorbed once: KDFn uses one key for every output.
class HmacKey {
 public:
  explicit HmacKey(std::span<const std::uint8_t> key) {
    std::array<std::uint8_t, kBlake2sBlockSize> block{};
    const WipeOnExit wiper(block);
    if (key.size() > kBlake2sBlockSize)
      Blake2s().update(key).finish(std::span(block).first(kBlake2sHashSize));
    else if (!key.empty())
      std::memcpy(block.data(), key.data(), key.size());
    for (auto& byte : block) byte ^= 0x36;
    inner_.update(block);
    for (auto& byte : block) byte ^= 0x36 ^ 0x5c;
    outer_.update(block);
  }

  void mac(Hash& out, std::span<const std::uint8_t> a, std::span<const std::uint8_t> b = {}) const {
    Blake2s(inner_).update(a).update(b).finish(out);
    Blake2s(outer_).update(out).finish(out);
  }

 private:
  Blake2s inner_;
  Blake2s outer_;
};

// tau0 = HMAC(key, input); tau1 = HMAC(tau0, 0x1); tau_i = HMAC(tau0, tau_(i-1) || i).
template <std::size_t N>
void kdf(const std::array<KdfOutput, N>& outputs, std::span<const std::uint8_t> key,
         std::span<const std::uint8_t> input) {
  Hash secret;
  Hash results[N];
  const WipeOnExit secret_wiper(secret);
  const WipeOnExit results_wiper(results);
  HmacKey(key).mac(secret, input);
  const HmacKey expand(secret);
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint8_t index[1] = {static_cast<std::uint8_t>(i + 1)};
    if (i == 0)
      expand.mac(results[0], index);
    else
      expand.mac(results[i], results[i - 1], index);
  }
  for (std::size_t i = 0; i < N; ++i) std::memcpy(outputs[i].data(), results[i].data(), kBlake2sHashSize);
}

}  // namespace

Hash hmac_blake2s(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input) {
  Hash hash;
  HmacKey(key).mac(hash, input);
  return hash;
}

void kdf1(KdfOutput t1, std::span<const std::uint8_t> key, std::span<const std::uint8_t> input) {
  kdf<1>({t1}, key, input);
}

void kdf2(KdfOutput t1, KdfOutput t2, std::span<const std::uint8_t> key,
          std::span<const std::uint8_t> input) {
  kdf<2>({t1, t2}, key, input);
}

void kdf3(KdfOutput t1, KdfOutput t2, KdfOutput t3, std::span<const std::uint8_t> key,
          std::span<const std::uint8_t> input) {
  kdf<3>({t1, t2, t3}, key, input);
}

}  // namespace greywire
