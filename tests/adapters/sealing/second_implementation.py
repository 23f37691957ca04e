"""A second implementation of seals and proofs, written from the specifications: it shares no code with the first.

RFC 6962 for the tree, RFC 8032 for Ed25519, C2SP signed-note, tlog-checkpoint and tlog-proof for the texts. Slow.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

# -- RFC 6962 ------------------------------------------------------------------------------------


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if not entries:
        return sha(b"")
    if len(entries) == 1:
        return sha(b"\x00" + entries[0])
    k = split(len(entries))
    return sha(b"\x01" + tree_hash(entries[:k]) + tree_hash(entries[k:]))


def audit_path(index: int, entries: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*audit_path(index, entries[:k]), tree_hash(entries[k:])]
    return [*audit_path(index - k, entries[k:]), tree_hash(entries[:k])]


def consistency(m: int, entries: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of section 2.1.2."""
    n = len(entries)
    if m == n:
        return [] if whole else [tree_hash(entries)]
    k = split(n)
    if m <= k:
        return [*consistency(m, entries[:k], whole), tree_hash(entries[k:])]
    return [*consistency(m - k, entries[k:], False), tree_hash(entries[:k])]


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Climb from a leaf by the shape of the tree."""
    if size == 1:
        return leaf if index == 0 and not path else None
    if not path:
        return None
    k, last = split(size), path[-1]
    if index < k:
        left = root_from_path(leaf, index, k, path[:-1])
        return None if left is None else sha(b"\x01" + left + last)
    right = root_from_path(leaf, index - k, size - k, path[:-1])
    return None if right is None else sha(b"\x01" + last + right)


# -- RFC 8032 ------------------------------------------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)  # noqa: E741  # as in the specification
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P,
    )


def times(a: Point, number: int) -> Point:
    result: Point = (0, 1)
    while number:
        if number & 1:
            result = add(result, a)
        a, number = add(a, a), number >> 1
    return result


def point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little") & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    if (x * x - x2) % P or y >= P:
        return None
    return (P - x if x & 1 != data[31] >> 7 else x, y)


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 64 or BASE is None:
        return False
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    return times(BASE, s) == add(r, times(a, h))


# -- C2SP ----------------------------------------------------------------------------------------


def open_seal(note: str, key: str) -> tuple[str, int, bytes, int, bytes]:
    """Return origin, size, root, and the same of the streams; an AssertionError if it is not signed with the key."""
    name, hint, encoded = key.split("+", 2)
    raw = base64.b64decode(encoded)
    assert raw[0] == 1
    assert sha(name.encode() + b"\n" + raw)[:4].hex() == hint
    body, signatures = note.split("\n\n")
    wanted = [line.split(" ") for line in signatures.strip().split("\n")]
    blobs = [base64.b64decode(one[2]) for one in wanted if one[0] == "—" and one[1] == name]
    good = [blob for blob in blobs if blob[:4].hex() == hint]
    assert any(is_signed(raw[1:], body.encode() + b"\n", blob[4:]) for blob in good)
    origin, size, root, streams = body.split("\n")
    word, count, streams_root = streams.split(" ")
    assert (origin, word) == (name, "mephisto-es/streams")
    return origin, int(size), base64.b64decode(root), int(count), base64.b64decode(streams_root)


def verify_unit(text: str, key: str) -> list[Any]:
    """Return the events that a proof shows; an AssertionError if it is not genuine."""
    proof = json.loads(text)
    assert proof["format"] == "mephisto-es proof 1"
    _, size, root, count, streams_root = open_seal(proof["seal"], key)
    versions: dict[str, int] = {}
    for stream in proof["streams"]:
        entry = f"{stream['stream']}\n{stream['version']}\n".encode()
        path = [base64.b64decode(part) for part in stream["path"]]
        assert root_from_path(sha(b"\x00" + entry), stream["index"], count, path) == streams_root
        assert stream["stream"] not in versions
        versions[stream["stream"]] = stream["version"]
    events = []
    for one in proof["events"]:
        head, seal = one["proof"].split("\n\n", 1)
        header, index, *hashes = head.split("\n")
        assert (header, index[:6], seal) == ("c2sp.org/tlog-proof@v1", "index ", proof["seal"])
        path = [base64.b64decode(part) for part in hashes]
        assert root_from_path(sha(b"\x00" + one["event"].encode()), int(index[6:]), size, path) == root
        events.append(json.loads(one["event"]))
    of_unit = f"unit/{proof['run']}/{proof['unit']}"
    agents = {event["event"]["agent"] for event in events if event["event"]["kind"] == "unit_assigned"}
    assert versions.keys() == {of_unit, *(f"agent/{proof['run']}/{agent}" for agent in agents)}
    for name, version in versions.items():
        assert [event["version"] for event in events if event["stream"] == name] == [*range(1, version + 1)]
    assert {event["stream"] for event in events} == versions.keys()
    return events
