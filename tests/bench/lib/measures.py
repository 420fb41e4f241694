"""What tests/bench/compare measures of a competitor. Each function takes the competitor and the options and returns a dict
of figures; MEASURES names them, and report.py says of which less is better."""

import json
import os
import subprocess
import time

from competitors import FAR, PORT
from nettest import BIN, LabError

UDP_LOAD = os.path.join(BIN, "udp_load")
IPERF_PORT, SINK_PORT = 5201, 5300
MAX_LOSS = 0.001
MAX_TRAIN = 64  # datagrams that leave the sender as one; fewer where no more fit 64 KB


def start_servers(competitor):
    competitor.far.start("iperf3", "-s", "-p", IPERF_PORT, log="iperf3")
    competitor.sink = competitor.far.start(UDP_LOAD, "sink", competitor.target, SINK_PORT, log="sink")
    time.sleep(0.2)


def busy_seconds():
    """Of each core since some moment, by what it was not idle: idle time is measured, the time of what runs is only sampled by
    the tick, which sees next to nothing of what wakes by a timer and sleeps before the next tick."""
    now = time.monotonic()
    with open("/proc/stat", encoding="ascii") as stat:
        rows = [line.split() for line in stat if line.startswith("cpu") and line[3].isdigit()]
    return [now - (int(row[4]) + int(row[5])) / os.sysconf("SC_CLK_TCK") for row in rows]


def machine_seconds():
    """CPU time of everything on this machine since some moment, s."""
    return sum(busy_seconds())


def wait_for_quiet(limit, share=0.1):
    """Waits until all else on the machine takes at most `share` of it, or for `limit` seconds; returns whether it is so."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        start, before = time.monotonic(), machine_seconds()
        time.sleep(0.3)
        if (machine_seconds() - before) / os.cpu_count() / (time.monotonic() - start) <= share:
            return True
    return False


def iperf(competitor, seconds, *more):
    """Received Gbit/s by direction, and the daemons' CPU time a GB."""
    before, machine = competitor.cpu_seconds(), machine_seconds()
    done = competitor.near.run("iperf3", "-c", competitor.target, "-p", IPERF_PORT, "-t", seconds, "-O", 0.5, "-J",
                               "--connect-timeout", 3000, *more, check=False, timeout=seconds + 30)
    cpu, machine = competitor.cpu_seconds() - before, machine_seconds() - machine
    try:
        end = json.loads(done.stdout)["end"]
        ways = [end[key]["bits_per_second"] / 1e9 for key in ("sum_received", "sum_received_bidir_reverse") if key in end]
        retransmits = sum(end[key]["retransmits"] for key in ("sum_sent", "sum_sent_bidir_reverse") if key in end)
    except (ValueError, KeyError):
        raise LabError(f"{competitor.name}: iperf3 failed: {done.stdout.strip()[-300:]} {done.stderr.strip()}") from None
    gb = sum(ways) * (seconds + 0.5) / 8  # iperf3 leaves out the first half second, the CPU time has it
    return {"gbit": sum(ways), "cpu_s_per_gb": cpu / gb, "machine_s_per_gb": machine / gb, "retransmits": retransmits}


def udp_payload(competitor, size):
    return min(size, competitor.mtu - 28)


def udp_try(competitor, size, rate, seconds, train=MAX_TRAIN):
    told = json.loads(competitor.near.out(UDP_LOAD, "send", competitor.target, SINK_PORT, size, f"{rate:.0f}", seconds, train,
                                          timeout=seconds + 20))
    loss = 1 - told["received"] / max(1, told["sent"])
    return told["sent"] / told["seconds"], told["received"] / told["seconds"], loss


