"""Writes serin.json and siphash-2-4.json beside itself.

An independent implementation of Serin's assignment scheme, from the specification in
src/assignment/bucket.rs and the receipt format in src/assignment/receipt.rs, with nothing but
Python's standard library. Run it again only when the scheme gets a new version.
"""

import base64
import hashlib
import hmac
import json
import pathlib

MASK = (1 << 64) - 1
PARTS = 1_000_000
HERE = pathlib.Path(__file__).parent


def rotated(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def siphash_2_4(key, message):
    """Aumasson and Bernstein 2012, section 2, word by word."""
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:16], "little")
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def sipround():
        v[0] = (v[0] + v[1]) & MASK
        v[2] = (v[2] + v[3]) & MASK
        v[1] = rotated(v[1], 13) ^ v[0]
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = rotated(v[0], 32)
        v[2] = (v[2] + v[1]) & MASK
        v[0] = (v[0] + v[3]) & MASK
        v[1] = rotated(v[1], 17) ^ v[2]
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = rotated(v[2], 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        sipround()
        sipround()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        sipround()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def derived(secret, *parts):
    message = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hmac.new(secret, message, hashlib.sha256).digest()[:16]


def salt_of(case):
    if case["salt"] is not None:
        return [case["salt"].encode()]
    return [case["policy"].encode(), str(case["candidate"]).encode()]


def threshold(ppm):
    return (ppm << 64) // PARTS


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def receipt(secret, rollout, generation, arm, cluster, user):
    body = bytes([1 if user is None else 2]) + varint(rollout) + varint(generation)
    body += bytes([(0x80 if arm == "treatment" else 0) | cluster])
    body += b"" if user is None else user.to_bytes(8, "little")
    mac = siphash_2_4(derived(secret, b"serin/v1/receipt"), body).to_bytes(8, "little")
    return base64.urlsafe_b64encode(body + mac).rstrip(b"=").decode()


SECRETS = [bytes(range(32)), hashlib.sha256(b"a secret of the conformance suite").digest()]
SALTS = [
    {"policy": "order-status-answer", "candidate": 7, "salt": None},
    {"policy": "order-status-answer", "candidate": 8, "salt": None},
    {"policy": "a", "candidate": 4294967295, "salt": None},
    {"policy": "order-status-answer", "candidate": 7, "salt": "order-status"},
    {"policy": "order-status-answer", "candidate": 7, "salt": "größe 日本"},
]
USERS = [
    "u",
    "1",
    "user-1",
    "user-2",
    "1234567",
    "12345678",
    "123456789",
    "anna@example.org",
    " leading and trailing ",
    "9b2f6c0e-55a4-4c4e-8d2a-0d6c7c1a7d55",
    "größe",
    "gro\u0308\u00dfe",
    "ПОЛЬЗОВАТЕЛЬ",
    "日本語のユーザー",
    "😀",
    "👩‍👩‍👧",
    "\u0000",
    "line\nbreak",
    "x" * 255,
    "x" * 256,
    "é" * 128,
]
EXPOSURES = [0, 1, 10_000, 50_000, 250_000, 333_333, 500_000, 999_999, 1_000_000]


def users():
    for secret in SECRETS:
        for salt in SALTS:
            split = derived(secret, b"serin/v1/split", *salt_of(salt))
            cluster = derived(secret, b"serin/v1/cluster", *salt_of(salt))
            for user in USERS:
                key = user.encode()
                bucket = siphash_2_4(split, key)
                yield {
                    "secret": secret.hex(),
                    **salt,
                    "user": user,
                    "bucket": f"{bucket:016x}",
                    "cluster": siphash_2_4(cluster, key) >> 57,
                    "treated_at_ppm": [ppm for ppm in EXPOSURES if bucket < threshold(ppm)],
                }


def receipts():
    for secret in SECRETS:
        for rollout, generation in [(1, 0), (17, 3), (127, 128), (16384, 2097151), (2**63 - 1, 2**64 - 1)]:
            for arm, cluster, user in [
                ("control", 0, None),
                ("treatment", 0, None),
                ("control", 127, None),
                ("treatment", 127, None),
                ("control", 1, 0x0203040506070809),
                ("treatment", 127, 2**64 - 1),
            ]:
                yield {
                    "secret": secret.hex(),
                    "rollout": str(rollout),
                    "generation": str(generation),
                    "arm": arm,
                    "cluster": cluster,
                    "user": None if user is None else f"{user:016x}",
                    "receipt": receipt(secret, rollout, generation, arm, cluster, user),
                }


def rows(items):
    return "[\n" + ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in items) + "\n ]"


def main():
    thresholds = [{"exposure_ppm": ppm, "threshold": f"{threshold(ppm):x}"} for ppm in EXPOSURES]
    (HERE / "serin.json").write_text(
        "{\n"
        f' "exposures_ppm": {json.dumps(EXPOSURES)},\n'
        f' "thresholds": {rows(thresholds)},\n'
        f' "users": {rows(users())},\n'
        f' "receipts": {rows(receipts())}\n'
        "}\n",
        encoding="utf-8",
    )
    # The form of the official vectors: key 00…0f, message 00…(n-1), output bytes in order.
    outputs = [siphash_2_4(bytes(range(16)), bytes(range(n))).to_bytes(8, "little").hex() for n in range(64)]
    (HERE / "siphash-2-4.json").write_text(json.dumps(outputs, indent=1) + "\n", encoding="utf-8")


main()
