"""Network namespaces, processes and FRR daemons for the demo and the namespace tests.

A Lab owns everything it makes: namespaces `<prefix>-<name>`, the processes in them and one folder under /run. Nothing on
the host's own interfaces is touched; veth pairs are made inside the namespaces. Processes are ended by pid, and only
while they are inside one of the lab's namespaces. Python's standard library, iproute2 and util-linux are all it needs.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time

FRR_FOLDER = "/usr/lib/frr"


class LabError(Exception):
    """Something that the lab was asked for did not happen; the text is for a person."""


def wait_until(what, condition, timeout=10.0, interval=0.05):
    """Calls `condition` until it is true; returns (its value, seconds it took). LabError after `timeout` seconds."""
    start = time.monotonic()
    while True:
        value = condition()
        took = time.monotonic() - start
        if value:
            return value, took
        if took > timeout:
            raise LabError(f"{what}: not within {timeout:g} s")
        time.sleep(interval)


def run(*argv, check=True, timeout=30, stdin=None):
    """Runs a command on the host, returns CompletedProcess with text output; LabError with its stderr if it fails."""
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(argv, text=True, input=stdin, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: still running after {timeout:g} s") from None
    except FileNotFoundError:
        raise LabError(f"{argv[0]}: not installed") from None
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)}: status {done.returncode}: {said}")
    return done


def answers(path):
    """Whether somebody listens on a unix socket. A file that is there is not enough: it may be a dead daemon's, or not listen
    yet, and `wg` takes one that refuses it for a stale one and removes it."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
            return True
        except OSError:
            return False


def namespaces_named(prefix):
    """Names of the namespaces that belong to a lab of this prefix, whoever made them."""
    listed = run("ip", "-json", "netns", "list").stdout.strip()
    names = [entry["name"] for entry in json.loads(listed or "[]")]
    return [name for name in names if name.startswith(prefix + "-")]


def end_processes_in(names, grace=5.0):
    """Ends every process inside the namespaces: SIGTERM, then SIGKILL for what is left after `grace` seconds."""

    def pids():
        found = []
        for name in names:
            found += [int(p) for p in run("ip", "netns", "pids", name, check=False).stdout.split()]
        return [p for p in found if p != os.getpid()]

    for sig, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        for pid in pids():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        deadline = time.monotonic() + patience
        while pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not pids():
            return


def remove_lab(prefix, folder):
    """Removes what a lab of this prefix left, also after a kill -9: processes, namespaces, its folder."""
    names = namespaces_named(prefix)
    end_processes_in(names)
    for name in names:
        run("ip", "netns", "delete", name, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    return len(names)


def private_folder(namespace_folder, shared):
    """Where a namespace has its own copy of a folder of /run or /var/lib."""
    kind = "state" if shared.startswith("/var/lib/") else os.path.basename(shared)
    return os.path.join(namespace_folder, kind)


class Process:
    """A process that the lab started; `log` is the file with its stdout and stderr."""

    def __init__(self, popen, argv, log):
        self.popen, self.argv, self.log = popen, argv, log
        self.pid = popen.pid

    def alive(self):
        return self.popen.poll() is None

    def status(self):
        """Exit status, None while it runs, negative for a signal."""
        return self.popen.poll()

    def memory_kib(self, what="VmRSS"):
        """A line of /proc/PID/status: what is resident, or VmLck, what is locked."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(what))

    def cpu_seconds(self):
        """In user mode and in the kernel, of all its threads so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def wait(self, timeout=10.0):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.argv[0]}: still running after {timeout:g} s") from None

    def kill9(self):
        self.popen.kill()
        self.popen.wait()

    def stop(self, timeout=5.0):
        """SIGTERM and its exit status; SIGKILL and LabError if it does not go in time."""
        if self.alive():
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise LabError(f"{self.argv[0]} (pid {self.pid}): did not end within {timeout:g} s of SIGTERM") from None


