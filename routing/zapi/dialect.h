// The ZAPI dialects of FRR's releases, 7.5 to 10.7: what differs between them for a client that listens to
// redistributed routes. Everything that is not in a row is the same in all of them.
//
// The version byte of ZAPI is 6 in all these releases although numbers and layouts changed, so a release is
// told by its answers: the command number E of the ERROR that answers an invalid command, the number of HELLO
// that it understands, and the length L of the CAPABILITIES body. Releases that share (E, HELLO, L) are rows
// next to each other: which one it is shows in the routes, since only the right one consumes every message
// exactly.
//
// Adding a release is adding a row to the table in dialect.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace greywire::routing::zapi {

enum class RouterMac : std::uint8_t {
  kByRouteFlag,
  kByNextHopFlag
};  // when a next hop has 6 bytes of router MAC
enum class Seg6 : std::uint8_t {
  kNone,
  kOne,         // one segment, 16 bytes
  kList,        // u8 n, n segments
  kListAction,  // and u32 encapsulation behaviour
  kListSource,  // and 16 bytes of source address
};

struct Dialect {
  std::string_view first_release;
  std::string_view last_release;

  std::uint16_t error;                // E: the command number of ERROR
  std::uint16_t hello;                // its body: 9 bytes as command 18, 8 bytes as command 19
  std::uint16_t capabilities_length;  // L, bytes of body; the command number is hello + 1

  std::uint16_t redistribute_add;
  std::uint16_t route_add;     // REDISTRIBUTE_ROUTE_ADD
  std::uint16_t route_del;     // REDISTRIBUTE_ROUTE_DEL
  std::uint16_t close_notify;  // CLIENT_CLOSE_NOTIFY; 0 where there is none
  std::uint8_t bgp;            // route type

  std::uint8_t weight_bytes;  // of a next hop: 4 or 8
  bool label_type;            // a byte after the count of labels
  RouterMac router_mac;
  Seg6 seg6;
  std::uint8_t seg6local_bytes;  // after the u32 action; 0 where there is none
  bool next_hop_groups;  // message bits: NHG 0x80, TABLEID 0x100, SRTE 0x200, OPAQUE 0x400; else 0x80, 0x100
};

// All rows, oldest release first.
std::span<const Dialect> dialects();

// Does a release that answers an invalid command with this ERROR number take HELLO as command `hello`?
bool has_hello(std::uint16_t error, std::uint16_t hello);

// The rows with this fingerprint, adjacent in the table; empty for an unknown release.
std::span<const Dialect> find_dialects(std::uint16_t error, std::uint16_t hello,
                                       std::uint16_t capabilities_length);

// "FRR 8.4" or "FRR 8.2 to 9.0": from the first row to the last.
std::string release_name(const Dialect& first, const Dialect& last);

}  // namespace greywire::routing::zapi
