#include "router/packet/checksum.h"

#include <gtest/gtest.h>

#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;

TEST(Checksum, EveryLengthAndAlignmentAgreesWithThePlainSum) {
  std::mt19937_64 random(1);
  const Bytes data = test::random_bytes(random, 2200);
  for (std::size_t n = 0; n < 400; ++n) {
    for (std::size_t at = 0; at < 9; ++at) {
      const std::span<const std::uint8_t> range(data.data() + at, n);
      ASSERT_EQ(checksum_fold(checksum_add(range.data(), n, 0)) % 0xffff, test::plain_sum(range) % 0xffff)
          << n << " bytes at " << at;
    }
  }
  for (const std::size_t n : {1024U, 1420U, 1499U, 1500U, 2047U}) {
    EXPECT_EQ(checksum_finish(checksum_add(data.data() + 3, n, 0)),
              test::plain_checksum({data.data() + 3, n}))
        << n;
  }
}

// Long ranges of the largest and the smallest words: no lane may overflow.
TEST(Checksum, NoLengthOverflows) {
  for (const std::uint8_t byte : {std::uint8_t{0x00}, std::uint8_t{0xff}, std::uint8_t{0x80}, std::uint8_t{0x7f}}) {
    const Bytes data(3 << 20, byte);
    for (const std::size_t n : {std::size_t{65519}, std::size_t{65535}, std::size_t{65536}, std::size_t{65537}, data.size()}) {
      EXPECT_EQ(checksum_fold(checksum_add(data.data(), n, 0)) % 0xffff, test::plain_sum({data.data(), n}) % 0xffff)
          << n << " bytes " << int{byte};
    }
  }
}

TEST(Checksum, AnIpv4HeaderIsTwentyBytes) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 100; ++i) {
    const Bytes header = test::random_bytes(random, 20);
    EXPECT_EQ(checksum_finish(checksum_ipv4_header(header.data())), test::plain_checksum(header));
  }
}

TEST(Checksum, CopyCopiesExactlyAndSumsTheSame) {
  std::mt19937_64 random(2);
  const Bytes data = test::random_bytes(random, 2200);
  for (std::size_t n = 0; n < 400; ++n) {
    for (const std::size_t at : {0U, 1U, 5U}) {
      Bytes out(n + 2, 0xa5);
      const std::uint64_t sum = checksum_copy(out.data() + 1, data.data() + at, n, 0x1234);
      ASSERT_EQ(sum, checksum_add(data.data() + at, n, 0x1234));
      ASSERT_EQ(out.front(), 0xa5);
      ASSERT_EQ(out.back(), 0xa5);
      ASSERT_EQ(std::memcmp(out.data() + 1, data.data() + at, n), 0);
    }
  }
}

TEST(Checksum, NoCarryIsLost) {
  const Bytes ones(70000, 0xff);
  EXPECT_EQ(checksum_fold(checksum_add(ones.data(), ones.size(), ~std::uint64_t{0})), 0xffff);
  std::uint64_t sum = ~std::uint64_t{0};
  for (int i = 0; i < 100; ++i) sum = checksum_add(ones.data(), ones.size(), sum);
  EXPECT_EQ(checksum_fold(sum), 0xffff);
}

TEST(Checksum, RangesJoinAtEvenAndOddOffsets) {
  std::mt19937_64 random(3);
  const Bytes data = test::random_bytes(random, 301);
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    const std::uint64_t front = checksum_add(data.data(), cut, 0);
    std::uint64_t back = checksum_add(data.data() + cut, data.size() - cut, 0);
    if (cut % 2 != 0) back = checksum_odd(back);
    ASSERT_EQ(checksum_finish(checksum_join(front, back)), test::plain_checksum(data)) << "cut at " << cut;
  }
}

TEST(Checksum, Rfc1071Example) {
  const std::uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum_fold(checksum_add(data, sizeof data, 0)), 0xddf2);
}

TEST(Checksum, Rfc1624Examples) {
  // RFC 1624 §4: equation 3 gives 0x0000 where equation 2 goes wrong.
  EXPECT_EQ(checksum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

TEST(Checksum, UpdateEqualsANewSum) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 2000; ++i) {
    Bytes data = test::random_bytes(random, 40);
    const std::uint16_t before = checksum_finish(checksum_add(data.data(), data.size(), 0));
    const std::size_t at = random() % 20 * 2;
    const std::uint16_t old_word = load_be16(&data[at]);
    const auto new_word = static_cast<std::uint16_t>(random());
    store_be16(&data[at], new_word);
    ASSERT_EQ(checksum_update(before, old_word, new_word),
              checksum_finish(checksum_add(data.data(), data.size(), 0)));
  }
}

TEST(Checksum, PseudoHeaderOfBothFamilies) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Bytes p = test::udp_packet({.family = family, .payload = {1, 2, 3, 4, 5}});
    const std::size_t l4 = family == Family::kV4 ? 20 : 40;
    const auto length = static_cast<std::uint32_t>(p.size() - l4);
    EXPECT_EQ(checksum_fold(checksum_pseudo_header(p.data(), family, 17, length)),
              test::pseudo_sum(p, 0, l4, 17));
  }
}

TEST(Checksum, UdpNeverSaysZero) {
  const std::uint8_t ones[] = {0xff, 0xff};
  EXPECT_EQ(checksum_finish(checksum_add(ones, 2, 0)), 0);
  EXPECT_EQ(checksum_finish_udp(checksum_add(ones, 2, 0)), 0xffff);
}

TEST(Checksum, RightIsWhatFinishesToZero) {
  std::mt19937_64 random(7);
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    const std::uint64_t multiple = (i < 1000 ? i : random() % (~std::uint64_t{0} / 0xffff + 1)) * 0xffff;
    for (const std::uint64_t sum : {multiple, multiple + 1, multiple - 1, random()}) {
      ASSERT_EQ(checksum_right(sum), checksum_finish(sum) == 0) << sum;
    }
  }
  EXPECT_TRUE(checksum_right(~std::uint64_t{0}));
  EXPECT_FALSE(checksum_right(0)) << "no data";
}

}  // namespace
}  // namespace greywire
