#!/usr/bin/env python3
"""Writes wireguard_handshake.json: handshakes of WireGuard (whitepaper section 5.4) in Python's hashlib, hmac and the
`cryptography` package, with HChaCha20 written out. Every random number comes from a fixed hash, so that a run repeats."""
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"


def drawn(name):
    return hashlib.sha256(b"greywire test vector " + name.encode()).digest()


def hash_(data):
    return hashlib.blake2s(data).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(n, key, data):
    prk = hmac.new(key, data, hashlib.blake2s).digest()
    out, last = [], b""
    for i in range(n):
        last = hmac.new(prk, last + bytes([i + 1]), hashlib.blake2s).digest()
        out.append(last)
    return out


def clamp(key):
    key = bytearray(key)
    key[0] &= 248
    key[31] = key[31] & 127 | 64
    return bytes(key)


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(private, other):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(other))


def seal(key, counter, plain, additional):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + struct.pack("<Q", counter), plain, additional)


def hchacha20(key, nonce):
    s = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def rotate(v, n):
        return (v << n | v >> (32 - n)) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for first, second, third, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[first] = (s[first] + s[second]) & 0xFFFFFFFF
            s[third] = rotate(s[third] ^ s[first], n)

    for _ in range(10):
        for columns in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                        (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*columns)
    return struct.pack("<8I", *(s[0:4] + s[12:16]))


def xseal(key, nonce, plain, additional):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plain, additional)


def with_macs(message, receiver_public, cookie):
    message += mac(hash_(b"mac1----" + receiver_public), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


def handshake(name, psk, cookie):
    si, sr, ei, er = (clamp(drawn(name + who)) for who in ("si", "sr", "ei", "er"))
    index_i, index_r = 0x11223344, 0xA1B2C3D4
    seconds, nanoseconds = 1700000000, 123456789
    stamp = struct.pack(">QI", 0x400000000000000A + seconds, nanoseconds & ~0xFFFFFF)

    # The initiation, as the initiator makes it.
    ck = hash_(CONSTRUCTION)
    h = hash_(hash_(ck + IDENTIFIER) + public(sr))
    (ck,) = kdf(1, ck, public(ei))
    h = hash_(h + public(ei))
    ck, key = kdf(2, ck, dh(ei, public(sr)))
    static = seal(key, 0, public(si), h)
    h = hash_(h + static)
    ck, key = kdf(2, ck, dh(si, public(sr)))
    time = seal(key, 0, stamp, h)
    h = hash_(h + time)
    initiation = with_macs(struct.pack("<II", 1, index_i) + public(ei) + static + time, public(sr), cookie)

    # The response, as the responder makes it.
    (ck,) = kdf(1, ck, public(er))
    h = hash_(h + public(er))
    (ck,) = kdf(1, ck, dh(er, public(ei)))
    (ck,) = kdf(1, ck, dh(er, public(si)))
    ck, tau, key = kdf(3, ck, psk)
    h = hash_(h + tau)
    empty = seal(key, 0, b"", h)
    response = with_macs(struct.pack("<III", 2, index_r, index_i) + public(er) + empty, public(si), cookie)
    to_responder, to_initiator = kdf(2, ck, b"")

    packet = bytes(range(45))
    nonce = drawn(name + "nonce")[:24]
    reply_cookie = drawn(name + "cookie")[:16]
    reply = struct.pack("<II", 3, index_i) + nonce + xseal(
        hash_(b"cookie--" + public(sr)), nonce, reply_cookie, initiation[116:132])
    case = {
        "name": name, "initiator_static": si, "responder_static": sr, "initiator_ephemeral": ei,
        "responder_ephemeral": er, "preshared_key": psk, "cookie": cookie,
        "initiator_public": public(si), "responder_public": public(sr), "timestamp": stamp,
        "initiation": initiation, "response": response, "to_responder": to_responder, "to_initiator": to_initiator,
        "keepalive": struct.pack("<IIQ", 4, index_r, 0) + seal(to_responder, 0, b"", b""),
        "packet": packet,
        "data": struct.pack("<IIQ", 4, index_i, 7) + seal(to_initiator, 7, packet + bytes(3), b""),
        "reply_cookie": reply_cookie, "cookie_reply": reply,
    }
    case = {field: value.hex() if isinstance(value, bytes) else value for field, value in case.items()}
    case.update({"initiator_index": index_i, "responder_index": index_r, "seconds": seconds, "nanoseconds": nanoseconds})
    return case


cases = [
    handshake("no preshared key", bytes(32), b""),
    handshake("preshared key", drawn("psk"), b""),
    handshake("preshared key and cookie", drawn("psk 2"), drawn("a cookie")[:16]),
]
print(json.dumps(cases, indent=1))
