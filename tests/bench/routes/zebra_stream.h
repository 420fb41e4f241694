// What zebra of FRR 8.4 sends: the answers to a session's requests, and as many routes as asked for. Bytes are made as they
// are asked for, so that they take no memory worth counting.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "full_table.h"

namespace greywire::bench {

using Bytes = std::vector<std::uint8_t>;

void append_error(Bytes& out);         // answers the probe, and ends the dump
void append_capabilities(Bytes& out);  // answers HELLO
// REDISTRIBUTE_ROUTE_ADD of a BGP route with the peer's next hop on the interface; `withdraw` makes it a DEL.
void append_route(Bytes& out, const TableEntry& entry, std::uint32_t ifindex, bool withdraw = false);

}  // namespace greywire::bench
