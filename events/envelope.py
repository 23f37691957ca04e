"""The envelope of an event: its position, time, author and command."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import msgspec

from .catalogue import AnyEvent


class Position(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A position in a log. The `seq` of two partitions are never compared."""

    partition: str
    seq: int


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The canonical record of one event; its encoding is what the chain covers."""

    stream: str
    #: 1, 2, 3 ... within the stream.
    version: int
    #: Microseconds since the epoch, UTC; never falls within a partition.
    at: int
    #: Id of the command; a command is never executed twice.
    command: str
    #: Place among the events of that command: 0, 1, 2 ...
    ordinal: int
    #: Author of the command: `operator`, `worker/3`, `reviewer` ...
    actor: str
    #: Position of the event that led to this one.
    cause: Position | None = None
    event: AnyEvent


class RecordedEvent(NamedTuple):
    """An event with its position in a log."""

    #: 1, 2, 3 ... within the partition, without gaps.
    seq: int
    envelope: Envelope


#: Make a `RecordedEvent` of a pair. Its own constructor is a Python function, and a replay makes one for each event.
recorded_of = cast(Callable[[tuple[int, Envelope]], RecordedEvent], partial(tuple.__new__, RecordedEvent))
