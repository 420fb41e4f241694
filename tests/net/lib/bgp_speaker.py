#!/usr/bin/python3
"""bgp_speaker.py LOCAL PEER AS: one BGP session (RFC 4271) with PEER that announces what it is told on standard input. It
connects again whenever the session is lost and repeats what it still announces, and is never restarting itself (RFC 4724):
what a bgpd that restarts gracefully needs of its peers, and bgpd itself does not give in the first two minutes of its life.

  announce PREFIX NEXT_HOP         withdraw PREFIX
  many COUNT FIRST NEXT_HOP        COUNT prefixes of FIRST's length, one after the other; not repeated
  withdraw-many COUNT FIRST

Each command is answered on standard output with "sent SECONDS" of the monotonic clock, before the update goes out for
single prefixes, after the last one for many; "up SECONDS" and "down SECONDS" tell of the session. A single prefix that is
told of while there is no session changes only what is repeated then."""

import ipaddress
import os
import queue
import select
import socket
import struct
import subprocess
import sys
import threading
import time

OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
PER_UPDATE = 800  # prefixes; a message has at most 4096 bytes
# A bgpd that has just started must have asked zebra for the peer's next hop before it hears routes, as it has beside any router
# that is not on the same machine: else it finds them unusable, and zebra gives up for an instant what was there before.
SETTLED = 0.3  # seconds


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def attribute(flags, kind, value):
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, kind, len(value)) + value
    return struct.pack("!BBB", flags, kind, len(value)) + value


def open_message(asn, router_id):
    def capability(code, value):
        return bytes([2, len(value) + 2, code, len(value)]) + value
    families = struct.pack("!HBBHBB", 1, 1, 0x80, 2, 1, 0x80)  # forwarding state preserved
    options = (capability(1, struct.pack("!HBB", 1, 0, 1)) + capability(1, struct.pack("!HBB", 2, 0, 1)) +
               capability(65, struct.pack("!I", asn)) + capability(64, struct.pack("!H", 120) + families))
    return message(OPEN, struct.pack("!BHH", 4, asn, 90) + socket.inet_aton(router_id) + bytes([len(options)]) + options)


