#include "overlay/cli/mesh_commands.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "overlay/cli/new_file.h"
#include "overlay/config/key_files.h"
#include "overlay/config/load.h"
#include "overlay/files/replace_file.h"
#include "overlay/mesh/graph.h"
#include "overlay/mesh/inventory_edit.h"
#include "overlay/mesh/out_folder.h"
#include "overlay/mesh/site_files.h"
#include "router/crypto/system_random.h"
#include "router/crypto/wipe.h"
#include "router/crypto/x25519.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

ExitCode cannot_read(const Surroundings& around, const Error& error) {
  return complain(around, code_of_file(error, ExitCode::kUsage), error.text);
}

ExitCode cannot_write(const Surroundings& around, const Error& error) {
  return complain(around, code_of_file(error, ExitCode::kCannotWrite), error.text);
}

struct Read {
  std::string text;
  mesh::Inventory inventory;
};

// What is wrong with the inventory goes to standard error, and `code` says how to end.
std::optional<Read> read(const Surroundings& around, const Options& options, ExitCode& code) {
  auto text = config::read_file(options.file);
  if (!text) {
    code = cannot_read(around, {fmt::format("{}: {}", options.file, text.error().text), text.error().code});
    return std::nullopt;
  }
  auto loaded = mesh::parse_inventory(*text, options.file);
  for (const auto& line : loaded.diagnostics.lines()) around.err << line << "\n";
  code = ExitCode::kAnswerIsNo;
  if (!loaded.inventory) return std::nullopt;
  return Read{std::move(*text), std::move(*loaded.inventory)};
}

struct Planned {
  std::vector<mesh::FileChange> changes;
  std::vector<std::string> reload;
  std::vector<std::string> keyless;
};

std::optional<Planned> plan(const Surroundings& around, const Options& options, ExitCode& code) {
  const auto inventory = read(around, options, code);
  if (!inventory) return std::nullopt;
  // The folder's files do not change with where the inventory is read from.
  const auto files = mesh::site_files(inventory->inventory, std::filesystem::path(options.file).filename().string());
  if (!files) {
    code = complain(around, ExitCode::kAnswerIsNo, files.error().text);
    return std::nullopt;
  }
  auto changes = mesh::changes_of_folder(options.out, *files);
  if (!changes) {
    code = cannot_read(around, changes.error());
    return std::nullopt;
  }
  auto reload = mesh::sites_to_reload(*changes);
  return Planned{std::move(*changes), std::move(reload), mesh::not_enrolled(inventory->inventory)};
}

std::string_view kind_word(mesh::FileChange::Kind kind) {
  switch (kind) {
    case mesh::FileChange::Kind::kNew: return "new";
    case mesh::FileChange::Kind::kChanged: return "changed";
    case mesh::FileChange::Kind::kStale: return "removed";
  }
  return "";
}

json::object as_json(const Planned& planned) {
  json::array files;
  for (const auto& change : planned.changes) files.push_back(json::object{{"path", change.path}, {"change", kind_word(change.kind)}});
  return {{"files", std::move(files)}, {"reload", json::value_from(planned.reload)}, {"not_enrolled", json::value_from(planned.keyless)}};
}

void show_sites(const Surroundings& around, const Planned& planned) {
  if (!planned.reload.empty()) around.out << fmt::format("sites to reload: {}\n", fmt::join(planned.reload, ", "));
  if (!planned.keyless.empty()) around.out << fmt::format("not enrolled yet: {}\n", fmt::join(planned.keyless, ", "));
}

// Where the inventory is a link, what it leads to is replaced.
ExitCode write_inventory(const Surroundings& around, const Options& options, const Result<std::string>& text, std::string_view done) {
  if (!text) return complain(around, ExitCode::kAnswerIsNo, fmt::format("{}: {}", options.file, text.error().text));
  std::error_code wrong;
  auto path = std::filesystem::canonical(options.file, wrong).string();
  if (wrong) path = options.file;
  if (const auto written = files::replace_file(path, *text); !written) return cannot_write(around, written.error());
  if (options.json) {
    around.out << json::serialize(json::object{{"file", options.file}, {"site", options.name}}) << "\n";
  } else {
    around.out << fmt::format("{}: {}; now: greywire mesh build {} -o FOLDER\n", options.file, done, options.file);
  }
  return ExitCode::kDone;
}

