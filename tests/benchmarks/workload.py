"""The work that every peer does: units of crowd work moving through their lives, many side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

#: What happens to a unit, step by step; the last step is drawn from `ENDS`.
PATH = ("created", "launched", "assigned", "expired", "launched", "assigned", "completed")
ENDS = ("accepted", "accepted", "rejected", "soft_rejected")
UNITS_AT_A_TIME = 200
WORKERS = 500
UNITS_PER_RUN = 1000


class Fact(NamedTuple):
    """One thing that happened, before a log has given it a shape."""

    stream: str
    version: int
    kind: str
    at: int
    actor: str
    worker: str | None
    task_run: str
    note: str | None


#: What a replay must find: the last version and kind of each stream.
Truth = dict[str, tuple[int, str]]


def facts(count: int, seed: int = 7) -> Iterator[Fact]:
    """The same facts each time for the same seed."""
    chance = Random(seed)
    at = 1_700_000_000_000_000
    made = 0
    steps: list[int] = []
    units: list[tuple[str, str, str]] = []
    for _ in range(count):
        slot = chance.randrange(UNITS_AT_A_TIME)
        if slot >= len(units) or steps[slot] > len(PATH):
            slot = min(slot, len(units))
            unit = (f"unit-{made:07d}", f"worker-{chance.randrange(WORKERS):04d}", f"run-{made // UNITS_PER_RUN:05d}")
            units[slot : slot + 1] = [unit]
            steps[slot : slot + 1] = [0]
            made += 1
        stream, worker, run = units[slot]
        step = steps[slot]
        steps[slot] += 1
        kind = PATH[step] if step < len(PATH) else chance.choice(ENDS)
        at += chance.randrange(1, 2_000_000)
        note = "left the task open past its time limit" if kind == "expired" else None
        by_worker = step >= 2
        yield Fact(
            stream, step + 1, kind, at, worker if by_worker else "operator", worker if by_worker else None, run, note
        )


def truth_of(done: Sequence[Fact]) -> Truth:
    """Return what a replay of these facts must find."""
    return {fact.stream: (fact.version, fact.kind) for fact in done}
