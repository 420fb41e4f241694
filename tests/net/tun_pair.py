#!/usr/bin/python3
"""Two TUN devices in two namespaces, joined by a process: what one sends the other receives.

tun_pair.py NETNS IFNAME NETNS IFNAME. Prints "ready" once both exist; both are gone when it ends.
"""
import ctypes
import fcntl
import os
import select
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def open_tun(netns, name):
    with open("/run/netns/" + netns) as ns:
        if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
            sys.exit("cannot enter namespace %s: %s" % (netns, os.strerror(ctypes.get_errno())))
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def main():
    a = open_tun(sys.argv[1], sys.argv[2])
    b = open_tun(sys.argv[3], sys.argv[4])
    print("ready", flush=True)
    other = {a: b, b: a}
    while True:
        for fd in select.select([a, b], [], [])[0]:
            try:
                os.write(other[fd], os.read(fd, 65536))
            except OSError:
                pass  # the far device is down: the packet is lost, as on a wire


main()
