#include "overlay/import/site_import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>

#include "router/crypto/x25519.h"

namespace greywire::import {
namespace {

constexpr std::uint16_t kDefaultPort = 51820;

struct SitePeer {
  const QuickConfig* file = nullptr;
  const QuickPeer* peer = nullptr;
  std::string name;
  std::vector<IpAddress> overlay;
  bool guessed = false;  // `overlay` is not written in the file
  std::vector<Prefix> allowed_ips;
  std::vector<Prefix> accept;
  std::vector<Prefix> multicast;
};

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

// A value alone, or a list.
template <class T, class Text>
std::string list_of(const std::vector<T>& values, const Text& text) {
  std::vector<std::string> out;
  for (const T& value : values) out.push_back(quoted(text(value)));
  return out.size() == 1 ? out.front() : fmt::format("[{}]", fmt::join(out, ", "));
}

template <class T>
std::string list_of(const std::vector<T>& values) {
  return list_of(values, [](const T& value) { return value.to_string(); });
}

bool is_default(const Prefix& prefix) { return prefix.length() == 0; }

bool is_multicast(const Prefix& prefix) {
  return !is_default(prefix) && prefix.address().is_multicast();
}

bool is_host_of_somebody(const Prefix& prefix) {
  return prefix.is_host() && config::parse_host_address(prefix.address().to_string()).has_value();
}

// The one other address of a network of two.
std::optional<IpAddress> other_end(const config::InterfaceAddress& own) {
  const unsigned rest = own.address.bits() - own.length;
  if (rest != 1 && rest != 2) return std::nullopt;
  std::vector<std::uint8_t> bytes(own.address.bytes().begin(), own.address.bytes().end());
  const unsigned last = bytes.back() & 3U;
  if (rest == 2 && last != 1 && last != 2) return std::nullopt;
  bytes.back() = static_cast<std::uint8_t>(bytes.back() ^ (rest == 1 ? 1U : 3U));
  const auto other = own.address.is_v4() ? IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data(), 4))
                                         : IpAddress::v6(std::span<const std::uint8_t, 16>(bytes.data(), 16));
  return config::parse_host_address(other.to_string()) ? std::optional(other) : std::nullopt;
}

class SiteImport {
 public:
  SiteImport(std::span<const QuickConfig> files, std::span<const GreLink> links, const ImportOptions& options)
      : files_(files), links_(links), options_(options) {}

  Result<ImportedSite> run() {
    if (files_.empty()) return Error{"name a wg-quick file, such as /etc/wireguard/wg0.conf"};
    for (const auto& file : files_) {
      for (const auto& address : file.addresses) {
        if (config::parse_host_address(address.address.to_string()) &&
            std::find(own_.begin(), own_.end(), address.address) == own_.end()) {
          own_.push_back(address.address);
        }
      }
    }
    if (own_.empty()) return Error{fmt::format("{}: no Address that a site could have: add one to [Interface]; peers know the site by it", files_.front().file)};
    if (auto ok = check_keys(); !ok) return ok.error();
    find_peers();
    give_links();
    write();
    out_.private_key_file = options_.site + ".key";
    out_.private_key = files_.front().private_key;
    return std::move(out_);
  }

 private:
  Result<void> check_keys() const {
    const auto& first = files_.front();
    for (const auto& file : files_) {
      if (file.private_key == first.private_key || options_.first_key) continue;
      return Error{fmt::format("{} and {} have different private keys, and a site has one: import each into a site of its own, or say "
                               "--first-key and give the peers of {} the public key {}",
                               first.file, file.file, file.file, derive_public_key(first.private_key).to_base64())};
    }
    return {};
  }

  void note(const std::string& file, config::SourcePosition at, std::string_view text) {
    out_.notes.push_back(at.line == 0 ? fmt::format("{}: {}", file, text) : fmt::format("{}:{}: {}", file, at.line, text));
  }

  std::string free_name(const std::string& wanted) {
    std::string base(wanted, 0, 28);
    for (char& c : base) {
      if (!config::parse_name(std::string(1, c)) && c != '.') c = '-';
    }
    if (!config::parse_name(base)) base = "peer";
    std::string name = base;
    for (unsigned number = 2; !names_.insert(name).second; ++number) name = fmt::format("{}-{}", base, number);
    return name;
  }