def encoded(network):
    return bytes([network.prefixlen]) + network.network_address.packed[:(network.prefixlen + 7) // 8]


def announcement(asn, networks, next_hop):
    common = attribute(0x40, 1, b"\0") + attribute(0x40, 2, struct.pack("!BBI", 2, 1, asn))
    nlri, hop = b"".join(map(encoded, networks)), ipaddress.ip_address(next_hop).packed
    if networks[0].version == 4:
        common += attribute(0x40, 3, hop)
        return message(UPDATE, struct.pack("!HH", 0, len(common)) + common + nlri)
    common += attribute(0x80, 14, struct.pack("!HBB", 2, 1, len(hop)) + hop + b"\0" + nlri)
    return message(UPDATE, struct.pack("!HH", 0, len(common)) + common)


def withdrawal(networks):
    nlri = b"".join(map(encoded, networks))
    if networks[0].version == 4:
        return message(UPDATE, struct.pack("!H", len(nlri)) + nlri + b"\0\0")
    unreachable = attribute(0x80, 15, struct.pack("!HB", 2, 1) + nlri)
    return message(UPDATE, struct.pack("!HH", 0, len(unreachable)) + unreachable)


END_OF_RIB = (message(UPDATE, b"\0\0\0\0"), message(UPDATE, struct.pack("!HH", 0, 6) + attribute(0x80, 15, b"\0\2\1")))


def sequence(count, first):
    """The prefixes in lists for one update each."""
    first = ipaddress.ip_network(first)
    start, step = int(first.network_address), 1 << (first.max_prefixlen - first.prefixlen)
    make = type(first)
    size = PER_UPDATE if first.version == 4 else PER_UPDATE // 4
    for base in range(0, count, size):
        yield [make((start + i * step, first.prefixlen)) for i in range(base, min(base + size, count))]


class Speaker:
    def __init__(self, local, peer, asn):
        self.local, self.peer, self.asn = local, peer, asn
        self.routes, self.commands, self.socket, self.received = {}, queue.Queue(), None, b""

    @staticmethod
    def say(what):
        print(f"{what} {time.monotonic():.6f}", flush=True)

    def connect(self):
        while True:
            made = socket.socket(socket.AF_INET6 if ":" in self.peer else socket.AF_INET)
            made.settimeout(2)
            try:
                made.bind((self.local, 0))
                made.connect((self.peer, 179))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.settimeout(None)
                made.sendall(open_message(self.asn, self.local))
                return made
            except OSError:
                made.close()
                time.sleep(0.1)

    def session(self):
        """One session from its connection to its end."""
        self.socket, self.received, up, told = self.connect(), b"", False, time.monotonic()
        repeat_at = None
        try:
            while True:
                ready, _, _ = select.select([self.socket], [], [], 0.0005 if up else 1)
                if ready:
                    self.read()
                while len(self.received) >= 19 and len(self.received) >= int.from_bytes(self.received[16:18], "big"):
                    size, kind = struct.unpack("!HB", self.received[16:19])
                    self.received = self.received[size:]
                    if kind == OPEN:
                        self.socket.sendall(message(KEEPALIVE))
                    elif kind == KEEPALIVE and not up:
                        up = True
                        self.say("up")
                        repeat_at = time.monotonic() + SETTLED
                    elif kind == NOTIFICATION:
                        return
                if up and time.monotonic() - told > 10:
                    told = time.monotonic()
                    self.socket.sendall(message(KEEPALIVE))
                if repeat_at and time.monotonic() >= repeat_at:
                    repeat_at = None
                    self.take_up_what_came_meanwhile()
                    self.socket.sendall(b"".join(announcement(self.asn, [p], hop) for p, hop in self.routes.items()) +
                                        b"".join(END_OF_RIB))
                while up and not repeat_at and not self.commands.empty():
                    self.obey(*self.commands.get())
        except OSError:
            return
        finally:
            self.socket.close()
            if up:
                self.say("down")

    def change(self, what, prefix, hop=None):
        """Of what is repeated. The update that tells the peer."""
        network = ipaddress.ip_network(prefix)
        self.say("sent")
        if what == "announce":
            self.routes[network] = hop
            return announcement(self.asn, [network], hop)
        self.routes.pop(network, None)
        return withdrawal([network])

    def take_up_what_came_meanwhile(self):
        while not self.commands.empty() and self.commands.queue[0][0] in ("announce", "withdraw"):
            self.change(*self.commands.get())

    def obey(self, what, *words):
        if what in ("announce", "withdraw"):
            self.socket.sendall(self.change(what, *words))
        else:
            for networks in sequence(int(words[0]), words[1]):
                self.socket.sendall(announcement(self.asn, networks, words[2]) if what == "many" else withdrawal(networks))
                while select.select([self.socket], [], [], 0)[0]:
                    self.read()  # else the connection would fill
            self.say("sent")

    def read(self):
        more = self.socket.recv(1 << 16)
        if not more:
            raise OSError("closed")
        self.received += more

    def run(self):
        def listen():
            for line in sys.stdin:
                self.commands.put(line.split())
            os._exit(0)  # whoever started it is gone
        threading.Thread(target=listen, daemon=True).start()
        while True:
            self.session()
            time.sleep(0.1)


class BgpSpeaker:
    """The program in a namespace, for tests."""

    def __init__(self, namespace, local, peer, asn):
        self.process = subprocess.Popen(namespace.argv(sys.executable, os.path.realpath(__file__), local, peer, asn),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.answers.put(line.split())

    def wait_for(self, what, timeout=30):
        """Its time of the monotonic clock; what was said before is passed over."""
        deadline = time.monotonic() + timeout
        while True:
            said, at = self.answers.get(timeout=max(0.01, deadline - time.monotonic()))
            if said == what:
                return float(at)

    def tell(self, *words, timeout=30):
        """One command; when it was sent."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.wait_for("sent", timeout)

    def close(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    Speaker(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
