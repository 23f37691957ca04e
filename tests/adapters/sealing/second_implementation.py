"""A second implementation of seals and proofs, written from the specifications: it shares no code with the first.

RFC 6962 for the tree, RFC 8032 for Ed25519, C2SP signed-note, tlog-checkpoint and tlog-proof for the texts. Slow.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
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
Point = tuple[int, int, int, int]


def add(a: Point, b: Point) -> Point:
    """Section 5.1.4, in extended coordinates."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    p, q = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    r, s = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = q - p, s - r, s + r, q + p
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(a: Point, number: int) -> Point:
    result: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, a)
        a, number = add(a, a), number >> 1
    return result


def is_same(a: Point, b: Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 == (a[1] * b[2] - b[1] * a[2]) % P


def point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little") & (2**255 - 1)
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * I % P
    if (x * x - x2) % P or y >= P:
        return None
    x = P - x if x & 1 != data[31] >> 7 else x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(signature) != 64 or BASE is None:
        return False
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    return is_same(times(BASE, s), add(r, times(a, h)))


# -- C2SP ----------------------------------------------------------------------------------------


def signatures_by(note: str, key: str, kind: int) -> tuple[str, bytes, list[bytes]]:
    """Return the body of a note, a public key, and the signatures by it; an AssertionError if the note is none."""
    name, hint, encoded = key.split("+", 2)
    raw = unpacked(encoded)
    assert raw[0] == kind
    assert len(raw) == 33
    assert sha(name.encode() + b"\n" + raw)[:4].hex() == hint
    body, signatures = note.rsplit("\n\n", 1)
    assert signatures.endswith("\n")
    assert not [letter for letter in note if letter < " " and letter != "\n"]
    lines = [line.split(" ") for line in signatures[:-1].split("\n")]
    assert all(len(one) == 3 and one[0] == "\u2014" and one[1] and len(unpacked(one[2])) > 4 for one in lines)
    blobs = [unpacked(one[2]) for one in lines if one[1] == name]
    return body + "\n", raw[1:], [blob[4:] for blob in blobs if blob[:4].hex() == hint]


def hashes(parts: list[str]) -> list[bytes]:
    found = [unpacked(part) for part in parts]
    assert all(len(one) == 32 for one in found)
    return found


def unpacked(text: str) -> bytes:
    """Return the bytes of base64, which has one way to write them."""
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text
    return data


def open_seal(note: str, key: str) -> tuple[str, int, bytes, int, bytes]:
    """Return origin, size, root, and the same of the streams; an AssertionError if it is not signed with the key."""
    body, public, found = signatures_by(note, key, 1)
    assert found
    assert all(is_signed(public, body.encode(), signature) for signature in found)
    origin, size, root, streams, end = body.split("\n")
    word, count, streams_root = streams.split(" ")
    assert (origin, word, end) == (key.split("+")[0], "mephisto-es/streams", "")
    assert (str(int(size)), str(int(count))) == (size, count)
    assert len(unpacked(root)) == len(unpacked(streams_root)) == 32
    return origin, int(size), unpacked(root), int(count), unpacked(streams_root)


def cosigned_at(note: str, key: str) -> int:
    """Return when a witness cosigned a note; an AssertionError if it has not."""
    body, public, found = signatures_by(note, key, 4)
    (blob,) = found
    seconds = int.from_bytes(blob[:8], "big")
    assert is_signed(public, f"cosignature/v1\ntime {seconds}\n{body}".encode(), blob[8:])
    return seconds


def verify_unit(text: str, key: str) -> list[Any]:
    """Return the events that a proof shows; an AssertionError if it is not genuine."""
    proof = json.loads(text)
    assert proof["format"] == "mephisto-es proof 1"
    _, size, root, count, streams_root = open_seal(proof["seal"], key)
    versions: dict[str, int] = {}
    for stream in proof["streams"]:
        entry = f"{stream['stream']}\n{stream['version']}\n".encode()
        path = hashes(stream["path"])
        assert root_from_path(sha(b"\x00" + entry), stream["index"], count, path) == streams_root
        assert stream["stream"] not in versions
        versions[stream["stream"]] = stream["version"]
    events = []
    for one in proof["events"]:
        head, seal = one["proof"].split("\n\n", 1)
        header, index, *parts = head.split("\n")
        assert (header, index[:6], seal) == ("c2sp.org/tlog-proof@v1", "index ", proof["seal"])
        path = hashes(parts)
        assert str(int(index[6:])) == index[6:]
        assert root_from_path(sha(b"\x00" + one["event"].encode()), int(index[6:]), size, path) == root
        events.append(json.loads(one["event"]))
    of_unit = f"unit/{proof['run']}/{proof['unit']}"
    agents = {event["event"]["agent"] for event in events if event["event"]["kind"] == "unit_assigned"}
    (assignment,) = (event["event"]["assignment"] for event in events if event["event"]["kind"] == "unit_created")
    of_assignment = f"assignment/{proof['run']}/{assignment}"
    assert versions.keys() == {of_unit, of_assignment, *(f"agent/{proof['run']}/{agent}" for agent in agents)}
    for name, version in versions.items():
        assert [event["version"] for event in events if event["stream"] == name] == [*range(1, version + 1)]
    assert {event["stream"] for event in events} == versions.keys()
    return events


NAMED = {
    "agent_accepted": "begun",
    "agent_submitted": "submitted",
    "agent_submitted_late": "submitted late",
    "agent_returned": "returned",
    "agent_timed_out": "ended because the time was up",
    "agent_expired": "ended",
    "agent_disconnected": "ended because the page was closed",
    "agent_approved": "approved",
    "agent_late_accepted": "accepted",
    "agent_soft_rejected": "paid and not used",
    "agent_rejected": "rejected",
    "agent_verdict_withdrawn": "verdict withdrawn",
}


def verify_receipt(text: str, key: str) -> tuple[int, int, str]:
    """Return the number of events of a receipt, of those that are proved, and its sentence."""
    receipt = json.loads(text)
    assert receipt.keys() == {"format", "sentence", "promise", "events", "seal", "proofs", "stream"}
    assert receipt["format"] == "mephisto-es receipt 1"
    body, public, found = signatures_by(receipt["promise"], key, 1)
    assert found
    assert all(is_signed(public, body.encode(), signature) for signature in found)
    head, log, stream, unit, *lines, end = body.split("\n")
    assert (head, log, end) == ("mephisto-es receipt 1", key.split("+")[0], "")
    assert stream.split("/")[:2] == ["agent", unit.split("/")[1]]
    entries = [line.split(" ") for line in lines]
    assert [entry[0] for entry in entries] == [str(number + 1) for number in range(len(entries))]
    assert len(receipt["events"]) == len(entries) > 0
    said = []
    for (version, _, at, kind, leaf), quoted in zip(entries, receipt["events"], strict=True):
        if quoted is not None:
            event = json.loads(quoted)
            assert sha(b"\x00" + quoted.encode()) == unpacked(leaf)
            assert [event[name] for name in ("stream", "version", "at")] == [stream, int(version), int(at)]
            assert event["event"]["kind"] == kind
        if kind in NAMED:
            when = datetime.fromtimestamp(int(at) / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            said.append(f"{NAMED[kind]} on {when}")
    _, run, number = unit.split("/")
    sentence = f"The log {log} has the work on unit {number} of run {run}: {', '.join(said)}."
    assert receipt["sentence"] == sentence
    if receipt["seal"] is None:
        assert receipt["proofs"] == []
        assert receipt["stream"] is None
        return len(entries), 0, sentence
    _, size, root, count, streams_root = open_seal(receipt["seal"], key)
    sealed = receipt["stream"]
    own = sha(b"\x00" + f"{stream}\n{len(receipt['proofs'])}\n".encode())
    assert (sealed["stream"], sealed["version"]) == (stream, len(receipt["proofs"]))
    assert root_from_path(own, sealed["index"], count, hashes(sealed["path"])) == streams_root
    for entry, proof in zip(entries, receipt["proofs"], strict=False):
        head, seal = proof.split("\n\n", 1)
        header, index, *parts = head.split("\n")
        assert (header, index, seal) == ("c2sp.org/tlog-proof@v1", f"index {entry[1]}", receipt["seal"])
        assert root_from_path(unpacked(entry[4]), int(entry[1]), size, hashes(parts)) == root
    assert 0 < len(receipt["proofs"]) <= len(entries)
    return len(entries), len(receipt["proofs"]), sentence
