#include "overlay/mesh/out_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "overlay/mesh/unified_diff.h"
#include "tests/net/lib/local_socket_client.h"
#include "tests/unit/overlay/documents.h"
#include "tests/unit/overlay/mesh/sample_inventory.h"

namespace greywire::mesh {
namespace {

namespace fs = std::filesystem;
using greywire::testing::read_text;
using greywire::testing::TemporaryDirectory;
using Kind = FileChange::Kind;

std::vector<SiteFile> files(const std::string& text) {
  auto out = site_files(testing::parsed(text), "mesh.toml");
  EXPECT_TRUE(out.has_value());
  return out ? *out : std::vector<SiteFile>{};
}

std::vector<FileChange> changes(const std::string& folder, const std::vector<SiteFile>& wanted) {
  auto out = changes_of_folder(folder, wanted);
  EXPECT_TRUE(out.has_value()) << out.error().text;
  return out ? *out : std::vector<FileChange>{};
}

TEST(OutFolder, WhatIsWrittenIsWhatIsWantedAndThenNothingIsLeftToDo) {
  TemporaryDirectory directory;
  const auto folder = directory / "new/out";
  const auto wanted = files(testing::four("topology = \"full\"\n"));
  const auto first = changes(folder, wanted);
  EXPECT_EQ(first.size(), wanted.size());
  for (const auto& change : first) EXPECT_EQ(change.kind, Kind::kNew);
  ASSERT_TRUE(write_changes(folder, first).has_value());
  for (const auto& file : wanted) EXPECT_EQ(read_text(folder + "/" + file.path), file.text);
  EXPECT_TRUE(changes(folder, wanted).empty());
  EXPECT_EQ(sites_to_reload(first), (std::vector<std::string>{"ams", "fra", "nyc", "sin"}));
}

TEST(OutFolder, ARevokedSitesFilesGoAndWhatOthersPutThereStays) {
  TemporaryDirectory directory;
  const auto& folder = directory.path();
  ASSERT_TRUE(write_changes(folder, changes(folder, files(testing::four("topology = \"hub\"\n", "hub = true\n")))).has_value());
  std::ofstream(directory / "sin/notes.txt") << "mine\n";
  fs::create_directory(directory / "attic");
  std::ofstream(directory / "attic/attic.toml") << "# by hand\n";
  const auto wanted = files(testing::four("topology = \"hub\"\n", "hub = true\n", "", "revoked = true\n", "revoked = true\n"));
  const auto found = changes(folder, wanted);
  std::vector<std::string> stale;
  for (const auto& change : found) {
    if (change.kind == Kind::kStale) stale.push_back(change.path);
  }
  EXPECT_EQ(stale, (std::vector<std::string>{"nyc/nyc.toml", "nyc/frr.conf", "nyc/key-request.txt", "sin/sin.toml", "sin/frr.conf",
                                             "sin/key-request.txt"}));
  EXPECT_EQ(sites_to_reload(found), (std::vector<std::string>{"ams", "fra"}));
  ASSERT_TRUE(write_changes(folder, found).has_value());
  EXPECT_FALSE(fs::exists(directory / "nyc"));
  EXPECT_EQ(read_text(directory / "sin/notes.txt"), "mine\n");
  EXPECT_FALSE(fs::exists(directory / "sin/sin.toml"));
  EXPECT_TRUE(fs::exists(directory / "attic/attic.toml"));
  EXPECT_TRUE(changes(folder, wanted).empty());
}

TEST(OutFolder, AFileThatWasNotWrittenHereIsInTheWay) {
  TemporaryDirectory directory;
  fs::create_directory(directory / "ams");
  std::ofstream(directory / "ams/ams.toml") << "[site]\n";
  const auto out = changes_of_folder(directory.path(), files(testing::four("topology = \"full\"\n")));
  ASSERT_FALSE(out.has_value());
  EXPECT_NE(out.error().text.find("ams/ams.toml is in the way"), std::string::npos) << out.error().text;
}

TEST(OutFolder, CommentsAloneAreNoReasonToReload) {
  const FileChange comment{Kind::kChanged, "ams/ams.toml", "# a\n\n[site]\n", "# b\n# c\n[site]\n"};
  const FileChange request{Kind::kChanged, "fra/key-request.txt", "a\n", "b\n"};
  const FileChange frr{Kind::kChanged, "nyc/frr.conf", "! a\nrouter bgp 1\n", "! a\nrouter bgp 2\n"};
  const std::vector<FileChange> all{comment, request, frr};
  EXPECT_EQ(sites_to_reload(all), std::vector<std::string>{"nyc"});
}

TEST(UnifiedDiff, IsWhatDiffPrints) {
  EXPECT_EQ(unified_diff("a", "1\n", "b", "1\n"), "");
  EXPECT_EQ(unified_diff("/dev/null", "", "b", "1\n2\n"), "--- /dev/null\n+++ b\n@@ -0,0 +1,2 @@\n+1\n+2\n");
  EXPECT_EQ(unified_diff("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
  EXPECT_EQ(unified_diff("a", "1\n2", "b", "1\n"), "--- a\n+++ b\n@@ -1,2 +1 @@\n 1\n-2\n\\ No newline at end of file\n");
}

// The old lines and the new ones can be read out of it again, in every hunk at the line that its head says.
std::string applied(const std::string& from, const std::string& diff) {
  std::istringstream lines(diff), old(from);
  std::string out, line, old_line;
  std::size_t at = 0;
  std::getline(lines, line), std::getline(lines, line);
  while (std::getline(lines, line)) {
    if (line.starts_with("@@ -")) {
      const auto first = std::stoul(line.substr(4));
      const bool none = line.substr(0, line.find(" +")).ends_with(",0");
      for (const auto stop = none ? first : first - 1; at < stop && std::getline(old, old_line); ++at) out += old_line + "\n";
      continue;
    }
    if (line[0] != '+') {
      std::getline(old, old_line), ++at;
      EXPECT_EQ(old_line, line.substr(1));
    }
    if (line[0] != '-') out += line.substr(1) + "\n";
  }
  while (std::getline(old, old_line)) out += old_line + "\n";
  return out;
}

TEST(UnifiedDiff, LeadsFromTheOneToTheOther) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    const auto text = [&] {
      std::string out;
      for (auto n = random() % 40; n > 0; --n) out += std::string(1, static_cast<char>('a' + random() % 4)) + "\n";
      return out;
    };
    const auto from = text(), to = text();
    EXPECT_EQ(from == to ? from : applied(from, unified_diff("a", from, "b", to)), to) << from << "--\n" << to;
  }
}

TEST(UnifiedDiff, OfVeryDifferentTextsIsTheOneAndThenTheOther) {
  std::string from, to;
  for (int i = 0; i < 3000; ++i) from += "a" + std::to_string(i) + "\n", to += "b" + std::to_string(i) + "\n";
  EXPECT_EQ(applied(from, unified_diff("a", from, "b", to)), to);
}

}  // namespace
}  // namespace greywire::mesh