Result<PrivateKey> key_of_site(const std::string& path) {
  SystemRandom random;
  auto key = generate_private_key(random);
  auto text = key.reveal_base64() + "\n";
  const auto made = write_new(path, text, "");
  wipe(text.data(), text.size());
  if (made) return key;
  if (made.error().code == EEXIST) return config::read_private_key(path);
  return made.error();
}

}  // namespace

ExitCode mesh_build_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto planned = plan(around, options, code);
  if (!planned) return code;
  if (const auto done = mesh::write_changes(options.out, planned->changes); !done) return cannot_write(around, done.error());
  if (options.json) {
    around.out << json::serialize(as_json(*planned)) << "\n";
    return ExitCode::kDone;
  }
  for (const auto& change : planned->changes) around.out << fmt::format("{} {}/{}\n", kind_word(change.kind), options.out, change.path);
  if (planned->changes.empty()) around.out << fmt::format("{} is as {} says\n", options.out, options.file);
  show_sites(around, *planned);
  return ExitCode::kDone;
}

ExitCode mesh_diff_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto planned = plan(around, options, code);
  if (!planned) return code;
  if (options.json) {
    around.out << json::serialize(as_json(*planned)) << "\n";
  } else {
    for (const auto& change : planned->changes) around.out << mesh::to_diff(change);
    show_sites(around, *planned);
  }
  return planned->changes.empty() ? ExitCode::kDone : ExitCode::kAnswerIsNo;
}

ExitCode mesh_graph_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto inventory = read(around, options, code);
  if (!inventory) return code;
  const bool svg = options.format == "svg";
  const auto text = svg ? mesh::graph_svg(inventory->inventory) : mesh::graph_dot(inventory->inventory);
  around.out << (options.json ? json::serialize(json::object{{svg ? "svg" : "dot", text}}) + "\n" : text);
  return ExitCode::kDone;
}

ExitCode mesh_enroll_command(const Surroundings& around, const Options& options) {
  const auto name = config::parse_name(options.name);
  if (!name) return complain(around, ExitCode::kUsage, fmt::format("the site's name: {}", name.error().text));
  const auto path = options.key.empty() ? fmt::format("/etc/greywire/{}.key", *name) : options.key;
  const auto key = key_of_site(path);
  if (!key) return cannot_write(around, key.error());
  const auto text = derive_public_key(*key).to_base64();
  around.out << (options.json ? json::serialize(json::object{{"site", *name}, {"public_key", text}, {"file", path}}) : *name + " " + text) << "\n";
  return ExitCode::kDone;
}

ExitCode mesh_add_key_command(const Surroundings& around, const Options& options) {
  const auto key = PublicKey::from_base64(options.key);
  if (!key || key->is_zero()) {
    return complain(around, ExitCode::kUsage, fmt::format("'{}' is no public key: 44 characters of base64, as `greywire mesh enroll` prints them", options.key));
  }
  ExitCode code = ExitCode::kDone;
  const auto inventory = read(around, options, code);
  if (!inventory) return code;
  return write_inventory(around, options, mesh::with_public_key(inventory->text, inventory->inventory, options.name, *key, options.rotate),
                         fmt::format("site {} has the key {}", options.name, key->to_base64()));
}

ExitCode mesh_revoke_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto inventory = read(around, options, code);
  if (!inventory) return code;
  return write_inventory(around, options, mesh::with_revoked(inventory->text, inventory->inventory, options.name),
                         fmt::format("site {} is revoked", options.name));
}

}  // namespace greywire::cli
