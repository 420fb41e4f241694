#include "overlay/import/gre_links.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdlib>

namespace greywire::import {
namespace {

namespace json = boost::json;
using config::Diagnostics;

const json::value* member(const json::object& in, std::string_view name) { return in.if_contains(name); }

std::string text_of(const json::object& in, std::string_view name) {
  const auto* value = member(in, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<std::uint32_t> number_of(const json::object& in, std::string_view name) {
  const auto* value = member(in, name);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code wrong;
  const auto number = value->to_number<std::uint32_t>(wrong);
  return wrong ? std::nullopt : std::optional(number);
}

bool is_set(const json::object& in, std::string_view name) {
  const auto* value = member(in, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// iproute2 writes a key as if it were an IPv4 address.
std::optional<std::uint32_t> key_of(const json::object& in, std::string_view name) {
  if (const auto number = number_of(in, name)) return number;
  const auto address = IpAddress::parse(text_of(in, name));
  if (!address || !address->is_v4()) return std::nullopt;
  return address->v4_host_order();
}

// "0x10", as the DS field of the delivery packets; 1 is "inherit".
std::string tos_of(const json::object& in) {
  if (is_set(in, "ip6_tnl_f_use_orig_tclass")) return "\"inherit\"";
  for (const char* name : {"tos", "tclass"}) {
    const auto text = text_of(in, name);
    const auto value = std::strtoul(text.c_str(), nullptr, 16);
    if (text.starts_with("0x") && value == 1) return "\"inherit\"";
    if (text.starts_with("0x") && value != 0 && value < 256) return std::to_string(value & ~3UL);
  }
  return "";
}

std::vector<config::InterfaceAddress> addresses_of(const json::object& link) {
  std::vector<config::InterfaceAddress> out;
  const auto* list = member(link, "addr_info");
  if (list == nullptr || !list->is_array()) return out;
  for (const auto& entry : list->get_array()) {
    const auto* address = entry.if_object();
    if (address == nullptr || text_of(*address, "scope") == "link") continue;
    const auto length = number_of(*address, "prefixlen");
    if (!length) continue;
    if (auto parsed = config::InterfaceAddress::parse(fmt::format("{}/{}", text_of(*address, "local"), *length))) out.push_back(*parsed);
  }
  return out;
}

std::optional<GreLink> link_of(const json::object& link, Diagnostics& diagnostics) {
  const auto* info = member(link, "linkinfo");
  if (info == nullptr || !info->is_object()) return std::nullopt;
  const auto kind = text_of(info->get_object(), "info_kind");
  if (kind != "gre" && kind != "gretap" && kind != "ip6gre" && kind != "ip6gretap") return std::nullopt;
  const auto name = config::parse_interface_name(text_of(link, "ifname"));
  if (!name) return std::nullopt;
  const auto* details = member(info->get_object(), "info_data");
  const auto skip = [&](std::string_view why) {
    diagnostics.warning({}, fmt::format("{} '{}' is left out: {}", kind, *name, why));
    return std::nullopt;
  };
  if (details == nullptr || !details->is_object()) return skip("its ends are not told; ask `ip` with -d");
  const auto& data = details->get_object();
  GreLink out;
  out.name = *name;
  out.ethernet = kind.ends_with("tap");
  const auto local = config::parse_host_address(text_of(data, "local"));
  const auto remote = config::parse_host_address(text_of(data, "remote"));
  if (*name == "gre0" || *name == "gretap0" || *name == "ip6gre0" || *name == "ip6tnl0") return std::nullopt;  // the kernel's own
  if (!remote) return skip("it has no remote end, and greywired makes links to one peer each");
  if (!local) return skip("it has no local end: write 'local' of the interface that WireGuard had");
  out.local = *local;
  out.remote = *remote;
  if (member(data, "encap") != nullptr) return skip("it goes through UDP by fou or gue, which greywired does not do: WireGuard is UDP already");
  const auto in = key_of(data, "ikey"), back = key_of(data, "okey");
  if (in != back) return skip("it has another key each way, and greywired takes one");
  out.key = in;
  const bool numbered[] = {is_set(data, "iseq"), is_set(data, "oseq")}, summed[] = {is_set(data, "icsum"), is_set(data, "ocsum")};
  if (numbered[0] != numbered[1] || summed[0] != summed[1]) return skip("it has sequence numbers or checksums one way only, and greywired has them both ways or not");
  out.sequence = numbered[0];
  out.checksum = summed[0];
  const auto ttl = number_of(data, "ttl");
  if (ttl && *ttl <= 255) out.ttl = static_cast<std::uint8_t>(*ttl);
  out.tos = tos_of(data);
  const auto limit = number_of(data, "encap_limit");
  if (limit && *limit <= 255 && !out.local.is_v4() && !is_set(data, "ip6_tnl_f_ign_encap_limit")) {
    out.encap_limit = static_cast<std::uint8_t>(*limit);
  }
  out.drops_what_is_too_big = out.ethernet && is_set(data, "pmtudisc") && !is_set(data, "ignore_df");
  out.fwmark = text_of(data, "fwmark");
  out.bridge = text_of(link, "master");
  out.addresses = addresses_of(link);
  return out;
}

}  // namespace

std::optional<std::vector<GreLink>> parse_gre_links(std::string_view text, Diagnostics& diagnostics) {
  json::parse_options options;
  options.max_depth = 16;
  boost::system::error_code wrong;
  const json::value parsed = text.size() > kLargestLinks ? json::value() : json::parse(text, wrong, {}, options);
  if (wrong || !parsed.is_array()) {
    diagnostics.error({}, "this is no list of links in JSON: make it with `ip -d -j address show`");
    return std::nullopt;
  }
  std::vector<GreLink> out;
  for (const auto& entry : parsed.get_array()) {
    const auto* link = entry.if_object();
    if (link == nullptr) continue;
    if (auto gre = link_of(*link, diagnostics)) out.push_back(std::move(*gre));
  }
  return out;
}

}  // namespace greywire::import
