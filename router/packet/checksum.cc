#include "router/packet/checksum.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace greywire {
namespace {

std::uint64_t load64(const std::uint8_t* p) {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The words of a sum are in memory order, so a single trailing byte is the low half of a little-endian word.
template <bool kCopy>
std::uint64_t tail(std::uint8_t* dst, const std::uint8_t* src, std::size_t n, std::uint64_t sum) {
  std::uint64_t last = 0;
  std::memcpy(&last, src, n);
  if constexpr (kCopy) std::memcpy(dst, &last, n);
  return checksum_join(sum, last);
}

template <bool kCopy>
std::uint64_t sum_words(std::uint8_t* dst, const std::uint8_t* src, std::size_t n, std::uint64_t sum) {
  while (n >= 8) {
    const std::uint64_t word = load64(src);
    if constexpr (kCopy) {
      std::memcpy(dst, &word, sizeof word);
      dst += 8;
    }
    sum = checksum_join(sum, word);
    src += 8;
    n -= 8;
  }
  return n == 0 ? sum : tail<kCopy>(dst, src, n, sum);
}

#if defined(__x86_64__)
// 32-bit words into 64-bit lanes: no lane overflows before 2^32 additions.
template <bool kCopy>
__attribute__((target("avx2"))) std::uint64_t sum_avx2(std::uint8_t* dst, const std::uint8_t* src,
                                                       std::size_t n, std::uint64_t sum) {
  const __m256i zero = _mm256_setzero_si256();
  __m256i low = zero;
  __m256i high = zero;
  const auto step = [&](std::size_t at) __attribute__((target("avx2"))) {
    const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + at));
    if constexpr (kCopy) _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + at), words);
    low = _mm256_add_epi64(low, _mm256_unpacklo_epi32(words, zero));
    high = _mm256_add_epi64(high, _mm256_unpackhi_epi32(words, zero));
  };
  while (n >= 64) {
    step(0);
    step(32);
    src += 64;
    if constexpr (kCopy) dst += 64;
    n -= 64;
  }
  if (n >= 32) {
    step(0);
    src += 32;
    if constexpr (kCopy) dst += 32;
    n -= 32;
  }
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi64(low, high));
  for (const std::uint64_t lane : lanes) sum = checksum_join(sum, lane);
  return sum_words<kCopy>(dst, src, n, sum);
}

// Words made signed by turning their top bit, so that VNNI adds two products of one at a time; what that took off is put back
// for all of them at the end. One lane holds the whole of 64 KiB.
constexpr std::size_t kVnniMax = 64 << 10;
#define GREYWIRE_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
template <bool kCopy>
GREYWIRE_VNNI std::uint64_t sum_vnni(std::uint8_t* dst, const std::uint8_t* src, std::size_t n, std::uint64_t sum) {
  constexpr std::int64_t kTurned = 32 * 0x8000;  // of the 32 words of a vector
  const __m512i top = _mm512_set1_epi16(static_cast<short>(0x8000));
  const __m512i one = _mm512_set1_epi16(1);
  __m512i even = _mm512_setzero_si512();
  __m512i odd = _mm512_setzero_si512();
  std::int64_t turned = 0;
  const auto step = [&](std::size_t at, __m512i& lanes) GREYWIRE_VNNI {
    const __m512i words = _mm512_loadu_si512(src + at);
    if constexpr (kCopy) _mm512_storeu_si512(dst + at, words);
    lanes = _mm512_dpwssd_epi32(lanes, _mm512_xor_si512(words, top), one);
    turned += kTurned;
  };
  std::size_t at = 0;
  for (; at + 128 <= n; at += 128) {
    step(at, even);
    step(at + 64, odd);
  }
  if (at + 64 <= n) {
    step(at, even);
    at += 64;
  }
  if (at < n) {
    const __mmask64 rest = (std::uint64_t{1} << (n - at)) - 1;
    const __m512i words = _mm512_maskz_loadu_epi8(rest, src + at);
    if constexpr (kCopy) _mm512_mask_storeu_epi8(dst + at, rest, words);
    odd = _mm512_dpwssd_epi32(odd, _mm512_xor_si512(words, top), one);
    turned += kTurned;
  }
  alignas(64) std::int32_t lanes[16];
  _mm512_store_si512(lanes, _mm512_add_epi32(even, odd));
  std::int32_t all = 0;
  for (const std::int32_t lane : lanes) all += lane;
  return checksum_join(sum, static_cast<std::uint64_t>(turned + all));
}
#undef GREYWIRE_VNNI

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
const bool kHasVnni = __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
#endif

template <bool kCopy>
std::uint64_t sum_range(std::uint8_t* dst, const std::uint8_t* src, std::size_t n, std::uint64_t initial) {
#if defined(__x86_64__)
  if (n >= 64 && n <= kVnniMax && kHasVnni) return sum_vnni<kCopy>(dst, src, n, initial);
  if (n >= 64 && kHasAvx2) return sum_avx2<kCopy>(dst, src, n, initial);
#endif
  return sum_words<kCopy>(dst, src, n, initial);
}

}  // namespace

std::uint64_t checksum_add(const std::uint8_t* p, std::size_t n, std::uint64_t initial) {
  return sum_range<false>(nullptr, p, n, initial);
}

std::uint64_t checksum_copy(std::uint8_t* dst, const std::uint8_t* src, std::size_t n,
                            std::uint64_t initial) {
  return sum_range<true>(dst, src, n, initial);
}

std::uint64_t checksum_addresses(const std::uint8_t* ip_header, Family family) {
  if (family == Family::kV4) return load64(ip_header + 12);
  std::uint64_t sum = load64(ip_header + 8);
  for (std::size_t at = 16; at < 40; at += 8) sum = checksum_join(sum, load64(ip_header + at));
  return sum;
}

std::uint64_t checksum_pseudo_header(const std::uint8_t* ip_header, Family family, std::uint8_t protocol,
                                     std::uint32_t length) {
  const std::uint64_t sum = checksum_add_word32(length, checksum_addresses(ip_header, family));
  return checksum_add_word(protocol, sum);
}

}  // namespace greywire
