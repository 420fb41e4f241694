// ChaCha20-Poly1305 of 16 packets at a time, one a lane: each vector holds the same word of 16 packets' states. Packets of
// a train are all of one size, so nothing is wasted on ends. What is not a run of equal sizes goes to another provider.
//
// ChaCha20: RFC 8439 §2.3. Poly1305: §2.5, in limbs of 44, 44 and 42 bits with AVX-512 IFMA. Constant time: nothing but
// sizes and addresses decides where it goes.
#include "router/crypto/aead_providers.h"

#if defined(__x86_64__)

#ifndef __clang__
// GCC 12 warns of its own _mm512_undefined_epi32().
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#ifndef __clang__
#pragma GCC diagnostic pop
#endif
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "router/base/byte_order.h"
#include "router/crypto/constant_time.h"
#include "router/crypto/wipe.h"

#define GREYWIRE_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512ifma,avx512vbmi2,avx512vnni")))
#define GREYWIRE_AVX512_INLINE GREYWIRE_AVX512 __attribute__((always_inline)) inline

namespace greywire {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kChunk = 64;  // a ChaCha20 block
constexpr std::size_t kLong = 4 * kChunk;  // from here on four powers of r pay

// Where sanitizers keep some frames elsewhere, more than all of them hold.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kStackElsewhere = 512 << 10;
#else
constexpr std::size_t kStackElsewhere = 0;
#endif

constexpr std::size_t kRedZone = 128;  // below the stack pointer a function may write too (System V ABI §3.2.2)

inline std::uintptr_t stack_pointer() {
  std::uintptr_t value;
  asm volatile("mov %%rsp, %0" : "=r"(value));
  return value;
}

// Up to 16 packets of one size. Lanes that are not used repeat the first one and write nothing.
struct Group {
  std::array<const std::uint8_t*, kLanes> in;
  std::array<std::uint8_t*, kLanes> out;
  std::array<std::uint64_t, kLanes> counters;
  std::array<std::array<std::uint8_t, kTagSize>, kLanes> tags;  // result
  std::array<std::uint64_t, kLanes> sums;                       // result, where asked for
  std::size_t used = 0;
  std::size_t size = 0;
  std::size_t head = 0;  // bytes of the plaintext at `out`
  std::size_t text = 0;  // `size` without padding
  std::uintptr_t stack_end = UINTPTR_MAX;  // how far down run() has used the stack; UINTPTR_MAX: not at all
};

using Words = __m512i[kLanes];

GREYWIRE_AVX512_INLINE void quarter_round(__m512i& a, __m512i& b, __m512i& c, __m512i& d) {
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 16);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 12);
  a = _mm512_add_epi32(a, b);
  d = _mm512_rol_epi32(_mm512_xor_si512(d, a), 8);
  c = _mm512_add_epi32(c, d);
  b = _mm512_rol_epi32(_mm512_xor_si512(b, c), 7);
}

