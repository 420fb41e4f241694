"""The releases of FRR that the tests run: "8", which is installed, and "10", that of Debian 13, whose packages are fetched
from the archive that this machine's apt uses, unpacked into a cache (~/.cache/greywire-frr10, GREYWIRE_FRR10_CACHE) and
run in a chroot. Nothing is installed.

    frr = frr_of("10")(site, bgpd_conf)     # as Frr(site, bgpd_conf)

A test that takes the release from its command line calls main_of_release(test)."""

import functools
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from nettest import Frr, LabError, main, wait_until
from package_cache import SKIPPED, Missing, apt, cache_folder, last_words, locked, need

CACHE = cache_folder("GREYWIRE_FRR10_CACHE", "greywire-frr10")
SUITE = "trixie"
RELEASES = ("8", "10")


def _archive():
    """The line of apt's sources.list for SUITE, from where this machine has its own Debian."""
    with open("/etc/os-release", encoding="utf-8") as text:
        mine = re.search(r"^VERSION_CODENAME=(\w+)$", text.read(), re.M)
    told = apt("/", "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages").stdout
    for line in told.splitlines():
        where, release, component = line.split()[:3]
        if mine and release == mine.group(1) and component == "main":
            keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
            return f"deb {f'[signed-by={keys}] ' if os.path.exists(keys) else ''}{where} {SUITE} main\n"
    raise Missing("apt has no Debian archive among its sources")


def _fetch(folder):
    """The packages of frr and of the libraries it needs, into `folder`. apt is told of an empty machine and one source."""
    for name in ("lists/partial", "archives/partial"):
        os.makedirs(os.path.join(folder, name))
    for name, text in (("status", ""), ("sources.list", _archive())):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(text)
    options = [o for pair in (("Dir::Etc::sourcelist", "sources.list"), ("Dir::Etc::sourceparts", "-"),
                              ("Dir::State::lists", "lists"), ("Dir::State::status", "status"), ("Dir::Cache", "."))
               for o in ("-o", f"{pair[0]}={pair[1] if pair[1] == '-' else os.path.join(folder, pair[1])}")]
    options += ["-o", "Acquire::Languages=none", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1"]
    updated = apt(folder, "apt-get", *options, "-q", "update")
    planned = apt(folder, "apt-get", *options, "-q", "-s", "--no-install-recommends", "install", "frr")
    names = [n for n in re.findall(r"^Inst (\S+)", planned.stdout, re.M) if n == "frr" or n.startswith("lib")]
    if "frr" not in names:
        raise Missing(f"Debian's {SUITE} cannot be reached: {last_words(updated)}")
    fetched = apt(folder, "apt-get", *options, "-q", "download", *names)
    if fetched.returncode != 0:
        raise Missing(f"frr of {SUITE} cannot be fetched: {last_words(fetched)}")


def _unpack(folder, root):
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(root, "usr", name))
        os.symlink("usr/" + name, os.path.join(root, name))
    for deb in glob.glob(os.path.join(folder, "*.deb")):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", root], stdin=files.stdout, check=True)
        if files.returncode != 0:
            raise Missing(f"{os.path.basename(deb)} cannot be unpacked")
    # Where the chroot has what belongs to this machine.
    for name in ("proc", "dev", "run", "tmp"):
        os.makedirs(os.path.join(root, name), exist_ok=True)
    for name in ("passwd", "group"):
        open(os.path.join(root, "etc", name), "a", encoding="ascii").close()
    for name in ("frr", "other"):  # vtysh asks
        with open(os.path.join(root, "etc", "pam.d", name), "w", encoding="ascii") as out:
            out.write("auth sufficient pam_permit.so\naccount sufficient pam_permit.so\n")


def _version(root):
    said = subprocess.run(["chroot", root, "/usr/lib/frr/zebra", "--version"], text=True, capture_output=True)
    found = re.search(r"version (\S+)", said.stdout)
    if not found:
        raise Missing(f"zebra of {SUITE} does not run here: {(said.stderr or said.stdout).strip()[-200:]}")
    return found.group(1)


@functools.lru_cache(maxsize=None)
def frr10_root():
    """Folder with FRR 10, fetched when it is not there."""
    root = os.path.join(CACHE, "root")
    for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("chroot", "coreutils")):
        need(program, package)
    with locked(CACHE):
        if not os.path.exists(os.path.join(CACHE, "complete")):
            shutil.rmtree(root, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                os.chmod(work, 0o755)
                _fetch(work)
                _unpack(work, os.path.join(work, "root"))
                version = _version(os.path.join(work, "root"))
                os.rename(os.path.join(work, "root"), root)
            with open(os.path.join(CACHE, "complete"), "w", encoding="ascii") as out:
                out.write(version + "\n")
    return root


class Frr8(Frr):
    """Frr as it is installed."""

    adopts_kernel_routes = False


class Frr10(Frr):
    """Frr with the programs of Debian 13, in a chroot that has this namespace's /run/frr and configuration."""

    # BGP routes that a killed zebra left in the kernel are the next one's for up to 500 s, whatever bgpd says.
    adopts_kernel_routes = True

    def __init__(self, namespace, *args, **kwargs):
        self.root, self.mgmtd = frr10_root(), None
        super().__init__(namespace, *args, **kwargs)

    def start_zebra(self):
        super().start_zebra()
        # zebra's own configuration is mgmtd's, which has no file and passes it on to every zebra that comes.
        if self.zebra_conf and self.mgmtd is None:
            self.mgmtd = self._daemon("mgmtd")
            self._wait_for_vty("mgmtd", self.mgmtd)
            wait_until("mgmtd takes zebra's configuration", self._configure_zebra, 15)

    def _configure_zebra(self):
        """False while mgmtd is busy with somebody else's."""
        try:
            self.vtysh("configure terminal", *self.zebra_conf.splitlines())
        except LabError as problem:
            if "could not lock" not in str(problem):
                raise
            return False
        return True

    def program(self, *command):
        # ip netns exec has given the process mounts of its own.
        root, conf = self.root, self.conf_folder
        lines = ["set -e", f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc",
                 f"mount --bind /etc/passwd {root}/etc/passwd", f"mount --bind /etc/group {root}/etc/group",
                 f"mount -t tmpfs -o mode=755 run {root}/run", f"mkdir -p {root}/run/frr {root}{conf}",
                 f"mount --bind /run/frr {root}/run/frr", f"mount --bind {conf} {root}{conf}", f'exec chroot {root} "$@"']
        return ["sh", "-c", "\n".join(lines), "sh", *command]


def frr_of(release):
    """The class to be used as Frr. Missing where there is none."""
    if release == "10":
        frr10_root()
        return Frr10
    return Frr8


def version_of(release):
    """What zebra calls itself, such as "8.4.4"."""
    if release == "10":
        return _version(frr10_root())
    said = subprocess.run(["/usr/lib/frr/zebra", "--version"], text=True, capture_output=True).stdout
    return re.search(r"version (\S+)", said).group(1)


def main_of_release(test):
    """main() of a test(Frr) that runs over one release: the first word of the command line, "8" if there is none."""
    release = (sys.argv[1:] or ["8"])[0]
    if release not in RELEASES:
        sys.exit(f"{release}: not one of {', '.join(RELEASES)}")
    try:
        chosen = frr_of(release)
    except Missing as problem:
        print(f"skipped: FRR {release}: {problem}")
        sys.exit(SKIPPED)
    print(f"FRR {version_of(release)}", flush=True)
    main(lambda: test(chosen))
