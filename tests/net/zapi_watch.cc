// Follows a zebra and prints what the routing adapter makes of its routes, a line an event, for
// tests/net/test_zapi_frr.
//
//   zapi_watch SOCKET OVERLAY_DEVICE HOLD_SECONDS PEER...      PEER: ID=NAME=ADDRESS[,ADDRESS…]=RULE[;RULE…]
//
//   + PREFIX NAME | discard PREFIX | - PREFIX | notice … | alert …
#include <fmt/format.h>
#include <net/if.h>
#include <time.h>

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <map>
#include <sstream>

#include "routing/adapter.h"
#include "routing/zapi/client.h"

namespace {

using namespace greywire;
using namespace greywire::routing;

TimePoint clock_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

PeerRouting parse_peer(const std::string& text) {
  const auto parts = split(text, '=');
  PeerRouting peer;
  peer.id = PeerId{static_cast<std::uint32_t>(std::stoul(parts.at(0)))};
  peer.name = parts.at(1);
  for (const auto& address : split(parts.at(2), ','))
    peer.overlay_addresses.push_back(IpAddress::parse(address).value());
  std::vector<CeilingRule> rules;
  for (const auto& rule : split(parts.at(3), ';')) rules.push_back(CeilingRule::parse(rule).value());
  peer.accept = Ceiling(std::move(rules));
  return peer;
}

class Printer final : public AllowedIpsSink, public RoutingEvents {
 public:
  void apply(std::span<const LearnedChange> changes) override {
    for (const auto& change : changes) {
      const auto prefix = change.prefix.to_string();
      switch (change.action) {
        case LearnedChange::Action::kPeer:
          print(fmt::format("+ {} {}", prefix, names.at(change.peer)));
          break;
        case LearnedChange::Action::kGroup:
          print(fmt::format("+ {} {}", prefix, groups.at(change.group)));
          break;
        case LearnedChange::Action::kDiscard:
          print(fmt::format("discard {}", prefix));
          break;
        case LearnedChange::Action::kRemove:
          print(fmt::format("- {}", prefix));
      }
    }
  }
  void define_group(NextHopGroupId group, std::span<const WeightedPeer> members) override {
    for (const auto& member : members) {
      auto& text = groups[group];
      text += (text.empty() ? "" : "+") + names.at(member.peer);
    }
  }
  void drop_group(NextHopGroupId group) override { groups.erase(group); }
  void for_each_learned(const std::function<void(const LearnedChange&)>&) override {}
  void notice(std::string_view line) override { print(fmt::format("notice {}", line)); }
  void alert(std::string_view line) override { print(fmt::format("alert {}", line)); }

  std::map<PeerId, std::string> names;
  std::map<NextHopGroupId, std::string> groups;

 private:
  static void print(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: zapi_watch SOCKET OVERLAY_DEVICE HOLD_SECONDS ID=NAME=ADDRESS,…=RULE;…\n", stderr);
    return 2;
  }
  Printer printer;
  std::vector<PeerRouting> peers;
  for (int i = 4; i < argc; ++i) {
    peers.push_back(parse_peer(argv[i]));
    printer.names[peers.back().id] = peers.back().name;
  }
  RoutingAdapter adapter(printer, printer, {std::chrono::seconds(std::stoul(argv[3])), AdapterOptions{}.max_routes, {}});
  adapter.set_overlay_ifindex(if_nametoindex(argv[2]), clock_now());
  adapter.set_peers(std::move(peers), clock_now());
  boost::asio::io_context io;
  zapi::Client client(io, argv[1], adapter, clock_now);
  client.start();
  io.run();
  return 0;
}
