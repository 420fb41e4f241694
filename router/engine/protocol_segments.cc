// Links that are L2 segments, and how links are shared out to workers.
#include <algorithm>

#include "router/engine/boot_clock.h"
#include "router/engine/protocol.h"

namespace greywire::engine {

// A device with one queue has one reader, so that what it sends leaves in order; such devices are spread. So are the queues
// for routing traffic.
void Engine::Protocol::attach(LinkId link, const std::shared_ptr<TunDevice>& device) {
  const bool one_queue = device->queue_count() == 1;
  for (unsigned i = 0; i < worker_count(); ++i) {
    const bool chosen = link.value % worker_count() == i;
    workers_[i]->add_link(link, device, !one_queue || chosen, chosen);
  }
}

std::shared_ptr<SegmentEntry> Engine::Protocol::make_segment(LinkId link, const SegmentOptions& options,
                                                             const SegmentEntry* old) const {
  auto entry = std::make_shared<SegmentEntry>();
  for (const TunnelOptions& tunnel : options.tunnels) {
    auto made = make_tunnel(link, tunnel);
    made->segment_port = static_cast<gre::SegmentPort>(entry->tunnels.size() + 1);
    if (old != nullptr) {
      const auto before = std::find_if(old->tunnels.begin(), old->tunnels.end(),
                                       [&](const auto& t) { return t->peer == made->peer; });
      if (before != old->tunnels.end()) made->continue_from(**before);
    }
    entry->tunnels.push_back(std::move(made));
  }
  return entry;
}

LinkId Engine::Protocol::add_segment(TunDevice device, const SegmentOptions& options) {
  const LinkId link{next_link_++};
  LinkState& state = links_[link];
  state.device = std::make_shared<TunDevice>(std::move(device));
  replace_segment(link, options);
  attach(link, state.device);
  return link;
}

void Engine::Protocol::replace_segment(LinkId link, const SegmentOptions& options) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  LinkState& state = it->second;
  const auto old = state.segment;
  const auto fresh = make_segment(link, options, old.get());
  const bool same_ports = old != nullptr && std::equal(old->tunnels.begin(), old->tunnels.end(), fresh->tunnels.begin(),
                                                       fresh->tunnels.end(),
                                                       [](const auto& a, const auto& b) { return a->peer == b->peer; });
  gre::SegmentConfig config = options.config;
  config.nonce = std::uint64_t{random_.next_u32()} << 32 | random_.next_u32();
  if (same_ports && state.segment_options->config == options.config) {
    fresh->state = old->state;
  } else {
    fresh->state = std::make_shared<gre::Segment>(config);
  }
  state.segment_options = options;
  state.segment = fresh;
  if (old != nullptr) {
    for (const auto& tunnel : old->tunnels) rebuild_entry(tunnel->peer);
  }
  for (const auto& tunnel : fresh->tunnels) rebuild_entry(tunnel->peer);
  publish();
}

std::optional<gre::SegmentStatus> Engine::Protocol::segment_status(LinkId link) {
  const auto it = links_.find(link);
  if (it == links_.end() || !it->second.segment) return std::nullopt;
  return it->second.segment->state->status(boot_now());
}

std::vector<gre::SegmentEvent> Engine::Protocol::take_segment_events(LinkId link) {
  const auto it = links_.find(link);
  if (it == links_.end() || !it->second.segment) return {};
  return it->second.segment->state->take_events();
}

std::vector<gre::MacTable::Entry> Engine::Protocol::segment_macs(LinkId link) {
  const auto it = links_.find(link);
  if (it == links_.end() || !it->second.segment) return {};
  return it->second.segment->state->macs(boot_now());
}

// Who was behind a dead peer may be somewhere else by now.
void Engine::Protocol::forget_macs_of(PeerId id) {
  for (const auto& [link, state] : links_) {
    if (!state.segment) continue;
    for (const auto& tunnel : state.segment->tunnels) {
      if (tunnel->peer == id) state.segment->state->forget(tunnel->segment_port);
    }
  }
}

}  // namespace greywire::engine
