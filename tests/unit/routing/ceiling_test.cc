#include "routing/ceiling.h"

#include <gtest/gtest.h>

namespace greywire::routing {
namespace {

Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}

struct AdmitCase {
  const char* rule;
  const char* candidate;
  bool admitted;
};

TEST(CeilingRule, AdmitsWhatAnFrrPrefixListPermits) {
  const AdmitCase cases[] = {
      {"10.0.0.0/8", "10.0.0.0/8", true},
      {"10.0.0.0/8", "10.1.0.0/16", false},
      {"10.0.0.0/8", "10.0.0.0/9", false},
      {"10.0.0.0/8", "0.0.0.0/0", false},
      {"10.2.0.0/16 le 24", "10.2.0.0/16", true},
      {"10.2.0.0/16 le 24", "10.2.7.0/24", true},
      {"10.2.0.0/16 le 24", "10.2.7.0/25", false},
      {"10.2.0.0/16 le 24", "10.3.0.0/24", false},
      {"10.2.0.0/16 le 24", "10.2.0.0/15", false},
      {"10.0.0.0/8 ge 16 le 24", "10.0.0.0/8", false},
      {"10.0.0.0/8 ge 16 le 24", "10.1.0.0/16", true},
      {"10.0.0.0/8 ge 16 le 24", "10.1.1.0/24", true},
      {"10.0.0.0/8 ge 16 le 24", "10.1.1.1/32", false},
      {"10.0.0.0/8 ge 24", "10.1.1.1/32", true},
      {"10.0.0.0/8 le 24 ge 16", "10.1.0.0/16", true},
      {"0.0.0.0/0", "0.0.0.0/0", true},
      {"0.0.0.0/0", "10.0.0.0/8", false},
      {"0.0.0.0/0 ge 1", "0.0.0.0/0", false},
      {"0.0.0.0/0 le 32", "192.0.2.1/32", true},
      {"0.0.0.0/0 le 32", "2001:db8::/32", false},
      {"fd00:2::/48 le 64", "fd00:2:0:7::/64", true},
      {"fd00:2::/48 le 64", "fd00:3::/48", false},
      {"::/0", "::/0", true},
      {"::/0", "0.0.0.0/0", false},
      {"10.9.9.9", "10.9.9.9/32", true},
  };
  for (const auto& c : cases) {
    const auto rule = CeilingRule::parse(c.rule);
    ASSERT_TRUE(rule.has_value()) << c.rule;
    EXPECT_EQ(rule->admits(prefix(c.candidate)), c.admitted) << c.rule << " on " << c.candidate;
  }
}

TEST(CeilingRule, RefusesWhatItCannotMean) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not a prefix"},
      {"lan", "not a prefix"},
      {"10.0.0.0/33", "no valid prefix length"},
      {"10.2.0.1/16", "write 10.2.0.0/16"},
      {"10.0.0.0/8 le", "must be a length from 8 to 32"},
      {"10.0.0.0/8 le 33", "must be a length from 8 to 32"},
      {"10.0.0.0/8 le 7", "must be a length from 8 to 32"},
      {"10.0.0.0/8 le 24x", "must be a length"},
      {"10.0.0.0/8 ge 25 le 24", "admits nothing"},
      {"10.0.0.0/8 le 24 le 25", "stands twice"},
      {"10.0.0.0/8 lt 24", "'lt'"},
      {"fd00::/48 le 129", "from 48 to 128"},
  };
  for (const auto& [text, part] : cases) {
    const auto rule = CeilingRule::parse(text);
    ASSERT_TRUE(rule.has_error()) << text;
    EXPECT_NE(rule.error().text.find(part), std::string::npos) << text << ": " << rule.error().text;
  }
}

TEST(CeilingRule, TextReadsBack) {
  for (const char* text : {"10.0.0.0/8", "10.0.0.0/8 le 24", "10.0.0.0/8 ge 16", "10.0.0.0/8 ge 16 le 24",
                           "::/0", "fd00::/48 le 64", "10.9.9.9/32"}) {
    EXPECT_EQ(CeilingRule::parse(text)->to_string(), text);
  }
  EXPECT_EQ(CeilingRule::parse("  10.0.0.0/8\tle  24 ")->to_string(), "10.0.0.0/8 le 24");
}

TEST(Ceiling, NothingWhenEmpty) {
  const Ceiling ceiling;
  EXPECT_FALSE(ceiling.admits(prefix("0.0.0.0/0")));
  EXPECT_FALSE(ceiling.admits(prefix("10.0.0.0/8")));
  EXPECT_FALSE(ceiling.covers(IpAddress::parse("10.0.0.1").value()));
}

TEST(Ceiling, AnyRuleIsEnoughAndSourcesIgnoreLengths) {
  const Ceiling ceiling({*CeilingRule::parse("10.2.0.0/16 ge 24 le 24"), *CeilingRule::parse("fd00:2::/48")});
  EXPECT_TRUE(ceiling.admits(prefix("10.2.3.0/24")));
  EXPECT_FALSE(ceiling.admits(prefix("10.2.0.0/16")));
  EXPECT_TRUE(ceiling.admits(prefix("fd00:2::/48")));
  EXPECT_TRUE(ceiling.covers(IpAddress::parse("10.2.200.1").value()));
  EXPECT_TRUE(ceiling.covers(IpAddress::parse("fd00:2:0:ffff::1").value()));
  EXPECT_FALSE(ceiling.covers(IpAddress::parse("10.3.0.1").value()));
  EXPECT_EQ(ceiling.rules().size(), 2U);
}

}  // namespace
}  // namespace greywire::routing
