"""Reads what strace recorded of a program and the processes that it started: what they did to files, in order.

`COMMAND` records everything that is needed. A call that others interrupt is in the record twice, when it begins and
when it has returned; data counts from the beginning on, a sync only when it has returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_CALLS = "openat,write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat"

#: The longest data that is recorded whole.
MAX_DATA_BYTES = 2**22
#: Runs a program and records its calls and those of all processes that it starts: add a file, then the program.
COMMAND = [
    *("strace", "-f", "--seccomp-bpf", "-y", "-xx", "-qq", "-s", str(MAX_DATA_BYTES)),
    *("-e", f"trace={_CALLS}", "-e", "signal=none", "-o"),
]


class Call(NamedTuple):
    """One system call."""

    pid: int
    name: str
    #: Its arguments, as strace writes them.
    arguments: str
    #: What it returned; negative after an error.
    result: int
    #: The file that it opened, if it did.
    opened: str
    #: Number of the line on which it began, and on which it returned.
    began: int
    ended: int


_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_BEGIN = re.compile(r"(?P<name>\w+)\((?P<arguments>.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUME = re.compile(
    r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\) += (?P<result>-?\d+)(?:<(?P<opened>[^>]*)>)?", re.DOTALL
)
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?:<(?P<opened>[^>]*)>)?", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_DESCRIPTOR = re.compile(r"(\d+)<((?:[^>]|(?<=\\)>)*)>")


def read_calls(lines: Iterable[str]) -> Iterator[Call]:
    """Yield the calls of a record that returned, in the order in which they returned."""
    open_calls: dict[int, tuple[int, str, str]] = {}
    for number, line in enumerate(lines):
        found = _LINE.match(line)
        if found is None:
            continue
        pid, rest = int(found["pid"]), found["rest"]
        if (begun := _BEGIN.match(rest)) is not None:
            open_calls[pid] = number, begun["name"], begun["arguments"]
        elif (resumed := _RESUME.match(rest)) is not None:
            began, name, arguments = open_calls.pop(pid)
            yield _call(pid, name, arguments + resumed["arguments"], resumed, began, number)
        elif (whole := _WHOLE.match(rest)) is not None:
            yield _call(pid, whole["name"], whole["arguments"], whole, number, number)


def _call(pid: int, name: str, arguments: str, end: re.Match[str], began: int, ended: int) -> Call:
    return Call(pid, name, arguments, int(end["result"]), _plain(end["opened"] or ""), began, ended)


def strings(text: str) -> list[bytes]:
    """Return the strings among the arguments of a call.

    Raises:
        ValueError: one is longer than `MAX_DATA_BYTES`.
    """
    found: list[bytes] = []
    for hexadecimal, cut in _STRING.findall(text):
        if cut:
            raise ValueError("a string was not recorded whole")
        found.append(bytes.fromhex(hexadecimal.replace("\\x", "")))
    return found


def descriptor(text: str) -> tuple[int, str]:
    """Return the first file descriptor of some arguments, and what it leads to."""
    found = _DESCRIPTOR.search(text)
    if found is None:
        return -1, ""
    return int(found[1]), _plain(found[2])


def _plain(path: str) -> str:
    return bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path


def escaped(text: str) -> str:
    """Return text as strace writes it."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode())
