// Brings this network namespace's links to what a text file says: overlay/links without the daemon, for
// namespace tests.
//
//   links_apply apply FILE     reconcile once, print what was done; status 1 when something could not be done
//   links_apply plan FILE      print what would be done
//   links_apply watch FILE     reconcile, print "ready", then again after every change in the kernel, until
//   killed links_apply mark DEVICE    print the mark (and table) that DEVICE's site gets
//
// Lines of FILE: link NAME [mtu N] [down] [carrier on|off] [nolinklocal] [bridge NAME|none] [gso N] [txqlen
// N]
//                address NAME ADDRESS/LENGTH | address NAME LOCAL peer REMOTE
//                route PREFIX NAME [metric N] [src ADDRESS] [table N]
//                underlay DEVICE | withdraw DEVICE
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "overlay/links/link_monitor.h"
#include "overlay/links/link_netlink.h"
#include "overlay/links/underlay.h"

namespace {

using namespace greywire;
using namespace greywire::links;

std::uint32_t number(std::istream& words) {
  std::uint32_t value = 0;
  if (!(words >> value)) throw std::runtime_error("expected a number");
  return value;
}

std::string word(std::istream& words) {
  std::string text;
  if (!(words >> text)) throw std::runtime_error("expected another word");
  return text;
}

LinkSpec read_link(std::istream& words) {
  LinkSpec spec;
  spec.name = word(words);
  for (std::string key; words >> key;) {
    if (key == "mtu")
      spec.mtu = Mtu{number(words)};
    else if (key == "down")
      spec.up = false;
    else if (key == "carrier")
      spec.carrier = word(words) == "on";
    else if (key == "nolinklocal")
      spec.no_automatic_link_local = true;
    else if (key == "gso")
      spec.gso_max_size = number(words);
    else if (key == "txqlen")
      spec.tx_queue_length = number(words);
    else if (key == "bridge") {
      spec.bridge = word(words);
      if (*spec.bridge == "none") spec.bridge = "";
    } else
      throw std::runtime_error("unknown word " + key);
  }
  return spec;
}

void read_address(std::istream& words, DesiredLinks& desired) {
  const auto name = word(words);
  const auto text = word(words);
  LinkAddress address;
  if (std::string key; words >> key) {
    address =
        LinkAddress::point_to_point(IpAddress::parse(text).value(), IpAddress::parse(word(words)).value());
  } else {
    const auto slash = text.find('/');
    address = LinkAddress::plain(IpAddress::parse(text.substr(0, slash)).value(),
                                 static_cast<unsigned>(std::stoul(text.substr(slash + 1))));
  }
  for (auto& link : desired.links) {
    if (link.name == name) link.addresses.push_back(address);
  }
}

DeviceRoute read_route(std::istream& words) {
  DeviceRoute route;
  route.destination = Prefix::parse(word(words)).value();
  route.device = word(words);
  for (std::string key; words >> key;) {
    if (key == "metric")
      route.metric = number(words);
    else if (key == "table")
      route.table = number(words);
    else if (key == "src")
      route.preferred_source = IpAddress::parse(word(words)).value();
    else
      throw std::runtime_error("unknown word " + key);
  }
  return route;
}

DesiredLinks read_file(const char* path, LinkNetlink& kernel) {
  const auto actual = kernel.read({}).value();
  std::ifstream file(path);
  if (!file) throw std::runtime_error(fmt::format("cannot read {}", path));
  DesiredLinks desired;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind;
    if (!(words >> kind)) continue;
    if (kind == "link")
      desired.links.push_back(read_link(words));
    else if (kind == "address")
      read_address(words, desired);
    else if (kind == "route")
      desired.routes.push_back(read_route(words));
    else if (kind == "underlay")
      desired.underlay = choose_underlay(word(words), actual);
    else if (kind == "withdraw")
      desired.withdrawn.push_back(choose_underlay(word(words), actual));
    else
      throw std::runtime_error("unknown word " + kind);
  }
  return desired;
}

bool apply(LinkNetlink& kernel, const DesiredLinks& desired) {
  const auto outcome = reconcile(kernel, desired).value();
  for (const auto& operation : outcome.applied) fmt::print("{}\n", describe(operation));
  for (const auto& error : outcome.problems) fmt::print(stderr, "{}\n", error.text);
  return outcome.settled();
}

int watch(LinkNetlink& kernel, const DesiredLinks& desired) {
  auto monitor = LinkMonitor::open().value();
  apply(kernel, desired);
  fmt::print("ready\n");
  for (;;) {
    std::fflush(stdout);
    pollfd wait{monitor.fd(), POLLIN, 0};
    if (poll(&wait, 1, -1) < 0) return 1;
    const auto actual = kernel.read({}).value();
    std::vector<Ifindex> own;
    for (const auto& link : desired.links) {
      if (const auto* has = actual.find(link.name)) own.push_back(has->ifindex);
    }
    if (monitor.drain(own).value().any()) apply(kernel, desired);
  }
}

int run(const std::string& command, const char* argument) {
  auto kernel = LinkNetlink::open().value();
  if (command == "mark") {
    fmt::print("{}\n", choose_underlay(argument, kernel->read({}).value()).mark);
    return 0;
  }
  const auto desired = read_file(argument, *kernel);
  if (command == "apply") return apply(*kernel, desired) ? 0 : 1;
  if (command == "watch") return watch(*kernel, desired);
  const auto todo = plan(desired, kernel->read(scope_of(desired)).value());
  for (const auto& operation : todo.operations) fmt::print("{}\n", describe(operation));
  for (const auto& error : todo.problems) fmt::print(stderr, "{}\n", error.text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: links_apply apply|plan|watch FILE, or mark DEVICE\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
