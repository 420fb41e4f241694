// The folder that a mesh's files are written to: what in it differs from what an inventory says, and making it so.
//
// Blocking file access, no other state. What `greywire mesh build` did not write is neither replaced nor removed: its files are
// known by their first line.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "overlay/mesh/site_files.h"
#include "router/base/result.h"

namespace greywire::mesh {

struct FileChange {
  enum class Kind : std::uint8_t { kNew, kChanged, kStale };
  Kind kind = Kind::kNew;
  std::string path;    // below the folder
  std::string before;  // empty: there is none
  std::string after;   // empty: it is to go
};

// New and changed files in the order of `files`, then those that are there from before and are of no site any more. A folder
// that is not there is an empty one. An Error names a file that is in the way, or cannot be read.
Result<std::vector<FileChange>> changes_of_folder(const std::string& folder, std::span<const SiteFile> files);

// Makes the folder so. Each file is there whole, the old one or the new; an Error names the first that could not be written,
// and what came before it is done.
Result<void> write_changes(const std::string& folder, std::span<const FileChange> changes);

// As `diff -u` prints it.
std::string to_diff(const FileChange& change);

// Sites that are still there and whose daemon or FRR has something to read: more changed than comments. Each once, in order.
std::vector<std::string> sites_to_reload(std::span<const FileChange> changes);

}  // namespace greywire::mesh
