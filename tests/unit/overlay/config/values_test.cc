#include "overlay/config/values.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "overlay/config/near_miss.h"

namespace greywire::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Values, Durations) {
  struct Row {
    const char* text;
    long long milliseconds;  // -1: refused
  };
  for (const auto& row : std::vector<Row>{{"500ms", 500}, {"1s", 1000}, {"25 s", 25'000}, {"2m", 120'000}, {"1h", 3'600'000},
                                          {"0s", 0}, {"", -1}, {"s", -1}, {"5", -1}, {"-1s", -1}, {"1.5s", -1}, {"1d", -1},
                                          {"99999999999999999999s", -1}, {"9223372036854775807h", -1}}) {
    const auto parsed = parse_duration(row.text);
    ASSERT_EQ(parsed.has_value(), row.milliseconds >= 0) << row.text;
    if (parsed) {
      EXPECT_EQ(parsed->count(), row.milliseconds) << row.text;
    }
  }
  EXPECT_EQ(duration_to_string(milliseconds(1500)), "1500ms");
  EXPECT_EQ(duration_to_string(seconds(120)), "2m");
  EXPECT_EQ(duration_to_string(milliseconds(0)), "0ms");
}

TEST(Values, LivenessRoundTrips) {
  for (const char* text : {"1s x 3", "100ms x 1", "1m x 20"}) EXPECT_EQ(Liveness::parse(text)->to_string(), text);
  EXPECT_EQ(Liveness::parse("1sx3")->to_string(), "1s x 3");
  for (const char* text : {"", "x", "1s x", "x 3", "99ms x 3", "61s x 3", "1s x 0", "1s x 21", "1s x 3 x", "1s, 3"}) {
    EXPECT_TRUE(Liveness::parse(text).has_error()) << text;
  }
  EXPECT_FALSE(parse_liveness("off")->has_value());
}

TEST(Values, Endpoints) {
  for (const char* text : {"192.0.2.1:51820", "[2001:db8::1]:51820", "fra.example.net:1", "a:65535", "x-1.y_2.:9"}) {
    const auto endpoint = PeerEndpoint::parse(text);
    ASSERT_TRUE(endpoint.has_value()) << text << ": " << endpoint.error().text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  for (const char* text : {"", ":", ":51820", "fra", "fra:", "fra:0", "fra:65536", "fra:-1", "1.2.3:51820", "a..b:1",
                           ".a:1", "a b:1", "2001:db8::1", "0.0.0.0:51820", "[::]:51820", "[ff02::1]:51820", "..:1"}) {
    EXPECT_TRUE(PeerEndpoint::parse(text).has_error()) << text;
  }
  EXPECT_TRUE(PeerEndpoint::parse(std::string(64, 'a') + ":1").has_error()) << "a label has at most 63 characters";
  EXPECT_TRUE(PeerEndpoint::parse(std::string(63, 'a') + ":1").has_value());
}

TEST(Values, InterfaceNamesAndAddresses) {
  for (const char* text : {"gw0", "gre-fra", "a.b_c-d", "abcdefghijklmno"}) EXPECT_TRUE(parse_interface_name(text).has_value());
  for (const char* text : {"", "lo", "all", "default", ".", "..", "a/b", "a b", "a:b", "gw%d", "abcdefghijklmnop", "é"}) {
    EXPECT_TRUE(parse_interface_name(text).has_error()) << text;
  }
  EXPECT_EQ(InterfaceAddress::parse("fe80::1/64")->to_string(), "fe80::1/64");
  EXPECT_EQ(InterfaceAddress::parse("172.31.12.1/30")->network().to_string(), "172.31.12.0/30");
  for (const char* text : {"172.31.12.1", "172.31.12.1/", "172.31.12.1/0", "172.31.12.1/33", "0.0.0.0/8", "::1/64",
                           "224.0.0.1/24", "172.31.12.1/-1", "x/24"}) {
    EXPECT_TRUE(InterfaceAddress::parse(text).has_error()) << text;
  }
}

TEST(NearMiss, Distances) {
  struct Row {
    const char* a;
    const char* b;
    std::size_t distance;
  };
  for (const auto& row : std::vector<Row>{{"", "", 0}, {"", "abc", 3}, {"endpont", "endpoint", 1}, {"kitten", "sitting", 3},
                                          {"prot", "port", 1}, {"ca", "abc", 3}, {"same", "same", 0}}) {
    EXPECT_EQ(edit_distance(row.a, row.b), row.distance) << row.a << " " << row.b;
    EXPECT_EQ(edit_distance(row.b, row.a), row.distance) << row.a << " " << row.b;
  }
  EXPECT_GT(edit_distance(std::string(65, 'a'), "a"), 1000U);
}

TEST(NearMiss, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string_view> words{"endpoint", "allowed_ips", "mtu", "preshared_key_file", "keepalive"};
  EXPECT_EQ(nearest("endpont", words), "endpoint");
  EXPECT_EQ(nearest("AllowedIPs", words), "allowed_ips");
  EXPECT_EQ(nearest("mut", words), "mtu");
  EXPECT_EQ(nearest("PresharedKey", words), "preshared_key_file");
  EXPECT_EQ(nearest("PersistentKeepalive", words), "keepalive");
  EXPECT_EQ(nearest("colour", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(did_you_mean("endpont", words), "; did you mean 'endpoint'?");
  EXPECT_EQ(did_you_mean("colour", words), "");
}

}  // namespace
}  // namespace greywire::config
