"""The demo's network: three sites, an ISP router for each, LAN hosts, and what is written into their configurations."""

import os

from netlab import SITE_RUN_FOLDERS, Frr, run

LISTEN_PORT = 51820


class SitePlan:
    """What the addresses of a site follow from: its number and its ISP's documentation prefix."""

    def __init__(self, name, number, wan4, wan6):
        self.name, self.number = name, number
        self.asn = 65000 + number
        self.wan4, self.isp4 = f"{wan4}.2", f"{wan4}.1"
        self.wan6, self.isp6 = f"{wan6}::2", f"{wan6}::1"
        self.wan4_prefix, self.wan6_prefix = f"{wan4}.0/24", f"{wan6}::/64"
        self.overlay4, self.overlay6 = f"10.255.0.{number}", f"fd00:255::{number}"
        self.lan4_prefixes = [f"10.{number}.0.0/24"]
        self.lan6_prefix = f"fd00:{number}::/64"
        self.host4, self.host6 = f"10.{number}.0.10", f"fd00:{number}::10"


AMS = SitePlan("ams", 1, "192.0.2", "2001:db8:1")
FRA = SitePlan("fra", 2, "198.51.100", "2001:db8:2")
NYC = SitePlan("nyc", 3, "203.0.113", "2001:db8:3")
PLANS = {plan.name: plan for plan in (AMS, FRA, NYC)}

# fra's LAN has two more prefixes: one to be withdrawn, and one that nyc only learns from ams, which passes fra's next
# hop on unchanged (a third-party next hop) and its own as a second, worse path.
WITHDRAWN = "10.2.8.0/24"
THIRD_PARTY = "10.2.77.0/24"
THIRD_PARTY_HOST = "10.2.77.10"
FRA.lan4_prefixes += [WITHDRAWN, THIRD_PARTY]

# Which family carries each pair's outer packets.
UNDERLAY_FAMILY = {frozenset(("ams", "fra")): 4, frozenset(("ams", "nyc")): 6, frozenset(("fra", "nyc")): 4}

# The routed GRE link ams-fra and the bridged GRETAP link ams-nyc.
GRE_ADDRESSES = {"ams": ("172.31.12.1", "fd00:31:12::1"), "fra": ("172.31.12.2", "fd00:31:12::2")}
BRIDGE = "br-lan"
DESKS = {"ams": ("10.50.0.1", "fd00:50::1"), "nyc": ("10.50.0.3", "fd00:50::3")}


def others(plan):
    return [p for p in PLANS.values() if p is not plan]


def greywired_conf(plan, key_file, public_keys):
    """One site's TOML file."""
    text = f"""[site]
name             = "{plan.name}"
private_key_file = "{key_file}"
listen_port      = {LISTEN_PORT}
overlay_address  = ["{plan.overlay4}", "{plan.overlay6}"]

[prefix_sets]
lans = ["10.0.0.0/8 ge 16 le 24", "fd00::/16 ge 32 le 64"]

[peer_defaults]
liveness = "1s x 3"
"""
    for peer in others(plan):
        family = UNDERLAY_FAMILY[frozenset((plan.name, peer.name))]
        endpoint = f"{peer.wan4}:{LISTEN_PORT}" if family == 4 else f"[{peer.wan6}]:{LISTEN_PORT}"
        text += f"""
[[peer]]
name            = "{peer.name}"
public_key      = "{public_keys[peer.name]}"
endpoint        = "{endpoint}"
overlay_address = ["{peer.overlay4}", "{peer.overlay6}"]
accept          = ["@lans"]
max_prefixes    = 100
"""
    if plan.name in GRE_ADDRESSES:
        peer = "fra" if plan is AMS else "ams"
        address4, address6 = GRE_ADDRESSES[plan.name]
        text += f"""
[[tunnel]]
name    = "gre-{peer}"
kind    = "gre"
peer    = "{peer}"
address = ["{address4}/30", "{address6}/126"]
"""
    if plan.name in DESKS:
        peer = "nyc" if plan is AMS else "ams"
        text += f"""
[[tunnel]]
name   = "tap-{peer}"
kind   = "gretap"
peer   = "{peer}"
key    = 42
bridge = "{BRIDGE}"
"""
    return text + '\n[routing]\nzebra = "/run/frr/zserv.api"\n'


def bgpd_conf(plan):
    """One AS a site; a session for both families over gw0 to each other site, and over the GRE link where there is one."""
    sessions = [(p.overlay4, p, "gw0") for p in others(plan)]
    if plan.name in GRE_ADDRESSES:
        far = FRA if plan is AMS else AMS
        sessions.append((GRE_ADDRESSES[far.name][0], far, "gre"))
    # The GRE link is preferred for what its far end originates, not for what that passes on from nyc.
    lines = ["bgp route-map delay-timer 0", "bgp as-path access-list one-hop permit ^[0-9]+$",
             "route-map prefer-gre permit 10", " match as-path one-hop", " set local-preference 200", "exit",
             "route-map prefer-gre permit 20", "exit"]
    if plan is AMS:
        lines += [f"ip prefix-list third-party permit {THIRD_PARTY}", f"ip prefix-list fra-on-gw0 permit {FRA.overlay4}/32",
                  "route-map to-nyc permit 10", " match ip address prefix-list third-party",
                  " match ip next-hop prefix-list fra-on-gw0", " set ip next-hop unchanged", "exit",
                  "route-map to-nyc permit 20", " match ip address prefix-list third-party", " set metric 50", "exit",
                  "route-map to-nyc permit 30", "exit"]
    if plan is FRA:
        lines += [f"ip prefix-list not-third-party deny {THIRD_PARTY}", "ip prefix-list not-third-party permit any"]
    lines += [f"router bgp {plan.asn}", f" bgp router-id {plan.overlay4}", " no bgp ebgp-requires-policy",
             " no bgp default ipv4-unicast", " no bgp network import-check", " timers bgp 3 9"]
    for address, peer, over in sessions:
        lines += [f" neighbor {address} remote-as {peer.asn}", f" neighbor {address} description {peer.name} over {over}",
                  f" neighbor {address} timers connect 1", f" neighbor {address} disable-connected-check"]
    for family, name, networks in ((4, "ipv4", plan.lan4_prefixes), (6, "ipv6", [plan.lan6_prefix])):
        lines += [f" address-family {name} unicast"] + [f"  network {n}" for n in networks]
        for address, peer, over in sessions:
            lines.append(f"  neighbor {address} activate")
            if over == "gre":
                lines.append(f"  neighbor {address} route-map prefer-gre in")
            elif family == 4 and (plan, peer) == (AMS, NYC):
                lines += [f"  neighbor {address} addpath-tx-all-paths", f"  neighbor {address} route-map to-nyc out"]
            elif family == 4 and (plan, peer) == (FRA, NYC):
                lines.append(f"  neighbor {address} prefix-list not-third-party out")
        lines.append(" exit-address-family")
    return "\n".join(lines) + "\n"


