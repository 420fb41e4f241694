// Holds docs/config.md and the examples against the table that drives the parser.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "overlay/config/load.h"
#include "overlay/config/schema.h"
#include "tests/unit/overlay/documents.h"

namespace greywire::config {
namespace {

using testing::in_tree;
using testing::read_text;

// Set GREYWIRE_UPDATE_DOCS=1 to write the tables anew after a change of the schema.
TEST(Reference, DocsHoldTheTablesOfTheSchema) {
  testing::expect_printed("docs/config.md", "overlay/config/schema.cc", reference_markdown() + "\n");
}

TEST(Reference, EveryKeyIsExplained) {
  testing::expect_explained(sections());
}

TEST(Reference, TomlBlocksOfTheDocsAreAccepted) {
  for (const char* page : {"docs/config.md", "docs/gre-link.md", "docs/segment.md"}) {
    const auto text = read_text(in_tree(page));
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
  for (const auto& entry : std::filesystem::directory_iterator(in_tree("deploy/examples"))) {
    if (entry.path().extension() != ".toml") continue;
    const auto loaded = parse(read_text(entry.path().string()), entry.path().filename().string());
    EXPECT_TRUE(loaded.config.has_value());
    EXPECT_EQ(loaded.diagnostics.to_string(), "");
    ++examples;
  }
  EXPECT_GE(examples, 3U);
}

}  // namespace
}  // namespace greywire::config