class Namespace:
    """One network namespace. With `private`, folders that its processes have for themselves: those of /run in
    `<folder>/<last part>`, that of /var/lib in `<folder>/state`."""

    def __init__(self, lab, short, private=()):
        self.lab, self.short, self.name = lab, short, f"{lab.prefix}-{short}"
        self.folder = os.path.join(lab.folder, short)
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.mounts = []
        for run_folder in private:
            mine = private_folder(self.folder, run_folder)
            os.makedirs(mine, exist_ok=True)
            os.makedirs(run_folder, mode=0o755, exist_ok=True)
            self.mounts.append((mine, run_folder))
        run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def argv(self, *command):
        """The command line that runs `command` in here; the pid stays the same through all of it."""
        command = [str(c) for c in command]
        inside = ["ip", "netns", "exec", self.name]
        if self.mounts:
            binds = " && ".join(f"mount --bind {mine} {where}" for mine, where in self.mounts)
            inside += ["sh", "-c", binds + ' && exec "$@"', "sh"]
        return inside + command

    def run(self, *command, check=True, timeout=30, stdin=None):
        return run(*self.argv(*command), check=check, timeout=timeout, stdin=stdin)

    def out(self, *command, timeout=30):
        return self.run(*command, timeout=timeout).stdout

    def start(self, *command, log=None, env=None, before_exec=None):
        """Starts a process in the background; its output goes to `<log>.log` in this namespace's folder. With
        `before_exec`, called in the child, the child keeps every descriptor that is inheritable by then."""
        name = log or os.path.basename(str(command[0]))
        path = os.path.join(self.folder, name + ".log")
        with open(path, "ab") as sink:
            popen = subprocess.Popen(self.argv(*command), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                                     env={**os.environ, **(env or {})}, start_new_session=True,
                                     preexec_fn=before_exec, close_fds=before_exec is None)
        process = Process(popen, [str(c) for c in command], path)
        self.lab.processes.append(process)
        return process

    def ip(self, *lines):
        """One `ip` command a line, in one go: ns.ip("link set lo up", "address add 10.0.0.1/24 dev eth0")."""
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines) + "\n")

    def ip_json(self, *command):
        return json.loads(run("ip", "-n", self.name, "-json", *command).stdout or "[]")

    def sysctl(self, **settings):
        """ns.sysctl(net__ipv4__ip_forward=1): two underscores stand for a slash."""
        writes = [f"echo {value} > /proc/sys/{key.replace('__', '/')}" for key, value in settings.items()]
        run("ip", "netns", "exec", self.name, "sh", "-ec", "\n".join(writes))

    def forward(self):
        """Makes it a router of both families."""
        self.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)

    def drop_between(self, one, other):
        """Silently drops every forwarded packet between the two addresses (of one family)."""
        family = "ip6" if ":" in one else "ip"
        rules = "".join(f"add rule inet cut forward {family} saddr {a} {family} daddr {b} drop\n"
                        for a, b in ((one, other), (other, one)))
        self.run("nft", "-f", "-", stdin="add table inet cut\nadd chain inet cut forward "
                 "{ type filter hook forward priority 0; }\n" + rules)

    def heal(self):
        """Takes every drop_between away."""
        self.run("nft", "delete", "table", "inet", "cut", check=False)

    def ping(self, address, count=1, size=56, wait=1.0, whole=False, source=None, interval=0.2):
        """True if every echo is answered; `whole` forbids fragmentation (ping -M do)."""
        return self.ping_output(address, count, size, wait, whole, source, interval).returncode == 0

    def ping_output(self, address, count=1, size=56, wait=1.0, whole=False, source=None, interval=0.2):
        command = ["ping", "-n", "-c", count, "-s", size, "-W", wait, "-i", interval]
        command += ["-M", "do"] if whole else []
        command += ["-I", source] if source else []
        return self.run(*command, address, check=False, timeout=10 + count * (wait + interval))


class Lab:
    """Namespaces, links and processes that end together. Use as a context manager, or call close()."""

    def __init__(self, prefix, folder=None):
        if os.geteuid() != 0:
            raise LabError("needs root: it makes network namespaces")
        self.prefix = prefix
        self.folder = folder or os.path.join("/run", prefix)
        self.namespaces, self.processes = {}, []
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def namespace(self, short, private=(), dad=False):
        """A new namespace, loopback up. IPv6 duplicate address detection only if asked for: it takes a second."""
        made = Namespace(self, short, private)
        self.namespaces[short] = made
        if not dad:
            made.sysctl(net__ipv6__conf__all__accept_dad=0, net__ipv6__conf__default__accept_dad=0)
        return made

    def link(self, one, one_if, other, other_if, mtu=1500, one_addresses=(), other_addresses=()):
        """A veth pair between two namespaces, up, with the addresses given ("192.0.2.1/24")."""
        one.ip(f"link add {one_if} mtu {mtu} type veth peer name {other_if} mtu {mtu} netns {other.name}")
        for side, name, addresses in ((one, one_if, one_addresses), (other, other_if, other_addresses)):
            side.ip(*[f"address add {a} dev {name}" + (" nodad" if ":" in a else "") for a in addresses],
                    f"link set {name} up")

    def close(self):
        for process in reversed(self.processes):
            if process.alive():
                process.popen.terminate()
        deadline = time.monotonic() + 5
        for process in self.processes:
            try:
                process.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill9()
        remove_lab(self.prefix, self.folder)
        self.namespaces, self.processes = {}, []


