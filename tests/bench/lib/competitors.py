"""The ways from one namespace to the other that tests/bench/compare measures.

Each has two namespaces and a veth of its own, all alike, and its daemons run for the whole time. `target` is the address
that is reached at the far end, `mtu` what the way in between takes.
"""

import os
import re
import shutil
import subprocess

from nettest import BIN, GREYWIRED, SITE_RUN_FOLDERS, Keys, LabError, run, userspace_device, wait_until

NEAR, FAR = "192.0.2.1", "192.0.2.2"
PORT = 51820
RELAY = os.path.join(BIN, "relay")
RELAY_FRAME = 65507 - 10  # what fits a datagram beside its virtio header
NEWEST_MODULE = "golang.zx2c4.com/wireguard"


class Missing(Exception):
    """Why a competitor can't take part."""


class Competitor:
    """Two namespaces and the veth between them: the ceiling."""

    takes_handshakes = False  # of a swarm of WireGuard peers at the veth
    starts_within = 15  # seconds

    def __init__(self, name, version="", about=""):
        self.name, self.version, self.about = name, version, about
        self.target, self.mtu = FAR, 1500
        self.near = self.far = self.sink = None
        self.daemons = []
        self.results = {}

    def start(self, lab):
        short = self.name.replace("wireguard-go", "wg")
        self.near, self.far = (lab.namespace(f"{short}-{end}", SITE_RUN_FOLDERS) for end in "ab")
        lab.link(self.near, "eth0", self.far, "eth0", one_addresses=[NEAR + "/24"], other_addresses=[FAR + "/24"])
        self.carry()
        wait_until(f"an answer through {self.name}", lambda: self.near.ping(self.target, wait=0.3), self.starts_within)

    def carry(self):
        """Makes what lies above the veth."""

    def cpu_seconds(self):
        return sum(self.cpu_seconds_of(daemon) for daemon in self.daemons)

    def cpu_seconds_of(self, daemon):
        if not daemon.alive():
            raise LabError(f"{self.name} ended by itself with status {daemon.status()}: {daemon.output().strip()[-300:]}")
        return daemon.cpu_seconds()

    def memory_mib(self):
        return sum(daemon.memory_kib() for daemon in self.daemons) / 1024 / max(1, len(self.daemons))


class Relay(Competitor):
    """What reading a TUN and sending UDP costs alone: no tunnel that does so can be cheaper."""

    def carry(self):
        for end, (ns, wan) in enumerate(((self.near, FAR), (self.far, NEAR))):
            self.daemons.append(ns.start(RELAY, "relay0", PORT, f"{wan}:{PORT}", log="relay"))
            wait_until("the relay's device", lambda: run("ip", "-n", ns.name, "link", "show", "relay0", check=False)  # noqa: B023
                       .returncode == 0, 10)
            ns.ip(f"address add 10.250.0.{end + 1}/24 dev relay0", f"link set relay0 gso_max_size {RELAY_FRAME} mtu 1420 up")
        self.target, self.mtu = "10.250.0.2", 1420


class WireGuard(Competitor):
    """A userspace WireGuard behind the UAPI; `binary -f NAME` or as `command` says."""

    takes_handshakes = True

    def __init__(self, name, binary, version, about="", command=lambda binary, device: [binary, "-f", device]):
        super().__init__(name, version, about)
        self.binary, self.command = binary, command
        self.keys = None

    def carry(self):
        self.keys = [Keys(ns.folder, "bench") for ns in (self.near, self.far)]
        self.daemons = [userspace_device(ns, self.command(self.binary, "wg0"), "wg0") for ns in (self.near, self.far)]
        addresses, wan = ("10.200.0.1", "10.200.0.2"), (NEAR, FAR)
        for end, ns in enumerate((self.near, self.far)):
            other = 1 - end
            ns.run("wg", "set", "wg0", "listen-port", PORT, "private-key", self.keys[end].file, "peer", self.keys[other].public,
                   "endpoint", f"{wan[other]}:{PORT}", "allowed-ips", addresses[other] + "/32")
            ns.ip(f"address add {addresses[end]}/24 dev wg0", "link set wg0 mtu 1420 up")
        self.target, self.mtu = addresses[1], 1420


class Vxlan(WireGuard):
    """Ethernet over a userspace WireGuard as people do it: the kernel's VXLAN above the device."""

    takes_handshakes = False  # they are those of the WireGuard below

    def carry(self):
        super().carry()
        for own, far, host, ns in (("10.200.0.1", "10.200.0.2", "10.210.0.1", self.near),
                                   ("10.200.0.2", "10.200.0.1", "10.210.0.2", self.far)):
            ns.ip(f"link add vx0 mtu 1370 type vxlan id 42 local {own} remote {far} dstport 4789 dev wg0",
                  f"address add {host}/24 dev vx0", "link set vx0 up")
        self.target, self.mtu = "10.210.0.2", 1370