def udp_rate(competitor, size, seconds, steps, train=MAX_TRAIN):
    """The highest rate, datagrams a second, of which at most one in a thousand is lost (RFC 2544 §26.1): bisection in the
    logarithm between a quarter of what comes through when all is sent that can be, and three times that: a flood takes
    processor time from everybody else on the machine, so it brings less through than a steady rate does."""
    size = udp_payload(competitor, size)
    before = competitor.cpu_seconds()
    sent, received, loss = udp_try(competitor, size, 0, seconds, train)
    if loss <= MAX_LOSS:
        return {"pps": sent, "limit": "the generator", "flood_pps": received}
    low, high, best = received / 4, min(sent, received * 3), 0.0
    for _ in range(steps):
        rate = (low * high) ** 0.5
        for _ in range(2):  # a single hiccup of a shared machine is no limit
            sent, _, loss = udp_try(competitor, size, rate, seconds, train)
            if loss <= MAX_LOSS:
                break
        if loss <= MAX_LOSS:
            low, best = rate, max(best, sent)
        else:
            high = rate
    return {"pps": best, "limit": "loss", "flood_pps": received, "cpu_s": competitor.cpu_seconds() - before}


def round_trip(competitor, count, interval_us):
    return json.loads(competitor.near.out(UDP_LOAD, "echo", competitor.target, SINK_PORT, 64, count, interval_us,
                                          timeout=60))


def round_trip_under_load(competitor, seconds):
    load = subprocess.Popen(competitor.near.argv("iperf3", "-c", competitor.target, "-p", IPERF_PORT, "-t", seconds + 1),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.7)
        return round_trip(competitor, int(seconds * 500), 2000)
    finally:
        load.wait(timeout=30)


def handshakes(competitor):
    """CPU time of the daemon for handshakes that others start; only for those with a WireGuard device."""
    if not competitor.takes_handshakes:
        return {}
    count, spread_ms = 400, 4
    swarm = os.path.join(BIN, "peer_swarm")
    config = os.path.join(competitor.far.folder, "swarm.conf")
    with open(config, "w", encoding="ascii") as out:
        subprocess.run([swarm, "config", "0", str(count)], stdout=out, check=True)
    competitor.far.run("wg", "addconf", "wg0", config)
    before = competitor.cpu_seconds_of(competitor.daemons[1])
    told = json.loads(competitor.near.out(swarm, "run", FAR, PORT, competitor.keys[1].public, 0, count, spread_ms,
                                          count * spread_ms / 1000 + 1, 0, timeout=60))
    cpu = competitor.cpu_seconds_of(competitor.daemons[1]) - before
    done = sorted(ms for ms in told["handshake_ms"] if ms >= 0)
    for line in open(config, encoding="ascii"):
        if line.startswith("PublicKey"):
            competitor.far.run("wg", "set", "wg0", "peer", line.split("=", 1)[1].strip(), "remove")
    return {"done": len(done), "median_ms": done[len(done) // 2] if done else -1, "cpu_us": cpu / max(1, len(done)) * 1e6}


# name: (title, function of competitor and options)
MEASURES = {
    "tcp1": ("TCP, one stream", lambda c, o: iperf(c, o.seconds)),
    "tcp8": ("TCP, 8 streams", lambda c, o: iperf(c, o.seconds, "-P", 8)),
    "both": ("TCP, 8 streams each way", lambda c, o: iperf(c, o.seconds, "-P", 8, "--bidir")),
    "udp64": ("UDP of 64 bytes", lambda c, o: udp_rate(c, 64, o.udp_seconds, o.udp_steps)),
    "udp512": ("UDP of 512 bytes", lambda c, o: udp_rate(c, 512, o.udp_seconds, o.udp_steps)),
    "udp1372": ("UDP of 1,372 bytes", lambda c, o: udp_rate(c, 1372, o.udp_seconds, o.udp_steps)),
    "idle": ("round trip, idle", lambda c, o: round_trip(c, int(o.seconds * 250), 2000)),
    "loaded": ("round trip beside a stream", lambda c, o: round_trip_under_load(c, o.seconds)),
    "handshakes": ("handshakes", lambda c, o: handshakes(c)),
    "memory": ("memory of a daemon", lambda c, o: {"mib": c.memory_mib()} if c.daemons else {}),
}