class Network:
    """Makes all of it in a lab. `sites`, `isps`, `hosts` (routed LAN), `desks` (bridged LAN): namespaces by site name."""

    def __init__(self, lab):
        self.lab = lab
        self.sites, self.isps, self.hosts, self.desks, self.frrs, self.daemons = {}, {}, {}, {}, {}, {}
        self.public_keys, self.key_files, self.config_files = {}, {}, {}
        for plan in PLANS.values():
            self._site(plan)
        self._internet()
        self._bridged_lan()
        self._keys_and_configs()

    def _site(self, plan):
        name = plan.name
        site = self.sites[name] = self.lab.namespace(name, SITE_RUN_FOLDERS)
        isp = self.isps[name] = self.lab.namespace("isp-" + name)
        host = self.hosts[name] = self.lab.namespace("host-" + name)
        site.forward()
        site.sysctl(net__ipv4__conf__all__rp_filter=2)  # loose: the two ways between two sites may differ
        isp.forward()
        self.lab.link(site, "wan0", isp, "customer", one_addresses=[plan.wan4 + "/24", plan.wan6 + "/64"],
                      other_addresses=[plan.isp4 + "/24", plan.isp6 + "/64"])
        site.ip(f"route add default via {plan.isp4}", f"route add default via {plan.isp6}")
        gateways = [prefix.replace(".0/24", ".1/24") for prefix in plan.lan4_prefixes]
        addresses = [prefix.replace(".0/24", ".10/24") for prefix in plan.lan4_prefixes]
        self.lab.link(site, "lan0", host, "eth0", one_addresses=gateways + [f"fd00:{plan.number}::1/64"],
                      other_addresses=addresses + [plan.host6 + "/64"])
        host.ip(f"route add default via {gateways[0].split('/')[0]}",
                f"route add default via fd00:{plan.number}::1")

    def _internet(self):
        names = list(PLANS)
        for index, (one, other) in enumerate(((names[0], names[1]), (names[1], names[2]), (names[2], names[0]))):
            ends4 = (f"100.64.{index}.1", f"100.64.{index}.2")
            ends6 = (f"2001:db8:ffff:{index}::1", f"2001:db8:ffff:{index}::2")
            self.lab.link(self.isps[one], "to-" + other, self.isps[other], "to-" + one,
                          one_addresses=[ends4[0] + "/30", ends6[0] + "/64"],
                          other_addresses=[ends4[1] + "/30", ends6[1] + "/64"])
            for here, there, via4, via6 in ((one, other, ends4[1], ends6[1]), (other, one, ends4[0], ends6[0])):
                self.isps[here].ip(f"route add {PLANS[there].wan4_prefix} via {via4}",
                                   f"route add {PLANS[there].wan6_prefix} via {via6}")

    def _bridged_lan(self):
        for name, (address4, address6) in DESKS.items():
            site = self.sites[name]
            desk = self.desks[name] = self.lab.namespace("desk-" + name)
            site.ip(f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")
            self.lab.link(site, "desk0", desk, "eth0", other_addresses=[address4 + "/24", address6 + "/64"])
            site.ip(f"link set desk0 master {BRIDGE}")

    def _keys_and_configs(self):
        for name, site in self.sites.items():
            private = run("wg", "genkey").stdout
            self.public_keys[name] = run("wg", "pubkey", stdin=private).stdout.strip()
            self.key_files[name] = os.path.join(site.folder, name + ".key")
            with open(os.open(self.key_files[name], os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as key:
                key.write(private)
        for name, site in self.sites.items():
            self.config_files[name] = os.path.join(site.folder, name + ".toml")
            with open(self.config_files[name], "w", encoding="ascii") as conf:
                conf.write(greywired_conf(PLANS[name], self.key_files[name], self.public_keys))

    def start_greywired(self, program):
        for name, site in self.sites.items():
            self.daemons[name] = site.start(program, "--config", self.config_files[name], log="greywired")

    def start_frr(self):
        for name, site in self.sites.items():
            self.frrs[name] = Frr(site, bgpd_conf(PLANS[name]))
            self.frrs[name].start()

    def cut(self, one, other):
        """No packet between the two sites' underlay addresses passes any more, and nobody is told."""
        a, b = PLANS[one], PLANS[other]
        self.isps[one].drop_between(a.wan4, b.wan4)
        self.isps[one].drop_between(a.wan6, b.wan6)

    def heal(self, one):
        self.isps[one].heal()
