// What to change so that this host's links are as wanted: a pure function of desired and actual state.
//
// Applying a plan and planning again gives an empty plan. Only what is ours is touched (link_state.h): the
// links that the desired state names, and addresses, routes and rules that carry kProtocol. Additions come
// before deletions, so a good route or address is never taken away to be put back; the exception is an IPv6
// address whose length or peer changes, which the kernel holds once a device.
//
// An IPv4 address that is the primary of its subnet takes its secondaries along when it is deleted
// (promote_secondaries off); reconcile() in link_system.h looks again and puts back what is still wanted.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "overlay/links/link_state.h"
#include "router/base/result.h"

namespace greywire::links {

enum class LinkField : std::uint8_t {
  kAutomaticLinkLocal,  // 0: addrgenmode none, 1: eui64
  kMtu,
  kGsoMaxSize,
  kTxQueueLength,
  kMaster,  // ifindex of a bridge, 0 for none
  kIsolated,
  kUp,
  kCarrier,
};

struct SetLink {
  Ifindex ifindex = 0;
  std::string name;
  LinkField field = LinkField::kUp;
  std::uint32_t value = 0;
  friend bool operator==(const SetLink&, const SetLink&) = default;
};

struct CreateBridge {
  BridgeSpec bridge;
  friend bool operator==(const CreateBridge& a, const CreateBridge& b) { return a.bridge.name == b.bridge.name; }
};

struct DeleteBridge {
  Ifindex ifindex = 0;
  std::string name;
  friend bool operator==(const DeleteBridge&, const DeleteBridge&) = default;
};

struct SetVlan {  // adds it, or changes its flags
  Ifindex ifindex = 0;
  std::string name;
  PortVlan vlan;
  friend bool operator==(const SetVlan&, const SetVlan&) = default;
};

struct DeleteVlan {
  Ifindex ifindex = 0;
  std::string name;
  std::uint16_t vid = 0;
  friend bool operator==(const DeleteVlan&, const DeleteVlan&) = default;
};

struct SetAddress {
  Ifindex ifindex = 0;
  std::string name;
  LinkAddress address;
  friend bool operator==(const SetAddress&, const SetAddress&) = default;
};

struct DeleteAddress {
  Ifindex ifindex = 0;
  std::string name;
  LinkAddress address;
  friend bool operator==(const DeleteAddress&, const DeleteAddress&) = default;
};

struct SetRoute {
  Route route;
  bool replace = false;  // of our own route with this key; else a foreign one there is an error
  friend bool operator==(const SetRoute&, const SetRoute&) = default;
};

struct DeleteRoute {
  Route route;
  friend bool operator==(const DeleteRoute&, const DeleteRoute&) = default;
};

struct AddRule {
  Rule rule;
  friend bool operator==(const AddRule&, const AddRule&) = default;
};

struct DeleteRule {
  Rule rule;
  friend bool operator==(const DeleteRule&, const DeleteRule&) = default;
};

using Operation =
    std::variant<CreateBridge, DeleteBridge, SetLink, SetVlan, DeleteVlan, SetAddress, DeleteAddress, SetRoute, DeleteRoute,
                 AddRule, DeleteRule>;

// "set the MTU of gre-fra to 1392": what follows "cannot" in an error.
std::string describe(const Operation& operation);

struct Plan {
  std::vector<Operation> operations;  // in the order to apply them
  std::vector<Error> problems;        // what cannot be planned: a link or bridge that does not exist
};

Plan plan(const DesiredLinks& desired, const ActualLinks& actual);

}  // namespace greywire::links
