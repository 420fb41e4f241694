// What the protocol thread publishes and every worker reads.
#pragma once

#include <atomic>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"
#include "router/base/quiescence.h"
#include "router/engine/inbox.h"
#include "router/forwarder/capture_tap.h"
#include "router/forwarder/tables.h"
#include "router/wireguard/cookie.h"
#include "router/wireguard/index_table.h"

namespace greywire::engine {

struct Published {
  QuiescentDomain domain;
  std::atomic<const ForwardingTables*> tables{nullptr};
  const std::atomic<const AllowedIpsRoot*>* routes = nullptr;
  const wireguard::IndexTable* index = nullptr;
  // Of the device's own key, and of the previous one while that is accepted, for the gates that workers keep before the inbox.
  std::atomic<const std::vector<wireguard::ReceiverKeys>*> receiver_keys{nullptr};
  Inbox inbox;
  std::uint64_t probe_nonce = 0;
  CaptureTap tap;
};

}  // namespace greywire::engine
