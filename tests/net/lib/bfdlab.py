"""Two sites with BFD sessions of FRR's bfdd over GRE links, a link a session, and links that are full: for test_bfd and
tests/bench/bfd. Bulk is UDP from LAN to LAN, both ways, more than the sites can send; what a session loses it loses to bulk."""

import json
import re
import time

from nettest import Frr, LabError, check, check_eventually
from sitepair import NUMBER, OTHER, SitePair

INTERVAL, MULTIPLIER = 300, 3  # ms: a session is down after 900 ms of silence


def link(name, number):
    """Of one session: the address of its GRE link at a site."""
    return f"172.31.{number}.{NUMBER[name]}"


def tunnels(name, sessions):
    far = OTHER[name]
    return "\n".join(f"""[[tunnel]]
name = "gre-{far}-{n}"
kind = "gre"
peer = "{far}"
key = {n}
address = ["{link(name, n)}/30"]
""" for n in range(1, sessions + 1))


def bfd(name, sessions):
    far = OTHER[name]
    return "bfd\n" + "".join(f""" peer {link(far, n)} local-address {link(name, n)} interface gre-{far}-{n}
  receive-interval {INTERVAL}
  transmit-interval {INTERVAL}
  detect-multiplier {MULTIPLIER}
 exit
""" for n in range(1, sessions + 1))


class BfdLab:
    def __init__(self, lab, sessions, peer=""):
        """`peer`: more keys of [[peer]]."""
        self.pair, self.sessions, self.frr, self.bulk = SitePair(lab), sessions, {}, []
        lans = {"left": "10.2.0.0/24", "right": "10.1.0.0/24"}
        self.pair.start_both(peer=lambda name: f'allowed_ips = ["{lans[name]}"]\n{peer}', more=lambda name: tunnels(name, sessions))
        check_eventually("hosts reach each other", lambda: self.pair.hosts["left"].ping("10.2.0.10"), 10)
        check_eventually("links carry packets", lambda: self.pair.sites["left"].ping(link("right", sessions)), 10)
        for name, site in self.pair.sites.items():
            self.frr[name] = Frr(site, "")
            self.frr[name].start_zebra()
            self.frr[name].start_also("bfdd", bfd(name, sessions))
        check_eventually(f"{sessions} BFD sessions come up", lambda: self.up() == {"left": sessions, "right": sessions}, 20)

    def said(self, name, what):
        try:
            return json.loads(self.frr[name].vtysh(f"show bfd peers {what} json".replace("  ", " ")))
        except (json.JSONDecodeError, LabError):
            return []

    def up(self):
        return {name: sum(peer.get("status") == "up" for peer in self.said(name, "")) for name in self.frr}

    def downs(self):
        """How often sessions went down so far, and how many there are."""
        counters = [peer for name in self.frr for peer in self.said(name, "counters")]
        return sum(peer["session-down"] for peer in counters), len(counters)

    def narrow(self, rate):
        """A slower way out of both sites. Of what waits there the kernel's pfifo_fast sends by priority, as it does everywhere
        unless told otherwise."""
        for site in self.pair.sites.values():
            site.run("tc", "qdisc", "add", "dev", "wan0", "root", "handle", "1:", "tbf", "rate", rate, "burst", "100k", "latency", "400ms")
            # ARP is not among what is first: see Engine::Protocol::send_probe().
            site.run("tc", "qdisc", "add", "dev", "wan0", "parent", "1:1", "handle", "10:", "pfifo_fast")

    def widen(self):
        for site in self.pair.sites.values():
            site.run("tc", "qdisc", "del", "dev", "wan0", "root")

    def fill(self, seconds, rate="0"):
        """Bulk both ways for so long; 0: as much as one sender can."""
        hosts = self.pair.hosts
        for name, to in (("left", "10.2.0.10"), ("right", "10.1.0.10")):
            hosts[OTHER[name]].start("iperf3", "-s", "-1", log=f"iperf-of-{name}-{time.monotonic()}")
        time.sleep(0.3)
        self.bulk = [hosts[name].start("iperf3", "-c", to, "-u", "-b", rate, "-l", "1300", "-t", seconds, log=f"bulk-{name}-{time.monotonic()}")
                     for name, to in (("left", "10.2.0.10"), ("right", "10.1.0.10"))]

    def end_fill(self, timeout=15):
        """What was sent and lost, as iperf3's last lines have it."""
        for process in self.bulk:
            process.wait(timeout)
        return [" ".join(line.split()[4:]) for process in self.bulk for line in process.output().splitlines() if line.endswith("receiver")]

    def echo(self, tos, count=60):
        """Loss in per cent and the median and greatest round trip in ms of echoes with a DS field over the first link."""
        site = self.pair.sites["left"]
        said = site.run("ping", "-Q", tos, "-i", "0.02", "-c", count, "-W", "1", link("right", 1), check=False, timeout=60).stdout
        times = sorted(float(t) for t in re.findall(r"time=([\d.]+) ms", said))
        loss = 100 * (1 - len(times) / count)
        return loss, times[len(times) // 2] if times else None, times[-1] if times else None

    def compare(self, what):
        """Echoes of routing traffic beside echoes of bulk's class, in turn. Returns both."""
        bulk, routing = self.echo("0"), self.echo("0xc0")
        for name, (loss, median, most) in (("class 0", bulk), ("CS6", routing)):
            times = "no answer" if median is None else f"median {median:.2f} ms, greatest {most:.1f} ms"
            print(f"     {what}, {name}: {loss:.0f} % lost, {times}", flush=True)
        return bulk, routing

    def no_flap(self, what, before):
        now, sessions = self.downs()
        check(f"{what}: no session of {self.sessions} went down", sessions == 2 * self.sessions and now == before, now - before)
        check(f"{what}: and all are up", self.up() == {"left": self.sessions, "right": self.sessions}, self.up())
