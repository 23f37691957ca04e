"""Views of histories, in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache

import sqlite_utils

from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.projections.engine.projection import ReadPayload
from mephisto_es.projections.mephisto_db import MephistoDbProjection

from ..histories import PayloadStore, numbered

PROJECTION = MephistoDbProjection()


def empty() -> sqlite3.Connection:
    """The tables without a row."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    _template().backup(db)
    return db


@cache
def _template() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    PROJECTION.create(sqlite_utils.Database(db))
    PROJECTION.index(sqlite_utils.Database(db))
    return db


def rebuilt(events: Sequence[RecordedEvent], payload: ReadPayload, cuts: Iterable[int] = ()) -> sqlite3.Connection:
    """The view of events, applied in pages that end where the cuts say."""
    db = empty()
    ends = sorted({cut % len(events) for cut in cuts} | {len(events)})
    for start, end in zip([0, *ends], ends, strict=False):
        PROJECTION.apply(db, events[start:end], payload)
    return db


def lived(history: Sequence[AppendRequest]) -> tuple[sqlite3.Connection, PayloadStore]:
    """The view as a log keeps it, request by request, each with the payloads that there were at its time."""
    db, store, written = empty(), PayloadStore(), 0
    events = numbered(history)
    for request in history:
        store.take(request)
        PROJECTION.apply(db, events[written : written + len(request.events)], store.read)
        written += len(request.events)
    return db, store
