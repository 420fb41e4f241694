#include "overlay/links/link_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "overlay/links/underlay.h"

namespace greywire::links {
namespace {

constexpr std::uint8_t kAutomaticLinkLocalProtocol = 3;  // IFAPROT_KERNEL_LL
constexpr std::uint32_t kDefaultIpv6Metric = 1024;       // IP6_RT_PRIO_USER

template <class T>
bool contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// One pass over desired and actual state. The lists are joined in the end in the order that the kernel needs.
class Planner {
 public:
  Planner(const DesiredLinks& desired, const ActualLinks& actual) : desired_(desired), actual_(actual) {}

  Plan run() {
    for (const auto& spec : desired_.links) {
      const auto* link = actual_.find(spec.name);
      if (link == nullptr) {
        problem("link {} does not exist: it was removed, or its device could not be made", spec.name);
        continue;
      }
      own_.push_back(link->ifindex);
      plan_link(spec, *link);
      plan_addresses(spec, *link);
    }
    plan_bridges();
    plan_routes();
    plan_rules();
    Plan result;
    for (auto* list : {&make_room_, &create_bridges_, &set_links_, &set_vlans_, &set_addresses_, &set_routes_, &add_rules_, &delete_rules_,
                       &delete_routes_, &delete_addresses_, &delete_bridges_}) {
      std::move(list->begin(), list->end(), std::back_inserter(result.operations));
    }
    result.problems = std::move(problems_);
    return result;
  }

 private:
  template <class... Args>
  void problem(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back({fmt::format(text, std::forward<Args>(args)...), 0});
  }

  void plan_link(const LinkSpec& spec, const ActualLink& link) {
    const auto set = [&](LinkField field, std::uint32_t wanted, std::uint32_t has) {
      if (wanted != has) set_links_.push_back(SetLink{link.ifindex, link.name, field, wanted});
    };
    // Before the link is up: the kernel makes its own link-local address at that moment.
    if (spec.no_automatic_link_local)
      set(LinkField::kAutomaticLinkLocal, 0, link.automatic_link_local ? 1 : 0);
    if (spec.mtu) set(LinkField::kMtu, spec.mtu->bytes, link.mtu.bytes);
    if (spec.gso_max_size) {
      const bool same = link.gso_max_size == *spec.gso_max_size &&
                        link.gso_ipv4_max_size.value_or(*spec.gso_max_size) == *spec.gso_max_size;
      set(LinkField::kGsoMaxSize, *spec.gso_max_size, same ? *spec.gso_max_size : 0);
    }
    if (spec.tx_queue_length) set(LinkField::kTxQueueLength, *spec.tx_queue_length, link.tx_queue_length);
    if (spec.bridge) plan_bridge(spec, link);
    set(LinkField::kUp, spec.up ? 1 : 0, link.up ? 1 : 0);
    if (spec.carrier) set(LinkField::kCarrier, *spec.carrier ? 1 : 0, link.carrier ? 1 : 0);
  }

  bool is_made(const std::string& bridge) const {
    return std::any_of(desired_.bridges.begin(), desired_.bridges.end(), [&](const auto& spec) { return spec.name == bridge; });
  }

  void plan_bridge(const LinkSpec& spec, const ActualLink& link) {
    const std::string& name = *spec.bridge;
    Ifindex wanted = 0;
    if (!name.empty()) {
      const auto* bridge = actual_.find(name);
      if (bridge == nullptr && is_made(name)) return;  // it joins at the next look
      if (bridge == nullptr) {
        problem("cannot put {} into bridge {}: no such link; create it with `ip link add {} type bridge`, or let "
                "`bridge_create = true` do it",
                link.name, name, name);
        return;
      }
      if (bridge->kind != "bridge") {
        problem("cannot put {} into {}: it is no bridge; name a bridge in the tunnel's `bridge`", link.name,
                name);
        return;
      }
      wanted = bridge->ifindex;
    }
    if (wanted != link.master)
      set_links_.push_back(SetLink{link.ifindex, link.name, LinkField::kMaster, wanted});
    if (wanted != 0) plan_port(spec, link, *actual_.find(wanted), wanted != link.master);
  }

  // A port that has just joined is not isolated, and has the bridge's default VLAN, which is not known here: 1 unless somebody
  // changed that. What is left over then goes at the next look.
  void plan_port(const LinkSpec& spec, const ActualLink& link, const ActualLink& bridge, bool fresh) {
    if (spec.isolated != (!fresh && link.isolated)) {
      set_links_.push_back(SetLink{link.ifindex, link.name, LinkField::kIsolated, spec.isolated ? 1U : 0U});
    }
    if (!spec.vlans) return;
    if (!bridge.vlan_filtering.value_or(false)) {
      problem("{} has VLANs, but bridge {} does not filter them: `ip link set {} type bridge vlan_filtering 1`", link.name,
              bridge.name, bridge.name);
      return;
    }
    const std::vector<PortVlan> has = fresh ? std::vector{PortVlan{1, true, true}} : link.vlans;
    for (const PortVlan& vlan : *spec.vlans) {
      if (!contains(has, vlan)) set_vlans_.push_back(SetVlan{link.ifindex, link.name, vlan});
    }
    for (const PortVlan& vlan : has) {
      const bool wanted = std::any_of(spec.vlans->begin(), spec.vlans->end(), [&](const auto& v) { return v.vid == vlan.vid; });
      if (!wanted) set_vlans_.push_back(DeleteVlan{link.ifindex, link.name, vlan.vid});
    }
  }

