"""deploy/demo: makes the three sites, waits for BGP, shows each mode at work, withdraws a prefix, cuts the underlay.

Everything shown is checked; what did not hold is listed at the end and makes the exit status 1.
"""

import json
import os
import re
import signal
import sys
import time

import demo_sites as plan
from netlab import LabError, Lab, namespaces_named, private_folder, remove_lab, wait_until

PREFIX = os.environ.get("GREYWIRE_DEMO_PREFIX", "gwdemo")
FOLDER = os.path.join("/run", PREFIX)
PID_FILE = os.path.join(FOLDER, "demo.pid")
BIN = os.environ["GREYWIRE_BIN"]
COLOUR = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

failures = []


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def heading(text):
    print(f"\n{paint('1', text)}", flush=True)


def shown(what, holds, detail=""):
    """One line of the show, counted if it failed."""
    mark = paint("32", "ok  ") if holds else paint("31", "FAIL")
    print(f"  {mark} {what}{': ' if detail else ''}{detail}", flush=True)
    if not holds:
        failures.append(what)
    return holds


def shown_within(what, condition, timeout):
    """Waits for it and shows how long it took; returns the seconds, or None."""
    try:
        _, took = wait_until(what, condition, timeout)
    except LabError:
        shown(what, False, f"not within {timeout:g} s")
        return None
    shown(what, True, f"{took:.1f} s")
    return took


def table(columns, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [columns] + rows) for i in range(len(columns))]
    line = lambda row: "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()  # noqa: E731
    print(paint("2", line(columns)))
    for row in rows:
        print(line(row))
    sys.stdout.flush()


