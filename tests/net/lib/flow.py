"""A stream of echoes that tells afterwards which of them were lost."""

import re
import signal
import time

from nettest import wait_until


class Flow:
    """`rate` echoes a second from a namespace to an address, until outage() or stop()."""

    def __init__(self, namespace, address, rate=100, source=None):
        options = ["-I", source] if source else []
        self.process = namespace.start("ping", "-n", "-i", f"{1 / rate:g}", *options, address, log=f"flow-{time.monotonic_ns()}")

    def answered(self):
        return [int(n) for n in re.findall(r"bytes from .* icmp_seq=(\d+)", self.process.output())]

    def runs(self, count=20, timeout=10):
        """Waits until so many more are answered."""
        last = max(self.answered(), default=0)
        wait_until("echoes go on", lambda: max(self.answered(), default=0) > last + count, timeout)
        return self

    def lost(self):
        """Those of so far that were not answered, while it goes on; out of order by a few does not count."""
        seen = set(self.answered())
        return sorted(set(range(1, max(seen, default=0) - 5)) - seen)

    def outage(self):
        """Echoes lost, once some after the outage were answered."""
        self.runs(100, 30)
        self.stop()
        seen = set(self.answered())
        return sorted(set(range(1, max(seen) + 1)) - seen)

    def stop(self):
        self.process.popen.send_signal(signal.SIGINT)
        self.process.wait()
