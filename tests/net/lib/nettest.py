"""What the namespace tests share: a lab of their own, checks that say what they saw, devices to compare.

A test is an executable script `tests/net/test_<name>`:

    #!/usr/bin/python3
    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib"))
    from nettest import check, greywired_device, main, new_lab

    def test():
        with new_lab() as lab:
            left, right = lab.namespace("left", SITE_RUN_FOLDERS), ...
            check("hosts reach each other", left.ping("10.0.0.2"))

    main(test)

`$GREYWIRE_BIN` is the folder with greywired and greywire (default build/release/bin). Everything that a test makes
has its process id in its name and is gone when it ends, also on SIGTERM; what a killed test left goes with the next run.
"""

import os
import re
import signal
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "deploy", "lib"))

from netlab import (SITE_RUN_FOLDERS, Frr, LabError, Lab, answers, remove_lab, run, wait_until)  # noqa: E402,F401

BIN = os.environ.get("GREYWIRE_BIN", os.path.join(ROOT, "build", "release", "bin"))
GREYWIRED = os.path.join(BIN, "greywired")
GREYWIRE = os.path.join(BIN, "greywire")

failures = []


def check(what, holds, saw=None):
    """Counts and prints one assertion; `saw` is printed when it fails."""
    print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)
    if not holds:
        failures.append(what)
        if saw is not None:
            print(f"     saw: {saw}", flush=True)
    return bool(holds)


def check_of(engine, what, holds, saw=None, known=False):
    """check() of a body that runs over several engines. `known` says that wireguard-go is known to fail here: this is said,
    and held too, so that the list of what it does worse stays true."""
    if known and engine == "wireguard-go":
        print(f"known wireguard-go: not so: {what}", flush=True)
        return check(f"wireguard-go still fails here: {what}", not holds, saw)
    return check(f"{engine}: {what}", holds, saw)


def leave_out(engine, what):
    """Says what is not asked of an engine after a failure of its that is known."""
    print(f"skip {engine}: {what}", flush=True)


def check_eventually(what, condition, timeout=10.0, interval=0.1):
    """check() of a condition that may take up to `timeout` seconds."""
    start = time.monotonic()
    value = condition()
    while not value and time.monotonic() - start < timeout:
        time.sleep(interval)
        value = condition()
    return check(f"{what} ({time.monotonic() - start:.1f} s)" if value else f"{what}: not within {timeout:g} s", value)


def new_lab():
    """A lab that no other test shares."""
    if os.path.isdir("/run/netns"):
        for name in os.listdir("/run/netns"):
            old = re.match(r"gwtest-(\d+)-", name)
            if old and not os.path.exists(f"/proc/{old.group(1)}"):
                remove_lab(f"gwtest-{old.group(1)}", f"/run/gwtest-{old.group(1)}")
    return Lab(f"gwtest-{os.getpid()}")


def main(test):
    """Runs the test; exit status 1 if a check failed or something did not happen at all."""
    if os.geteuid() != 0:
        sys.exit("needs root: it makes network namespaces")
    if not os.access(GREYWIRED, os.X_OK):
        sys.exit(f"no {GREYWIRED}: build the release preset, or set GREYWIRE_BIN to a folder with greywired and greywire")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    try:
        test()
    except LabError as problem:
        print(f"FAIL {problem}")
        sys.exit(1)
    if failures:
        print(f"{len(failures)} failed: " + "; ".join(failures))
        sys.exit(1)


class Keys:
    """A key pair made by `wg`, base64; `file` is the private key, readable by root alone."""

    def __init__(self, folder, name):
        self.private = run("wg", "genkey").stdout.strip()
        self.public = run("wg", "pubkey", stdin=self.private).stdout.strip()
        self.file = os.path.join(folder, name + ".key")
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
            out.write(self.private + "\n")


def userspace_device(namespace, argv, name):
    """The WireGuard device `name` that the command line makes in a namespace with SITE_RUN_FOLDERS, ready for `wg`."""
    process = namespace.start(*argv, log=f"{os.path.basename(argv[0])}-{name}")
    path = os.path.join(namespace.folder, "wireguard", name + ".sock")
    wait_until(f"{argv[0]} {name}", lambda: answers(path) or not process.alive(), 10)
    if not process.alive():
        raise LabError(f"{argv[0]} {name} ended: {process.output().strip()[-500:]}")
    return process


def greywired_device(namespace, name):
    """`greywired -f NAME` in a namespace made with private=SITE_RUN_FOLDERS, ready for `wg`."""
    return userspace_device(namespace, [GREYWIRED, "-f", name], name)


def wireguard_go_device(namespace, name):
    """Debian's wireguard-go, likewise."""
    return userspace_device(namespace, ["wireguard-go", "-f", name], name)


# The same body runs over both.
ENGINES = {"greywired": greywired_device, "wireguard-go": wireguard_go_device}


def latest_handshakes(namespace, interface):
    """Public key -> seconds since the epoch, 0 for never."""
    lines = namespace.out("wg", "show", interface, "latest-handshakes").split("\n")
    return {key: int(at) for key, at in (line.split() for line in lines if line)}


def allowed_ips(namespace, interface="gw0"):
    """Public key -> set of prefixes, as `wg show INTERFACE allowed-ips` prints them."""
    found = {}
    for line in namespace.out("wg", "show", interface, "allowed-ips").split("\n"):
        if line:
            key, _, prefixes = line.partition("\t")
            found[key] = set(prefixes.split()) - {"(none)"}
    return found


def lost_echoes(flow):
    """Ends a ping that goes on: the last echo answered, and those before it that were not."""
    flow.popen.send_signal(signal.SIGINT)
    flow.wait()
    answered = {int(number) for number in re.findall(r"bytes from .* icmp_seq=(\d+)", flow.output())}
    last = max(answered, default=0)
    return last, sorted(set(range(1, last + 1)) - answered)
