#include "overlay/cli/text_table.h"

#include <gtest/gtest.h>

#include "overlay/cli/render.h"
#include "tests/net/lib/sample_status.h"

namespace greywire::cli {
namespace {

using namespace std::chrono_literals;

TEST(TextTable, AlignsAndLeavesNoTrailingSpace) {
  TextTable table({{"NAME"}, {"N", TextTable::Align::kRight}, {"LAST"}});
  table.add_row({"a", "1000", "x"});
  table.add_row({"longer", "", "yy"});
  EXPECT_EQ(table.to_string(false),
            "NAME       N  LAST\n"
            "a       1000  x\n"
            "longer     -  yy\n");
}

TEST(TextTable, ColourDoesNotShiftColumns) {
  TextTable table({{"NAME"}, {"LAST"}});
  table.add_row({Cell("ab", Style::kGood), "x"});
  EXPECT_EQ(table.to_string(true), "\x1b[1mNAME\x1b[0m  \x1b[1mLAST\x1b[0m\n\x1b[32mab\x1b[0m    x\n");
}

TEST(TextTable, BecomesParagraphsWhereItDoesNotFit) {
  TextTable table({{"NAME"}, {"N", TextTable::Align::kRight}, {"WHY"}});
  table.add_row({"a", "1000", "because it was so long ago"});
  table.add_row({"b", "", "x"});
  EXPECT_EQ(table.to_string({false, 20}), "NAME a\n  N   1000\n  WHY because it was\n      so long ago\nNAME b\n  WHY x\n");
  EXPECT_EQ(table.to_string({false, 80}), table.to_string(false));
}

TEST(Wrapped, BreaksAtSpacesOnly) {
  EXPECT_EQ(wrapped("aa bb cc", 7, 2), "aa bb\n  cc");
  EXPECT_EQ(wrapped("aaaaaaaaaa b", 6, 2), "aaaaaaaaaa\n  b");
  EXPECT_EQ(wrapped("aa bb cc", 0, 2), "aa bb cc");
  EXPECT_EQ(wrapped("", 6, 2), "");
}

TEST(Figures, Bytes) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0 B"},           {1023, "1023 B"},        {1024, "1.0 KiB"},   {1048575, "1.0 MiB"},
      {1500000, "1.4 MiB"}, {1ULL << 30, "1.0 GiB"}, {~0ULL, "16.0 EiB"},
  };
  for (const auto& [bytes, text] : cases) EXPECT_EQ(bytes_text(bytes), text);
}

TEST(Figures, Ages) {
  const std::pair<std::chrono::seconds, const char*> cases[] = {
      {-5s, "0s"},        {0s, "0s"},       {59s, "59s"},      {60s, "1m 0s"},
      {3599s, "59m 59s"}, {3600s, "1h 0m"}, {90061s, "1d 1h"},
  };
  for (const auto& [age, text] : cases) EXPECT_EQ(age_text(age), text);
  EXPECT_EQ(round_trip_text(420us), "0.42 ms");
}

TEST(Render, EmptySiteSaysSo) {
  const control::SiteStatus empty;
  EXPECT_EQ(render_peers(empty, false), "no peers\n");
  EXPECT_EQ(render_tunnels(empty, false), "no tunnels\n");
  EXPECT_EQ(render_drops({}, false), "nothing was dropped\n");
  EXPECT_EQ(render_mtus(empty, false), "no MTUs known\n");
  EXPECT_EQ(render_routes({}, false), "no routes learned\n");
}

TEST(Render, StatusCutsLongListsAndPeersDoesNot) {
  auto status = testing::sample_status();
  for (std::uint32_t i = 0; i < 20; ++i) {
    status.peers[0].learned_allowed_ips.push_back(Prefix(IpAddress::v4(0x0b000000U + (i << 8)), 24));
  }
  EXPECT_NE(render_status(status, false).find("learned     21  10.2.0.0/16, "), std::string::npos);
  EXPECT_NE(render_status(status, false).find(" and 13 more\n"), std::string::npos);
  EXPECT_EQ(render_status(status, false).find("11.0.19.0/24"), std::string::npos);
  EXPECT_NE(render_peers(status, false).find("11.0.19.0/24"), std::string::npos);
}

TEST(Render, APeerWithoutProbesIsJudgedByItsHandshake) {
  control::SiteStatus status;
  status.peers.resize(3);
  status.peers[0].name = "fresh";
  status.peers[0].handshake_age = 10s;
  status.peers[1].name = "old";
  status.peers[1].handshake_age = 200s;
  status.peers[2].public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
  const auto text = render_peers(status, false);
  EXPECT_NE(text.find("fresh: session\n"), std::string::npos);
  EXPECT_NE(text.find("old: idle\n"), std::string::npos);
  EXPECT_NE(text.find("TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=: no session\n"), std::string::npos);
}

}  // namespace
}  // namespace greywire::cli