  void find_peers() {
    const bool several_defaults = 1 < std::count_if(files_.begin(), files_.end(), [](const QuickConfig& file) {
      return std::any_of(file.peers.begin(), file.peers.end(), [](const QuickPeer& peer) {
        return std::any_of(peer.allowed_ips.begin(), peer.allowed_ips.end(), is_default);
      });
    });
    for (const auto& file : files_) {
      for (const auto& peer : file.peers) {
        SitePeer out;
        out.file = &file;
        out.peer = &peer;
        out.name = free_name(!peer.name.empty() ? peer.name : file.peers.size() == 1 ? file.interface : file.interface + "-peer");
        sort_prefixes(out, several_defaults);
        peers_.push_back(std::move(out));
      }
    }
  }

  // Hosts in the interface's network are the peer itself. Of the rest routing decides where wg-quick did not.
  void sort_prefixes(SitePeer& out, bool several_defaults) {
    const auto in_network = [&](const Prefix& prefix) {
      return std::any_of(out.file->addresses.begin(), out.file->addresses.end(), [&](const auto& own) {
        return own.length != own.address.bits() && own.network().contains(prefix.address());
      });
    };
    const bool any_inside = std::any_of(out.peer->allowed_ips.begin(), out.peer->allowed_ips.end(),
                                        [&](const Prefix& prefix) { return is_host_of_somebody(prefix) && in_network(prefix); });
    std::set<Family> have;
    for (const auto& prefix : out.peer->allowed_ips) {
      const bool own = std::find(own_.begin(), own_.end(), prefix.address()) != own_.end();
      if (is_multicast(prefix)) {
        out.multicast.push_back(prefix);
      } else if (is_host_of_somebody(prefix) && !own && !taken(prefix.address()) &&
                 (in_network(prefix) || (!any_inside && !have.count(prefix.family())))) {
        out.overlay.push_back(prefix.address());
        have.insert(prefix.family());
        taken_.insert(prefix.address());
      } else if (out.file->table_off || (is_default(prefix) && several_defaults)) {
        out.accept.push_back(prefix);
      } else {
        out.allowed_ips.push_back(prefix);
      }
    }
    if (!out.overlay.empty() || out.file->peers.size() != 1) return;
    for (const auto& own : out.file->addresses) {
      const auto other = other_end(own);
      if (other && !taken(*other)) give(out, *other);
    }
  }

  bool taken(const IpAddress& address) const {
    return taken_.count(address) != 0 || std::find(own_.begin(), own_.end(), address) != own_.end();
  }

  void give(SitePeer& peer, const IpAddress& address) {
    peer.overlay.push_back(address);
    peer.guessed = true;
    taken_.insert(address);
  }

  // Whose end a GRE link's remote end is; its only known address is one of the peer's own.
  SitePeer* owner_of(const GreLink& link) {
    SitePeer* best = nullptr;
    unsigned longest = 0;
    for (auto& peer : peers_) {
      if (std::find(peer.overlay.begin(), peer.overlay.end(), link.remote) != peer.overlay.end()) return &peer;
      for (const auto& prefix : peer.peer->allowed_ips) {
        if (prefix.length() > longest && prefix.contains(link.remote)) {
          longest = prefix.length();
          best = &peer;
        }
      }
    }
    if (best != nullptr) return best;
    for (auto& peer : peers_) {
      if (peer.file->peers.size() != 1) continue;
      for (const auto& own : peer.file->addresses) {
        if (own.address == link.local || own.network().contains(link.remote)) return &peer;
      }
    }
    return nullptr;
  }

  void give_links() {
    for (const auto& link : links_) {
      SitePeer* peer = owner_of(link);
      owners_.push_back(peer);
      if (peer != nullptr && peer->overlay.empty() && !taken(link.remote)) give(*peer, link.remote);
    }
  }