  // A bridge of ours that nobody wants stays while it has ports or addresses that are not ours.
  void plan_bridges() {
    const auto named = [](const std::string& name) { return [&name](const BridgeSpec& spec) { return spec.name == name; }; };
    for (const auto& spec : desired_.bridges) {
      if (actual_.find(spec.name) == nullptr) create_bridges_.push_back(CreateBridge{spec});
    }
    for (const auto& link : actual_.links) {
      if (link.kind != "bridge" || link.group != kBridgeGroup) continue;
      if (std::any_of(desired_.bridges.begin(), desired_.bridges.end(), named(link.name))) continue;
      const bool has_ports = std::any_of(actual_.links.begin(), actual_.links.end(), [&](const ActualLink& port) {
        return port.master == link.ifindex && !contains(own_, port.ifindex);
      });
      const bool has_addresses = std::any_of(actual_.addresses.begin(), actual_.addresses.end(), [&](const auto& a) {
        return a.ifindex == link.ifindex && a.protocol != kAutomaticLinkLocalProtocol && !a.address.local.is_link_local();
      });
      if (!has_ports && !has_addresses) delete_bridges_.push_back(DeleteBridge{link.ifindex, link.name});
    }
  }

  void plan_addresses(const LinkSpec& spec, const ActualLink& link) {
    for (const auto& address : spec.addresses) {
      const bool has = std::any_of(
          actual_.addresses.begin(), actual_.addresses.end(),
          [&](const ActualAddress& a) { return a.ifindex == link.ifindex && a.address == address; });
      if (!has) set_addresses_.push_back(SetAddress{link.ifindex, link.name, address});
    }
    for (const auto& has : actual_.addresses) {
      if (has.ifindex != link.ifindex || contains(spec.addresses, has.address)) continue;
      const auto same_local = std::any_of(spec.addresses.begin(), spec.addresses.end(),
                                          [&](const LinkAddress& a) { return a.local == has.address.local; });
      const bool automatic = spec.no_automatic_link_local && has.protocol == kAutomaticLinkLocalProtocol;
      if (same_local && has.address.local.is_v6()) {
        make_room_.push_back(DeleteAddress{link.ifindex, link.name, has.address});
      } else if (same_local || has.protocol == kProtocol || automatic) {
        delete_addresses_.push_back(DeleteAddress{link.ifindex, link.name, has.address});
      }
    }
  }

  // Our routes: those through our links in any table but another underlay's, and the whole underlay table.
  void plan_routes() {
    std::vector<Route> wanted = device_routes();
    if (desired_.underlay && desired_.underlay->mirror_main) {
      auto mirror = mirrored_routes(*desired_.underlay, own_, actual_.routes);
      if (mirror.size() > kMaxMirroredRoutes) {
        problem(
            "the underlay has {} routes, of which only {} are kept apart from the overlay: give [underlay] a "
            "device or "
            "a table of its own",
            mirror.size(), kMaxMirroredRoutes);
        mirror.resize(kMaxMirroredRoutes);
      }
      std::move(mirror.begin(), mirror.end(), std::back_inserter(wanted));
    }
    const auto key = [](const Route& r) { return std::make_tuple(r.table, r.destination, r.metric); };
    std::map<decltype(key(wanted.front())), const Route*> has;
    for (const auto& route : actual_.routes) {
      if (route.protocol == kProtocol) has.emplace(key(route), &route);
    }
    std::map<decltype(key(wanted.front())), bool> keep;
    for (const auto& route : wanted) {
      keep[key(route)] = true;
      const auto it = has.find(key(route));
      if (it == has.end()) {
        set_routes_.push_back(SetRoute{route, false});
      } else if (*it->second != route) {
        set_routes_.push_back(SetRoute{route, true});
      }
    }
    for (const auto& [route_key, route] : has) {
      if (!keep.contains(route_key) && is_swept(*route)) delete_routes_.push_back(DeleteRoute{*route});
    }
  }

