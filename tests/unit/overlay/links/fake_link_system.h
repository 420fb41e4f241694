// A kernel in memory: as much of Linux's rules about addresses, MTUs and routes as the plan relies on.
#pragma once

#include <algorithm>
#include <string>

#include "overlay/links/link_system.h"

namespace greywire::links {

class FakeLinkSystem : public LinkSystem {
 public:
  ActualLinks state;
  std::string fail_on;  // an operation whose description contains this fails with EPERM
  int reads = 0;

  Ifindex add_link(std::string name, std::string kind, std::uint32_t mtu = 1500) {
    ActualLink link;
    link.ifindex = static_cast<Ifindex>(state.links.size() + 1);
    link.name = std::move(name);
    link.kind = std::move(kind);
    link.mtu = Mtu{mtu};
    link.carrier = true;
    link.gso_max_size = 65536;
    link.gso_ipv4_max_size = 65536;
    link.tx_queue_length = 500;
    state.links.push_back(link);
    return link.ifindex;
  }

  Result<ActualLinks> read(const ReadScope&) override {
    ++reads;
    return state;
  }

  Result<void> apply(const Operation& operation) override {
    const auto text = describe(operation);
    if (!fail_on.empty() && text.find(fail_on) != std::string::npos) return Error{"cannot " + text, 1};
    std::visit([this](const auto& op) { perform(op); }, operation);
    return {};
  }

 private:
  ActualLink& link(Ifindex ifindex) { return state.links.at(ifindex - 1); }

  void perform(const CreateBridge& op) {
    auto& made = link(add_link(op.bridge.name, "bridge"));
    made.group = kBridgeGroup;
    made.vlan_filtering = op.bridge.vlan_filtering;
    made.up = true;
  }

  void perform(const DeleteBridge& op) {
    for (auto& l : state.links) {
      if (l.master == op.ifindex) l.master = 0;
    }
    auto& gone = link(op.ifindex);  // the others keep their places
    gone.name.clear();
    gone.kind.clear();
  }

  void perform(const SetVlan& op) {
    auto& vlans = link(op.ifindex).vlans;
    std::erase_if(vlans, [&](const PortVlan& v) { return v.vid == op.vlan.vid; });
    if (op.vlan.pvid) {
      for (auto& v : vlans) v.pvid = false;
    }
    vlans.push_back(op.vlan);
    std::sort(vlans.begin(), vlans.end());
  }

  void perform(const DeleteVlan& op) {
    std::erase_if(link(op.ifindex).vlans, [&](const PortVlan& v) { return v.vid == op.vid; });
  }

  void perform(const SetLink& op) {
    auto& l = link(op.ifindex);
    switch (op.field) {
      case LinkField::kAutomaticLinkLocal:
        l.automatic_link_local = op.value != 0;
        break;
      case LinkField::kMtu:
        set_mtu(l, op.value);
        break;
      case LinkField::kGsoMaxSize:
        l.gso_max_size = op.value;
        l.gso_ipv4_max_size = op.value;
        break;
      case LinkField::kTxQueueLength:
        l.tx_queue_length = op.value;
        break;
      case LinkField::kMaster:
        if (l.master != op.value && op.value != 0) l.vlans = {{1, true, true}};
        l.master = op.value;
        l.isolated = false;
        break;
      case LinkField::kIsolated:
        l.isolated = op.value != 0;
        break;
      case LinkField::kUp:
        l.up = op.value != 0;
        break;
      case LinkField::kCarrier:
        l.carrier = op.value != 0;
        break;
    }
  }

  void set_mtu(ActualLink& l, std::uint32_t mtu) {
    l.mtu = Mtu{mtu};
    if (mtu >= 1280) return;  // below that a link has no IPv6
    std::erase_if(state.addresses,
                  [&](const ActualAddress& a) { return a.ifindex == l.ifindex && a.address.local.is_v6(); });
  }

  void perform(const SetAddress& op) {
    for (auto& a : state.addresses) {
      if (a.ifindex != op.ifindex) continue;
      if (a.address == op.address) return;
      // IPv6 holds a local address once a device: the second attempt is refused, which here means ignored.
      if (a.address.local.is_v6() && a.address.local == op.address.local) return;
    }
    state.addresses.push_back({op.ifindex, op.address, kProtocol});
  }

  void perform(const DeleteAddress& op) {
    std::erase_if(state.addresses,
                  [&](const ActualAddress& a) { return a.ifindex == op.ifindex && a.address == op.address; });
  }

  void perform(const SetRoute& op) {
    if (op.replace) std::erase_if(state.routes, [&](const Route& r) { return r.same_key(op.route); });
    state.routes.push_back(op.route);
  }

  void perform(const DeleteRoute& op) {
    std::erase_if(state.routes,
                  [&](const Route& r) { return r.same_key(op.route) && r.protocol == op.route.protocol; });
  }

  void perform(const AddRule& op) { state.rules.push_back(op.rule); }
  void perform(const DeleteRule& op) { std::erase(state.rules, op.rule); }
};

}  // namespace greywire::links
