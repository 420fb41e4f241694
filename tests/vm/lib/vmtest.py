"""What the tests in a virtual machine share: a test is an executable script `tests/vm/test_<name>` that calls
main_in_vm(test, modules). Outside it starts itself again under run-in-vm; inside it is a namespace test like those of
tests/net, with the kernel's own WireGuard at hand. Where there can be no virtual machine it says so and exits with 77."""

import collections
import functools
import os
import sys
import time

VM = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
sys.path.insert(0, os.path.join(VM, "..", "net", "lib"))

from nettest import BIN, GREYWIRED, SITE_RUN_FOLDERS, Keys, LabError, failures, main, wait_until  # noqa: E402

PYTHON = "/usr/bin/python3"
INSIDE = "GREYWIRE_IN_VM"
PORT = {"gw": 51820, "kernel": 51821}
WAN = {"gw": {4: "192.0.2.1", 6: "2001:db8::1"}, "kernel": {4: "192.0.2.2", 6: "2001:db8::2"}}
INNER = {"gw": ("10.9.0.1", "fd00:9::1"), "kernel": ("10.9.0.2", "fd00:9::2")}
# In the allowed-IPs of the same peer and nobody's address: what is sent there brings no answer.
SILENT = {"gw": "10.9.0.101", "kernel": "10.9.0.102"}
OTHER = {"gw": "kernel", "kernel": "gw"}
SAID = {"gw": "greywired", "kernel": "the kernel"}

INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT = 1, 2, 3, 4
KEEPALIVE_SIZE = 32

table = []
began = time.monotonic()
told_failures = 0


def seen(what, result):
    """A line of the table that is printed at the end; printed at once too, with the seconds since the start. "FAILED"
    instead of `result` when a check since the last line failed."""
    global told_failures
    if len(failures) > told_failures:
        told_failures, result = len(failures), "FAILED"
    print(f"---- {time.monotonic() - began:3.0f} s  {what}: {result}", flush=True)
    table.append((what, result))


def main_in_vm(test, modules, timeout=560, systemd=False, env=()):
    """`systemd`: it is the guest's first process. `env`: more variables for the inside, NAME=VALUE."""
    if os.environ.get(INSIDE):
        try:
            main(test)
        finally:
            width = max((len(what) for what, _ in table), default=0)
            print(f"\nLinux {os.uname().release}")
            for what, result in table:
                print(f"  {what:<{width}}  {result}")
        return
    runner = os.path.join(VM, "run-in-vm")
    sys.stdout.flush()
    more = ["--systemd"] if systemd else []
    for pair in (f"{INSIDE}=1", f"GREYWIRE_BIN={os.path.abspath(BIN)}", *env):
        more += ["--env", pair]
    os.execv(runner, [runner, "--modules", modules, "--timeout", str(timeout), *more, "--", PYTHON, os.path.realpath(sys.argv[0])])


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def _entering(options, *command):
    return ["nsenter", *options, "--", *[str(word) for word in command]]


def _greywired_device(namespace):
    """`greywired -f wg0`; a start that takes a fraction of a second elsewhere took over 10 s in a guest on a busy machine."""
    process = namespace.start(GREYWIRED, "-f", "wg0")
    socket = os.path.join(namespace.folder, "wireguard", "wg0.sock")
    wait_until("greywired wg0", lambda: os.path.exists(socket) or not process.alive(), 60)
    if not process.alive():
        raise LabError(f"greywired wg0 ended: {process.output().strip()[-500:]}")
    return process


Message = collections.namedtuple("Message", "at source destination kind size mac2")


class Wire:
    """Every WireGuard message on an interface, with the time it was seen there."""

    def __init__(self, namespace, interface):
        self.process = namespace.start(PYTHON, os.path.join(VM, "lib", "wire_watch.py"), interface,
                                       log=f"wire-{interface}")
        wait_until("watching the wire", lambda: self.process.output().startswith("watching"), 30)

    def messages(self, start=0.0, kind=None, source=None, size=None):
        """Those since `start` (of time.time()), oldest first; `source` is "address:port" or the beginning of it."""
        found = []
        for line in self.process.output().splitlines()[1:]:
            at, sender, receiver, number, length, mac2 = line.split()
            message = Message(float(at), sender, receiver, int(number), int(length), mac2 == "mac2")
            if (message.at >= start and kind in (None, message.kind) and size in (None, message.size)
                    and sender.startswith(source or "")):
                found.append(message)
        return found


