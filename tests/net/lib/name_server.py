"""A name server of a test's own: `python3 -c NAME_SERVER ZONE LOG ADDRESS`. ZONE is JSON, read anew for each query:
{"right.example": {"ttl": 5, "A": ["192.0.2.2"], "AAAA": []}}; LOG gets a line a query."""

NAME_SERVER = r'''
import json, socket, struct, sys
zone, log, address = sys.argv[1:4]
server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, 53))
def answers(name, kind):
    records = json.load(open(zone)).get(name, {})
    family = socket.AF_INET if kind == 1 else socket.AF_INET6
    for text in records.get({1: "A", 28: "AAAA"}.get(kind), []):
        raw = socket.inet_pton(family, text)
        yield b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, records["ttl"], len(raw)) + raw
while True:
    query, client = server.recvfrom(1500)
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind = struct.unpack("!H", query[at + 1:at + 3])[0]
    found = list(answers(".".join(labels).lower(), kind))
    with open(log, "a") as out:
        out.write(f"{'.'.join(labels)} {kind}\n")
    known = ".".join(labels).lower() in json.load(open(zone))
    server.sendto(query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(found), 0, 0) +
                  query[12:at + 5] + b"".join(found), client)
'''