SITE_RUN_FOLDERS = ("/run/wireguard", "/run/greywire", "/run/frr", "/var/lib/greywire")


class Frr:
    """zebra and bgpd of Debian's frr in a namespace made with private=SITE_RUN_FOLDERS, so that they, vtysh and greywired
    use their ordinary paths under /run and meet no other site's. Nothing is read from or written to /etc/frr."""

    def __init__(self, namespace, bgpd_conf, zebra_conf="", zebra_options=()):
        self.ns, self.zebra_conf, self.zebra_options = namespace, zebra_conf, zebra_options
        self.owner = pwd.getpwnam("frr")
        self.run_folder = os.path.join(namespace.folder, "frr")
        self.conf_folder = os.path.join(namespace.folder, "frr-config")
        os.makedirs(self.conf_folder, exist_ok=True)
        for daemon, text in (("zebra", zebra_conf), ("bgpd", bgpd_conf)):
            self.configure(daemon, text)
        for folder in (self.run_folder, self.conf_folder):
            os.chown(folder, self.owner.pw_uid, self.owner.pw_gid)
        self.zebra = self.bgpd = None

    def configure(self, daemon, text):
        """What the daemon reads when it is started next."""
        path = os.path.join(self.conf_folder, daemon + ".conf")
        with open(path, "w", encoding="utf-8") as conf:
            conf.write(f"hostname {self.ns.short}\n{text}")
        os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def program(self, *command):
        """The command line that runs a program of this FRR inside the namespace."""
        return list(command)

    def _daemon(self, name, *options):
        command = self.program(os.path.join(FRR_FOLDER, name), "-P", "0", "-A", "127.0.0.1", "--log", "stdout", *options)
        return self.ns.start(*command, log=name)

    def _configured(self, name):
        return "-f", os.path.join(self.conf_folder, name + ".conf")

    def start_zebra(self):
        self.zebra = self._daemon("zebra", *self._configured("zebra"), *self.zebra_options)
        path = os.path.join(self.run_folder, "zserv.api")
        wait_until(f"zebra of {self.ns.short}", lambda: os.path.exists(path) or not self.zebra.alive(), 10)
        self._wait_for_vty("zebra", self.zebra)

    def start_also(self, name, conf=""):
        """Another daemon of FRR beside zebra, once vtysh reaches it: start_also("staticd")."""
        self.configure(name, conf)
        process = self._daemon(name, *self._configured(name))
        self._wait_for_vty(name, process)
        return process

    def _wait_for_vty(self, name, process):
        path = os.path.join(self.run_folder, name + ".vty")
        wait_until(f"{name} of {self.ns.short}", lambda: answers(path) or not process.alive(), 20)
        if not process.alive():
            raise LabError(f"{name} of {self.ns.short} ended: {process.output().strip()[-300:]}")

    def start_bgpd(self):
        self.bgpd = self._daemon("bgpd", *self._configured("bgpd"))

    def start(self):
        """Both, once vtysh reaches them: what it is told for a daemon that is not there yet is lost without a word."""
        self.start_zebra()
        self.start_bgpd()
        self._wait_for_vty("bgpd", self.bgpd)

    def vtysh(self, *commands):
        """Runs the commands as one vtysh call, returns what it says."""
        argv = self.program("vtysh")
        for command in commands:
            argv += ["-c", command]
        return self.ns.out(*argv)

    def vtysh_json(self, command):
        try:
            return json.loads(self.vtysh(command + " json"))
        except (json.JSONDecodeError, LabError):
            return {}
