"""wire_watch.py INTERFACE: prints every WireGuard message that passes an interface of this namespace, in either direction:
time, source, destination, type, size, and whether an initiation or response has a mac2."""

import ipaddress
import signal
import socket
import struct
import sys
import time

SIZES = {1: 148, 2: 92, 3: 64}
ETH_P_ALL = 3


def udp(packet):
    """(source, destination, payload) of a UDP datagram without IPv6 extension headers, or None."""
    if packet[0] >> 4 == 4 and packet[9] == 17:
        header, addresses = (packet[0] & 15) * 4, (packet[12:16], packet[16:20])
    elif packet[0] >> 4 == 6 and packet[6] == 17:
        header, addresses = 40, (packet[8:24], packet[24:40])
    else:
        return None
    ends = [f"{ipaddress.ip_address(address)}:{port}"
            for address, port in zip(addresses, struct.unpack_from("!HH", packet, header))]
    return ends[0], ends[1], packet[header + 8:]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.bind((sys.argv[1], ETH_P_ALL))
    print("watching", flush=True)
    while True:
        packet = wire.recv(65536)
        datagram = udp(packet) if len(packet) >= 28 else None
        if not datagram or len(datagram[2]) < 32:
            continue
        source, destination, payload = datagram
        kind = int.from_bytes(payload[:4], "little")
        if len(payload) == SIZES.get(kind) or kind == 4:
            mac2 = kind in (1, 2) and any(payload[-16:])
            print(f"{time.time():.4f} {source} {destination} {kind} {len(payload)} {'mac2' if mac2 else '-'}", flush=True)


main()
