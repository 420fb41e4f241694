#include "router/gre/sequence.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace greywire::gre {
namespace {

// The rule of the Linux kernel (net/ipv4/ip_tunnel.c) in words: with a number expected, what lies up to 2^31 behind it is
// dropped; what is taken sets the next one; 0 expects anything.
struct KernelReceiver {
  std::uint32_t expected = 0;
  bool accept(std::uint32_t sequence) {
    if (expected != 0 && static_cast<std::int32_t>(sequence - expected) < 0) return false;
    expected = sequence + 1;
    return true;
  }
};

TEST(SequenceOut, BeginsAnewForWhoeverExpectsWhatever) {
  for (const std::uint32_t expected : {0U, 1U, 9U, 0x7ffffffeU, 0x7fffffffU, 0x80000000U, 0x80000001U, 0xc0000000U, 0xffffffffU}) {
    // Also when one of the first numbers is lost on the way.
    for (std::uint64_t lost = 0; lost <= SequenceOut::kLeadIn; ++lost) {
      KernelReceiver receiver{expected};
      SequenceOut out;
      std::size_t dropped = 0;
      for (std::uint64_t i = 0; i < SequenceOut::kLeadIn; ++i) {
        const std::uint32_t sequence = SequenceOut::at(out.claim(1));
        if (i != lost && !receiver.accept(sequence)) ++dropped;
      }
      EXPECT_LE(dropped, 2U) << expected << ' ' << lost;
      for (std::uint32_t i = 0; i < 100; ++i) {
        const std::uint32_t sequence = SequenceOut::at(out.claim(1));
        EXPECT_EQ(sequence, i);
        EXPECT_TRUE(lost == SequenceOut::kLeadIn - 1 || receiver.accept(sequence)) << expected << ' ' << lost << ' ' << i;
      }
    }
  }
}

TEST(SequenceOut, ClaimsAreDisjoint) {
  SequenceOut out;
  EXPECT_EQ(out.claim(40), 0U);
  EXPECT_EQ(out.claim(1), 40U);
  EXPECT_EQ(SequenceOut::at(40), 32U);
  EXPECT_EQ(SequenceOut::at(SequenceOut::kLeadIn + 0x100000005ULL), 5U) << "32 bits";
}

TEST(SequenceIn, OlderOnesAreDropped) {
  struct Step {
    std::uint32_t sequence;
    bool taken;
  };
  SequenceIn in;
  for (const Step& step : {Step{1000, true}, Step{1001, true}, Step{1001, false}, Step{1003, true}, Step{1002, false},
                           Step{0x80000000U, true}, Step{1004, false}, Step{0xffffffff, true}, Step{0, true},
                           Step{0xfffffffe, false}, Step{5, true}, Step{1, false}, Step{6, true}}) {
    EXPECT_EQ(in.accept(step.sequence), step.taken) << step.sequence;
  }
}

TEST(SequenceIn, ASenderThatBeganAnewIsHeardAfterAFewPackets) {
  SequenceIn in;
  for (std::uint32_t i = 0; i < 100'000; ++i) ASSERT_TRUE(in.accept(i));
  std::uint32_t taken = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) taken += in.accept(i) ? 1U : 0U;
  EXPECT_EQ(taken, 1000 - (SequenceIn::kRestart - 1));
}

TEST(SequenceIn, AFewStragglersDoNotLookLikeOne) {
  SequenceIn in;
  std::uint32_t next = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(in.accept(next++));
    for (std::uint32_t i = 2; i < SequenceIn::kRestart; ++i) ASSERT_FALSE(in.accept(next - i));
  }
}

}  // namespace
}  // namespace greywire::gre
