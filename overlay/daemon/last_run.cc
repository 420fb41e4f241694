#include "overlay/daemon/last_run.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "overlay/files/replace_file.h"

namespace greywire::daemon {
namespace {

constexpr std::size_t kLargestFile = 16 * 1024 * 1024;

std::string path_of(const std::string& folder) { return folder + "/last-run"; }

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const auto space = line.find(' ');
    if (space != 0) out.push_back(line.substr(0, space));
    line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  }
  return out;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void read_line(const std::vector<std::string_view>& words, LastRun& out) {
  if (words.size() == 4 && words[0] == "underlay") {
    const auto mark = number(words[1]);
    const auto table = number(words[2]);
    if (mark && table) out.underlay = links::Underlay{*mark, *table, words[3] == "mirror"};
  } else if (words.size() == 3 && words[0] == "endpoint") {
    const auto key = PublicKey::from_base64(words[1]);
    const auto endpoint = Endpoint::parse(words[2]);
    if (key && endpoint) out.endpoints.insert_or_assign(*key, *endpoint);
  }
}

}  // namespace

std::string to_text(const LastRun& run) {
  std::string out;
  if (run.underlay) {
    out += fmt::format("underlay {} {} {}\n", run.underlay->mark, run.underlay->table,
                       run.underlay->mirror_main ? "mirror" : "own");
  }
  for (const auto& [key, endpoint] : run.endpoints) {
    out += fmt::format("endpoint {} {}\n", key.to_base64(), endpoint.to_string());
  }
  return out;
}

LastRun parse_last_run(std::string_view text) {
  LastRun out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    read_line(words_of(text.substr(0, end)), out);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return out;
}

LastRun read_last_run(const std::string& folder) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path_of(folder), failed);
  if (failed || size > kLargestFile) return {};
  std::ifstream file(path_of(folder));
  std::stringstream text;
  text << file.rdbuf();
  return parse_last_run(text.str());
}

Result<void> write_last_run(const std::string& folder, const LastRun& run) {
  return files::replace_state(path_of(folder), to_text(run), files::OnDisk::kInTime);
}

}  // namespace greywire::daemon
