#include "routing/policy.h"

#include <algorithm>
#include <array>

namespace greywire::routing {
namespace {

// RFC 6890 and its updates: what is never forwarded. Private and documentation ranges are not here: overlays
// live there.
bool is_bogon(const Prefix& prefix) {
  static const std::array bogons = [] {
    const auto make = [](const char* text) { return Prefix::parse(text).value(); };
    return std::array{
        make("0.0.0.0/8"),  // "this network"
        make("127.0.0.0/8"),   make("169.254.0.0/16"), make("224.0.0.0/4"),
        make("240.0.0.0/4"),  // reserved, with the limited broadcast
        make("::/127"),       // unspecified and loopback
        make("::ffff:0:0/96"), make("fe80::/10"),      make("ff00::/8"),
    };
  }();
  if (prefix.length() == 0) return false;
  return std::any_of(bogons.begin(), bogons.end(),
                     [&](const Prefix& bogon) { return bogon.contains(prefix); });
}

}  // namespace

void Policy::set_peers(std::vector<PeerRouting> peers) {
  peers_ = std::move(peers);
  by_id_.clear();
  configured_.clear();
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    by_id_[peers_[i].id] = i;
    for (const auto& address : peers_[i].overlay_addresses)
      configured_.try_emplace(Prefix::host(address), peers_[i].id);
  }
  for (const auto& peer : peers_) {
    for (const auto& prefix : peer.static_prefixes) configured_.try_emplace(prefix, peer.id);
  }
}

Reason Policy::check(const Prefix& prefix, PeerId peer) const {
  if (is_bogon(prefix)) return Reason::kBogon;
  if (const auto owner = configured_.find(prefix); owner != configured_.end()) {
    return owner->second == peer ? Reason::kStatic : Reason::kOtherPeersAddress;
  }
  if (std::any_of(own_.begin(), own_.end(), [&](const Prefix& own) { return own.contains(prefix); })) {
    return Reason::kOwnPrefix;
  }
  const auto* routing = find(peer);
  if (routing == nullptr || routing->accept.empty()) return Reason::kNoAccept;
  return routing->accept.admits(prefix) ? Reason::kNone : Reason::kOutsideAccept;
}

const PeerRouting* Policy::find(PeerId peer) const {
  const auto it = by_id_.find(peer);
  return it == by_id_.end() ? nullptr : &peers_[it->second];
}

std::string_view Policy::name(PeerId peer) const {
  const auto* routing = find(peer);
  return routing == nullptr ? std::string_view("?") : routing->name;
}

bool PrefixLimit::thaw() {
  if (!frozen_ || accepted_ > maximum_ || refused_ > maximum_ - accepted_) return false;
  frozen_ = false;
  return true;
}

bool PrefixLimit::warn() {
  const auto share = maximum_ == 0 ? 0.0 : static_cast<double>(accepted_) / static_cast<double>(maximum_);
  if (share < 0.6) warned_ = false;
  if (warned_ || share < 0.8) return false;
  warned_ = true;
  return true;
}

}  // namespace greywire::routing
