"""Random legal histories of whole runs, over all lifecycles, for any test that wants a log.

`histories()` draws requests that any log accepts; `numbered` returns them as a log records them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from random import Random

from hypothesis import strategies as st

from mephisto_es.core.ports import AppendRequest, Payload
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.envelope import Envelope, RecordedEvent
from mephisto_es.events.worker import WorkerErased

from .history_generator import HistoryGenerator

#: Moves in the longest history that Hypothesis draws.
MAX_MOVES = 100


@st.composite
def histories(draw: st.DrawFn, max_moves: int = MAX_MOVES) -> tuple[AppendRequest, ...]:
    """Histories of a few runs, up to as many moves after the first run has begun."""
    return history(draw(st.randoms(use_true_random=False)), draw(st.integers(0, max_moves)))


def history(random: Random, moves: int) -> tuple[AppendRequest, ...]:
    """One history, the same for the same chance."""
    return tuple(written(random, moves).requests)


def written(random: Random, moves: int) -> HistoryGenerator:
    """A generator that has written a history, with the state after it."""
    generator = HistoryGenerator(random)
    generator.begin()
    generator.write(moves)
    return generator


def numbered(history: Iterable[AppendRequest]) -> list[RecordedEvent]:
    """The events of a history as a log holds them."""
    versions: defaultdict[str, int] = defaultdict(int)
    recorded: list[RecordedEvent] = []
    for request in history:
        for ordinal, (stream, event) in enumerate(request.events):
            versions[stream] += 1
            envelope = Envelope(
                stream=stream,
                version=versions[stream],
                at=request.at,
                command=request.command,
                ordinal=ordinal,
                actor=request.actor,
                event=event,
            )
            recorded.append(RecordedEvent(len(recorded) + 1, envelope))
    return recorded


class PayloadStore:
    """The payloads of a history, kept as a log keeps them."""

    def __init__(self) -> None:
        self._kept: dict[str, Payload] = {}

    def take(self, request: AppendRequest) -> None:
        """Put in what a request brings, and delete what it makes forgotten."""
        self._kept |= {payload.ref.sha256: payload for payload in request.payloads}
        forgotten = {
            int(stream.rpartition("/")[2]) for stream, event in request.events if isinstance(event, WorkerErased)
        }
        self._kept = {key: payload for key, payload in self._kept.items() if payload.subject not in forgotten}

    def read(self, ref: PayloadRef) -> bytes | None:
        """The bytes behind a reference; None once they are deleted."""
        payload = self._kept.get(ref.sha256)
        return payload.body if payload else None
