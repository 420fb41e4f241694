// The IPv6 link-local address of a site on gw0, the same on every host that knows the site's public key.
#pragma once

#include <cstdint>
#include <span>

#include "router/base/ip_address.h"

namespace greywire::links {

// fe80::/64 with the first eight bytes of the X25519 public key as the interface identifier: such keys are
// evenly distributed, so two of 10,000 peers collide once in 10^11. RFC 7136 §5: the identifier's bits have
// no meaning.
IpAddress link_local_of_key(std::span<const std::uint8_t, 32> public_key);

}  // namespace greywire::links
