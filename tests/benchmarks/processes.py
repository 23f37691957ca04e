"""Programs that are told what to do in lines of JSON, and what processes use, as Linux tells it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import TypeVar

import msgspec
import trio
from trio.abc import ReceiveStream, SendStream

T = TypeVar("T")

_TICKS = os.sysconf("SC_CLK_TCK")
#: A program that was told to end has so long to clean up.
_END_SECONDS = 20


class Program:
    """A program of ours in a process of its own."""

    def __init__(self, pid: int, to: SendStream, answers: AsyncGenerator[bytes]) -> None:
        self.pid = pid
        self._to = to
        self._answers = answers

    async def tell(self, request: msgspec.Struct) -> None:
        """Tell the program what to do."""
        await self._to.send_all(msgspec.json.encode(request) + b"\n")

    async def hear(self, kind: type[T]) -> T:
        """Wait for an answer."""
        async for line in self._answers:
            return msgspec.json.decode(line, type=kind)
        raise EOFError("the program has ended")


@asynccontextmanager
async def program(path: Path, *arguments: str, python: str = sys.executable) -> AsyncIterator[Program]:
    """Run a program; when the block is left its standard input is closed, and it ends."""
    process = await trio.lowlevel.open_process([python, str(path), *arguments], stdin=PIPE, stdout=PIPE)
    if process.stdin is None or process.stdout is None:
        raise TypeError("a program is spoken to through pipes")
    answers = lines_of(process.stdout)
    try:
        yield Program(process.pid, process.stdin, answers)
    finally:
        with trio.CancelScope(shield=True):
            await answers.aclose()
            await process.stdin.aclose()
            with trio.move_on_after(_END_SECONDS):
                await process.wait()
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.stdout.aclose()


async def lines_of(stream: ReceiveStream) -> AsyncGenerator[bytes]:
    """The lines of a stream, until it ends."""
    rest = b""
    async for some in stream:
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            yield line


def standard_input() -> AsyncIterator[bytes]:
    """Yield the lines of standard input."""
    return lines_of(trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())))


def answer(value: msgspec.Struct) -> None:
    """Answer who runs the program."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its threads so far, to a hundredth of a second."""
    # The name of the program, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mib(pid: int | str = "self") -> float:
    """Memory of a process that is in use now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
