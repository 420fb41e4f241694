// The project's own files, for tests that hold what they say against the code.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

namespace greywire::testing {

// `below` is relative to the top of the source tree: "docs/cli.md".
inline std::string in_tree(const std::string& below) { return std::string(GREYWIRE_TESTS_DIR) + "/../" + below; }

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// What the document has between the marks for what is printed from `source` is `expected`. With GREYWIRE_UPDATE_DOCS set it
// is written there instead.
inline void expect_printed(const std::string& document, const std::string& source, const std::string& expected) {
  const std::string begin = "<!-- begin: printed from " + source + " -->\n";
  const auto path = in_tree(document);
  const auto text = read_text(path);
  const auto from = text.find(begin);
  const auto to = text.find("<!-- end -->\n");
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  const auto start = from + begin.size();
  if (std::getenv("GREYWIRE_UPDATE_DOCS") != nullptr) {
    std::ofstream(path) << text.substr(0, start) << expected << text.substr(to);
    return;
  }
  EXPECT_EQ(text.substr(start, to - start), expected) << "run this test once with GREYWIRE_UPDATE_DOCS=1";
}

// Each section of a schema (overlay/config/schema.h) and each key in it says what it is, once, in words that fit a table.
template <class Sections>
void expect_explained(const Sections& sections) {
  for (const auto& section : sections) {
    std::set<std::string_view> names;
    EXPECT_FALSE(section.meaning.empty()) << section.name;
    for (const auto& key : section.keys) {
      EXPECT_TRUE(names.insert(key.name).second) << "twice: " << key.name;
      EXPECT_FALSE(key.type.empty()) << key.name;
      EXPECT_FALSE(key.meaning.empty()) << key.name;
      EXPECT_EQ(key.meaning.find_first_of("|\n"), std::string_view::npos) << key.name;
      EXPECT_EQ(key.fallback.empty(), key.presence == decltype(key.presence)::kRequired) << key.name;
    }
  }
}

}  // namespace greywire::testing