def status_of(site):
    """`greywire status --json` of a site, {} while it does not answer."""
    done = site.run(os.path.join(BIN, "greywire"), "status", "--json", check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        return {}


def allowed_ips(network, site, peer):
    """What `wg show gw0 allowed-ips` says in a site of a peer: a set of prefixes."""
    for line in network.sites[site].run("wg", "show", "gw0", "allowed-ips", check=False).stdout.splitlines():
        key, _, prefixes = line.partition("\t")
        if key == network.public_keys[peer]:
            return set(prefixes.split())
    return set()


def device_towards(network, site, address):
    routes = network.sites[site].ip_json("route", "get", address)
    return routes[0].get("dev", "") if routes else ""


def next_hop_of(network, site, prefix):
    """Next hop of the path that bgpd uses, as text."""
    paths = network.frrs[site].vtysh_json(f"show bgp ipv4 unicast {prefix}").get("paths", [])
    return next((p["nexthops"][0]["ip"] for p in paths if p.get("bestpath", {}).get("overall")), "")


def device_mtu(site, name):
    return next((link["mtu"] for link in site.ip_json("link", "show") if link["ifname"] == name), 0)


def converged(network):
    """What each site must have learned before anything can be shown."""
    wanted = {("ams", "nyc"): {plan.NYC.lan4_prefixes[0], plan.NYC.lan6_prefix},
              ("nyc", "ams"): {plan.AMS.lan4_prefixes[0], plan.AMS.lan6_prefix},
              ("fra", "nyc"): {plan.NYC.lan4_prefixes[0], plan.NYC.lan6_prefix},
              ("nyc", "fra"): {*plan.FRA.lan4_prefixes, plan.FRA.lan6_prefix}}
    return (all(prefixes <= allowed_ips(network, site, peer) for (site, peer), prefixes in wanted.items())
            and all(device_towards(network, site, address) == f"gre-{far}"
                    for site, far, address in (("ams", "fra", plan.FRA.host4), ("ams", "fra", plan.FRA.host6),
                                               ("fra", "ams", plan.AMS.host4), ("fra", "ams", plan.AMS.host6))))


def why_not_converged(network):
    for site in network.sites:
        print(f"  {site}: allowed-IPs {network.sites[site].run('wg', 'show', 'gw0', 'allowed-ips', check=False).stdout!r}")
        print("   " + network.sites[site].run("vtysh", "-c", "show bgp summary", check=False).stdout.replace("\n", "\n    "))
        print(f"    greywired says: {network.daemons[site].output()[-1500:]}")


def start(network):
    heading("Starting greywired, zebra and bgpd in ams, fra and nyc")
    network.start_greywired(os.path.join(BIN, "greywired"))

    def answers():
        for name, daemon in network.daemons.items():
            if not daemon.alive():
                raise LabError(f"greywired of {name} ended with status {daemon.status()}: {daemon.output().strip()}")
        return all(status_of(site) for site in network.sites.values())

    shown_within("three greywired answer on their control sockets", answers, 10)
    network.start_frr()
    if shown_within("BGP is up and its prefixes are in the right peers' allowed-IPs", lambda: converged(network), 25) is None:
        why_not_converged(network)
        return False
    return True


def prefix_text(prefixes):
    """Learned prefixes, short: the count and as many as fit."""
    text = " ".join(prefixes[:4])
    return f"{len(prefixes)}: {text}{' ...' if len(prefixes) > 4 else ''}" if prefixes else "-"


def show_sites(network):
    peers, tunnels, mtus = [], [], []
    for name, site in network.sites.items():
        status = status_of(site)
        for peer in status["peers"]:
            age = peer.get("handshake_age_seconds")
            alive = peer.get("alive")
            round_trip = peer.get("round_trip_microseconds")
            state = "?" if alive is None else "dead" if not alive else f"{round_trip / 1000:.1f} ms" if round_trip else "alive"
            peers.append((name, peer["name"], peer.get("endpoint") or "-", "never" if age is None else f"{age} s ago", state,
                          peer.get("inner_mtu") or "-", prefix_text(peer.get("learned_allowed_ips", []))))
        for tunnel in status["tunnels"]:
            tunnels.append((name, tunnel["name"], tunnel["kind"], tunnel["peer"], f"{tunnel['local']} > {tunnel['remote']}",
                            tunnel["mtu"], tunnel.get("payload_limit") or "-",
                            " ".join(tunnel.get("addresses", [])) or tunnel.get("bridge") or "-",
                            "up" if tunnel["carrier"] else "no carrier"))
        routing = status.get("routing", {})
        mtus.append((name, f"AS{plan.PLANS[name].asn}", device_mtu(site, "gw0"),
                     device_mtu(site, plan.BRIDGE) or "-", routing.get("state", "-"), routing.get("accepted", "-"),
                     routing.get("refused", "-")))
    heading("Sites")
    table(("SITE", "AS", "gw0 MTU", "BRIDGE MTU", "ZEBRA", "ACCEPTED", "REFUSED"), mtus)
    heading("Peers (greywire status)")
    table(("SITE", "PEER", "ENDPOINT", "HANDSHAKE", "LIVE", "INNER MTU", "LEARNED PREFIXES IN ALLOWED-IPS"), peers)
    heading("Tunnels (greywire status)")
    table(("SITE", "TUNNEL", "KIND", "PEER", "DELIVERY", "MTU", "UNFRAGMENTED", "ADDRESSES OR BRIDGE", "STATE"), tunnels)
    heading("In nyc, wg show gw0 allowed-ips says")
    names = {key: name for name, key in network.public_keys.items()}
    for line in network.sites["nyc"].out("wg", "show", "gw0", "allowed-ips").splitlines():
        key, _, prefixes = line.partition("\t")
        print(f"  {key[:8]}... ({names.get(key, '?')})  {prefixes}")
    shown("every peer has shaken hands", all(row[3] != "never" for row in peers))


def ping_time(host, address, size=56, whole=False):
    """Average round trip in ms of three echoes, None if one is missing."""
    done = host.ping_output(address, count=3, size=size, whole=whole, interval=0.1)
    found = re.search(r"= [\d.]+/([\d.]+)/", done.stdout)
    return float(found.group(1)) if done.returncode == 0 and found else None


def throughput(server, client, address, seconds=2):
    """Gbit/s that one TCP stream brought to the receiver, None if iperf3 failed."""
    listener = server.start("iperf3", "-s", "-1", "-B", address, log="iperf3")
    wait_until("iperf3 server", lambda: server.run("ss", "-Htln", "sport = :5201").stdout.strip(), 5)
    done = client.run("iperf3", "-c", address, "-t", seconds, "-J", check=False, timeout=seconds + 15)
    listener.stop()
    try:
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
    except (json.JSONDecodeError, KeyError):
        return None


def show_modes(network):
    heading("The three modes")
    hosts, desks = network.hosts, network.desks
    for title, client, server, address4, address6, whole in (
            ("gw0     ams LAN > nyc LAN", hosts["ams"], hosts["nyc"], plan.NYC.host4, plan.NYC.host6, False),
            ("gw0     fra LAN > nyc LAN", hosts["fra"], hosts["nyc"], plan.NYC.host4, plan.NYC.host6, False),
            ("GRE     ams LAN > fra LAN", hosts["ams"], hosts["fra"], plan.FRA.host4, plan.FRA.host6, False),
            ("GRETAP  ams desk > nyc desk, frames of 1500", desks["ams"], desks["nyc"], *plan.DESKS["nyc"], True)):
        size4, size6 = (1472, 1452) if whole else (56, 56)
        time4, time6 = ping_time(client, address4, size4, whole), ping_time(client, address6, size6, whole)
        rate = throughput(server, client, address4)
        words = [f"ping IPv4 {time4:.2f} ms" if time4 else "no answer by IPv4",
                 f"ping IPv6 {time6:.2f} ms" if time6 else "no answer by IPv6",
                 f"iperf3 {rate:.2f} Gbit/s" if rate else "iperf3 failed"]
        shown(title, bool(time4 and time6 and rate), ", ".join(words))
    shown("ams sends to fra by the GRE link, which BGP prefers over gw0",
          device_towards(network, "ams", plan.FRA.host4) == "gre-fra")
    neighbours = {n["dst"] for n in desks["ams"].ip_json("neigh") if n.get("lladdr")}
    shown("ARP and neighbour discovery crossed the bridge", set(plan.DESKS["nyc"]) <= neighbours)
    mtus = {site: device_mtu(network.sites[site], plan.BRIDGE) for site in plan.DESKS}
    shown("the bridges stayed at 1500", set(mtus.values()) == {1500}, "" if set(mtus.values()) == {1500} else str(mtus))


def show_withdrawal(network):
    heading(f"fra withdraws {plan.WITHDRAWN} (vtysh: no network)")
    fra, bgp = network.frrs["fra"], ("configure terminal", f"router bgp {plan.FRA.asn}", "address-family ipv4 unicast")
    fra.vtysh(*bgp, f"no network {plan.WITHDRAWN}")
    shown_within("gone from fra's allowed-IPs in nyc", lambda: plan.WITHDRAWN not in allowed_ips(network, "nyc", "fra"), 5)
    shown("nyc's other prefixes of fra stayed", plan.FRA.lan4_prefixes[0] in allowed_ips(network, "nyc", "fra"))
    fra.vtysh(*bgp, f"network {plan.WITHDRAWN}")
    shown_within("announced again, back in allowed-IPs", lambda: plan.WITHDRAWN in allowed_ips(network, "nyc", "fra"), 5)


class PingStream:
    """Echoes every 50 ms across a change; tells the longest time without an answer."""

    INTERVAL = 0.05

    def __init__(self, host, address):
        self.process = host.start("ping", "-n", "-D", "-O", "-i", self.INTERVAL, address, log="ping-" + address)

    def stop(self):
        """Longest time without an answer in seconds, and whether the last second was free of loss."""
        self.process.popen.send_signal(signal.SIGINT)
        self.process.wait()
        lines = re.findall(r"\[([\d.]+)\] (\d+ bytes from)?", self.process.output())
        answers = [float(at) for at, answered in lines if answered] + [float(lines[-1][0])] if lines else []
        if len(answers) < 2:
            return float("inf"), False
        gaps = [(after - before, after) for before, after in zip(answers, answers[1:])]
        return max(gaps)[0], all(gap < 0.3 for gap, at in gaps if at > answers[-1] - 1.0)


def show_cut(network):
    heading("The internet drops everything between fra and nyc, silently")
    lan, third = plan.FRA.lan4_prefixes[0], plan.THIRD_PARTY
    shown(f"{third}: nyc has it from ams with fra as its next hop (third-party)",
          next_hop_of(network, "nyc", third) == plan.FRA.overlay4, f"next hop {next_hop_of(network, 'nyc', third) or 'none'}")
    nyc_host = network.hosts["nyc"]
    streams = {"fra's LAN": PingStream(nyc_host, plan.FRA.host4), "fra's LAN by IPv6": PingStream(nyc_host, plan.FRA.host6),
               "the third-party prefix": PingStream(nyc_host, plan.THIRD_PARTY_HOST)}
    time.sleep(1.0)
    network.cut("fra", "nyc")

    def around():
        via_ams = allowed_ips(network, "nyc", "ams")
        return {lan, third, plan.FRA.lan6_prefix} <= via_ams and plan.NYC.lan4_prefixes[0] not in allowed_ips(
            network, "fra", "nyc") and plan.NYC.lan6_prefix not in allowed_ips(network, "fra", "nyc")

    rerouted = shown_within("BGP moved fra's and nyc's prefixes to ams in both sites' allowed-IPs", around, 20)
    time.sleep(1.5 if rerouted is not None else 0)
    for what, stream in streams.items():
        gap, steady = stream.stop()
        shown(f"nyc reaches {what} through ams", steady and gap < 15, f"{gap:.1f} s without an answer" if steady else "no answer")
    shown("next hops in nyc", next_hop_of(network, "nyc", lan) == next_hop_of(network, "nyc", third) == plan.AMS.overlay4,
          f"{lan} and {third} via {next_hop_of(network, 'nyc', lan)} (ams)")
    network.heal("fra")
    shown_within("healed: direct again", lambda: {lan, third, plan.FRA.lan6_prefix} <= allowed_ips(network, "nyc", "fra"), 20)


def path_of(network, site, peer):
    """The report about the path of a site to a peer."""
    return next((mtu for mtu in status_of(network.sites[site]).get("mtus", [])
                 if mtu["kind"] == "peer" and mtu["name"] == peer), {})


def show_path_mtu(network):
    heading("In the middle of a transfer the way to nyc takes 1400 bytes only, and no router says so")
    client, server, address = network.hosts["ams"], network.hosts["nyc"], plan.NYC.host4
    isp = network.isps["ams"]
    listener = server.start("iperf3", "-s", "-1", "-J", "-i", "0.25", "-B", address, log="iperf3-path")
    wait_until("iperf3 server", lambda: server.run("ss", "-Htln", "sport = :5201").stdout.strip(), 5)
    client.start("iperf3", "-c", address, "-t", "5", "-b", "200M", log="iperf3-path-client")
    time.sleep(1)
    isp.run("nft", "-f", "-", stdin="table inet silent { chain output { type filter hook output priority 0; "
            "icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }")
    isp.ip("link set to-nyc mtu 1400")
    shown_within("ams found out, by probes", lambda: path_of(network, "ams", "nyc").get("path_mtu") == 1400, 10)
    path = path_of(network, "ams", "nyc")
    shown("greywire mtu", bool(path), f"{path.get('path_mtu')} outside, {path.get('mtu')} inside: {path.get('reason')}")
    listener.wait(20)
    try:
        report = json.loads(listener.output())
        still = longest = 0.0
        for interval in report["intervals"]:
            still = still + 0.25 if interval["sum"]["bytes"] == 0 else 0.0
            longest = max(longest, still)
        shown("the transfer went on", report["end"]["sum_received"]["bytes"] > 10e6 and longest <= 3, f"{longest:.2f} s without a byte")
    except (json.JSONDecodeError, KeyError):
        shown("the transfer went on", False, "iperf3 failed")
    isp.run("nft", "delete", "table", "inet", "silent")
    isp.ip("link set to-nyc mtu 1500")


def show_all(network):
    show_sites(network)
    show_modes(network)
    show_path_mtu(network)
    show_withdrawal(network)
    show_cut(network)
    dead = [name for name, daemon in network.daemons.items() if not daemon.alive()]
    shown("the three greywired ran through all of it", not dead, " ".join(dead))


def stop_daemons(network):
    heading("Stopping")
    statuses = {name: daemon.stop() for name, daemon in network.daemons.items()}
    shown("each greywired ended with status 0", not any(statuses.values()), "" if not any(statuses.values()) else str(statuses))
    left = [f"{name}: {link['ifname']}" for name, site in network.sites.items() for link in site.ip_json("link")
            if link["ifname"].startswith(("gw0", "gre-", "tap-"))]
    shown("and took its links with it", not left, ", ".join(left))


def running_demo():
    """Pid of the demo that holds FOLDER, if it still runs."""
    try:
        with open(PID_FILE, encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return pid if "demo.py" in file.read() and pid != os.getpid() else None
    except (OSError, ValueError):
        return None


def down():
    pid = running_demo()
    if pid:
        os.kill(pid, signal.SIGTERM)
        wait_until("the running demo", lambda: not os.path.exists(f"/proc/{pid}"), 20)
        print(f"ended the demo that was up (pid {pid})")
    elif namespaces_named(PREFIX) or os.path.isdir(FOLDER):
        print(f"removed {remove_lab(PREFIX, FOLDER)} namespaces and their processes")
    else:
        print("nothing to remove")


def execute(words):
    if len(words) < 2:
        sys.exit("deploy/demo exec WHERE COMMAND...: WHERE is ams, fra, nyc, or host-, isp- or desk- and one of them")
    where, command = words[0], words[1:]
    name = f"{PREFIX}-{where}"
    if name not in namespaces_named(PREFIX):
        sys.exit(f"deploy/demo exec: no '{where}' here; is a demo up (deploy/demo --hold)?")
    binds = ""
    if where in plan.PLANS:
        for folder in plan.SITE_RUN_FOLDERS:
            binds += f"mount --bind {private_folder(os.path.join(FOLDER, where), folder)} {folder} && "
    os.environ["PATH"] = BIN + ":" + os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    os.execvp("ip", ["ip", "netns", "exec", name, "sh", "-c", binds + 'exec "$@"', "sh"] + command)


def hold():
    heading("Up until Ctrl-C. From another shell:")
    for line in ("deploy/demo exec ams greywire status", "deploy/demo exec nyc wg show gw0", "deploy/demo exec fra vtysh",
                 f"deploy/demo exec host-ams ping {plan.NYC.host4}"):
        print("  " + line)
    sys.stdout.flush()
    while True:
        signal.pause()


def main():
    if sys.argv[1:2] == ["down"]:
        return down()
    if sys.argv[1:2] == ["exec"]:
        return execute(sys.argv[2:])
    if running_demo():
        sys.exit(f"deploy/demo: one is up already (pid {running_demo()}): deploy/demo down ends it")
    if namespaces_named(PREFIX):
        print("removing what a killed run left")
        remove_lab(PREFIX, FOLDER)
    started = time.monotonic()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))
    try:
        with Lab(PREFIX, FOLDER) as lab:
            with open(PID_FILE, "w", encoding="ascii") as file:
                file.write(str(os.getpid()))
            network = plan.Network(lab)
            if start(network):
                show_all(network)
            if sys.argv[1:2] == ["--hold"]:
                print(f"\n{summary(started)}")
                hold()
            stop_daemons(network)
    except LabError as problem:
        shown("the demo went on", False, str(problem))
    except KeyboardInterrupt:
        print()
    print(f"\n{summary(started)}")
    return 1 if failures else 0


def summary(started):
    took = f"{time.monotonic() - started:.0f} s"
    if failures:
        return paint("31", f"{len(failures)} failed in {took}: " + "; ".join(failures))
    return paint("32", f"All of it worked, in {took}.")


if __name__ == "__main__":
    sys.exit(main())