  std::vector<Route> device_routes() const {
    std::vector<Route> routes;
    for (const auto& spec : desired_.routes) {
      const auto* link = actual_.find(spec.device);
      if (link == nullptr) continue;  // already said for the link
      Route route;
      route.destination = spec.destination;
      route.table = spec.table;
      route.metric = spec.metric;
      if (spec.metric == 0 && spec.destination.family() == Family::kV6) route.metric = kDefaultIpv6Metric;
      route.next_hops.push_back({link->ifindex, std::nullopt, 1, false});
      route.preferred_source = spec.preferred_source;
      routes.push_back(std::move(route));
    }
    return routes;
  }

  bool is_swept(const Route& route) const {
    if (desired_.underlay && desired_.underlay->mirror_main && route.table == desired_.underlay->table)
      return true;
    for (const auto& old : desired_.withdrawn) {
      if (old.mirror_main && route.table == old.table) return true;
    }
    return std::any_of(route.next_hops.begin(), route.next_hops.end(),
                       [&](const NextHop& hop) { return contains(own_, hop.ifindex); });
  }

  void plan_rules() {
    std::vector<Rule> wanted;
    if (desired_.underlay) wanted = underlay_rules(*desired_.underlay);
    for (const auto& rule : wanted) {
      if (!contains(actual_.rules, rule)) add_rules_.push_back(AddRule{rule});
    }
    for (const auto& rule : actual_.rules) {
      if (rule.protocol != kProtocol || contains(wanted, rule)) continue;
      const auto is_of = [&](const Underlay& underlay) { return rule.mark == underlay.mark; };
      const bool current = desired_.underlay && is_of(*desired_.underlay);
      if (current || std::any_of(desired_.withdrawn.begin(), desired_.withdrawn.end(), is_of)) {
        delete_rules_.push_back(DeleteRule{rule});
      }
    }
  }

  const DesiredLinks& desired_;
  const ActualLinks& actual_;
  std::vector<Ifindex> own_;
  std::vector<Operation> make_room_, create_bridges_, set_links_, set_vlans_, set_addresses_, set_routes_, add_rules_;
  std::vector<Operation> delete_rules_, delete_routes_, delete_addresses_, delete_bridges_;
  std::vector<Error> problems_;
};

std::string describe_link(const SetLink& op) {
  switch (op.field) {
    case LinkField::kAutomaticLinkLocal:
      return fmt::format("switch the automatic link-local address of {} {}", op.name,
                         op.value != 0 ? "on" : "off");
    case LinkField::kMtu:
      return fmt::format("set the MTU of {} to {}", op.name, op.value);
    case LinkField::kGsoMaxSize:
      return fmt::format("set gso_max_size of {} to {}", op.name, op.value);
    case LinkField::kTxQueueLength:
      return fmt::format("set the transmit queue of {} to {} packets", op.name, op.value);
    case LinkField::kMaster:
      if (op.value == 0) return fmt::format("take {} out of its bridge", op.name);
      return fmt::format("put {} into the bridge with index {}", op.name, op.value);
    case LinkField::kIsolated:
      return fmt::format("switch the isolation of port {} {}", op.name, op.value != 0 ? "on" : "off");
    case LinkField::kUp:
      return fmt::format("set {} {}", op.name, op.value != 0 ? "up" : "down");
    case LinkField::kCarrier:
      return fmt::format("switch the carrier of {} {}", op.name, op.value != 0 ? "on" : "off");
  }
  return {};
}

struct Describe {
  std::string operator()(const SetLink& op) const { return describe_link(op); }
  std::string operator()(const CreateBridge& op) const { return fmt::format("make the bridge {}", op.bridge.name); }
  std::string operator()(const DeleteBridge& op) const { return fmt::format("delete the bridge {}", op.name); }
  std::string operator()(const SetVlan& op) const {
    return fmt::format("put port {} into VLAN {}{}{}", op.name, op.vlan.vid, op.vlan.pvid ? " pvid" : "",
                       op.vlan.untagged ? " untagged" : "");
  }
  std::string operator()(const DeleteVlan& op) const {
    return fmt::format("take port {} out of VLAN {}", op.name, op.vid);
  }
  std::string operator()(const SetAddress& op) const {
    return fmt::format("add address {} to {}", op.address.to_string(), op.name);
  }
  std::string operator()(const DeleteAddress& op) const {
    return fmt::format("delete address {} of {}", op.address.to_string(), op.name);
  }
  std::string operator()(const SetRoute& op) const {
    return fmt::format("{} route {}", op.replace ? "replace" : "add", op.route.to_string());
  }
  std::string operator()(const DeleteRoute& op) const { return "delete route " + op.route.to_string(); }
  std::string operator()(const AddRule& op) const { return "add " + op.rule.to_string(); }
  std::string operator()(const DeleteRule& op) const { return "delete " + op.rule.to_string(); }
};

}  // namespace

std::string describe(const Operation& operation) {
  return std::visit(Describe{}, operation);
}

Plan plan(const DesiredLinks& desired, const ActualLinks& actual) {
  return Planner(desired, actual).run();
}

}  // namespace greywire::links
