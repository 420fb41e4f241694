#!/usr/bin/python3
"""Cuts the streams of tests/captures/zapi into the seeds of zapi_route_fuzz and zapi_stream_fuzz."""
import glob
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
ROUTES, STREAMS = (os.path.join(HERE, "corpus", name) for name in ("zapi_route_fuzz", "zapi_stream_fuzz"))
for folder in (ROUTES, STREAMS):
    os.makedirs(folder, exist_ok=True)
seen = set()
for path in sorted(glob.glob(os.path.join(HERE, "../captures/zapi/*_rx.bin"))):
    name = os.path.basename(path)[:2]
    stream = open(path, "rb").read()
    row, commands = (10, (31, 32)) if name == "30" else (5, (30, 31))
    at = index = 0
    routes = b""
    while at < len(stream):
        length, _, _, _, command = struct.unpack("!HBBIH", stream[at:at + 10])
        if command in commands:
            routes += stream[at:at + length]
            if length not in seen:  # one of each size is variety enough
                seen.add(length)
                open(os.path.join(ROUTES, "%s-%d" % (name, index)), "wb").write(stream[at + 10:at + length])
        at += length
        index += 1
    if routes:
        open(os.path.join(STREAMS, name), "wb").write(bytes([row, 36]) + routes[:1800])
