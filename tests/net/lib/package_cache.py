"""Packages that a test needs and does not install: fetched from Debian's archive, unpacked into a cache folder of their own.
Anything that this machine lacks for it is a Missing, whose text is for a person."""

import contextlib
import fcntl
import os
import shutil
import subprocess

SKIPPED = 77  # exit status of a test that this machine cannot run


class Missing(Exception):
    """This machine cannot run the test."""


def cache_folder(variable, name):
    """`name` below ~/.cache, or what the environment variable says."""
    return os.environ.get(variable) or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), name)


def need(program, package):
    """Full path of a program; Missing if it is not installed."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Missing(f"{program} is not installed (apt-get install {package})")
    return path


def apt(folder, *argv):
    """Runs apt-get or apt-cache in `folder`."""
    return subprocess.run(argv[:1] + ("-o", "APT::Sandbox::User=root") + argv[1:], cwd=folder, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL)


def last_words(done):
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]


@contextlib.contextmanager
def locked(cache):
    """One at a time in this cache; waits."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
