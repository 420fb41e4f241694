#!/usr/bin/python3
"""Writes the seeds of kernel_routes_fuzz: what this machine's kernel sends about routes of every form, as a dump and as
changes, from a network namespace of its own. Needs root.

    make_kernel_routes_corpus.py FOLDER
"""
import ctypes
import os
import socket
import struct
import subprocess
import sys

NAME = f"gwcorpus-{os.getpid()}"
ROUTES = ["route add 10.2.1.0/24 via 10.255.0.2 dev d0 proto bird", "route add 10.2.2.0/24 via inet6 fe80::9 dev d0 proto static",
          "route add 10.2.3.0/24 proto bird nexthop via 10.255.0.2 dev d0 weight 3 nexthop via 10.255.0.3 dev d0",
          "nexthop add id 5 via 10.255.0.2 dev d0", "nexthop add id 6 via 10.255.0.3 dev d0", "nexthop add id 9 group 5,2/6",
          "route add 10.2.4.0/24 nhid 9 proto bgp", "route add unreachable 10.2.5.0/24 metric 7 proto bird",
          "route add fd00:2::/48 via fd00:255::2 dev d0 proto bird", "route append fd00:2::/48 via fd00:255::3 dev d0 proto bird",
          "route add 10.2.1.0/24 via 10.255.0.3 dev d0 metric 9 proto bird",
          "route append 10.2.1.0/24 via 10.255.0.4 dev d0 proto bird"]
CHANGES = ["route replace 10.2.1.0/24 via 10.255.0.5 dev d0 proto bird", "route del fd00:2::/48 via fd00:255::2 dev d0",
           "nexthop replace id 5 via 10.255.0.7 dev d0", "nexthop del id 6", "route del 10.2.3.0/24", "link set d0 down"]


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdout=subprocess.DEVNULL)


def dump(kind, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("=IHHII", 16 + len(body), kind, 0x301, 1, 0) + body)
        out = b""
        while True:
            part = sock.recv(65536)
            out += part
            at = 0
            while at < len(part):
                length, message = struct.unpack_from("=IH", part, at)
                if message in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                    return out
                at += (length + 3) & ~3


def main(folder):
    os.makedirs(folder, exist_ok=True)
    ip("netns", "add", NAME)
    try:
        with open(f"/run/netns/{NAME}", encoding="ascii") as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), 0) != 0:
                sys.exit("cannot enter the namespace")
        for line in ("link set lo up", "link add d0 type veth peer d1", "link set d0 up", "link set d1 up", "addr add 10.255.0.1/24 dev d0",
                     "addr add fd00:255::1/64 dev d0 nodad"):
            ip(*line.split())
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as watch:
            watch.bind((0, 1 | 0x40 | 0x400))
            watch.setsockopt(270, 1, 32)  # RTNLGRP_NEXTHOP
            for line in ROUTES:
                ip(*line.split())
            tables = {"links": dump(18, bytes(16)), "objects": dump(106, bytes(8)), "v4": dump(26, b"\x02" + bytes(11)),
                      "v6": dump(26, b"\x0a" + bytes(11))}
            for line in CHANGES:
                ip(*line.split())
            watch.setblocking(False)
            changes = b""
            try:
                while True:
                    changes += watch.recv(65536)
            except BlockingIOError:
                pass
    finally:
        subprocess.run(["ip", "netns", "delete", NAME], check=False)
    for name, seed in {**tables, "all": b"".join(tables.values()), "changes": changes,
                       "all-and-changes": b"".join(tables.values()) + changes}.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(seed)


main(sys.argv[1])
