// The site's devices: made, or taken from whoever kept them over a restart, and given to him to keep.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "overlay/daemon/running_site.h"

namespace greywire::daemon {

void RunningSite::tell(const std::string& state) {
  if (const auto told = service_manager_.tell(state); !told) spdlog::warn("{}", told.error().text);
}

// Stored as soon as it is there, so that a crash loses no device either.
Result<engine::TunDevice> RunningSite::open_device(const std::string& name, engine::TunKind kind, unsigned queues) {
  constexpr auto kRouting = engine::RoutingQueue::kWanted;
  const std::string stored = stored_name(name);
  auto device = [&]() -> Result<engine::TunDevice> {
    if (!options_.held.has(stored)) return engine::TunDevice::open(name, kind, queues, kRouting);
    auto adopted = engine::TunDevice::adopt(name, kind, options_.held.take(stored), queues, kRouting);
    if (adopted) return adopted;
    alert(adopted.error().text + "; making it anew");
    if (const auto told = service_manager_.forget(stored); !told) return told.error();
    return engine::TunDevice::open(name, kind, queues, kRouting);
  }();
  if (!device) return device;
  if (const auto told = service_manager_.store(stored, device->fds()); !told) alert(told.error().text);
  return device;
}

// On a device that was kept, a peer's next hop says that it was reachable. It stays so until probes say otherwise: taking
// it away and putting it back would cost every BGP session over it.
void RunningSite::adopt_reachability() {
  if (!gateway_adopted_) return;
  links::ReadScope scope;
  scope.own_links = {config_->site.interface};
  const auto actual = netlink_->read(scope);
  if (!actual) return;
  const auto stands = [&](const IpAddress& remote) {
    const bool as_address = std::any_of(actual->addresses.begin(), actual->addresses.end(), [&](const auto& has) {
      return has.ifindex == gateway_ifindex_ && has.address.peer == remote && has.address.local != remote;
    });
    return as_address || std::any_of(actual->routes.begin(), actual->routes.end(), [&](const links::Route& route) {
             return route.destination == Prefix::host(remote) && route.next_hops.size() == 1 &&
                    route.next_hops.front().ifindex == gateway_ifindex_;
           });
  };
  for (auto& [name, record] : peers_) {
    const auto& overlay = record.config->overlay_addresses;
    if (stands(config::link_local_of(record.config->public_key)) || std::any_of(overlay.begin(), overlay.end(), stands)) {
      record.reachability.assume_alive();
    }
  }
}

// Of devices that the config does not name any more.
void RunningSite::forget_unused_devices() {
  for (const auto& stored : options_.held.names()) {
    spdlog::info("{} was kept and is not in the config any more: removed", stored);
    if (const auto told = service_manager_.forget(stored); !told) alert(told.error().text);
  }
  options_.held = {};
}

Result<boost::json::value> RunningSite::hand_over(const std::string& to) {
  const ServiceManager successor(to);
  const auto give = [&](const std::string& name, const std::vector<int>& queues) {
    return successor.store(stored_name(name), queues);
  };
  if (auto ok = give(config_->site.interface, gateway_queues_); !ok) return ok.error();
  for (const auto& [name, record] : tunnels_) {
    if (auto ok = give(name, record.queues); !ok) return ok.error();
  }
  if (auto ok = successor.tell("STOPPING=1"); !ok) return ok.error();
  spdlog::info("handed over to a successor: ending");
  boost::asio::post(io_, [this] { io_.stop(); });
  return boost::json::value(nullptr);
}

}  // namespace greywire::daemon