class KernelPair:
    """greywired's wg0 in one namespace and the kernel's wg0 in another."""

    def __init__(self, lab, prefix=""):
        self.lab = lab
        self.ns = {"gw": lab.namespace(prefix + "gw", SITE_RUN_FOLDERS), "kernel": lab.namespace(prefix + "kernel")}
        self.keys = {name: Keys(ns.folder, name) for name, ns in self.ns.items()}
        lab.link(self.ns["gw"], "eth0", self.ns["kernel"], "eth0",
                 one_addresses=[WAN["gw"][4] + "/24", WAN["gw"][6] + "/64"],
                 other_addresses=[WAN["kernel"][4] + "/24", WAN["kernel"][6] + "/64"])
        self.psk = os.path.join(self.ns["gw"].folder, "psk")
        with open(os.open(self.psk, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(self.ns["gw"].out("wg", "genpsk"))
        self.device = _greywired_device(self.ns["gw"])
        self.ns["kernel"].ip("link add wg0 type wireguard")
        # The daemon's own namespaces are entered, which emulation does several times faster than making them anew.
        enter = {"gw": ["-m", "-n", "-t", str(self.device.pid)], "kernel": [f"--net=/run/netns/{self.ns['kernel'].name}"]}
        for name, ns in self.ns.items():
            ns.argv = functools.partial(_entering, enter[name])
        for name, ns in self.ns.items():
            ns.ip(f"address add {INNER[name][0]}/24 dev wg0", f"address add {INNER[name][1]}/64 dev wg0 nodad",
                  "link set wg0 mtu 1420 up")
            ns.run("wg", "set", "wg0", "private-key", self.keys[name].file, "listen-port", PORT[name])

    def peer(self, name):
        return self.keys[OTHER[name]].public

    def connect(self, initiator, family=4, psk=False):
        """Both ends forget each other and are configured anew; only the initiator knows an endpoint."""
        for name in WAN:
            self.ns[name].run("wg", "set", "wg0", "peer", self.peer(name), "remove")
        for name in (OTHER[initiator], initiator):
            far = OTHER[name]
            words = ["wg", "set", "wg0", "peer", self.peer(name), "allowed-ips",
                     f"{INNER[far][0]}/32,{INNER[far][1]}/128,{SILENT[far]}/32"]
            words += ["preshared-key", self.psk] if psk else []
            words += ["endpoint", f"{bracketed(WAN[far][family])}:{PORT[far]}"] if name == initiator else []
            self.ns[name].run(*words)

    def ping(self, name, **options):
        """From `name` to the other's inner IPv4 address."""
        return self.ns[name].ping(INNER[OTHER[name]][0], **options)

    def endpoint(self, name):
        """Where `name` sends to, as `wg` shows it."""
        for line in self.ns[name].out("wg", "show", "wg0", "endpoints").splitlines():
            key, _, where = line.partition("\t")
            if key == self.peer(name):
                return where
        return ""


class Flood:
    """Initiations with a right mac1 and nothing else right, to one device, from a namespace of its own on a link of its
    own. `replies()` is how many cookie replies have come back."""

    def __init__(self, lab, pair, target):
        name = "flood-" + target
        self.ns = lab.namespace(name)
        lab.link(pair.ns[target], "flood0", self.ns, "eth0", one_addresses=["198.51.100.1/24"],
                 other_addresses=["198.51.100.66/24"])
        self.arguments = [PYTHON, os.path.join(VM, "lib", "initiation_flood.py"), pair.keys[target].public,
                          "198.51.100.1", PORT[target]]
        self.process = None

    def start(self):
        """Returns once the target answers with cookies, which it does only under load."""
        self.process = self.ns.start(*self.arguments, log="flood")
        wait_until("cookie replies to the flood", lambda: self.replies() > 0, 30)

    def counts(self):
        last = (self.process.output().splitlines() or ["0 0"])[-1].split()
        return (int(last[0]), int(last[1])) if len(last) == 2 and all(n.isdigit() for n in last) else (0, 0)

    def replies(self):
        return self.counts()[1]

    def stop(self):
        self.process.stop()


def eventually(condition, timeout, interval=0.1):
    """The condition's value once it is true, or its last one after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    value = condition()
    while not value and time.monotonic() < deadline:
        time.sleep(interval)
        value = condition()
    return value
