#include "overlay/mesh/inventory_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "overlay/config/near_miss.h"
#include "overlay/mesh/text_lines.h"

namespace greywire::mesh {
namespace {

// `key = value` below `like`, which is "name = ...": with its indentation, and its sign of equality where that is further right.
std::string line_like(const std::string& like, std::string_view key, std::string_view value) {
  const auto indent = std::min(like.find_first_not_of(" \t"), like.size());
  const auto equals = like.find('=');
  const auto room = equals == std::string::npos || equals < indent + 1 ? 0 : equals - indent - 1;
  return fmt::format("{}{:<{}} = {}{}", like.substr(0, indent), key, std::max(room, key.size()), value, like.ends_with("\r\n") ? "\r\n" : "\n");
}

// The value in a line "key = old  # comment".
bool replace_value(std::string& line, std::string_view old, std::string_view value) {
  const auto equals = line.find('=');
  const auto at = equals == std::string::npos ? equals : line.find(old, equals);
  if (at == std::string::npos || line.find_first_not_of(" \t", equals + 1) != at) return false;
  line.replace(at, old.size(), value);
  return true;
}

Result<std::string> changed(std::string_view text, const Site& site, std::string_view key, std::string_view old,
                            std::string_view value, const Inventory& wanted) {
  const auto before = lines_of(text);
  std::vector<std::string> lines(before.begin(), before.end());
  const auto name_line = site.at.of("name").line;
  bool done = false;
  if (site.at.has(key)) {
    const auto line = site.at.of(key).line;
    done = line >= 1 && line <= lines.size() && replace_value(lines[line - 1], old, value);
  } else if (name_line >= 1 && name_line <= lines.size()) {
    auto& like = lines[name_line - 1];
    if (!like.ends_with('\n')) like += '\n';
    lines.insert(lines.begin() + name_line, line_like(like, key, value));
    done = true;
  }
  std::string out;
  for (const auto& line : lines) out += line;
  const auto again = done ? parse_inventory(out, "").inventory : std::nullopt;
  if (again && *again == wanted) return Result<std::string>(boost::system::in_place_value, std::move(out));
  return Error{fmt::format("write '{} = {}' into [[site]] {} in line {} by hand: {}", key, value, site.name, site.at.section().line,
                           done && !again ? "with it the inventory has errors" : "it is laid out in a way that is not followed here")};
}

}  // namespace

Error no_such_site(const Inventory& inventory, std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& site : inventory.sites) names.emplace_back(site.name);
  return {fmt::format("there is no site '{}'{}", name, config::did_you_mean(name, names))};
}

Result<std::string> with_public_key(std::string_view text, const Inventory& inventory, std::string_view name, const PublicKey& key,
                                    bool rotating) {
  const Site* site = inventory.find(name);
  if (site == nullptr) return no_such_site(inventory, name);
  for (const auto& other : inventory.sites) {
    if (other.public_key != key || &other == site) continue;
    return Error{fmt::format("this is the key of site '{}'{}", other.name, other.revoked ? ", which is revoked" : "")};
  }
  if (rotating && !site->enrolled()) return Error{fmt::format("site '{}' has no key yet: leave out --rotate", name)};
  if (rotating && site->public_key == key) return Error{fmt::format("site '{}' has this key already", name)};
  if (rotating && site->rotating) {
    return Error{fmt::format("site '{}' is rotating already, and has room for one previous key: finish that first, with 'rotating = false'", name)};
  }
  Inventory wanted = inventory;
  Site& other = wanted.sites[static_cast<std::size_t>(site - inventory.sites.data())];
  other.public_key = key;
  auto out = changed(text, *site, "public_key", fmt::format("\"{}\"", site->public_key.to_base64()),
                     fmt::format("\"{}\"", key.to_base64()), wanted);
  if (!out || rotating == site->rotating) return out;
  const auto again = parse_inventory(*out, "").inventory;
  other.rotating = rotating;  // without --rotate the key before counts no more
  return changed(*out, *again->find(name), "rotating", rotating ? "false" : "true", rotating ? "true" : "false", wanted);
}

Result<std::string> with_revoked(std::string_view text, const Inventory& inventory, std::string_view name) {
  const Site* site = inventory.find(name);
  if (site == nullptr) return no_such_site(inventory, name);
  if (site->revoked) return Result<std::string>(boost::system::in_place_value, text);
  Inventory wanted = inventory;
  wanted.sites[static_cast<std::size_t>(site - inventory.sites.data())].revoked = true;
  return changed(text, *site, "revoked", "false", "true", wanted);
}

}  // namespace greywire::mesh
