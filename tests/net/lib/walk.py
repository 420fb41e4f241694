"""Walks a guide of docs/: its blocks are run where they say, from top to bottom, as a reader would.

    <!-- walk: net.test_quick_start -->        once in the guide: the test that walks it
    <!-- test: on ams -->                      commands for a root shell of the host ams, or `on ams and fra`; SITE is its name
    <!-- test: on ams, exchanged on fra -->    ... and on fra with the names and addresses of the two exchanged
    <!-- test: on ams, until it works -->      the same, tried again for 20 s
    <!-- test: file PATH on ams -->            what is in that file there; `, exchanged on fra` here too; a relative path starts
                                               where commands do, in a folder of the host's own
    <!-- test: shown on ams -->                "$ COMMAND" and what it prints; figures may differ, `...` is anything; tried
                                               again for 20 s

Each host is a namespace with an /etc, /run/greywire, ... of its own, where names such as ams.example.net are known.
`systemctl` of greywire@SITE and of frr is done here: by the unit's own ExecStart and ExecReload with a descriptor store, as root
and without the unit's limits. Placeholders such as "fra's public key" become the key whose private half is /etc/greywire/fra.key
of that host. Programs in the host's folder `bin`, which a test may put there, come before the machine's."""

import os
import re
import shlex
import time

from docblocks import blocks, matches, walked_by
from fakestore import FakeStore
from nettest import BIN, GREYWIRE, ROOT, SITE_RUN_FOLDERS, Frr, LabError, check, run

ETC = ("passwd", "group", "nsswitch.conf", "protocols", "services", "iproute2", "frr", "pam.d", "ld.so.cache", "ld.so.conf",
       "ld.so.conf.d", "host.conf", "hosts", "alternatives")
UNIT = os.path.join(ROOT, "deploy", "systemd", "greywire@.service.in")
PATIENCE = 20
GROUP = 64123  # a number that is nobody's


def walk_host(lab, name, known=()):
    """A namespace for a host of a guide; `known`: lines of its /etc/hosts."""
    host = lab.namespace(name, (*SITE_RUN_FOLDERS, "/etc"))
    etc = os.path.join(host.folder, "etc")
    for entry in ETC:
        if os.path.exists(os.path.join("/etc", entry)):
            run("cp", "-a", os.path.join("/etc", entry), etc)
    # What the package makes: the service's group, and a folder that it may read.
    with open(os.path.join(etc, "group"), "r+", encoding="ascii") as groups:
        known_group = re.search(r"^greywire:\w*:(\d+):", groups.read(), re.M)
        if not known_group:
            groups.write(f"greywire:x:{GROUP}:\n")
    for folder in ("home", "bin"):
        os.makedirs(os.path.join(host.folder, folder))
    os.makedirs(os.path.join(etc, "greywire"))
    os.chown(os.path.join(etc, "greywire"), 0, int(known_group.group(1)) if known_group else GROUP)
    os.chmod(os.path.join(etc, "greywire"), 0o2750)
    with open(os.path.join(etc, "hosts"), "a", encoding="ascii") as out:
        out.write("".join(line + "\n" for line in known))
    return host


class Services:
    """What `systemctl` does on one host, for greywire@SITE and frr."""

    def __init__(self, host):
        self.host, self.store, self.daemons, self.frr = host, None, {}, []

    def do(self, words):
        verb = next(w for w in words if not w.startswith("-"))
        units = [w for w in words if not w.startswith("-") and w != verb]
        if verb == "daemon-reload":
            return
        for unit in units:
            name, _, site = unit.removesuffix(".service").partition("@")
            if name == "greywire" and site:
                self.greywire(verb, site)
            elif unit == "frr":
                self.frr_service(verb)
            else:
                raise LabError(f"systemctl {' '.join(words)}: no unit '{unit}' here")

    def line(self, key, site):
        with open(UNIT, encoding="utf-8") as text:
            found = re.search(rf"^{key}=(.*)$", text.read(), re.M).group(1)
        return shlex.split(re.sub(r"@CMAKE_INSTALL_FULL_S?BINDIR@", BIN, found).replace("%i", site))

    def greywire(self, verb, site):
        running = self.daemons.get(site)
        if verb in ("stop", "restart", "disable") and running:
            status = running.stop()
            check(f"{self.host.short}: greywire@{site} stops with status 0", status == 0, running.output()[-1000:])
            del self.daemons[site]
            if verb != "restart":
                self.store.close()
                self.store = None
        if verb in ("start", "restart", "enable"):
            self.store = self.store or FakeStore(self.host)
            self.daemons[site] = self.store.start(*self.line("ExecStart", site))
            if not self.daemons[site].alive():
                raise LabError(f"greywire@{site} of {self.host.short}: {self.daemons[site].output()[-1000:]}")
        elif verb == "reload":
            self.host.run(*self.line("ExecReload", site))
        elif verb not in ("stop", "disable"):
            raise LabError(f"systemctl {verb}: not known here")

    def frr_service(self, verb):
        """zebra, and what /etc/frr/daemons says yes to; then `vtysh -b` brings /etc/frr/frr.conf in, as frrinit.sh does."""
        if verb not in ("start", "restart", "enable", "stop"):
            raise LabError(f"systemctl {verb} frr: not known here")
        for daemon in reversed(self.frr):
            daemon.stop()
        self.frr = []
        if verb == "stop":
            return
        frr = Frr(self.host, "")
        frr.start_zebra()
        with open(os.path.join(self.host.folder, "etc", "frr", "daemons"), encoding="utf-8") as text:
            wanted = re.findall(r"^(\w+d)=yes", text.read(), re.M)
        self.frr = [frr.zebra] + [frr.start_also(daemon) for daemon in wanted]
        self.host.run("vtysh", "-b")

    def close(self):
        for site in list(self.daemons):
            self.greywire("stop", site)


