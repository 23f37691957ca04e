"""The outcome of a simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mephisto_es.core.ports import Head


class ViolationError(AssertionError):
    """An invariant did not hold; names the seed that shows it."""

    def __init__(self, seed: int, what: str) -> None:
        self.seed = seed
        super().__init__(f"seed {seed}: {what}")


@dataclass
class Simulated:
    """The result of a simulation."""

    seed: int
    head: Head
    seconds: float
    lives: int
    requests: int
    faults: Counter[str] = field(default_factory=Counter)
    #: Requests of the requester that were executed, and what the site did, by kind.
    requested: Counter[str] = field(default_factory=Counter)
    #: What became of labels, screenings and gold units, by kind.
    judged: Counter[str] = field(default_factory=Counter)


def described(group: BaseExceptionGroup[Exception]) -> str:
    """Return the message of each error in a group."""
    return "; ".join(_described(error) for error in _leaves(group))


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