class GreywireSite(Competitor):
    """`greywired --config` with a [[tunnel]] between two sites."""

    def __init__(self, name, version, about, kind, extra=""):
        """`extra`: more keys of the tunnel."""
        super().__init__(name, version, about)
        self.kind, self.extra = kind, extra

    def carry(self):
        keys = [Keys(ns.folder, "bench") for ns in (self.near, self.far)]
        for end, (ns, wan) in enumerate(((self.near, FAR), (self.far, NEAR))):
            other = 1 - end
            file = os.path.join(ns.folder, "site.toml")
            peers = 'peers = ["other"]' if self.kind == "segment" else 'peer = "other"'
            with open(file, "w", encoding="utf-8") as out:
                out.write(f"""[site]
name = "bench{end}"
private_key_file = "{keys[end].file}"
overlay_address = ["10.255.0.{end + 1}"]
[[peer]]
name = "other"
public_key = "{keys[other].public}"
endpoint = "{wan}:51820"
overlay_address = ["10.255.0.{other + 1}"]
[[tunnel]]
name = "link0"
kind = "{self.kind}"
{peers}
address = ["10.220.0.{end + 1}/24"]
{self.extra}
""")
            self.daemons.append(ns.start(GREYWIRED, "--config", file, log="greywired"))
        self.target = "10.220.0.2"
        for ns in (self.near, self.far):
            wait_until(f"link0 of {self.name}", lambda: run("ip", "-n", ns.name, "link", "show", "link0", check=False)
                       .returncode == 0, 10)
        wait_until(f"an answer through {self.name}", lambda: self.near.ping(self.target, wait=0.3), self.starts_within)
        self.mtu = self.near.ip_json("link", "show", "link0")[0]["mtu"]


class OpenVpn(Competitor):
    """Peer to peer over UDP, TLS by fingerprints, ChaCha20-Poly1305."""

    def carry(self):
        prints = []
        for ns in (self.near, self.far):
            key, cert = os.path.join(ns.folder, "vpn.key"), os.path.join(ns.folder, "vpn.crt")
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", "/CN=bench", "-keyout", key, "-out", cert)
            prints.append(run("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", cert).stdout.strip().split("=")[1])
        for end, (ns, wan, role) in enumerate(((self.near, FAR, "--tls-client"), (self.far, NEAR, "--tls-server"))):
            own, far = f"10.230.0.{end + 1}", f"10.230.0.{2 - end}"
            more = ["--dh", "none"] if role == "--tls-server" else []
            self.daemons.append(ns.start(
                self.binary(), "--dev", "tun0", "--dev-type", "tun", "--proto", "udp4", "--remote", wan, "--port", "1194",
                "--ifconfig", own, far, role, *more, "--key", os.path.join(ns.folder, "vpn.key"), "--cert",
                os.path.join(ns.folder, "vpn.crt"), "--peer-fingerprint", prints[1 - end], "--data-ciphers",
                "CHACHA20-POLY1305", "--mssfix", "0", "--tun-mtu", "1420", "--verb", "1", log="openvpn"))
        self.target, self.mtu = "10.230.0.2", 1420

    @staticmethod
    def binary():
        return shutil.which("openvpn") or "/usr/sbin/openvpn"


class Tinc(Competitor):
    def carry(self):
        names = ("near", "far")
        folders = [os.path.join(ns.folder, "tinc") for ns in (self.near, self.far)]
        for end, (name, wan) in enumerate(zip(names, (NEAR, FAR))):
            hosts = os.path.join(folders[end], "hosts")
            os.makedirs(hosts, mode=0o700)
            with open(os.path.join(folders[end], "tinc.conf"), "w", encoding="ascii") as conf:
                conf.write(f"Name = {name}\nInterface = tinc0\nDeviceType = tun\n" + ("ConnectTo = far\n" if end == 0 else ""))
            with open(os.path.join(hosts, name), "w", encoding="ascii") as host:
                host.write(f"Address = {wan}\nSubnet = 10.240.0.{end + 1}/32\nPMTU = 1420\n")
            run(self.binary(), "-c", folders[end], "-K", "2048", stdin="\n\n")
            up = os.path.join(folders[end], "tinc-up")
            with open(up, "w", encoding="ascii") as script:
                script.write(f"#!/bin/sh\nip addr add 10.240.0.{end + 1}/24 dev $INTERFACE\nip link set $INTERFACE mtu 1420 up\n")
            os.chmod(up, 0o755)
        for end, name in enumerate(names):
            shutil.copy(os.path.join(folders[end], "hosts", name), os.path.join(folders[1 - end], "hosts", name))
        for end, ns in ((1, self.far), (0, self.near)):
            self.daemons.append(ns.start(self.binary(), "-D", "-c", folders[end], "--pidfile",
                                         os.path.join(ns.folder, "tinc.pid"), log="tinc"))
        self.target, self.mtu = "10.240.0.2", 1420

    @staticmethod
    def binary():
        return shutil.which("tincd") or "/usr/sbin/tincd"