class Walk:
    def __init__(self, document, hosts, exchange=(), instead=()):
        """`hosts`: name -> namespace of walk_host(). `exchange`: pairs of words, for `exchanged on`. `instead`: pairs of a word of the
        page's files, such as the key that a whole config needs, and what is written for it."""
        self.document, self.hosts, self.exchange, self.instead = document, hosts, exchange, instead
        self.services = {name: Services(host) for name, host in hosts.items()}
        self.left = [b for b in blocks(ROOT, document) if b.kind in ("on", "file", "shown")]
        check(f"{document} is walked by this test", self.left and walked_by(ROOT, document) is not None)

    def walk(self, until=None):
        """All that is left, or up to and without the first block with the text `until`."""
        while self.left and not (until and until in self.left[0].text):
            block = self.left.pop(0)
            if not getattr(self, "_" + block.kind)(block):
                raise LabError(f"{block.where()}: the guide does not do what it says")
        if until and not self.left:
            raise LabError(f"{self.document}: no block with '{until}'")

    def end(self):
        check(f"{self.document}: walked to its end", not self.left, [b.where() for b in self.left])
        for services in self.services.values():
            services.close()

    def _path(self, host, path):
        if not path.startswith("/"):
            return os.path.join(host.folder, "home", path)
        return os.path.join(host.folder, path.lstrip("/")) if path.startswith("/etc/") else path

    def _key(self, match):
        name = match.group(1)
        host = self.hosts[name]
        with open(self._path(host, f"/etc/greywire/{name}.key"), encoding="ascii") as key:
            return run(GREYWIRE, "pubkey", stdin=key.read()).stdout.strip()

    def _filled(self, text):
        return re.sub(r"\b(\w+)'s public key", self._key, text)

    def _exchanged(self, text):
        for one, other in self.exchange:
            text = text.replace(one, "\0").replace(other, one).replace("\0", other)
        return text

    def _file(self, block):
        path, _, where = block.rest.partition(" on ")
        where, _, exchanged = where.partition(", exchanged on ")
        for name in [*where.split(" and "), *([exchanged] if exchanged else [])]:
            text, target = block.text, path
            for word, better in self.instead:
                text = text.replace(word, better)
            if name == exchanged:
                text, target = self._exchanged(text), self._exchanged(path)
            with open(self._path(self.hosts[name], target), "w", encoding="utf-8") as out:
                out.write(self._filled(text))
            check(f"{block.where()}: {target} on {name}", True)
        return True

    def _run(self, name, options, script):
        host = self.hosts[name]
        path = f"PATH={os.path.join(host.folder, 'bin')}:{BIN}:{os.environ['PATH']}"
        return host.run("env", "-C", os.path.join(host.folder, "home"), path, "NO_COLOR=1", "bash", options, self._filled(script),
                        check=False, timeout=60)

    def _shell(self, name, script):
        """Runs it; None, or what was said if it failed."""
        done = self._run(name, "-ec", script)
        said = (done.stdout + done.stderr).strip()
        refused = "vtysh" in script and re.search(r"^% ", said, re.M)  # it says so and ends with status 0
        return None if done.returncode == 0 and not refused else said

    def _on(self, block):
        where, *how = block.rest.split(", ")
        exchanged = next((part.removeprefix("exchanged on ") for part in how if part.startswith("exchanged on ")), None)
        for name in [*where.split(" and "), *([exchanged] if exchanged else [])]:
            text, script = self._exchanged(block.text) if name == exchanged else re.sub(r"\bSITE\b", name, block.text), ""
            for line in text.splitlines(keepends=True) + ["systemctl"]:
                if not line.startswith("systemctl"):
                    script += line
                    continue
                if script.strip():
                    began, problem = time.monotonic(), self._shell(name, script)
                    while problem and "until it works" in how and time.monotonic() - began < PATIENCE:
                        time.sleep(0.2)
                        problem = self._shell(name, script)
                    if not check(f"{block.where()}: on {name}: {script.strip().splitlines()[0]}", not problem, problem):
                        return False
                script = ""
                words = shlex.split(line, comments=True)[1:]
                if words:
                    self.services[name].do(words)
                    check(f"{block.where()}: on {name}: {line.strip()}", True)
        return True

    def _shown(self, block):
        name = block.rest.removeprefix("on ")
        parts = re.split(r"^\$ (.*)\n", block.text, flags=re.M)[1:]
        for command, expected in zip(parts[::2], parts[1::2]):
            began = time.monotonic()
            while True:
                done = self._run(name, "-c", command)
                missing = matches(self._filled(expected), done.stdout + done.stderr)
                if missing is None or time.monotonic() - began > PATIENCE:
                    break
                time.sleep(0.2)
            if not check(f"{block.where()}: on {name}: {command} shows what the page has ({time.monotonic() - began:.1f} s)",
                         missing is None, f"no line '{missing}' in\n{done.stdout}{done.stderr}"):
                return False
        return True
