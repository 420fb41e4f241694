#include "overlay/daemon/bare_device.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "overlay/control/uapi_server.h"
#include "overlay/daemon/privileges.h"
#include "overlay/daemon/timestamp_file.h"
#include "overlay/links/link_monitor.h"
#include "overlay/links/link_netlink.h"
#include "router/engine/engine.h"

namespace greywire::daemon {
namespace {

constexpr std::uint32_t kDefaultMtu = 1420;  // as WireGuard devices have it: a 1500-byte path, IPv6 underlay

// Keeps the engine at what the interface is set to: its MTU, and no sockets while it is down.
class LinkFollower {
 public:
  LinkFollower(boost::asio::io_context& io, links::LinkMonitor monitor, links::LinkSystem& links, std::string name,
              engine::Engine& engine)
      : monitor_(std::move(monitor)), links_(links), name_(std::move(name)), engine_(engine), wait_(io) {
    wait_.assign(::dup(monitor_.fd()));
    follow();
    watch();
  }

 private:
  void watch() {
    wait_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
      if (error) return;
      const auto changes = monitor_.drain({});
      if (!changes || changes->links || changes->lost) follow();
      watch();
    });
  }
  void follow() {
    links::ReadScope scope;
    scope.own_links = {name_};
    const auto actual = links_.read(scope);
    const links::ActualLink* link = actual ? actual->find(name_) : nullptr;
    if (link == nullptr) return;
    if (link->mtu != mtu_) {
      mtu_ = link->mtu;
      engine_.set_inner_mtu(mtu_);
    }
    if (link->up == up_) return;
    if (!link->up) {
      engine_.suspend();
    } else if (const auto resumed = engine_.resume(); !resumed) {
      fmt::print(stderr, "{}: {}; set it down and up again to retry\n", name_, resumed.error().text);
    }
    up_ = link->up;
  }

  links::LinkMonitor monitor_;
  links::LinkSystem& links_;
  const std::string name_;
  engine::Engine& engine_;
  Mtu mtu_;
  bool up_ = false;
  boost::asio::posix::stream_descriptor wait_;
};

}  // namespace

Result<void> run_bare_device(const std::string& interface, unsigned workers, void (*ready)(void*), void* context) {
  keep_only(rights_for_bare_device());
  boost::asio::io_context io(1);
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (!error) io.stop();
  });

  engine::EngineOptions options;
  options.workers = workers;
  // Without a folder to write to it works like other WireGuard devices: a step back of the clock is not survived.
  const TimestampFile timestamps(std::string(kStateFolder) + "/" + interface);
  if (const auto kept = timestamps.read()) options.kept_timestamp = *kept;
  engine::EngineEvents events;
  events.keep_timestamp = [&](const wireguard::Timestamp& stamp) {
    boost::asio::post(io, [&timestamps, stamp] { (void)timestamps.write(stamp); });
  };
  events.link_gone = [&](LinkId) { boost::asio::post(io, [&io] { io.stop(); }); };
  events.keys_not_locked = [] { fmt::print(stderr, "greywired: {}\n", engine::kKeysNotLocked); };
  engine::Engine engine(options, std::move(events));

  auto device = engine::TunDevice::open(interface, engine::TunKind::kTun, engine.workers(),
                                        engine::RoutingQueue::kWanted);
  if (!device) return device.error();
  const std::string name = device->name();
  const auto ifindex = static_cast<links::Ifindex>(device->ifindex());
  auto netlink = links::LinkNetlink::open();
  if (!netlink) return netlink.error();
  auto monitor = links::LinkMonitor::open();
  if (!monitor) return monitor.error();
  if (auto set = (*netlink)->apply(links::SetLink{ifindex, name, links::LinkField::kMtu, kDefaultMtu}); !set) {
    return set.error();
  }
  // One super-frame becomes one UDP send. Older kernels have no such limit to set; two sends do as well.
  (void)(*netlink)->apply(links::SetLink{ifindex, name, links::LinkField::kGsoMaxSize, engine::kGsoMaxSize});
  engine.add_link(std::move(*device), std::nullopt);
  engine.suspend();
  LinkFollower follower(io, std::move(*monitor), **netlink, name, engine);
  auto uapi = control::serve_uapi(io, name, engine, [&] { io.stop(); });
  if (!uapi) return uapi.error();

  ready(context);
  io.run();
  if (const auto last = engine.greatest_timestamp(); last != wireguard::Timestamp{}) (void)timestamps.write(last);
  return {};
}

}  // namespace greywire::daemon
