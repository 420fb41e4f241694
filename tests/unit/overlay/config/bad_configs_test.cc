// Holds every line that a wrong config yields against bad_configs.txt, to the letter.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "overlay/config/load.h"

namespace greywire::config {
namespace {

struct BadConfig {
  std::string name;
  std::string text;
  std::string expected;
};

std::string good_peer(const std::string& name, const std::string& key, const std::string& number) {
  return "[[peer]]\nname = \"" + name + "\"\npublic_key = \"" + key + "\"\noverlay_address = [\"10.255.0." + number +
         "\", \"fd00:255::" + number + "\"]\npreshared_key_file = \"" + name + ".psk\"\n";
}

std::string expand(const std::string& line) {
  if (line == "%SITE") {
    return "[site]\nname = \"ams\"\nprivate_key_file = \"ams.key\"\noverlay_address = [\"10.255.0.1\", \"fd00:255::1\"]\n";
  }
  if (line == "%FRA") return good_peer("fra", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "2");
  if (line == "%NYC") return good_peer("nyc", "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=", "3");
  return line + "\n";
}

std::vector<BadConfig> read_cases() {
  std::vector<BadConfig> cases;
  std::ifstream file(std::string(GREYWIRE_TESTS_DIR) + "/unit/overlay/config/bad_configs.txt");
  bool in_config = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("### ")) {
      cases.push_back({line.substr(4), "", ""});
      in_config = true;
    } else if (line == "--->") {
      in_config = false;
    } else if (!cases.empty()) {
      (in_config ? cases.back().text : cases.back().expected) += in_config ? expand(line) : line + "\n";
    }
  }
  return cases;
}

TEST(BadConfigs, YieldExactlyTheseLines) {
  const auto cases = read_cases();
  ASSERT_GE(cases.size(), 45U);
  for (const auto& entry : cases) {
    const auto loaded = parse(entry.text, "site.toml");
    auto lines = loaded.diagnostics.to_string();
    if (loaded.config) lines += "(accepted)\n";
    EXPECT_EQ(lines, entry.expected) << "in the case: " << entry.name;
    EXPECT_EQ(loaded.config.has_value(), !loaded.diagnostics.has_errors()) << entry.name;
  }
}

TEST(BadConfigs, AFloodOfErrorsIsCutAndCounted) {
  std::string text = expand("%SITE");
  for (int i = 0; i < 250; ++i) text += "wrong" + std::to_string(i) + " = 1\n";
  const auto loaded = parse(text, "site.toml");
  EXPECT_EQ(loaded.diagnostics.error_count(), 250U);
  EXPECT_EQ(loaded.diagnostics.entries().size(), Diagnostics::kMaxErrors);
  EXPECT_EQ(loaded.diagnostics.lines().back(), "site.toml: 150 more errors");
}

TEST(BadConfigs, DeepNestingIsAnErrorAndNoOverflow) {
  const auto loaded = parse("a = " + std::string(100'000, '['), "site.toml");
  EXPECT_TRUE(loaded.diagnostics.has_errors());
  EXPECT_FALSE(loaded.config.has_value());
}

}  // namespace
}  // namespace greywire::config
