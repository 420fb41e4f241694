"""Two sites, left and right, each with `greywired --config`, a LAN host and an ISP router in between.

    host-left -- left ==(192.0.2.0/24)== internet ==(198.51.100.0/24)== right -- host-right
                       2001:db8:1::/64            2001:db8:2::/64

LANs 10.1.0.0/24, fd00:1::/64 and 10.2.0.0/24, fd00:2::/64 (host .10, ::10); overlay 10.255.0.1, .2, fd00:255::1, ::2.
The configuration of a site is text, so a test adds what it needs to [[peer]] (`peer=`) and at the end (`more=`).
"""

import json
import os

from nettest import GREYWIRE, GREYWIRED, SITE_RUN_FOLDERS, Keys, LabError, wait_until

NUMBER = {"left": 1, "right": 2}
OTHER = {"left": "right", "right": "left"}
WAN = {"left": {4: "192.0.2.2", 6: "2001:db8:1::2"}, "right": {4: "198.51.100.2", 6: "2001:db8:2::2"}}
GATEWAY = {"left": {4: "192.0.2.1", 6: "2001:db8:1::1"}, "right": {4: "198.51.100.1", 6: "2001:db8:2::1"}}
OVERLAY = {"left": {4: "10.255.0.1", 6: "fd00:255::1"}, "right": {4: "10.255.0.2", 6: "fd00:255::2"}}
HOST = {"left": {4: "10.1.0.10", 6: "fd00:1::10"}, "right": {4: "10.2.0.10", 6: "fd00:2::10"}}
LANS = {"left": ("10.1.0.0/24", "fd00:1::/64"), "right": ("10.2.0.0/24", "fd00:2::/64")}


class SitePair:
    def __init__(self, lab, family=4, default_metric=None):
        """`family` of the underlay that the endpoints use; `default_metric` of the sites' own default routes."""
        self.lab, self.family = lab, family
        self.sites = {name: lab.namespace(name, SITE_RUN_FOLDERS) for name in NUMBER}
        self.hosts = {name: lab.namespace("host-" + name) for name in NUMBER}
        self.internet = lab.namespace("internet")
        self.internet.forward()
        self.keys = {name: Keys(site.folder, "private") for name, site in self.sites.items()}
        self.daemons = {}
        metric = f" metric {default_metric}" if default_metric else ""
        for name, site in self.sites.items():
            site.forward()
            number = NUMBER[name]
            lab.link(site, "wan0", self.internet, name, one_addresses=[WAN[name][4] + "/24", WAN[name][6] + "/64"],
                     other_addresses=[GATEWAY[name][4] + "/24", GATEWAY[name][6] + "/64"])
            site.ip(*[f"route add default via {GATEWAY[name][f]}{metric}" for f in (4, 6)])
            lab.link(site, "lan0", self.hosts[name], "eth0",
                     one_addresses=[f"10.{number}.0.1/24", f"fd00:{number}::1/64"],
                     other_addresses=[HOST[name][4] + "/24", HOST[name][6] + "/64"])
            self.hosts[name].ip(f"route add default via 10.{number}.0.1", f"route add default via fd00:{number}::1")

    def config(self, name, peer="", more="", site=""):
        """The TOML text of a site; static allowed-IPs of the other's LAN unless `peer` has lines of its own."""
        far = OTHER[name]
        address = WAN[far][self.family]
        where = f"[{address}]" if self.family == 6 else address
        peer = peer or f'allowed_ips = ["{LANS[far][0]}", "{LANS[far][1]}"]'
        return f"""[site]
name = "{name}"
private_key_file = "{self.keys[name].file}"
listen_port = 51820
overlay_address = ["{OVERLAY[name][4]}", "{OVERLAY[name][6]}"]
{site}

[[peer]]
name = "{far}"
public_key = "{self.keys[far].public}"
endpoint = "{where}:51820"
overlay_address = ["{OVERLAY[far][4]}", "{OVERLAY[far][6]}"]
{peer}

{more}
"""

    def config_file(self, name):
        return os.path.join(self.sites[name].folder, name + ".toml")

    def write(self, name, text):
        with open(self.config_file(name), "w", encoding="utf-8") as out:
            out.write(text)

    def start(self, name):
        """Starts greywired with the file written before; returns once it answers on its control socket."""
        daemon = self.sites[name].start(GREYWIRED, "--config", self.config_file(name), log="greywired")
        wait_until(f"greywired of {name}", lambda: not daemon.alive() or self.status(name), 10)
        if not daemon.alive():
            raise LabError(f"greywired of {name} ended with status {daemon.status()}: {daemon.output().strip()[-500:]}")
        self.daemons[name] = daemon
        return daemon

    def start_both(self, **texts):
        """start_both(peer=…, more=…): the same additions on both sides, or functions of the site's name."""
        for name in NUMBER:
            self.write(name, self.config(name, **{k: v(name) if callable(v) else v for k, v in texts.items()}))
        for name in NUMBER:
            self.start(name)

    def status(self, name):
        """`greywire status --json`, {} while nobody answers."""
        done = self.sites[name].run(GREYWIRE, "status", "--json", check=False)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return {}

    def leftovers(self, name):
        """What a greywired that has ended should not leave: links, rules, tables, sockets."""
        site = self.sites[name]
        left = [link["ifname"] for link in site.ip_json("link") if link["ifname"].startswith(("gw0", "gre-", "tap-"))]
        for family in ("-4", "-6"):
            left += [f"rule {rule.get('priority')}" for rule in site.ip_json(family, "rule")
                     if rule.get("priority") not in (0, 32766, 32767)]
            left += [f"route {r.get('dst')} in table {r['table']}" for r in site.ip_json(family, "route", "show", "table", "all")
                     if str(r.get("table", "main")) not in ("main", "local", "254", "255")]
        for folder in ("wireguard", "greywire"):
            left += [f"{folder}/{entry}" for entry in os.listdir(os.path.join(site.folder, folder))]
        return left