  void write() {
    auto& text = out_.toml;
    text += "# Made by `greywire import`";
    for (const auto& file : files_) text += " " + printable(file.file);
    text += fmt::format("\n\n[site]\nname = {}\nprivate_key_file = {}\nlisten_port = {}\noverlay_address = {}\n", quoted(options_.site),
                        quoted(options_.site + ".key"), port(), list_of(own_));
    text += "# networks = [...]   # this site's own LANs: then no peer can announce or send from them\n";
    for (const auto& file : files_) write_left_over(file);
    for (const auto& peer : peers_) write_peer(peer);
    for (std::size_t i = 0; i < links_.size(); ++i) write_link(links_[i], owners_[i]);
    if (std::any_of(peers_.begin(), peers_.end(), [](const SitePeer& peer) { return !peer.accept.empty(); })) {
      text += "\n# Once bgpd is to decide over gw0 too; without it `accept` says what may come in over the links:\n"
              "# [routing]\n# zebra = \"/run/frr/zserv.api\"\n";
    }
  }

  static std::string printable(std::string text) {
    std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f; }, '?');
    return text;
  }

  std::uint16_t port() const {
    for (const auto& file : files_) {
      if (file.listen_port != 0) return file.listen_port;
    }
    return kDefaultPort;
  }

  void write_left_over(const QuickConfig& file) {
    if (file.left_over.empty()) return;
    out_.toml += fmt::format("\n# Not carried over from {}:\n", printable(file.file));
    for (const auto& left : file.left_over) {
      out_.toml += fmt::format("#   {} = {}{}\n", left.key, left.value, way_out(left.key));
      note(file.file, left.at, fmt::format("{} is not carried over", left.key));
    }
  }

  static std::string_view way_out(std::string_view key) {
    switch (key.front() | 0x20) {
      case 'm': return "   # found by itself; by hand: 'mtu' of [[peer]]";
      case 'f': return "   # 'mark' of [underlay]";
      case 't': return "   # routes are in the main table, those of `accept` where bgpd puts them";
      case 'd': return "   # resolvectl or /etc/resolv.conf; PreDown and PostDown: a unit bound to greywire@";
      case 'p': return "   # a unit that starts after greywire@; routes and GRE links are greywired's now";
      default: return "";
    }
  }

  void write_peer(const SitePeer& peer) {
    auto& text = out_.toml;
    text += fmt::format("\n[[peer]]\nname = {}\npublic_key = {}\n", quoted(peer.name), quoted(peer.peer->public_key.to_base64()));
    if (peer.peer->endpoint) text += fmt::format("endpoint = {}\n", quoted(peer.peer->endpoint->to_string()));
    if (peer.overlay.empty()) {
      text += "liveness = \"off\"\n# overlay_address = \"...\"   # its own address inside the tunnel: then it is probed, and BGP can use it\n";
      note(peer.file->file, peer.peer->at, fmt::format("peer {}: its address inside the tunnel is not known: add overlay_address", peer.name));
    } else {
      text += fmt::format("overlay_address = {}{}\n", list_of(peer.overlay), peer.guessed ? "   # the other end of the link: see that it is" : "");
    }
    if (peer.peer->preshared_key) {
      auto file = fmt::format("{}-{}.psk", options_.site, peer.name);
      text += fmt::format("preshared_key_file = {}\n", quoted(file));
      out_.preshared_keys.emplace_back(std::move(file), *peer.peer->preshared_key);
    }
    if (!peer.allowed_ips.empty()) text += fmt::format("allowed_ips = {}\n", list_of(peer.allowed_ips));
    if (!peer.accept.empty()) {
      text += fmt::format("accept = {}   # a ceiling for BGP and for sources: narrow it to what is behind this peer\n",
                          list_of(peer.accept, [](const Prefix& prefix) {
                            return prefix.is_host() ? prefix.to_string() : fmt::format("{} le {}", prefix.to_string(), prefix.address().bits());
                          }));
      note(peer.file->file, peer.peer->at, fmt::format("peer {}: AllowedIPs that were for routing have become `accept`: narrow it", peer.name));
    }
    if (!peer.multicast.empty()) text += fmt::format("# AllowedIPs {}: multicast goes over [[tunnel]] links\n", list_of(peer.multicast));
    if (peer.peer->keepalive.count() != 0) text += fmt::format("keepalive = {}\n", peer.peer->keepalive.count());
    write_far_end(peer);
  }

  // What the peer has to know otherwise now that several interfaces have become one.
  void write_far_end(const SitePeer& peer) {
    const auto tell = [&](std::string text) {
      out_.toml += "# At the peer: " + text + "\n";
      note(peer.file->file, peer.peer->at, fmt::format("peer {}: at the peer: {}", peer.name, text));
    };
    if (!(peer.file->private_key == files_.front().private_key)) {
      tell(fmt::format("this site's PublicKey is {} now", derive_public_key(files_.front().private_key).to_base64()));
    }
    if (peer.file->listen_port != 0 && peer.file->listen_port != port()) {
      tell(fmt::format("where it calls this site, the Endpoint's port is {} now, not {}", port(), peer.file->listen_port));
    }
    for (const auto& address : peer.file->addresses) {
      const auto first = std::find_if(own_.begin(), own_.end(), [&](const IpAddress& own) { return own.family() == address.address.family(); });
      if (first != own_.end() && *first != address.address) tell(fmt::format("AllowedIPs take {} too, from which this site speaks", first->to_string()));
    }
  }

  void write_link(const GreLink& link, const SitePeer* peer) {
    if (peer == nullptr) {
      out_.toml += fmt::format("\n# Not carried over: {} to {}, which is no peer's address\n", link.name, link.remote.to_string());
      out_.notes.push_back(fmt::format("{} is not carried over: {} is no peer's address; import the wg-quick file of its tunnel too", link.name, link.remote.to_string()));
      return;
    }
    auto& text = out_.toml;
    text += fmt::format("\n[[tunnel]]\nname = {}\nkind = \"{}\"\npeer = {}\nlocal = \"{}\"\nremote = \"{}\"\n", quoted(link.name),
                        link.ethernet ? "gretap" : "gre", quoted(peer->name), link.local.to_string(), link.remote.to_string());
    if (link.key) text += fmt::format("key = {}\n", *link.key);
    if (link.sequence) text += "sequence = true\n";
    if (link.checksum) text += "checksum = true\n";
    if (link.ttl != 64) text += link.ttl == 0 ? std::string("ttl = \"inherit\"\n") : fmt::format("ttl = {}\n", link.ttl);
    if (!link.tos.empty()) text += fmt::format("tos = {}\n", link.tos);
    if (link.encap_limit) text += fmt::format("encap_limit = {}\n", *link.encap_limit);
    if (link.drops_what_is_too_big) {
      text += "# What was too big for the path was dropped; it is fragmented inside WireGuard now. df = \"set\" drops it again\n";
      out_.notes.push_back(fmt::format("{}: its pmtudisc is not carried over: what is too big is fragmented", link.name));
    }
    if (!link.fwmark.empty()) {
      text += fmt::format("# Its packets had the mark {}: 'mark' of [underlay] marks the outer ones of all links\n", printable(link.fwmark));
      out_.notes.push_back(fmt::format("{}: its mark {} is not carried over", link.name, printable(link.fwmark)));
    }
    const bool bridged = link.ethernet && !link.bridge.empty();
    if (bridged && config::parse_interface_name(link.bridge)) text += fmt::format("bridge = {}\n", quoted(link.bridge));
    if (!bridged && !link.addresses.empty()) text += fmt::format("address = {}\n", list_of(link.addresses));
    if (!link.ethernet && !link.bridge.empty()) {
      text += fmt::format("# It was in {}: put it there again, such as by a unit that starts after greywire@\n", printable(link.bridge));
      out_.notes.push_back(fmt::format("{}: its place in {} is not carried over", link.name, printable(link.bridge)));
    }
  }

  std::span<const QuickConfig> files_;
  std::span<const GreLink> links_;
  const ImportOptions& options_;
  ImportedSite out_;
  std::vector<IpAddress> own_;
  std::vector<SitePeer> peers_;
  std::vector<SitePeer*> owners_;  // of links_; null: nobody
  std::set<std::string> names_;
  std::set<IpAddress> taken_;
};

}  // namespace

Result<ImportedSite> import_site(std::span<const QuickConfig> files, std::span<const GreLink> links, const ImportOptions& options) {
  return SiteImport(files, links, options).run();
}

}  // namespace greywire::import
