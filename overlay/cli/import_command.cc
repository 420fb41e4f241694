#include "overlay/cli/import_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <iterator>

#include "overlay/cli/new_file.h"
#include "overlay/config/key_files.h"
#include "overlay/config/load.h"
#include "overlay/import/site_import.h"
#include "router/crypto/wipe.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

void tell(const Surroundings& around, const config::Diagnostics& diagnostics) {
  for (const auto& line : diagnostics.lines()) around.err << line << "\n";
}

// "-" is standard input.
Result<std::string> read(const Surroundings& around, const std::string& path) {
  if (path != "-") {
    auto text = config::read_file(path);
    if (!text) return Error{fmt::format("{}: {}", path, text.error().text), text.error().code};
    return text;
  }
  return {boost::system::in_place_value, std::string(std::istreambuf_iterator<char>(around.in), {})};
}

class NewFiles {
 public:
  ~NewFiles() {
    if (kept_) return;
    for (const auto& path : written_) ::unlink(path.c_str());
  }
  Result<void> add(const std::string& path, std::string_view content) {
    auto done = write_new(path, content, "; move it away, or name another folder with --out");
    if (done) written_.push_back(path);
    return done;
  }
  template <class Key>
  Result<void> add_key(const std::string& path, const Key& key) {
    std::string text = key.reveal_base64();
    text += '\n';
    auto done = add(path, text);
    wipe(text.data(), text.size());
    return done;
  }
  void keep() { kept_ = true; }
  const std::vector<std::string>& paths() const { return written_; }

 private:
  std::vector<std::string> written_;
  bool kept_ = false;
};

std::string site_name(const Options& options) {
  if (!options.name.empty()) return options.name;
  char host[65] = {};
  ::gethostname(host, sizeof host - 1);
  std::string name(host);
  return name.substr(0, name.find('.'));
}

Result<void> write_site(const import::ImportedSite& site, const std::string& config, NewFiles& files) {
  if (auto ok = files.add(config, site.toml); !ok) return ok;
  if (auto ok = files.add_key(config::beside(config, site.private_key_file), site.private_key); !ok) return ok;
  for (const auto& [name, key] : site.preshared_keys) {
    if (auto ok = files.add_key(config::beside(config, name), key); !ok) return ok;
  }
  files.keep();
  return {};
}

void show(const Surroundings& around, const Options& options, const NewFiles& files, const std::vector<std::string>& notes,
          const config::Loaded& loaded) {
  const auto lines = loaded.diagnostics.lines();
  if (options.json) {
    around.out << json::serialize(json::object{
                      {"files", json::value_from(files.paths())}, {"notes", json::value_from(notes)}, {"ok", loaded.config.has_value()}, {"findings", json::value_from(lines)}})
               << "\n";
    return;
  }
  for (const auto& path : files.paths()) around.out << path << "\n";
  for (const auto& line : notes) around.err << line << "\n";
  for (const auto& line : lines) around.err << line << "\n";
}

}  // namespace

ExitCode import_command(const Surroundings& around, const Options& options) {
  std::vector<import::QuickConfig> quick;
  bool wrong = false;
  for (const auto& path : options.files) {
    auto text = read(around, path);
    if (!text) return complain(around, code_of_file(text.error(), ExitCode::kUsage), text.error().text);
    config::Diagnostics diagnostics(path == "-" ? "stdin" : path);
    auto parsed = import::parse_wg_quick(*text, diagnostics);
    wipe(text->data(), text->size());
    tell(around, diagnostics);
    wrong |= !parsed;
    if (parsed) quick.push_back(std::move(*parsed));
  }
  std::vector<import::GreLink> links;
  if (!options.links.empty()) {
    const auto text = read(around, options.links);
    if (!text) return complain(around, code_of_file(text.error(), ExitCode::kUsage), text.error().text);
    config::Diagnostics diagnostics(options.links == "-" ? "stdin" : options.links);
    auto parsed = import::parse_gre_links(*text, diagnostics);
    tell(around, diagnostics);
    wrong |= !parsed;
    if (parsed) links = std::move(*parsed);
  }
  if (wrong) return ExitCode::kAnswerIsNo;
  const auto name = config::parse_name(site_name(options));
  if (!name) return complain(around, ExitCode::kUsage, fmt::format("the site's name: {}; choose one with --name", name.error().text));
  const auto site = import::import_site(quick, links, {*name, options.first_key});
  if (!site) return complain(around, ExitCode::kAnswerIsNo, site.error().text);
  const std::string config = fmt::format("{}/{}.toml", options.out.empty() ? "." : options.out, *name);
  NewFiles files;
  if (const auto done = write_site(*site, config, files); !done) {
    const auto otherwise = done.error().code == ENOSPC ? ExitCode::kCannotWrite : ExitCode::kUsage;
    return complain(around, code_of_file(done.error(), otherwise), done.error().text);
  }
  const auto loaded = config::load(config);
  show(around, options, files, site->notes, loaded);
  return loaded.config ? ExitCode::kDone : ExitCode::kAnswerIsNo;
}

}  // namespace greywire::cli
