#include "overlay/daemon/endpoint_choice.h"

#include <algorithm>

namespace greywire::daemon {
namespace {

bool same_addresses(const std::vector<ResolvedAddress>& a, const std::vector<ResolvedAddress>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.address == y.address && x.scope == y.scope;
  });
}

// DNS rotates its answers: sorted, the same set is the same list. Then IPv6 and IPv4 in turn.
std::vector<ResolvedAddress> in_turn(std::span<const ResolvedAddress> addresses) {
  std::vector<ResolvedAddress> v6, v4, out;
  for (const auto& a : addresses) (a.address.is_v4() ? v4 : v6).push_back(a);
  for (auto* family : {&v6, &v4}) {
    std::sort(family->begin(), family->end(), [](const auto& x, const auto& y) { return x.address < y.address; });
  }
  for (std::size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) out.push_back(v6[i]);
    if (i < v4.size()) out.push_back(v4[i]);
  }
  return out;
}

}  // namespace

EndpointChoice::EndpointChoice(const std::vector<config::PeerEndpoint>& endpoints) {
  for (const auto& endpoint : endpoints) {
    Name& name = names_.emplace_back();
    name.endpoint = endpoint;
    if (endpoint.literal) {
      name.addresses = {{endpoint.literal->address, endpoint.literal->scope, {}}};
    } else {
      name.ask_at = TimePoint{};
    }
  }
}

std::vector<EndpointChoice::Lookup> EndpointChoice::due(TimePoint now) {
  std::vector<Lookup> out;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    Name& name = names_[i];
    if (name.under_way || name.ask_at > now) continue;
    name.under_way = true;
    name.asked = now;
    out.push_back({i, name.endpoint.host});
  }
  return out;
}

TimePoint EndpointChoice::next_deadline() const {
  TimePoint at = kNever;
  for (const Name& name : names_) {
    if (!name.under_way) at = std::min(at, name.ask_at);
  }
  return at;
}

bool EndpointChoice::answered(std::size_t which, std::span<const ResolvedAddress> addresses, TimePoint now) {
  Name& name = names_.at(which);
  if (addresses.empty()) {
    failed(which, now);
    return false;
  }
  name.under_way = false;
  auto ttl = kGreatestTtl;
  for (const auto& a : addresses) ttl = std::min(ttl, a.ttl);
  name.ask_at = now + std::max(ttl, kLeastTtl);
  if (stale_) {
    name.ask_at = std::min<TimePoint>(name.ask_at, now + name.stale_wait);
    name.stale_wait = std::min(2 * name.stale_wait, kStaleRetryMost);
  }
  auto ordered = in_turn(addresses);
  const bool changed = !same_addresses(ordered, name.addresses);
  name.addresses = std::move(ordered);
  return changed;
}

void EndpointChoice::failed(std::size_t which, TimePoint now) {
  Name& name = names_.at(which);
  name.under_way = false;
  name.ask_at = now + kRetry;
}

void EndpointChoice::set_stale(bool stale, TimePoint now) {
  if (stale && !stale_) {
    for (Name& name : names_) {
      name.stale_wait = kStaleRetry;
      if (!name.endpoint.literal) name.ask_at = std::min(name.ask_at, std::max<TimePoint>(now, name.asked + kStaleRetry));
    }
  }
  stale_ = stale;
}

std::vector<Endpoint> EndpointChoice::candidates() const {
  std::vector<Endpoint> out;
  for (const Name& name : names_) {
    for (const auto& a : name.addresses) out.push_back({a.address, name.endpoint.port, a.scope});
  }
  return out;
}

bool is_stale(std::optional<bool> reachable, bool handshake_pending,
              std::optional<std::chrono::seconds> handshake_age) {
  if (reachable) return !*reachable;
  return handshake_pending && (!handshake_age || *handshake_age > kStaleHandshake);
}

}  // namespace greywire::daemon
