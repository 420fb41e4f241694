// Holds docs/config.md and the examples against the table that drives the parser.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "overlay/config/load.h"
#include "overlay/config/schema.h"

namespace greywire::config {
namespace {

const std::string kTop = std::string(GREYWIRE_TESTS_DIR) + "/..";

std::string read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Set GREYWIRE_UPDATE_DOCS=1 to write the tables anew after a change of the schema.
TEST(Reference, DocsHoldTheTablesOfTheSchema) {
  const std::string begin = "<!-- begin: printed from overlay/config/schema.cc -->\n";
  const std::string end = "<!-- end -->\n";
  const auto path = kTop + "/docs/config.md";
  const auto text = read(path);
  const auto from = text.find(begin);
  const auto to = text.find(end);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const auto start = from + begin.size();
  if (std::getenv("GREYWIRE_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << text.substr(0, start) << reference_markdown() << "\n" << text.substr(to);
    return;
  }
  EXPECT_EQ(text.substr(start, to - start), reference_markdown() + "\n")
      << "run this test once with GREYWIRE_UPDATE_DOCS=1";
}

TEST(Reference, EveryKeyIsExplained) {
  for (const auto& section : sections()) {
    std::set<std::string_view> names;
    EXPECT_FALSE(section.meaning.empty()) << section.name;
    for (const auto& key : section.keys) {
      EXPECT_TRUE(names.insert(key.name).second) << "twice: " << key.name;
      EXPECT_FALSE(key.type.empty()) << key.name;
      EXPECT_FALSE(key.meaning.empty()) << key.name;
      EXPECT_EQ(key.meaning.find_first_of("|\n"), std::string_view::npos) << key.name;
      EXPECT_EQ(key.fallback.empty(), key.presence == Presence::kRequired) << key.name;
    }
  }
}

TEST(Reference, TomlBlocksOfTheDocsAreAccepted) {
  for (const char* page : {"docs/config.md", "docs/gre-link.md", "docs/segment.md", "docs/from-ipsec.md"}) {
    const auto text = read(kTop + "/" + page);
    std::size_t blocks = 0;
    for (auto from = text.find("```toml\n"); from != std::string::npos; from = text.find("```toml\n", from + 1)) {
      const auto start = from + 8;
      const auto loaded = parse(text.substr(start, text.find("```", start) - start), page);
      EXPECT_EQ(loaded.diagnostics.to_string(), "");
      ++blocks;
    }
    EXPECT_GE(blocks, 1U) << page;
  }
}

TEST(Reference, ExamplesAreAcceptedWithoutAWarning) {
  std::size_t examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kTop + "/deploy/examples")) {
    if (entry.path().extension() != ".toml") continue;
    const auto loaded = parse(read(entry.path().string()), entry.path().filename().string());
    EXPECT_TRUE(loaded.config.has_value());
    EXPECT_EQ(loaded.diagnostics.to_string(), "");
    ++examples;
  }
  EXPECT_GE(examples, 3U);
}

}  // namespace
}  // namespace greywire::config
