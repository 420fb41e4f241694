#include "overlay/daemon/peer_endpoints.h"

#include <algorithm>
#include <utility>

#include "router/engine/boot_clock.h"

namespace greywire::daemon {

PeerEndpoints::PeerEndpoints(boost::asio::io_context& io, const std::vector<config::PeerEndpoint>& endpoints,
                             std::function<void(const std::vector<Endpoint>&)> changed,
                             std::function<void(const std::string&, const std::string&)> failed)
    : names_(io), timer_(io), choice_(endpoints), changed_(std::move(changed)), failed_(std::move(failed)) {}

void PeerEndpoints::start() {
  if (const auto known = choice_.candidates(); !known.empty()) changed_(known);
  ask();
}

void PeerEndpoints::set_stale(bool stale) {
  choice_.set_stale(stale, engine::boot_now());
  ask();
}

void PeerEndpoints::ask() {
  for (const auto& lookup : choice_.due(engine::boot_now())) {
    names_.start(lookup.host, [this, lookup](const auto& result) { answer(lookup, result); });
  }
  const TimePoint at = choice_.next_deadline();
  if (at == kNever) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max<Duration>(at - engine::boot_now(), Duration::zero()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) ask();
  });
}

void PeerEndpoints::answer(const EndpointChoice::Lookup& lookup, const Result<std::vector<ResolvedAddress>>& result) {
  if (result) {
    told_ = false;
    if (choice_.answered(lookup.which, *result, engine::boot_now())) changed_(choice_.candidates());
  } else {
    choice_.failed(lookup.which, engine::boot_now());
    if (!std::exchange(told_, true)) failed_(lookup.host, result.error().text);
  }
  ask();
}

}  // namespace greywire::daemon
