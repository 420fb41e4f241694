"""initiation_flood.py PUBLIC_KEY ADDRESS PORT: sends handshake initiations whose mac1 is right for the key and whose
contents are noise (whitepaper §5.4.2, §5.4.4), as fast as it can in bursts, and prints twice a second how many it sent and
how many cookie replies came back. They come from 64 ports, since greywired hears no more than 200 a second from one.
Ends on SIGTERM."""

import base64
import hashlib
import os
import signal
import socket
import struct
import sys
import time

BURST, PAUSE, PORTS = 800, 0.05, 64


def initiation(mac1_key):
    message = struct.pack("<I", 1) + os.urandom(112)
    return message + hashlib.blake2s(message, key=mac1_key, digest_size=16).digest() + bytes(16)


def cookie_replies(out):
    count = 0
    while True:
        try:
            answer = out.recv(256)
        except OSError:
            return count
        count += len(answer) == 64 and answer[0] == 3


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mac1_key = hashlib.blake2s(b"mac1----" + base64.b64decode(sys.argv[1])).digest()
    messages = [initiation(mac1_key) for _ in range(200)]
    outs = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)]
    for out in outs:
        out.connect((sys.argv[2], int(sys.argv[3])))
        out.setblocking(False)
    sent = replies = 0
    printed = 0.0
    while True:
        for number in range(BURST):
            try:
                outs[number % PORTS].send(messages[number % len(messages)])
                sent += 1
            except OSError:
                break
        time.sleep(PAUSE)
        for out in outs:
            replies += cookie_replies(out)
        if time.monotonic() - printed > 0.5:
            printed = time.monotonic()
            print(sent, replies, flush=True)


main()
