#include "routing/zapi/frame.h"

#include <gtest/gtest.h>

#include "tests/unit/routing/zapi/wire.h"

namespace greywire::routing::zapi {
namespace {

using test::append;
using test::message;

struct Copy {
  std::uint32_t vrf;
  std::uint16_t command;
  Bytes body;
  friend bool operator==(const Copy&, const Copy&) = default;
};

// Reads a piece with the buffer gone afterwards, as a socket's is.
void read_piece(FrameReader& reader, std::span<const std::uint8_t> piece, std::vector<Copy>& out) {
  const Bytes own(piece.begin(), piece.end());
  reader.feed(own);
  while (true) {
    const auto frame = reader.next();
    ASSERT_TRUE(frame.has_value()) << frame.error().text;
    if (!*frame) return;
    out.push_back({(*frame)->vrf, (*frame)->command, {(*frame)->body.begin(), (*frame)->body.end()}});
  }
}

TEST(FrameReader, AnyCutOfAStreamGivesTheSameMessages) {
  const auto stream = test::read_capture("01_startup_dump_8.4.4_rx.bin");
  ASSERT_EQ(stream.size(), 1371U);
  std::vector<Copy> whole;
  FrameReader first;
  read_piece(first, stream, whole);
  ASSERT_EQ(whole.size(), 25U);
  EXPECT_EQ(first.buffered(), 0U);

  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameReader reader;
    std::vector<Copy> frames;
    read_piece(reader, std::span(stream).first(cut), frames);
    read_piece(reader, std::span(stream).subspan(cut), frames);
    ASSERT_EQ(frames, whole) << "cut at " << cut;
  }
  for (std::size_t step : {1U, 2U, 3U, 7U, 11U, 100U}) {
    FrameReader reader;
    std::vector<Copy> frames;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      read_piece(reader, std::span(stream).subspan(at, std::min(step, stream.size() - at)), frames);
    }
    ASSERT_EQ(frames, whole) << "pieces of " << step;
  }
}

TEST(FrameReader, TakesTheLargestMessage) {
  const auto large = message(30, Bytes(65535 - kHeaderBytes, 0x5a));
  FrameReader reader;
  std::vector<Copy> frames;
  read_piece(reader, std::span(large).first(60000), frames);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(reader.buffered(), 60000U);
  read_piece(reader, std::span(large).subspan(60000), frames);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].body.size(), 65525U);
}

TEST(FrameReader, RefusesWhatIsNoHeader) {
  struct Case {
    const char* what;
    Bytes bytes;
  };
  const Case cases[] = {
      {"length 9", {0, 9, 0xfe, 6, 0, 0, 0, 0, 0, 30}},
      {"length 0", {0, 0, 0xfe, 6, 0, 0, 0, 0, 0, 30}},
      {"marker", {0, 10, 0xff, 6, 0, 0, 0, 0, 0, 30}},
      {"version 5", {0, 10, 0xfe, 5, 0, 0, 0, 0, 0, 30}},
      {"text", {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '4'}},
  };
  for (const auto& c : cases) {
    FrameReader whole;
    whole.feed(c.bytes);
    EXPECT_TRUE(whole.next().has_error()) << c.what;

    FrameReader cut;
    const Bytes head(c.bytes.begin(), c.bytes.begin() + 4);
    cut.feed(head);
    ASSERT_TRUE(cut.next().has_value());
    const Bytes tail(c.bytes.begin() + 4, c.bytes.end());
    cut.feed(tail);
    EXPECT_TRUE(cut.next().has_error()) << c.what << ", cut";
    cut.reset();
    const auto good = message(7);
    cut.feed(good);
    EXPECT_EQ(cut.next().value()->command, 7);
  }
}

}  // namespace
}  // namespace greywire::routing::zapi
