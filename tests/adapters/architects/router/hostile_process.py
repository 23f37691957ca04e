"""Hostile clients in a process of their own, so that what they cost themselves is not taken for what they cost others.

Usage: hostile_process.py PORT NICENESS. Attacks the router at the port with clients of all kinds for as long as it is
told to, and answers what they did. With a niceness of 19 they get only the processor time that nobody else wants, as if
they were on another machine.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import trio

from mephisto_es.tests.adapters.architects.router.hostile_clients import CONNECTIONS, PACKETS, attack_with_all
from mephisto_es.tests.benchmarks.processes import answer, standard_input

PROGRAM = Path(__file__)


class AttackRequest(msgspec.Struct):
    """Asks to attack from now on, or no longer."""

    attack: bool
    #: Connections and packets that all clients together begin in a second; None: as many as they can.
    per_second: float | None = None


class AttackReply(msgspec.Struct):
    """What the clients did until they were told to stop."""

    seconds: float
    cpu_seconds: float
    connections: int
    packets: int
    #: Attacks that came to their end, by kind.
    attacks: dict[str, int]

    @property
    def acts(self) -> int:
        """The number of hostile requests, in a wide sense."""
        return self.connections + self.packets


async def serve(port: int) -> None:
    """Attack as told by standard input, until it ends."""
    counts, began, cpu_began = Counter[str](), 0.0, 0.0
    async with trio.open_nursery() as nursery:
        scope, stopped = trio.CancelScope(), trio.Event()

        async def attack(per_second: float) -> None:
            with scope:
                await attack_with_all(port, counts, per_second)
            stopped.set()

        async for line in standard_input():
            request = msgspec.json.decode(line, type=AttackRequest)
            if request.attack:
                counts.clear()
                scope, stopped = trio.CancelScope(), trio.Event()
                began, cpu_began = time.perf_counter(), time.process_time()
                nursery.start_soon(attack, request.per_second or math.inf)
                continue
            scope.cancel()
            await stopped.wait()
            connections, packets = counts.pop(CONNECTIONS, 0), counts.pop(PACKETS, 0)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
            answer(AttackReply(seconds, cpu_seconds, connections, packets, dict(counts)))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    os.nice(int(sys.argv[2]))
    trio.run(serve, int(sys.argv[1]))