def fetched(cache, name, build):
    """A program that `build` leaves at CACHE/bin/NAME, built once."""
    binary = os.path.join(cache, "bin", name)
    if not os.path.exists(binary):
        try:
            build()
        except LabError as problem:
            raise Missing(str(problem).splitlines()[0][:200]) from None
    return binary


def newest_wireguard_go(cache):
    if not shutil.which("go"):
        raise Missing("there is no Go compiler")
    binary = fetched(cache, "wireguard", lambda: run(
        "env", f"GOBIN={cache}/bin", f"GOPATH={cache}/go", "GOFLAGS=-modcacherw", "go", "install", NEWEST_MODULE + "@latest",
        timeout=300))
    found = re.search(r"^\s*mod\s+\S+\s+(\S+)", run("go", "version", "-m", binary, check=False).stdout, re.M)
    return binary, found.group(1) if found else "unknown version"


def boringtun(cache):
    if not shutil.which("cargo"):
        raise Missing("there is no cargo")
    binary = fetched(cache, "boringtun-cli", lambda: run("cargo", "install", "boringtun-cli", "--root", cache, timeout=600))
    return binary, run(binary, "--version", check=False).stdout.strip() or "unknown version"


def packaged(program, package):
    """Version of a Debian package whose program is there."""
    if not (shutil.which(program) or os.path.exists("/usr/sbin/" + program)):
        raise Missing(f"apt-get install {package}")
    found = run("dpkg-query", "-W", "-f", "${Version}", package, check=False).stdout.strip()
    return found or "unknown version"


def greywire_version():
    done = subprocess.run([GREYWIRED, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["unknown version"])[0]


def all_competitors(cache):
    """Name -> a function that makes it, or raises Missing."""
    own = greywire_version()

    def wireguard(name, found, **more):
        return WireGuard(name, *found, **more)

    def boring(binary, device):
        return [binary, "-f", "--disable-drop-privileges", device]

    return {
        "veth": lambda: Competitor("veth", "", "no tunnel: the ceiling"),
        "relay": lambda: Relay("relay", "", "TUN and UDP alone: no encryption, no look-up, no check"),
        "greywire": lambda: WireGuard("greywire", GREYWIRED, own, "plain IP"),
        "greywire-gre": lambda: GreywireSite("greywire-gre", own, "L3 through a GRE link", "gre"),
        "greywire-gre-checksum": lambda: GreywireSite("greywire-gre-checksum", own, "the same with checksums", "gre",
                                                      "checksum = true"),
        "greywire-gre-sequence": lambda: GreywireSite("greywire-gre-sequence", own, "the same with sequence numbers", "gre",
                                                      "sequence = true"),
        "greywire-gretap": lambda: GreywireSite("greywire-gretap", own, "Ethernet, device as large as fits", "gretap"),
        "greywire-gretap-1500": lambda: GreywireSite("greywire-gretap-1500", own, "frames of 1500, in fragments", "gretap",
                                                     "mtu = 1500"),
        "greywire-segment": lambda: GreywireSite("greywire-segment", own, "a switch, device as large as fits", "segment"),
        "greywire-segment-1500": lambda: GreywireSite("greywire-segment-1500", own, "a switch, frames of 1500, in fragments",
                                                      "segment", "mtu = 1500"),
        "wireguard-go-newest": lambda: wireguard("wireguard-go-newest", newest_wireguard_go(cache), about="plain IP"),
        "wireguard-go-debian": lambda: wireguard("wireguard-go-debian",
                                                 ("wireguard-go", packaged("wireguard-go", "wireguard-go")), about="plain IP"),
        "boringtun": lambda: wireguard("boringtun", boringtun(cache), about="plain IP", command=boring),
        "vxlan-greywire": lambda: Vxlan("vxlan-greywire", GREYWIRED, own, "Ethernet, the kernel's VXLAN over it"),
        "vxlan-wireguard-go": lambda: Vxlan("vxlan-wireguard-go", *newest_wireguard_go(cache),
                                            "Ethernet, the kernel's VXLAN over the newest"),
        "openvpn": lambda: OpenVpn("openvpn", packaged("openvpn", "openvpn"), "plain IP, ChaCha20-Poly1305"),
        "tinc": lambda: Tinc("tinc", packaged("tincd", "tinc"), "plain IP"),
    }
