#include <array>

#include "overlay/config/reading.h"
#include "overlay/mesh/inventory.h"

namespace greywire::mesh {
namespace {

using config::Choice;
using config::Key;
using config::Reading;
using config::TomlNode;

constexpr auto kRequired = config::Presence::kRequired;
constexpr auto kOptional = config::Presence::kOptional;

constexpr std::array<Choice<Topology>, 3> kTopologies{
    {{"full", Topology::kFull}, {"hub", Topology::kHub}, {"partial", Topology::kPartial}}};
constexpr std::array<Choice<Bgp>, 2> kBgps{{{"ebgp", Bgp::kEbgp}, {"ibgp", Bgp::kIbgp}}};

// FRR takes a multiplier of 2 at least, and intervals of 50 ms to 60 s.
void read_bfd(Reading& r, const TomlNode& n, Mesh& m) {
  r.text(n, config::parse_liveness, m.bfd);
  if (m.bfd && m.bfd->count < 2) r.refuse(n, "FRR takes a count of 2 at least");
}

// clang-format off
const std::array<Key<Mesh>, 9> kMesh{{
  {{"name", "a name of 1 to 32 letters, digits, '-', '_' and '.'", "\"mesh\"", "The mesh, in what is written.", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.text(n, config::parse_name, m.name); }},
  {{"topology", "\"full\", \"hub\" or \"partial\"", "",
    "Who has a link with whom: everybody with everybody, everybody with each `hub`, or those that `links` and `groups` name.",
    kRequired},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.choice<Topology>(n, kTopologies, m.topology); }},
  {{"overlay", "a prefix or a list of prefixes, such as [\"10.255.0.0/24\", \"fd00:255::/64\"]", "",
    "Ranges of overlay addresses. A site has of each the address with its `number`: number 7 has 10.255.0.7 and fd00:255::7.",
    kRequired},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.list(n, config::parse_network, m.overlay); }},
  {{"bgp", "\"ebgp\" or \"ibgp\"", "\"ebgp\"",
    "`\"ebgp\"`: each site is an AS of its own. `\"ibgp\"`: all are one AS, with route reflectors where sites pass on what they "
    "learned.", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.choice<Bgp>(n, kBgps, m.bgp); }},
  {{"asn", "an AS number from 1 to 4294967295", "4200000000",
    "`\"ibgp\"`: the AS of all. `\"ebgp\"`: a site's AS is this and its `number` added up.", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.integer(n, 1, 0xffffffffLL, m.asn); }},
  {{"listen_port", "a port from 1 to 65535", "51820", "The sites' UDP port.", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.integer(n, 1, 65535, m.listen_port); }},
  {{"max_prefixes", "a number from 1 to 100000", "100",
    "How many prefixes a site may announce of its networks; who passes others' on may that much more for each of them.", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.integer(n, 1, 100'000, m.max_prefixes); }},
  {{"liveness", "INTERVAL x COUNT, such as \"1s x 3\", or \"off\"", "\"1s x 3\"", "The peers' `liveness` (docs/config.md).", kOptional},
   [](Reading& r, const TomlNode& n, Mesh& m) { r.text(n, config::parse_liveness, m.liveness); }},
  {{"bfd", "INTERVAL x COUNT, such as \"300ms x 3\", or \"off\"", "\"300ms x 3\"",
    "BFD of every BGP session, by FRR's bfdd.", kOptional}, read_bfd},
}};

const std::array<Key<Site>, 15> kSite{{
  {{"name", "a name of 1 to 32 letters, digits, '-', '_' and '.'", "", "The site.", kRequired},
   [](Reading& r, const TomlNode& n, Site& s) { r.text(n, config::parse_name, s.name); }},
  {{"number", "a number from 1 to 65535", "",
    "The site's own for ever: its overlay addresses and its AS follow from it, so that no other site's change when one comes or "
    "goes.", kRequired},
   [](Reading& r, const TomlNode& n, Site& s) { r.integer(n, 1, 65535, s.number); }},
  {{"public_key", "a base64 key of 44 characters", "none: not enrolled yet",
    "As `greywire mesh enroll` prints it at the site. A site without one is left out of the others' configs.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.text(n, PublicKey::from_base64, s.public_key); }},
  {{"endpoint", "NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT, or a list of them", "none: it calls the others",
    "Where the others reach the site, the best first. Of two linked sites one needs it.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, config::PeerEndpoint::parse, s.endpoints); }},
  {{"networks", "a prefix or a list of prefixes, such as [\"10.1.0.0/16\"]", "none",
    "What is behind the site. It announces each that its routing table has, and may send from it; no other site may.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, config::parse_network, s.networks); }},
  {{"overlay_address", "an address or a list of addresses, such as [\"10.255.0.2\", \"fd00:255::2\"]", "by `number`",
    "The site's overlay addresses, by hand.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, config::parse_host_address, s.overlay_addresses); }},
  {{"asn", "an AS number from 1 to 4294967295", "by `number`", "The site's AS, by hand. Only with `bgp = \"ebgp\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.integer(n, 1, 0xffffffffLL, s.asn); }},
  {{"listen_port", "a port from 1 to 65535", "that of the mesh", "The site's UDP port.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.integer(n, 1, 65535, s.listen_port); }},
  {{"hub", "true or false", "false",
    "Every site has a link to this one, and it passes on what it learned. Only with `topology = \"hub\"`, which may have several.",
    kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.boolean(n, s.hub); }},
  {{"transit", "true or false", "false",
    "The site passes on what it learned: sites without a link reach each other through it, and those with one when it is cut.",
    kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.boolean(n, s.transit); }},
  {{"reflector", "true or false", "false",
    "BGP sessions go to this site and the other reflectors, packets go directly. Only in a full mesh with `bgp = \"ibgp\"`; "
    "without any, each two sites have a session.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.boolean(n, s.reflector); }},
  {{"links", "a site or a list of sites", "none", "Sites that this one has a link with. Only with `topology = \"partial\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, config::parse_name, s.links); }},
  {{"groups", "a name or a list of names", "none",
    "Sites that share a group have links with each other. Only with `topology = \"partial\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, config::parse_name, s.groups); }},
  {{"revoked", "true or false", "false",
    "`true`, as `greywire mesh revoke` writes it, leaves the site out of everything. Its number, addresses and key stay its own.",
    kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.boolean(n, s.revoked); }},
  {{"rotating", "true or false", "false",
    "`true`, as `greywire mesh add-key --rotate` writes it, while the others learn the site's new key: its config names "
    "`SITE-previous.key` as `previous_key_file`.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.boolean(n, s.rotating); }},
}};
// clang-format on

}  // namespace

std::span<const Key<Mesh>> mesh_keys() { return kMesh; }
std::span<const Key<Site>> site_keys() { return kSite; }

std::vector<config::SectionDoc> inventory_sections() {
  return {{"mesh", "[mesh]", "What all sites have in common. Required.", config::docs_of(mesh_keys())},
          {"site", "[[site]]", "A site. Once for each.", config::docs_of(site_keys())}};
}

}  // namespace greywire::mesh
