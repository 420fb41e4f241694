"""Several sites, s1 to sN, around one internet router: each a greywired, and a zebra and bgpd where the test starts them.

Site n: WAN 198.18.n.2/24, overlay 10.255.0.n and fd00:255::n, and as its LAN 10.n.0.1 and fd00:n::1 on its loopback.
"""

import json
import os

from nettest import GREYWIRE, GREYWIRED, SITE_RUN_FOLDERS, Keys, LabError, allowed_ips, wait_until

# FRR reads the top byte of a kernel route's metric as its distance: 200, so that BGP's 20 beats the underlay's default.
DEFAULT_METRIC = 200 << 24


def overlay(number, family=4):
    return f"10.255.0.{number}" if family == 4 else f"fd00:255::{number}"


def lan(number, family=4):
    return f"10.{number}.0.0/24" if family == 4 else f"fd00:{number}::/64"


def host(number, family=4):
    return f"10.{number}.0.1" if family == 4 else f"fd00:{number}::1"


def wan(number):
    return f"198.18.{number}.2"


class SiteMesh:
    def __init__(self, lab, count, pairs):
        """`pairs`: who is whose peer, as pairs of numbers."""
        self.lab, self.numbers = lab, range(1, count + 1)
        self.peers = {n: sorted({b for a, b in pairs if a == n} | {a for a, b in pairs if b == n}) for n in self.numbers}
        self.internet = lab.namespace("internet")
        self.internet.forward()
        self.sites = {n: lab.namespace(f"s{n}", SITE_RUN_FOLDERS) for n in self.numbers}
        self.keys = {n: Keys(site.folder, "private") for n, site in self.sites.items()}
        self.daemons = {}
        for n, site in self.sites.items():
            site.forward()
            lab.link(site, "wan0", self.internet, f"s{n}", one_addresses=[wan(n) + "/24"], other_addresses=[f"198.18.{n}.1/24"])
            site.ip(f"route add default via 198.18.{n}.1 metric {DEFAULT_METRIC}", f"address add {host(n)}/32 dev lo",
                    f"address add {host(n, 6)}/128 dev lo")

    def config(self, number, peer, more="[routing]"):
        """The TOML text of a site; `peer(n)` gives the lines of [[peer]] sn."""
        text = f"""[site]
name = "s{number}"
private_key_file = "{self.keys[number].file}"
overlay_address = ["{overlay(number)}", "{overlay(number, 6)}"]
"""
        for n in self.peers[number]:
            text += f"""
[[peer]]
name = "s{n}"
public_key = "{self.keys[n].public}"
endpoint = "{wan(n)}:51820"
overlay_address = ["{overlay(n)}", "{overlay(n, 6)}"]
{peer(n)}
"""
        return f"{text}\n{more}\n"

    def config_file(self, number):
        return os.path.join(self.sites[number].folder, "site.toml")

    def write(self, number, text):
        with open(self.config_file(number), "w", encoding="utf-8") as out:
            out.write(text)

    def start(self, number):
        """Starts the site's greywired with the file written before."""
        self.daemons[number] = self.sites[number].start(GREYWIRED, "--config", self.config_file(number), log="greywired")

    def wait_for(self, number):
        daemon = self.daemons[number]
        wait_until(f"greywired of s{number}", lambda: not daemon.alive() or self.status(number), 15)
        if not daemon.alive():
            raise LabError(f"greywired of s{number} ended: {daemon.output().strip()[-500:]}")

    def _json(self, number, what, empty):
        done = self.sites[number].run(GREYWIRE, what, "--json", check=False)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return empty

    def status(self, number):
        return self._json(number, "status", {})

    def drops(self, number, reason):
        return next((d["packets"] for d in self.status(number).get("drops", []) if d["reason"] == reason), 0)

    def routes(self, number):
        """Prefix -> what `greywire routes` says of it."""
        return {r["prefix"]: r for r in self._json(number, "routes", [])}

    def learned(self, number, peer):
        """The peer's prefixes in the site's allowed-IPs, its overlay addresses left out."""
        held = allowed_ips(self.sites[number]).get(self.keys[peer].public, set())
        return {p for p in held if not p.startswith(("10.255.", "fd00:255", "fe80"))}

    def link_local(self, number):
        """The site's own link-local address on gw0."""
        def find():
            entries = self.sites[number].ip_json("-6", "address", "show", "dev", "gw0", "scope", "link")
            return next((a["local"] for e in entries for a in e.get("addr_info", []) if "local" in a), None)
        return wait_until(f"the link-local address of s{number}", find)[0]

    def cut(self, one, other):
        self.internet.drop_between(wan(one), wan(other))

    def heal(self):
        self.internet.heal()