// Rows become columns: x[w] with word w of 16 lanes becomes x[i] with the 16 words of lane i.
GREYWIRE_AVX512_INLINE void transpose(Words& x) {
  Words y;
  for (int q = 0; q < 4; ++q) {
    const __m512i a = _mm512_unpacklo_epi32(x[4 * q], x[4 * q + 1]);
    const __m512i b = _mm512_unpackhi_epi32(x[4 * q], x[4 * q + 1]);
    const __m512i c = _mm512_unpacklo_epi32(x[4 * q + 2], x[4 * q + 3]);
    const __m512i d = _mm512_unpackhi_epi32(x[4 * q + 2], x[4 * q + 3]);
    y[4 * q] = _mm512_unpacklo_epi64(a, c);
    y[4 * q + 1] = _mm512_unpackhi_epi64(a, c);
    y[4 * q + 2] = _mm512_unpacklo_epi64(b, d);
    y[4 * q + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i p = _mm512_shuffle_i32x4(y[j], y[4 + j], 0x44);
    const __m512i q = _mm512_shuffle_i32x4(y[j], y[4 + j], 0xee);
    const __m512i u = _mm512_shuffle_i32x4(y[8 + j], y[12 + j], 0x44);
    const __m512i v = _mm512_shuffle_i32x4(y[8 + j], y[12 + j], 0xee);
    x[j] = _mm512_shuffle_i32x4(p, u, 0x88);
    x[4 + j] = _mm512_shuffle_i32x4(p, u, 0xdd);
    x[8 + j] = _mm512_shuffle_i32x4(q, v, 0x88);
    x[12 + j] = _mm512_shuffle_i32x4(q, v, 0xdd);
  }
}

// What all blocks of a packet begin with: the state after the three quarter rounds of the first round that do not see the
// block's number, which will be x[12].
struct Opening {
  const std::uint8_t* key;
  __m512i counter_low, counter_high;
  Words x;
};

GREYWIRE_AVX512_INLINE __m512i key_word(const std::uint8_t* key, int i) {
  return _mm512_set1_epi32(static_cast<int>(load_le32(key + 4 * i)));
}
GREYWIRE_AVX512_INLINE __m512i constant_word(int i) {
  constexpr int kWords[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  return _mm512_set1_epi32(kWords[i]);
}

GREYWIRE_AVX512_INLINE void set_opening(Opening& opening, const std::uint8_t* key, __m512i counter_low, __m512i counter_high) {
  opening.key = key;
  opening.counter_low = counter_low;
  opening.counter_high = counter_high;
  Words& x = opening.x;
  for (int i = 0; i < 4; ++i) x[i] = constant_word(i), x[4 + i] = key_word(key, i), x[8 + i] = key_word(key, 4 + i);
  x[12] = x[13] = _mm512_setzero_si512(), x[14] = counter_low, x[15] = counter_high;
  for (int i = 1; i < 4; ++i) quarter_round(x[i], x[4 + i], x[8 + i], x[12 + i]);
}

GREYWIRE_AVX512_INLINE void columns(Words& x) {
  for (int i = 0; i < 4; ++i) quarter_round(x[i], x[4 + i], x[8 + i], x[12 + i]);
}
GREYWIRE_AVX512_INLINE void diagonals(Words& x) {
  for (int i = 0; i < 4; ++i) quarter_round(x[i], x[4 + (i + 1) % 4], x[8 + (i + 2) % 4], x[12 + (i + 3) % 4]);
}

// Block `number` of the key stream of each lane: afterwards x[i] is lane i's 64 bytes.
GREYWIRE_AVX512_INLINE void key_stream(const Opening& opening, std::uint32_t number, Words& x) {
  const __m512i block = _mm512_set1_epi32(static_cast<int>(number));
  for (int i = 0; i < 16; ++i) x[i] = opening.x[i];
  x[12] = block;
  quarter_round(x[0], x[4], x[8], x[12]);
  diagonals(x);
  for (int round = 1; round < 10; ++round) {
    columns(x);
    diagonals(x);
  }
  for (int i = 0; i < 4; ++i) x[i] = _mm512_add_epi32(x[i], constant_word(i));
  for (int i = 0; i < 8; ++i) x[4 + i] = _mm512_add_epi32(x[4 + i], key_word(opening.key, i));
  x[12] = _mm512_add_epi32(x[12], block);
  x[14] = _mm512_add_epi32(x[14], opening.counter_low), x[15] = _mm512_add_epi32(x[15], opening.counter_high);
  transpose(x);
}

// Eight lanes of 64 bytes become eight vectors: w[j] has the j-th 64-bit word of each lane.
GREYWIRE_AVX512_INLINE void words_of(const __m512i* lanes, __m512i (&w)[8]) {
  __m512i low[4], high[4];
  for (int q = 0; q < 4; ++q) {
    low[q] = _mm512_unpacklo_epi64(lanes[2 * q], lanes[2 * q + 1]);
    high[q] = _mm512_unpackhi_epi64(lanes[2 * q], lanes[2 * q + 1]);
  }
  for (int odd = 0; odd < 2; ++odd) {
    const __m512i* v = odd != 0 ? high : low;
    const __m512i p = _mm512_shuffle_i64x2(v[0], v[1], 0x44), q = _mm512_shuffle_i64x2(v[0], v[1], 0xee);
    const __m512i r = _mm512_shuffle_i64x2(v[2], v[3], 0x44), s = _mm512_shuffle_i64x2(v[2], v[3], 0xee);
    w[odd] = _mm512_shuffle_i64x2(p, r, 0x88);
    w[2 + odd] = _mm512_shuffle_i64x2(p, r, 0xdd);
    w[4 + odd] = _mm512_shuffle_i64x2(q, s, 0x88);
    w[6 + odd] = _mm512_shuffle_i64x2(q, s, 0xdd);
  }
}

// Numbers modulo 2^130 - 5 of eight packets, in limbs of 44, 44 and 42 bits: what is multiplied has limbs below 2^46, and
// IFMA takes 52 bits.
struct Limbs {
  __m512i h0, h1, h2;
};
// A power of r: limbs below 2^45, s = 20 r (2^132 is 20 modulo 2^130 - 5) below 2^50.
struct Factor {
  __m512i r0, r1, r2, s1, s2;
};
// Sums of products. The high halves weigh 2^52: 2^8 of the next limb, 2^10 after the last. Of 16 products each: l stays
// below 2^56, u below 2^46, and u2, in which no s is, below 2^42.
struct Products {
  __m512i l0, u0, l1, u1, l2, u2;
};

struct Poly {
  Factor power[4];  // r to r^4; without the last three where packets are short
  Products bit;     // 2^128 r: that bit stands above each block
  Products bits;    // 2^128 (r + r^2 + r^3 + r^4)
  Limbs h;
};

GREYWIRE_AVX512_INLINE __m512i mask44() { return _mm512_set1_epi64(0xfffffffffff); }
GREYWIRE_AVX512_INLINE __m512i mask42() { return _mm512_set1_epi64(0x3ffffffffff); }
GREYWIRE_AVX512_INLINE __m512i five_times(__m512i x) { return _mm512_add_epi64(x, _mm512_slli_epi64(x, 2)); }

GREYWIRE_AVX512_INLINE void multiply_add(Products& p, const Limbs& a, const Factor& f) {
  p.l0 = _mm512_madd52lo_epu64(p.l0, a.h0, f.r0), p.u0 = _mm512_madd52hi_epu64(p.u0, a.h0, f.r0);
  p.l1 = _mm512_madd52lo_epu64(p.l1, a.h0, f.r1), p.u1 = _mm512_madd52hi_epu64(p.u1, a.h0, f.r1);
  p.l2 = _mm512_madd52lo_epu64(p.l2, a.h0, f.r2), p.u2 = _mm512_madd52hi_epu64(p.u2, a.h0, f.r2);
  p.l0 = _mm512_madd52lo_epu64(p.l0, a.h1, f.s2), p.u0 = _mm512_madd52hi_epu64(p.u0, a.h1, f.s2);
  p.l1 = _mm512_madd52lo_epu64(p.l1, a.h1, f.r0), p.u1 = _mm512_madd52hi_epu64(p.u1, a.h1, f.r0);
  p.l2 = _mm512_madd52lo_epu64(p.l2, a.h1, f.r1), p.u2 = _mm512_madd52hi_epu64(p.u2, a.h1, f.r1);
  p.l0 = _mm512_madd52lo_epu64(p.l0, a.h2, f.s1), p.u0 = _mm512_madd52hi_epu64(p.u0, a.h2, f.s1);
  p.l1 = _mm512_madd52lo_epu64(p.l1, a.h2, f.s2), p.u1 = _mm512_madd52hi_epu64(p.u1, a.h2, f.s2);
  p.l2 = _mm512_madd52lo_epu64(p.l2, a.h2, f.r0), p.u2 = _mm512_madd52hi_epu64(p.u2, a.h2, f.r0);
}

// Afterwards h0 is below 2^44, h1 below 2^44 + 2^12, h2 below 2^42.
GREYWIRE_AVX512_INLINE Limbs carry(Products p) {
  p.l1 = _mm512_add_epi64(p.l1, _mm512_add_epi64(_mm512_srli_epi64(p.l0, 44), _mm512_slli_epi64(p.u0, 8)));
  p.l2 = _mm512_add_epi64(p.l2, _mm512_add_epi64(_mm512_srli_epi64(p.l1, 44), _mm512_slli_epi64(p.u1, 8)));
  const __m512i over = _mm512_add_epi64(_mm512_srli_epi64(p.l2, 42), _mm512_slli_epi64(p.u2, 10));
  p.l0 = _mm512_add_epi64(_mm512_and_si512(p.l0, mask44()), five_times(over));
  return {_mm512_and_si512(p.l0, mask44()),
          _mm512_add_epi64(_mm512_and_si512(p.l1, mask44()), _mm512_srli_epi64(p.l0, 44)),
          _mm512_and_si512(p.l2, mask42())};
}

GREYWIRE_AVX512_INLINE Factor factor(const Limbs& r) {
  return {r.h0, r.h1, r.h2, _mm512_slli_epi64(five_times(r.h1), 2), _mm512_slli_epi64(five_times(r.h2), 2)};
}

GREYWIRE_AVX512_INLINE Limbs multiplied(const Limbs& a, const Factor& f) {
  const __m512i zero = _mm512_setzero_si512();
  Products p{zero, zero, zero, zero, zero, zero};
  multiply_add(p, a, f);
  return carry(p);
}

// A block without its upper bit, which Poly::bit and Poly::bits hold.
GREYWIRE_AVX512_INLINE Limbs limbs_of(__m512i low, __m512i high) {
  return {_mm512_and_si512(low, mask44()), _mm512_and_si512(_mm512_shrdi_epi64(low, high, 44), mask44()),
          _mm512_srli_epi64(high, 24)};
}

GREYWIRE_AVX512_INLINE void set_key(Poly& p, __m512i r_low, __m512i r_high, bool is_long) {
  const __m512i zero = _mm512_setzero_si512();
  const Limbs upper_bit{zero, zero, _mm512_set1_epi64(std::int64_t{1} << 40)};
  const Limbs r = limbs_of(_mm512_and_si512(r_low, _mm512_set1_epi64(0x0ffffffc0fffffff)),
                           _mm512_and_si512(r_high, _mm512_set1_epi64(0x0ffffffc0ffffffc)));
  p.h = {zero, zero, zero};
  p.power[0] = factor(r);
  p.bit = {zero, zero, zero, zero, zero, zero};
  multiply_add(p.bit, upper_bit, p.power[0]);
  if (!is_long) return;
  p.bits = p.bit;
  Limbs power = r;
  for (int i = 1; i < 4; ++i) {
    power = multiplied(power, p.power[0]);
    p.power[i] = factor(power);
    multiply_add(p.bits, upper_bit, p.power[i]);
  }
}

GREYWIRE_AVX512_INLINE Limbs sum(const Limbs& a, const Limbs& b) {
  return {_mm512_add_epi64(a.h0, b.h0), _mm512_add_epi64(a.h1, b.h1), _mm512_add_epi64(a.h2, b.h2)};
}

// h = (h + block + 2^128) r.
GREYWIRE_AVX512_INLINE void add_block(Poly& p, __m512i low, __m512i high) {
  Products products = p.bit;
  multiply_add(products, sum(p.h, limbs_of(low, high)), p.power[0]);
  p.h = carry(products);
}

// The same for four, the words of which are in w: (h + block) r^4 + block r^3 + block r^2 + block r. One carry for four.
GREYWIRE_AVX512_INLINE void add_four(Poly& p, const __m512i (&w)[8]) {
  Products products = p.bits;
  multiply_add(products, sum(p.h, limbs_of(w[0], w[1])), p.power[3]);
  multiply_add(products, limbs_of(w[2], w[3]), p.power[2]);
  multiply_add(products, limbs_of(w[4], w[5]), p.power[1]);
  multiply_add(products, limbs_of(w[6], w[7]), p.power[0]);
  p.h = carry(products);
}

// The tags of eight lanes: h modulo 2^130 - 5, plus s modulo 2^128.
GREYWIRE_AVX512_INLINE void finish(const Poly& p, __m512i s_low, __m512i s_high, std::array<std::uint8_t, kTagSize>* tags) {
  auto [h0, h1, h2] = p.h;
  // Once is enough: where h2 goes over, h1 was at least 2^44, so what is left of it is small and nothing carries again.
  h2 = _mm512_add_epi64(h2, _mm512_srli_epi64(h1, 44));
  h1 = _mm512_and_si512(h1, mask44());
  const __m512i over = _mm512_srli_epi64(h2, 42);
  h2 = _mm512_and_si512(h2, mask42());
  h0 = _mm512_add_epi64(h0, five_times(over));
  h1 = _mm512_add_epi64(h1, _mm512_srli_epi64(h0, 44));
  h0 = _mm512_and_si512(h0, mask44());
  // g = h + 5 - 2^130, taken where it is not negative.
  __m512i g0 = _mm512_add_epi64(h0, _mm512_set1_epi64(5));
  __m512i g1 = _mm512_add_epi64(h1, _mm512_srli_epi64(g0, 44));
  const __m512i g2 = _mm512_add_epi64(h2, _mm512_srli_epi64(g1, 44));
  g0 = _mm512_and_si512(g0, mask44());
  g1 = _mm512_and_si512(g1, mask44());
  const __mmask8 beyond = _mm512_cmpge_epu64_mask(g2, _mm512_set1_epi64(std::int64_t{1} << 42));
  h0 = _mm512_mask_mov_epi64(h0, beyond, g0);
  h1 = _mm512_mask_mov_epi64(h1, beyond, g1);
  h2 = _mm512_mask_mov_epi64(h2, beyond, _mm512_and_si512(g2, mask42()));
  const __m512i low = _mm512_or_si512(h0, _mm512_slli_epi64(h1, 44));
  const __m512i high = _mm512_or_si512(_mm512_srli_epi64(h1, 20), _mm512_slli_epi64(h2, 24));
  const __m512i sum_low = _mm512_add_epi64(low, s_low);
  const __mmask8 carried = _mm512_cmplt_epu64_mask(sum_low, low);
  __m512i sum_high = _mm512_add_epi64(high, s_high);
  sum_high = _mm512_mask_add_epi64(sum_high, carried, sum_high, _mm512_set1_epi64(1));
  alignas(64) std::uint64_t lows[8], highs[8];
  _mm512_store_si512(lows, sum_low);
  _mm512_store_si512(highs, sum_high);
  for (int i = 0; i < 8; ++i) {
    store_le64(tags[i].data(), lows[i]);
    store_le64(tags[i].data() + 8, highs[i]);
  }
}

enum class Task : std::uint8_t { kSeal, kOpen, kOpenAndSum };

// The Internet checksum of each lane's plaintext, while it is at hand: 16-bit words made signed by turning their top bit, so that
// VNNI adds two products of one at a time. Of 64 KiB a lane's sixteen sums stay below 2^26.
constexpr std::size_t kMaxSummed = 64 << 10;
constexpr std::int64_t kTurned = 32 * 0x8000;  // what turning takes off the 32 words of a vector

GREYWIRE_AVX512_INLINE __m512i add_words(__m512i sum, __m512i x) {
  const __m512i top = _mm512_set1_epi16(static_cast<short>(0x8000)), one = _mm512_set1_epi16(1);
  return _mm512_dpwssd_epi32(sum, _mm512_xor_si512(x, top), one);
}

GREYWIRE_AVX512_INLINE void finish_sums(Words& sums, Group& group) {
  transpose(sums);
  for (std::size_t n = kLanes / 2; n != 0; n /= 2) {
    for (std::size_t i = 0; i < n; ++i) sums[i] = _mm512_add_epi32(sums[i], sums[n + i]);
  }
  alignas(64) std::int32_t lanes[kLanes];
  _mm512_store_si512(lanes, sums[0]);
  const auto turned = static_cast<std::int64_t>((group.size + kChunk - 1) / kChunk) * kTurned;
  for (std::size_t i = 0; i < kLanes; ++i) group.sums[i] = static_cast<std::uint64_t>(turned + lanes[i]);
}

// 64 bytes of each of 16 lanes.
template <Task kTask>
GREYWIRE_AVX512_INLINE void whole_chunk(const Opening& opening, const Group& group, std::size_t at, Poly& first, Poly& second,
                                        Words& sums) {
  const std::uint8_t* const* from = at < group.head ? group.out.data() : group.in.data();
  Words x, text;
  key_stream(opening, static_cast<std::uint32_t>(at / kChunk + 1), x);
  for (std::size_t i = 0; i < kLanes; ++i) {
    const __m512i in = _mm512_loadu_si512(from[i] + at);
    x[i] = _mm512_xor_si512(in, x[i]);
    text[i] = kTask == Task::kSeal ? x[i] : in;
    if constexpr (kTask == Task::kOpenAndSum) sums[i] = add_words(sums[i], x[i]);
  }
  for (std::size_t i = 0; i < group.used; ++i) _mm512_storeu_si512(group.out[i] + at, x[i]);
  __m512i words[8];
  words_of(&text[0], words);
  add_four(first, words);
  words_of(&text[8], words);
  add_four(second, words);
}

GREYWIRE_AVX512_INLINE __mmask64 first_bytes(std::size_t n) {
  return n >= kChunk ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
}

// The last ones, or all of short packets: at most 64 bytes, of which the last block of 16 is filled up with zeros.
template <Task kTask>
GREYWIRE_AVX512_INLINE void chunk(const Opening& opening, const Group& group, std::size_t at, Poly& first, Poly& second,
                                  Words& sums) {
  const std::size_t bytes = std::min(kChunk, group.size - at);
  const __mmask64 mask = first_bytes(bytes);
  const __mmask64 in_mask = group.text < at + bytes ? first_bytes(group.text - std::min(group.text, at)) : mask;
  const std::uint8_t* const* from = at < group.head ? group.out.data() : group.in.data();
  Words x, text;
  key_stream(opening, static_cast<std::uint32_t>(at / kChunk + 1), x);
  for (std::size_t i = 0; i < kLanes; ++i) {
    const __m512i in = _mm512_maskz_loadu_epi8(in_mask, from[i] + at);
    x[i] = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(in, x[i]));
    text[i] = kTask == Task::kSeal ? x[i] : in;
    if constexpr (kTask == Task::kOpenAndSum) sums[i] = add_words(sums[i], x[i]);
  }
  for (std::size_t i = 0; i < group.used; ++i) _mm512_mask_storeu_epi8(group.out[i] + at, mask, x[i]);
  __m512i a[8], b[8];
  words_of(&text[0], a);
  words_of(&text[8], b);
  for (std::size_t i = 0; i < (bytes + 15) / 16; ++i) {
    add_block(first, a[2 * i], a[2 * i + 1]);
    add_block(second, b[2 * i], b[2 * i + 1]);
  }
}

// Limbs of one-time keys are left in them. For the end of a function that returns nothing in one.
GREYWIRE_AVX512_INLINE void clear_registers() {
  _mm256_zeroall();
  asm volatile(
      "vpxorq %%zmm16, %%zmm16, %%zmm16\n vpxorq %%zmm17, %%zmm17, %%zmm17\n vpxorq %%zmm18, %%zmm18, %%zmm18\n"
      "vpxorq %%zmm19, %%zmm19, %%zmm19\n vpxorq %%zmm20, %%zmm20, %%zmm20\n vpxorq %%zmm21, %%zmm21, %%zmm21\n"
      "vpxorq %%zmm22, %%zmm22, %%zmm22\n vpxorq %%zmm23, %%zmm23, %%zmm23\n vpxorq %%zmm24, %%zmm24, %%zmm24\n"
      "vpxorq %%zmm25, %%zmm25, %%zmm25\n vpxorq %%zmm26, %%zmm26, %%zmm26\n vpxorq %%zmm27, %%zmm27, %%zmm27\n"
      "vpxorq %%zmm28, %%zmm28, %%zmm28\n vpxorq %%zmm29, %%zmm29, %%zmm29\n vpxorq %%zmm30, %%zmm30, %%zmm30\n"
      "vpxorq %%zmm31, %%zmm31, %%zmm31"
      :
      :
      : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28",
        "xmm29", "xmm30", "xmm31");
}

template <Task kTask>
GREYWIRE_AVX512 __attribute__((noinline)) void run(const std::uint8_t* key, Group& group) {
  alignas(64) std::uint32_t low[kLanes], high[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    low[i] = static_cast<std::uint32_t>(group.counters[i]);
    high[i] = static_cast<std::uint32_t>(group.counters[i] >> 32);
  }
  Opening opening;
  set_opening(opening, key, _mm512_load_si512(low), _mm512_load_si512(high));
  Words x;
  __m512i a[8], b[8];
  key_stream(opening, 0, x);  // 32 bytes of each lane: r and s
  words_of(&x[0], a);
  words_of(&x[8], b);
  const bool is_long = group.size >= kLong;
  Poly first, second;
  set_key(first, a[0], a[1], is_long);
  set_key(second, b[0], b[1], is_long);
  Words sums;
  if constexpr (kTask == Task::kOpenAndSum) std::fill(std::begin(sums), std::end(sums), _mm512_setzero_si512());
  std::size_t at = 0;
  if (is_long) {
    for (; at + kChunk <= group.text; at += kChunk) whole_chunk<kTask>(opening, group, at, first, second, sums);
  }
  for (; at < group.size; at += kChunk) chunk<kTask>(opening, group, at, first, second, sums);
  const __m512i size = _mm512_set1_epi64(static_cast<std::int64_t>(group.size));
  add_block(first, _mm512_setzero_si512(), size);
  add_block(second, _mm512_setzero_si512(), size);
  finish(first, a[2], a[3], &group.tags[0]);
  finish(second, b[2], b[3], &group.tags[8]);
  if constexpr (kTask == Task::kOpenAndSum) finish_sums(sums, group);
  group.stack_end = std::min(group.stack_end, stack_pointer());
  clear_registers();
}

// Whether sixteen lanes cost less than so many single packets by intel-ipsec-mb, the other provider where there is one. Measured on a
// Sapphire Rapids, in nanoseconds: a packet of 64, 576, 1,420 bytes alone 107, 271, 426; in sixteen lanes, however many of
// them are used, 507, 2,240, 5,100. On a Zen 4 all are longer, alike.
bool worth_it(std::size_t packets, std::size_t size) { return packets * (100 + size / 4) > 250 + size * 32 / 9; }

class Avx512Aead final : public Aead {
 public:
  explicit Avx512Aead(std::unique_ptr<Aead> others) : others_(std::move(others)) {}
  std::string_view name() const override { return aead_provider_name(AeadProvider::kAvx512); }

  void seal(const SymmetricKey& key, std::span<const SealJob> jobs) override {
    each_run(jobs, [&](std::span<const SealJob> run_jobs) {
      fill(run_jobs);
      run<Task::kSeal>(key.data(), group_);
      for (std::size_t i = 0; i < run_jobs.size(); ++i) {
        std::copy(group_.tags[i].begin(), group_.tags[i].end(), run_jobs[i].out + run_jobs[i].size);
      }
    }, [&](std::span<const SealJob> rest) { others_->seal(key, rest); });
  }

  void open(const SymmetricKey& key, std::span<OpenJob> jobs) override { open_as<Task::kOpen>(key, jobs); }
  void open_and_sum(const SymmetricKey& key, std::span<OpenJob> jobs) override { open_as<Task::kOpenAndSum>(key, jobs); }
  bool gathers(std::size_t packets, std::size_t size) const override { return worth_it(packets, size); }

 private:
  template <Task kTask>
  void open_as(const SymmetricKey& key, std::span<OpenJob> jobs) {
    each_run(jobs, [&](std::span<OpenJob> run_jobs) {
      fill(run_jobs);
      const bool summed = kTask == Task::kOpenAndSum && group_.size <= kMaxSummed;
      if (summed) {
        run<Task::kOpenAndSum>(key.data(), group_);
      } else {
        run<Task::kOpen>(key.data(), group_);
      }
      for (std::size_t i = 0; i < run_jobs.size(); ++i) {
        OpenJob& job = run_jobs[i];
        job.sum = summed ? group_.sums[i] : 0;
        job.ok = constant_time_equal<kTagSize>(group_.tags[i], std::span<const std::uint8_t, kTagSize>(job.in + job.size, kTagSize));
        if (!job.ok && job.size != 0) wipe(job.out, job.size);
      }
    }, [&](std::span<OpenJob> rest) { others_->open_and_sum(key, rest); });
  }

  static bool alike(const SealJob& a, const SealJob& b) { return a.size == b.size && a.head == b.head && a.padding == b.padding; }
  static bool alike(const OpenJob& a, const OpenJob& b) { return a.size == b.size; }

  // Calls `fast` with runs of equal size, at most 16 jobs each, and `slow` with what stands alone.
  template <class Job, class Fast, class Slow>
  void each_run(std::span<Job> jobs, Fast&& fast, Slow&& slow) {
    while (!jobs.empty()) {
      std::size_t count = 1;
      while (count < jobs.size() && count < kLanes && alike(jobs[count], jobs[0])) ++count;
      if (worth_it(count, jobs[0].size)) {
        fast(jobs.first(count));
      } else {
        slow(jobs.first(count));
      }
      jobs = jobs.subspan(count);
    }
    if (group_.stack_end == UINTPTR_MAX) return;
    sodium_stackzero(stack_pointer() - std::exchange(group_.stack_end, UINTPTR_MAX) + kRedZone + kStackElsewhere);
    wipe(group_.tags.data(), sizeof group_.tags);
    wipe(group_.sums.data(), sizeof group_.sums);
  }
  template <class Job>
  void fill(std::span<Job> jobs) {
    group_.used = jobs.size();
    group_.size = group_.text = jobs[0].size;
    group_.head = 0;
    if constexpr (std::is_same_v<std::remove_const_t<Job>, SealJob>) {
      group_.head = jobs[0].head;
      group_.text -= jobs[0].padding;
    }
    for (std::size_t i = 0; i < kLanes; ++i) {
      const Job& job = jobs[i < jobs.size() ? i : 0];
      group_.in[i] = job.in;
      group_.out[i] = job.out;
      group_.counters[i] = job.counter;
    }
  }

  std::unique_ptr<Aead> others_;
  Group group_;
};

}  // namespace

bool avx512_available() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni");
}

std::unique_ptr<Aead> make_avx512_aead() {
  if (!avx512_available()) throw std::runtime_error("this CPU lacks AVX-512 with IFMA, VBMI2 and VNNI");
  return std::make_unique<Avx512Aead>(ipsec_mb_available() ? make_ipsec_mb_aead() : make_sodium_aead());
}

}  // namespace greywire

#else

#include <stdexcept>

namespace greywire {

bool avx512_available() { return false; }
std::unique_ptr<Aead> make_avx512_aead() { throw std::runtime_error("for x86-64 only"); }

}  // namespace greywire

#endif
