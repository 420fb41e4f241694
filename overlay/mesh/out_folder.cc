#include "overlay/mesh/out_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "overlay/config/load.h"
#include "overlay/files/replace_file.h"
#include "overlay/mesh/text_lines.h"
#include "overlay/mesh/unified_diff.h"

namespace greywire::mesh {
namespace {

namespace fs = std::filesystem;

Error failed(std::string_view what, const std::string& path, int code) {
  return {fmt::format("cannot {} {}: {}", what, path, std::strerror(code)), code};
}

bool ours(std::string_view text) { return text.substr(0, text.find('\n')).find(kWrittenBy) != std::string_view::npos; }

std::string site_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

// What site_files() calls the files of a site of this name.
std::vector<std::string> names_of_site(const std::string& site) { return {site + ".toml", "frr.conf", "key-request.txt"}; }

Result<std::vector<FileChange>> stale(const std::string& folder, std::span<const SiteFile> files) {
  std::set<std::string, std::less<>> wanted;
  for (const auto& file : files) wanted.insert(file.path);
  std::vector<FileChange> out;
  std::error_code wrong;
  std::vector<std::string> sites;
  for (fs::directory_iterator at(folder, wrong), end; !wrong && at != end; at.increment(wrong)) {
    if (at->is_directory(wrong) && !at->is_symlink(wrong)) sites.push_back(at->path().filename().string());
    wrong.clear();  // an entry that went away meanwhile
  }
  if (wrong && wrong != std::errc::no_such_file_or_directory) return failed("read the folder", folder, wrong.value());
  std::sort(sites.begin(), sites.end());
  for (const auto& site : sites) {
    for (const auto& name : names_of_site(site)) {
      const auto path = site + "/" + name;
      if (wanted.contains(path)) continue;
      auto text = config::read_file(folder + "/" + path);
      if (text && ours(*text)) out.push_back({FileChange::Kind::kStale, path, std::move(*text), ""});
    }
  }
  return out;
}

std::string without_comments(std::string_view text) {
  std::string out;
  for (const auto line : lines_of(text)) {
    if (line[0] != '#' && line[0] != '!' && line[0] != '\n') out += line;
  }
  return out;
}

}  // namespace

Result<std::vector<FileChange>> changes_of_folder(const std::string& folder, std::span<const SiteFile> files) {
  std::vector<FileChange> out;
  for (const auto& file : files) {
    const auto path = folder + "/" + file.path;
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
      if (errno != ENOENT) return failed("read", path, errno);
      out.push_back({FileChange::Kind::kNew, file.path, "", file.text});
      continue;
    }
    auto text = config::read_file(path);
    if (!text) return Error{fmt::format("{}: {}", path, text.error().text), text.error().code};
    if (!ours(*text)) {
      return Error{fmt::format("{} is in the way: its first line does not say '{}'; move it away", path, kWrittenBy), EEXIST};
    }
    if (*text != file.text) out.push_back({FileChange::Kind::kChanged, file.path, std::move(*text), file.text});
  }
  auto old = stale(folder, files);
  if (!old) return old.error();
  for (auto& change : *old) out.push_back(std::move(change));
  return out;
}

Result<void> write_changes(const std::string& folder, std::span<const FileChange> changes) {
  for (const auto& change : changes) {
    const auto path = folder + "/" + change.path;
    const auto parent = folder + "/" + site_of(change.path);
    std::error_code wrong;
    if (change.kind == FileChange::Kind::kStale) {
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path, errno);
      ::rmdir(parent.c_str());  // stays where something else is in it
      continue;
    }
    fs::create_directories(parent, wrong);
    if (wrong) return failed("make the folder", parent, wrong.value());
    if (auto done = files::replace_file(path, change.after); !done) return done;
  }
  return {};
}

std::string to_diff(const FileChange& change) {
  const std::string nothing = "/dev/null";
  return unified_diff(change.kind == FileChange::Kind::kNew ? nothing : "a/" + change.path, change.before,
                      change.kind == FileChange::Kind::kStale ? nothing : "b/" + change.path, change.after);
}

std::vector<std::string> sites_to_reload(std::span<const FileChange> changes) {
  std::vector<std::string> out;
  for (const auto& change : changes) {
    if (change.kind == FileChange::Kind::kStale || !is_running_config(change.path)) continue;
    if (without_comments(change.before) == without_comments(change.after)) continue;
    auto site = site_of(change.path);
    if (std::find(out.begin(), out.end(), site) == out.end()) out.push_back(std::move(site));
  }
  return out;
}

}  // namespace greywire::mesh
