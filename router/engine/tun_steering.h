// Which queue of a TUN or TAP device a frame goes to: routing traffic to a queue of its own, in which it never waits behind
// bulk and is not dropped with it when the others are full; the rest by flow.
//
// Routing traffic is IPv4 or IPv6 with DSCP CS6 or above, and on a TAP also LLC (IS-IS, spanning trees), behind up to two
// VLAN tags. A qdisc cannot do this: a TUN takes all that its qdisc hands over and drops what its queue does not hold.
#pragma once

#include "router/base/result.h"

namespace greywire::engine {

// A BPF program (TUNSETSTEERINGEBPF, Linux 4.16) for a device with `bulk` queues and one more behind them for routing
// traffic. The caller owns the descriptor; the device keeps the program. Errors: EPERM without CAP_BPF, EINVAL or
// ENOSYS where the kernel has none.
Result<int> load_steering(bool ethernet, unsigned bulk);

}  // namespace greywire::engine
